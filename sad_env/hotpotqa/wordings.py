"""How the experts think aloud: several wordings of each kind of thought, 10 to 35 words long."""

from __future__ import annotations

import random
from collections.abc import Mapping

from sad_env.expert import choose
from sad_env.tables import read_table

Wordings = Mapping[str, tuple[str, ...]]

_TABLE = read_table("sad_env.hotpotqa", "wordings.toml")
_FIRST: Wordings = _TABLE["first"]
_AFTER: Wordings = _TABLE["after"]
_NEWS: tuple[str, ...] = _TABLE["news"]["statement"]
GOLD: Wordings = _TABLE["gold"]
"""Wordings of the expert that knows the gold titles."""


def say(kind: str, draw: random.Random | None, *, news: list[str], **values: str) -> str:
    """A thought of this kind.

    Args:
        kind: search, namesake, lookup, return, value, contest, same, common or guess.
        draw: chooses the wording; None takes the first.
        news: statements that the last observation has added to what is known.
        values: what the wordings of this kind speak of.
    """
    if kind in _AFTER and (news or kind not in _FIRST):
        statement = "I have read what I need."
        if news:
            statement = choose(_NEWS, draw).format(news=news[-1], News=_capital(news[-1]))
        return choose(_AFTER[kind], draw).format(news=statement, **values)
    if "first" in values:
        values["First"] = _capital(values["first"])
    return _capital(choose(_FIRST[kind], draw).format(**values))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]

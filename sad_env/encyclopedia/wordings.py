"""How the experts think aloud: several wordings of each kind of thought."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sad_env.encyclopedia.plans import Goal
from sad_env.expert import choose

ENDS: Mapping[Goal, str] = {"value": "value", "same": "same", "common": "common", "least": "contest", "most": "contest"}
"""The kind of thought that ends a question of this goal."""


class Wordings:
    """A table of wordings by kind of thought.

    Args:
        table: ``first``: wordings of thoughts that do not repeat the last observation, or that state themselves what is
            known; ``after``: of those that follow a statement of it; ``news.statement``: of that statement.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._first: Mapping[str, Sequence[str]] = table["first"]
        self._after: Mapping[str, Sequence[str]] = table["after"]
        self._news: Sequence[str] = table["news"]["statement"]

    def say(self, kind: str, draw: random.Random | None, *, news: Sequence[str], **values: str) -> str:
        """A thought of this kind.

        Args:
            kind: a name in the table.
            draw: chooses the wording; None takes the first.
            news: statements that the last observation has added to what is known.
            values: what the wordings of this kind speak of.
        """
        if kind in self._after and (news or kind not in self._first):
            statement = "I have read what I need."
            if news:
                statement = choose(self._news, draw).format(news=news[-1], News=_capital(news[-1]))
            return choose(self._after[kind], draw).format(news=statement, **values)
        if "first" in values:
            values["First"] = _capital(values["first"])
        return _capital(choose(self._first[kind], draw).format(**values))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]

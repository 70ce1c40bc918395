"""Wordings of the expert's thoughts, chosen by seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from sad_env.expert import choose
from sad_env.tables import read_table

PHRASES: dict[str, tuple[str, ...]] = read_table("sad_env.webshop", "wordings.toml")
"""Wordings by purpose."""


def say(purpose: str, draw: random.Random | None, **words: str) -> str:
    """A thought for `purpose`, chosen by `draw` (the first where it is None), with `words` filled in.

    >>> say("next", random.Random(1)) in PHRASES["next"]
    True
    """
    text = choose(PHRASES[purpose], draw).format(**words)
    return text[:1].upper() + text[1:]


def shorten(text: str, words: int = 9) -> str:
    """The first words of `text`, without punctuation at the cut.

    >>> shorten("Belnest Fjord Sturdy Five Tier Bookcase, High Density, Stain Resistant, for Small Apartments")
    'Belnest Fjord Sturdy Five Tier Bookcase, High Density, Stain'
    """
    parts = text.split()
    return text if len(parts) <= words else " ".join(parts[:words]).rstrip(",;:-|(")


def join(parts: Sequence[str]) -> str:
    """Words as a list in a sentence.

    >>> join(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)

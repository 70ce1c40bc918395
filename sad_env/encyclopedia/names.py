"""Coined names for the generated encyclopedia; each split has its own share of them."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence

from sad_env.errors import ConfigError
from sad_env.tables import read_table

SPLITS = ("train", "test")


_TABLE: dict[str, list[str]] = {
    name: text.split() for name, text in read_table("sad_env.encyclopedia", "names.toml").items()
}

_THRICE = re.compile(r"(.)\1\1")
"""One letter three times in a row, which two syllables may make."""

_OFFENSIVE = re.compile(r"cock|cunt|fagg|fuck|kunt|nigg|shit|slut|twat|wank|whor")
"""Offensive words that syllables may happen to make."""


def belongs(name: str, split: str) -> bool:
    """True when a coined name is of the split's share: no name is of two splits, whatever the seed.

    Raises:
        ConfigError: no such split.
    """
    if split not in SPLITS:
        raise ConfigError(f"the generated encyclopedia has no split {split!r}; known: {', '.join(SPLITS)}")
    return SPLITS[hashlib.sha256(name.encode()).digest()[0] % len(SPLITS)] == split


class Namer:
    """Draws names that are new to it and belong to its split.

    Args:
        draw: the source of all its choices.
        split: whose share of the names it uses.
        families: surnames that its people share. A model that reads few of them again and again learns them by heart
            instead of learning to copy a name that it has never seen.
    """

    def __init__(self, draw: random.Random, split: str, families: int = 800) -> None:
        self._draw = draw
        self._split = split
        self._taken: set[str] = set()
        self._surnames = [self._coin(_TABLE["surnames"]) for _ in range(families)]

    def fresh(self, make: Callable[[], str]) -> str:
        """The first name of `make` that is not taken; after many tries a coined word is put before it."""
        for attempt in range(200):
            name = make() if attempt < 100 else f"{self._coin(_TABLE['surnames'])} {make()}"
            if name not in self._taken:
                self._taken.add(name)
                return name
        raise ConfigError("the generator has run out of names: ask for fewer articles")

    def town(self) -> str:
        """A town."""
        return self.fresh(lambda: self._coin(_TABLE["towns"]))

    def region(self) -> str:
        """A region."""
        return self.fresh(lambda: self._coin(_TABLE["regions"]))

    def river(self) -> str:
        """A river, e.g. "River Ashel"."""
        return self.fresh(lambda: f"River {self._coin(_TABLE['rivers'])}")

    def surname(self) -> str:
        """A family name; families are large."""
        return self._draw.choice(self._surnames)

    def given_name(self, woman: bool) -> str:
        """A given name."""
        return self._draw.choice(_TABLE["women"] if woman else _TABLE["men"])

    def person(self, woman: bool) -> str:
        """A person that has no namesake yet."""
        return self.fresh(lambda: f"{self.given_name(woman)} {self.surname()}")

    def extended(self, stem: str, endings: Sequence[str]) -> str:
        """A name made of one that exists, e.g. a town's club."""
        return self.fresh(lambda: f"{stem} {self._draw.choice(endings)}")

    def work(self) -> str:
        """A title of a novel, film, album or painting."""

        def make() -> str:
            while True:
                name = self._work()
                if belongs(name, self._split):
                    return name

        return self.fresh(make)

    def _work(self) -> str:
        draw = self._draw
        adjective, matter = draw.choice(_TABLE["adjectives"]), draw.choice(_TABLE["matters"])
        noun, other = draw.sample(_TABLE["nouns"], 2)
        article = "An" if noun[0] in "AEIOU" else "A"
        return draw.choice(
            (
                f"The {adjective} {noun}",
                f"{adjective} {noun}",
                f"{article} {noun} of {matter}",
                f"The {noun} of {self.surname()}",
                f"{matter} and {other}s",
                f"The {noun} and the {other}",
                f"{article} {noun} for {draw.choice(_TABLE['women'])}",
                f"{noun} of {matter}",
            )
        )

    def _coin(self, endings: Sequence[str]) -> str:
        draw = self._draw
        while True:
            syllables = [
                draw.choice(_TABLE["onsets"]),
                draw.choice(_TABLE["vowels"]),
                draw.choice(_TABLE["codas"]),
                draw.choice(endings),
            ]
            if self._fits(name := "".join(syllables)):
                if not _OFFENSIVE.search(name):
                    return name.capitalize()
                # Another vowel instead of another draw: all names after it stay what they are.
                others = ("".join([syllables[0], vowel, *syllables[2:]]) for vowel in _TABLE["vowels"])
                if milder := next(
                    (other for other in others if self._fits(other) and not _OFFENSIVE.search(other)), None
                ):
                    return milder.capitalize()

    def _fits(self, name: str) -> bool:
        name = name.capitalize()
        return len(name) <= 10 and not _THRICE.search(name) and belongs(name, self._split)

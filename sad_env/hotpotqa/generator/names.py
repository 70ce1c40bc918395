"""Coined names for the generated encyclopedia; each split has its own share of them."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence

from sad_env.errors import ConfigError

SPLITS = ("train", "test")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ONSETS = _words(
    "b br c cl d dr f fl g gr h k l m n p pr qu r s sh sk st t th tr v w bl ch cr gl kn pl sl sn sw tw wh wr y z"
)
_VOWELS = _words("a e i o u a e i o u ai ea ee ie oa ou")
_CODAS = _words("b ck d l ld ll m mb n nd ng nt r rd rk rl rm rn rr s sk sp ss st t th v x z")
_TOWNS = _words(
    "mere wick by ton ford ham well stead holm bridge gate field minster port den worth low beck thorpe haven"
)
_SURNAMES = _words("er ley son man ard wood ell ett ing or ams ow ick en ander is ault stone shaw croft")
_REGIONS = _words("shire land mark ia any ony ova aria fell dale")
_RIVERS = _words("el e a en ow is or ane")
_WOMEN = _words(
    "Ada Agnes Alda Alma Anna Astrid Bella Berta Cara Celia Clara Cora Daria Dora Edith Ella Elsa Emma Erna Eva Fern "
    "Flora Frida Gerda Greta Hanna Hazel Helga Ida Ingrid Irma Ivy Jana Jane Julia Karin Lena Lotte Lucy Mabel Maria "
    "Marta Mina Myra Nadia Nell Nora Olga Paula Petra Rosa Ruth Sara Selma Signe Stella Tessa Thea Tilda Vera Wilma"
)
_MEN = _words(
    "Adam Albert Alvin Anton Arno Axel Basil Bruno Carl Cecil Conrad David Edgar Edwin Emil Ernst Felix Frank Fritz "
    "Georg Gilbert Gustav Hans Harold Henry Hugo Ivan Jacob Joel Jonas Julius Karl Knut Lars Leo Louis Magnus Martin "
    "Max Milo Nils Oscar Otto Paul Peter Philip Ralph Robert Rolf Rudolf Simon Stefan Theo Thomas Victor Walter Viggo"
)
_ADJECTIVES = _words(
    "Silent Hollow Distant Broken Golden Hidden Restless Patient Borrowed Crimson Early Empty Endless Faithful Final "
    "Foreign Forgotten Frozen Gentle Hungry Idle Invisible Last Late Little Lonely Lost Narrow Northern Open Pale "
    "Perfect Quiet Second Secret Sleeping Slow Solitary Southern Stolen Strange Sudden Third Unfinished Velvet "
    "Wandering Western Wild Winter Yellow"
)
_NOUNS = _words(
    "Harbour Orchard Lantern Winter Garden Bridge Letter Mirror Window Island Winding River Stranger Clock Market "
    "Voyage Summer Evening Morning Shadow Staircase Violin Mountain Valley Station Carnival Lighthouse Promise Season "
    "Journey Kingdom Library Meadow Neighbour Ocean Palace Passage Portrait Rain Road Room Sailor Sister Song Storm "
    "Teacher Tower Train Umbrella Verdict Visitor Wall Wedding Witness Brother Cathedral Compass Daughter Ferry "
    "Fortune Harvest"
)
_MATTERS = _words(
    "Salt Glass Ash Snow Silver Smoke Stone Amber Iron Dust Honey Ivory Paper Sand Silk Straw Thunder Wool"
)


_THRICE = re.compile(r"(.)\1\1")
"""One letter three times in a row, which two syllables may make."""

_OFFENSIVE = re.compile(r"cock|cunt|fagg|fuck|kunt|nigg|shit|slut|twat|wank|whor")
"""What nobody wants to read in a name; syllables make it now and then."""


def belongs(name: str, split: str) -> bool:
    """True when a coined name is of the split's share: no name is of two splits, whatever the seed.

    Raises:
        ConfigError: no such split.
    """
    if split not in SPLITS:
        raise ConfigError(f"generated HotPotQA has no split {split!r}; known: {', '.join(SPLITS)}")
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
        self._surnames = [self._coin(_SURNAMES) for _ in range(families)]

    def fresh(self, make: Callable[[], str]) -> str:
        """The first name of `make` that nothing has yet; after many tries a root of its own is put before it."""
        for attempt in range(200):
            name = make() if attempt < 100 else f"{self._coin(_SURNAMES)} {make()}"
            if name not in self._taken:
                self._taken.add(name)
                return name
        raise ConfigError("the generator has run out of names: ask for fewer articles")

    def town(self) -> str:
        """A town."""
        return self.fresh(lambda: self._coin(_TOWNS))

    def region(self) -> str:
        """A region."""
        return self.fresh(lambda: self._coin(_REGIONS))

    def river(self) -> str:
        """A river, e.g. "River Ashel"."""
        return self.fresh(lambda: f"River {self._coin(_RIVERS)}")

    def surname(self) -> str:
        """A family name; families are large."""
        return self._draw.choice(self._surnames)

    def given_name(self, woman: bool) -> str:
        """A given name."""
        return self._draw.choice(_WOMEN if woman else _MEN)

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
        adjective, matter = draw.choice(_ADJECTIVES), draw.choice(_MATTERS)
        noun, other = draw.sample(_NOUNS, 2)
        article = "An" if noun[0] in "AEIOU" else "A"
        return draw.choice(
            (
                f"The {adjective} {noun}",
                f"{adjective} {noun}",
                f"{article} {noun} of {matter}",
                f"The {noun} of {self.surname()}",
                f"{matter} and {other}s",
                f"The {noun} and the {other}",
                f"{article} {noun} for {draw.choice(_WOMEN)}",
                f"{noun} of {matter}",
            )
        )

    def _coin(self, endings: tuple[str, ...]) -> str:
        draw = self._draw
        while True:
            syllables = [draw.choice(_ONSETS), draw.choice(_VOWELS), draw.choice(_CODAS), draw.choice(endings)]
            if self._fits(name := "".join(syllables)):
                if not _OFFENSIVE.search(name):
                    return name.capitalize()
                # Another vowel instead of another draw: all names after it stay what they are.
                others = ("".join([syllables[0], vowel, *syllables[2:]]) for vowel in _VOWELS)
                if milder := next((one for one in others if self._fits(one) and not _OFFENSIVE.search(one)), None):
                    return milder.capitalize()

    def _fits(self, name: str) -> bool:
        name = name.capitalize()
        return len(name) <= 10 and not _THRICE.search(name) and belongs(name, self._split)

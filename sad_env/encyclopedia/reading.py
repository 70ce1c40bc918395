"""Reading the generated encyclopedia: sentences back into facts, with the grammar that wrote them."""

from __future__ import annotations

import re
from functools import lru_cache

from sad_env.encyclopedia.prose import FACTS, LEADS, WORDS
from sad_env.encyclopedia.relations import ENTITIES, RELATIONS, YEAR

_NAME = r"(?:the )?[A-Z0-9][\w'’-]*(?: (?:[A-Z0-9&][\w'’-]*|of|and|the|for|a|&))*"
_NUMBER = r"\d[\d,]*"
_SHAPES = {
    "s": r".+?", "m": r".+?", "is": r"(?:is|was)", "number": r"\d+", "year": r"\d{4}", "wed": r"\d{4}",
    "born": r"\d{1,2} [A-Z][a-z]+ \d{4}", "occupation": r"[a-z ]+?", "population": _NUMBER,
    "area": rf"{_NUMBER} square kilometres", "length": rf"{_NUMBER} km", "height": rf"{_NUMBER} metres",
}  # fmt: skip
for _relation in RELATIONS.values():
    if _relation.form == YEAR:
        _SHAPES.setdefault(_relation.slot, r"\d{4}")
    elif _relation.form == ENTITIES:
        _SHAPES[_relation.slot] = rf"{_NAME}(?:, {_NAME})*"
for _slot, _words in WORDS.items():
    _SHAPES[_slot] = "(?:" + "|".join(_words) + "|museum)"
_SLOT = re.compile(r"\{(\w+)\}")
WITH_ARTICLE = ("river", "building", "event")
"""Kinds whose names have "the" before them in sentences."""

_THINGS = tuple(f" {word}" for word in (*WORDS["structure"], *WORDS["contest"], "museum"))
_PARTS = re.compile(r", | and ")


def split_observation(observation: str) -> list[str]:
    """The sentences of an observation, each with one full stop.

    >>> split_observation("He sang. He wrote..")
    ['He sang.', 'He wrote.']
    """
    return [piece.rstrip(".") + "." for piece in observation.strip().split(". ") if piece.strip(".")]


def read_sentence(sentence: str) -> dict[str, str]:
    """The slots that a sentence states."""
    for pattern in _statements():
        if match := pattern.fullmatch(sentence):
            return {slot: value for slot, value in match.groupdict().items() if slot not in ("s", "m")}
    return {}


def plain(mention: str) -> str:
    """A name without the article that sentences put before it.

    >>> plain("the River Ashel"), plain("The Silent Harbour")
    ('River Ashel', 'The Silent Harbour')
    """
    return mention.removeprefix("the ")


def spoken(name: str) -> str:
    """A name inside a sentence: rivers, buildings and events have "the" before them.

    >>> spoken("River Ashel"), spoken("Tolmere Chess Tournament"), spoken("Tolmere")
    ('the River Ashel', 'the Tolmere Chess Tournament', 'Tolmere')
    """
    return f"the {name}" if name.startswith("River ") or name.lower().endswith(_THINGS) else name


def names_in(value: str) -> list[str]:
    """The names of a list "A, B and C".

    >>> names_in("Alda Moor, Ivan Brin and Olga Tal")
    ['Alda Moor', 'Ivan Brin', 'Olga Tal']
    """
    return [plain(name) for name in _PARTS.split(value)]


def pattern_of(template: str) -> re.Pattern[str]:
    """What reads the sentences that a template writes: a group for the subject and for each fact."""
    wanted = {"s", "m"} | {relation.slot for relation in RELATIONS.values()} | {"occupation"}

    def shape(match: re.Match[str]) -> str:
        slot = match.group(1)
        body = _SHAPES.get(slot, _NAME)
        return f"(?P<{slot}>{body})" if slot in wanted else body

    pieces = _SLOT.split(template)
    text = "".join(
        shape(match) if (match := _SLOT.fullmatch("{" + piece + "}")) and index % 2 else re.escape(piece)
        for index, piece in enumerate(pieces)
    )
    return re.compile(text)


@lru_cache(maxsize=1)
def _statements() -> list[re.Pattern[str]]:
    facts = [template for slots in FACTS.values() for templates in slots.values() for template in templates]
    leads = [template for templates in LEADS.values() for template in templates]
    return [pattern_of(template) for template in dict.fromkeys(leads + facts)]

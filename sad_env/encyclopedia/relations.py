"""The relations of the generated encyclopedia, and their wordings in questions and thoughts."""

from __future__ import annotations

from dataclasses import dataclass

from sad_env.tables import read_table

ENTITY = "entity"
ENTITIES = "entities"
YEAR = "year"

_TABLE = read_table("sad_env.encyclopedia", "relations.toml")


@dataclass(frozen=True)
class Relation:
    """A relation from an article's subject to a value that the article states.

    Templates hold ``{x}`` for the subject and ``{v}`` for the value. "The `name` of X" is English for every relation.

    Attributes:
        name: its name.
        slot: the slot of the article templates that states it (`prose.py`).
        form: what the value is: entity, entities, year, date or amount.
        kinds: what its subject may be.
        keyword: part of every sentence that states it, so that a look-up reaches the sentence.
        statement: a statement of subject and value.
        result: the kind of entity that the value is; empty for other values.
        phrases: noun phrases for the value.
        questions: questions for the value.
        intro: clause that says the subject has such a value, before "who" or "that" and `clause`.
        clause: verb phrase that asks for the value.
    """

    name: str
    slot: str
    form: str
    kinds: tuple[str, ...]
    keyword: str
    statement: str
    result: str = ""
    phrases: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    intro: str = ""
    clause: str = ""


@dataclass(frozen=True)
class Contest:
    """A comparison of two entities by one relation.

    Attributes:
        relation: what is compared.
        kinds: the kinds that can be compared.
        least: questions for the smaller (earlier) entity; ``{a}`` and ``{b}`` are the two.
        most: questions for the greater (later) entity.
    """

    relation: str
    kinds: tuple[str, ...]
    least: tuple[str, ...]
    most: tuple[str, ...]


RELATIONS = {row["name"]: Relation(**row) for row in _TABLE["relations"]}
"""All relations by name."""

NAMESAKES: dict[str, str] = _TABLE["namesakes"]
"""By relation: what is known of its value before the value's article is read; it selects one of several namesakes."""

CONTESTS = tuple(Contest(**row) for row in _TABLE["contests"])
"""What comparison questions compare."""

SAME: dict[str, tuple[str, ...]] = _TABLE["same"]
"""Yes-no questions: whether a relation gives the same value for both."""

COMMON: dict[tuple[str, str], tuple[str, ...]] = {(row["a"], row["b"]): row["questions"] for row in _TABLE["common"]}
"""Intersection questions: the value that two relations share."""

"""How the expert thinks aloud: what is known, what comes next and why, in words that vary with a seed.

A thought is a few clauses, each with several wordings. Earlier wordings are drawn more often, as people have favourite
words too, so that a small student sees most of them many times.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from sad_env.alfworld.memory import HouseholdMemory, kind
from sad_env.tables import read_table


class Fields(NamedTuple):
    """What a thought speaks of: an object, a receptacle, a sought type, a treatment, a lamp."""

    thing: str = ""
    place: str = ""
    wanted: str = ""
    verb: str = ""
    lamp: str = ""


_TABLE = read_table("sad_env.alfworld", "wordings.toml")
_STATUS: dict[str, tuple[str, ...]] = _TABLE["status"]
_SITUATIONS: dict[str, tuple[tuple[str, ...], ...]] = _TABLE["situations"]


def speak(situation: str, fields: Fields, memory: HouseholdMemory, draw: random.Random | None) -> str:
    """A thought that leads to the action of this situation.

    Args:
        situation: a key of `situations` in wordings.toml.
        fields: what the thought speaks of.
        memory: what is known.
        draw: chooses the words; None takes the first of each.
    """
    clauses = [*_status(situation, memory), *_SITUATIONS[situation]]
    words = {
        **fields._asdict(),
        "a_wanted": with_article(fields.wanted or memory.wanted),
        "wanted": fields.wanted or memory.wanted,
        "a_target": with_article(memory.wanted),
        "place_kind": kind(fields.place),
        "task": memory.sentence,
        "here": memory.here or "this place",
        "held": memory.held,
        "done": {"clean": "clean", "heat": "hot", "cool": "cool"}.get(fields.verb, ""),
    }
    return _join([_pick(wordings, draw).format(**words) for wordings in clauses], draw)


def _status(situation: str, memory: HouseholdMemory) -> list[Sequence[str]]:
    """Clauses that come first: the goal at the start, a failed action, what is missing while searching."""
    if memory.stuck:
        return [_STATUS["failed"]]
    if memory.turns == 0:
        return [_STATUS["goal"], _STATUS["first"]] if situation.startswith("search") else [_STATUS["goal"]]
    if situation in ("search go", "search on go"):
        if memory.held:
            return [_STATUS["holding"]]
        if _one_is_placed(memory):
            return [_STATUS["another"]]
        return [_STATUS["not here"], _STATUS["next"]] if memory.turns % 3 == 0 else [_STATUS["not here"]]
    return [_STATUS["another"]] if situation == "fetch go" and _one_is_placed(memory) else []


def _one_is_placed(memory: HouseholdMemory) -> bool:
    """The last action brought the first of two objects to its place."""
    words = memory.last.split()
    return (
        memory.task_type == "pick_two_obj_and_place"
        and len(words) == 6
        and (words[0] in ("move", "put"), words[1], words[4]) == (True, memory.wanted, memory.goal)
    )


def _pick(wordings: Sequence[str], draw: random.Random | None) -> str:
    if draw is None:
        return wordings[0]
    return draw.choices(wordings, [1 / (rank + 2) for rank in range(len(wordings))])[0]


def _join(clauses: Sequence[str], draw: random.Random | None) -> str:
    """Clauses as sentences; with a generator, some pairs become one sentence."""
    text = clauses[0]
    apart = True
    for clause in clauses[1:]:
        apart = draw is None or not apart or draw.random() < 0.6
        if apart:
            text = f"{text} {clause[0].upper()}{clause[1:]}"
        else:
            text = f"{text[:-1]}, and {clause if clause.startswith('I ') else clause[0].lower() + clause[1:]}"
    return text[0].upper() + text[1:]


def with_article(name: str) -> str:
    """A name with its indefinite article."""
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"

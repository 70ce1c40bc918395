"""How the expert thinks aloud: what is known, what comes next and why, in words that vary with a seed.

A thought is a few slots, each filled with one of its wordings. Wordings that stand first are drawn more often, as
people have favourite words too; so a small student meets most of them many times.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from sad_env.alfworld.memory import Memory, kind


class Fields(NamedTuple):
    """What a thought speaks of: an object, a receptacle, a sought type, a treatment, a lamp."""

    thing: str = ""
    place: str = ""
    wanted: str = ""
    verb: str = ""
    lamp: str = ""


_GOAL = (
    "I have to {task}.",
    "My task is to {task}.",
    "The goal is to {task}.",
    "I am asked to {task}.",
    "What I need to do is {task}.",
)
_FIRST = (
    "First I need to find {a_wanted}.",
    "So I must find {a_wanted} first.",
    "I do not know yet where {a_wanted} is.",
    "That begins with finding {a_wanted}.",
)
_NOT_HERE = (
    "There is no {wanted} here.",
    "I see no {wanted} here.",
    "No {wanted} at {here}.",
    "{here} does not have {a_wanted}.",
    "Not what I need at {here}.",
    "Still no {wanted}.",
)
_NEXT = (
    "I still need {a_wanted} to {task}.",
    "I am still looking for {a_wanted}.",
    "My task needs {a_wanted}.",
    "The {wanted} must be somewhere else.",
)
_HOLDING = (
    "I hold {held} and need {a_wanted} now.",
    "I have {held}, but I have not found {a_wanted} yet.",
    "With {held} in hand I look for {a_wanted}.",
)
_ANOTHER = (
    "One {wanted} is in place, and I need another one.",
    "That is the first {wanted}, so one more is needed.",
    "Now I need a second {wanted} to {task}.",
)
_SLIP = (
    "That did nothing.",
    "Nothing happened.",
    "That action did not work.",
    "It had no effect.",
)
_SLOTS: dict[str, tuple[Sequence[str], ...]] = {
    "search go": (
        (
            "A {place_kind} is a likely place, so I go to {place}.",
            "It may be at {place}, so I will check there.",
            "People often keep one at a {place_kind}, so I will look at {place}.",
            "I try {place}, since a {place_kind} could well hold it.",
            "My best guess is {place}, so I go there.",
        ),
    ),
    "search on go": (
        (
            "I have not looked at {place} yet, so I go there.",
            "{place} is less likely, but I have not seen it yet, so I go there.",
            "It is not in the usual places, so I try {place}.",
            "I look at {place} too, to leave nothing out.",
            "The next place to check is {place}.",
        ),
    ),
    "search open": (
        ("{place} is closed.", "The {place_kind} here is shut.", "I cannot see inside {place} while it is closed."),
        (
            "A {wanted} could be inside, so I open it.",
            "I open it to look for {a_wanted}.",
            "I need {a_wanted}, so I will open it and look.",
            "Maybe the {wanted} is in it, so I open it.",
        ),
    ),
    "search examine": (
        ("{place} is right here too.", "I am already standing by {place}.", "{place} is within reach."),
        (
            "I look at it for {a_wanted}.",
            "I will examine it, since the {wanted} may be there.",
            "I need {a_wanted}, so I examine it.",
        ),
    ),
    "again go": (
        ("I have looked everywhere.", "I have seen every place once.", "All places are checked."),
        (
            "Maybe I missed the {wanted}, so I go back to {place}.",
            "I still need {a_wanted}, so I look at {place} again.",
        ),
    ),
    "again open": (("{place} is closed, so I open it to look for {a_wanted} again.", "I open {place} once more."),),
    "again examine": (("I look at {place} again, in case the {wanted} is there.", "I check {place} once more."),),
    "fetch go": (
        ("I saw {thing} at {place}.", "I remember {thing} at {place}.", "{thing} is at {place}."),
        (
            "I need it to {task}, so I go back there.",
            "I go there to get it.",
            "That is what my task needs, so I go to {place}.",
        ),
    ),
    "fetch open": (
        ("{thing} is inside {place}, which is closed.", "{place} is closed and {thing} is in it."),
        ("I open it to get it.", "I must open it first."),
    ),
    "take": (
        (
            "I see {thing} at {place}.",
            "Here is {thing}.",
            "There is {thing}.",
            "{place} has {thing}.",
            "I found {thing} at {place}.",
        ),
        (
            "I need {a_wanted} to {task}, so I take it.",
            "That is what I need, so I take it.",
            "It is what my task asks for, so I pick it up.",
            "I take it, because I have to {task}.",
            "My task needs it, so I take it now.",
        ),
    ),
    "treat go": (
        ("I have {thing} now.", "Now I hold {thing}.", "I am carrying {thing}.", "{thing} is in my hand."),
        (
            "I have to {verb} it, and for that I go to {place}.",
            "It must be {done} before I can put it down, so I go to {place}.",
            "Next I {verb} it, which needs the {place_kind}, so I go to {place}.",
            "A {place_kind} can {verb} it, so I go to {place}.",
        ),
    ),
    "treat": (
        ("I am at {place} with {thing}.", "{place} is here and I hold {thing}.", "Here I can {verb} {thing}."),
        (
            "I {verb} it now, as the task asks.",
            "The task wants it {done}, so I {verb} it.",
            "I {verb} it with {place}.",
            "It has to be {done}, so I do that now.",
        ),
    ),
    "bring go": (
        (
            "I have {thing} now.",
            "{thing} is ready.",
            "I hold {thing}.",
            "I am carrying {thing}.",
        ),
        (
            "It belongs in {place_kind}, so I go to {place}.",
            "The task wants it at the {place_kind}, so I go to {place}.",
            "Now I bring it to {place}.",
            "I have to {task}, so I take it to {place}.",
            "Next I go to {place} to put it there.",
        ),
    ),
    "bring open": (
        ("{place} is closed.", "{place} is shut.", "I am at {place}, but it is closed."),
        (
            "I open it to put {thing} inside.",
            "I must open it before {thing} can go in.",
            "{thing} goes in there, so I open it.",
        ),
    ),
    "bring examine": (
        ("I am already standing by {place}.", "{place} is right here."),
        ("I look at it before I put {thing} there.", "I check whether {thing} can go there."),
    ),
    "put": (
        (
            "I am at {place} with {thing}.",
            "This is the {place_kind} for {thing}.",
            "{place} is where {thing} has to go.",
            "Here {thing} can be put down.",
        ),
        (
            "I put it here, as the task asks.",
            "I have to {task}, so I put it here.",
            "I put it down here.",
            "I place it now.",
        ),
    ),
    "light go": (
        ("I have {thing} now.", "I hold {thing}.", "I am carrying {thing}."),
        (
            "I need light, and {lamp} is at {place}, so I go there.",
            "I saw {lamp} at {place}, so I go there to {task}.",
            "Next I need {lamp}, which is at {place}, so I go there.",
        ),
    ),
    "light": (
        ("{lamp} is here and I hold {thing}.", "I hold {thing} and {lamp} is here.", "Here is {lamp}."),
        (
            "I turn it on to look at {thing}.",
            "I use it to {task}.",
            "I have to {task}, so I turn it on.",
            "Its light is what I need, so I use it.",
        ),
    ),
    "drop go": (
        (
            "I hold {thing}, but I need {a_target}.",
            "{thing} is not what my task needs.",
            "I picked up the wrong thing.",
        ),
        (
            "I go to {place} to put it down and free my hand.",
            "I must put it down first, so I go to {place}.",
            "My hand must be free, so I take it to {place}.",
        ),
    ),
    "drop open": (("{place} is closed, so I open it to put {thing} away.", "I open {place} to get rid of {thing}."),),
    "drop examine": (("I look at {place}, where I want to put {thing} down.",),),
    "drop": (
        ("I hold {thing}, but I need {a_target}.", "{thing} is the wrong thing.", "I do not need {thing}."),
        (
            "I put it down at {place} to free my hand.",
            "I leave it at {place} and look for {a_target}.",
            "I can take only one thing, so I put it down here.",
        ),
    ),
    "burdened": (
        ("I hold {thing}, and nothing here takes it.", "There is no place where I could put {thing} down."),
        ("I check what I carry.", "I cannot go on with a full hand, so I check it."),
    ),
    "lost": (("I do not know what to do, so I look around.", "I look around to see where I am."),),
}


def speak(situation: str, fields: Fields, memory: Memory, draw: random.Random) -> str:
    """A thought that leads to the action of this situation.

    Args:
        situation: a key of the table above.
        fields: what the thought speaks of.
        memory: what is known.
        draw: chooses the words.
    """
    slots = [*_status(situation, memory), *_SLOTS[situation]]
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
    return _join([_pick(slot, draw).format(**words) for slot in slots], draw)


def _status(situation: str, memory: Memory) -> list[Sequence[str]]:
    """What is said before: the goal in the beginning, a slip after one, what was not found while searching."""
    if memory.stuck:
        return [_SLIP]
    if memory.turns == 0:
        return [_GOAL, _FIRST] if situation.startswith("search") else [_GOAL]
    if situation in ("search go", "search on go"):
        if memory.held:
            return [_HOLDING]
        if _one_is_placed(memory):
            return [_ANOTHER]
        return [_NOT_HERE, _NEXT] if memory.turns % 3 == 0 else [_NOT_HERE]
    return [_ANOTHER] if situation == "fetch go" and _one_is_placed(memory) else []


def _one_is_placed(memory: Memory) -> bool:
    """The last action brought the first of two objects to its place."""
    words = memory.last.split()
    return (
        memory.task_type == "pick_two_obj_and_place"
        and len(words) == 6
        and (words[0] in ("move", "put"), words[1], words[4]) == (True, memory.wanted, memory.goal)
    )


def _pick(wordings: Sequence[str], draw: random.Random) -> str:
    return draw.choices(wordings, [1 / (rank + 2) for rank in range(len(wordings))])[0]


def _join(clauses: Sequence[str], draw: random.Random) -> str:
    """Clauses as sentences; now and then two of them become one."""
    text = clauses[0]
    apart = True
    for clause in clauses[1:]:
        apart = not apart or draw.random() < 0.6
        if apart:
            text = f"{text} {clause[0].upper()}{clause[1:]}"
        else:
            text = f"{text[:-1]}, and {clause if clause.startswith('I ') else clause[0].lower() + clause[1:]}"
    return text[0].upper() + text[1:]


def with_article(name: str) -> str:
    """A name with its indefinite article."""
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"

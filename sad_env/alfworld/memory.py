"""What an agent knows of a household from the observations alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sad_env.alfworld.generator import SENTENCES

_NAME = r"(\S+ \d+)"
_LISTED = re.compile(rf"\ban? {_NAME}")
_OPENING = re.compile(r"you see (.*?)\.\s*Your task is to: (.*?)\.?\s*$", re.DOTALL)
_SEEN = re.compile(rf"(?:On the|The) {_NAME}(?:,| is open\. In it,) you see (.*)\.$")
_CLOSED = re.compile(rf"The {_NAME} is closed\.$")
_TAKEN = re.compile(rf"You pick up the {_NAME} from the {_NAME}\.$")
_PUT = re.compile(rf"You (?:move|put) the {_NAME} (?:to|in/on) the {_NAME}\.$")
_SHUT = re.compile(rf"You close the {_NAME}\.$")
_TREATED = re.compile(rf"You (clean|heat|cool) the {_NAME} using the {_NAME}\.$")
_CARRIED = re.compile(rf"You are carrying: an? {_NAME}\.$")
_FACING = re.compile(r"You are facing the (.*?)\. Next to it")
_COMMANDS = {
    "go": re.compile(rf"go to {_NAME}"),
    "open": re.compile(rf"open {_NAME}"),
    "take": re.compile(rf"take {_NAME} from {_NAME}"),
    "put": re.compile(rf"(?:move|put) {_NAME} (?:to|in/on) {_NAME}"),
    "use": re.compile(rf"use {_NAME}"),
}
_TASKS = [
    (task_type, re.compile(template.replace("{object}", r"(\S+)").replace("{place}", r"(\S+)")))
    for task_type, templates in SENTENCES.items()
    for template in templates
]


def kind(name: str) -> str:
    """The type that a name speaks of.

    >>> kind("sinkbasin 1")
    'sinkbasin'
    """
    return name.partition(" ")[0]


class HouseholdMemory:
    """Beliefs about one episode, built from its first observation and then from each action and its answer.

    Attributes:
        task_type: one of `problem.TASK_TYPES`, empty when the sentence is of no known kind.
        wanted: type of the object to handle, e.g. "mug".
        goal: type of the receptacle to bring it to, or of the lamp.
        sentence: the task sentence.
        receptacles: all there are.
        here: the receptacle that was walked to last; None in the middle of the room.
        contents: what was last seen in each receptacle that has been looked into.
        seen_at: the turn of that sight.
        closed: receptacles known to be closed.
        held: what is carried.
        treated: what has been done to an object: clean, heat or cool.
        refused: (type of object, receptacle) that did not go together.
        stuck: the last action did nothing.
        turns: actions seen so far.
    """

    def __init__(self, observation: str) -> None:
        opening = _OPENING.search(observation)
        seen, self.sentence = opening.groups() if opening else ("", "")
        self.task_type, self.wanted, self.goal = _read_task(self.sentence)
        self.receptacles: tuple[str, ...] = tuple(_LISTED.findall(seen))
        self.here: str | None = None
        self.contents: dict[str, list[str]] = {}
        self.seen_at: dict[str, int] = {}
        self.closed: set[str] = set()
        self.held: str | None = None
        self.treated: dict[str, str] = {}
        self.refused: set[tuple[str, str]] = set()
        self.stuck = False
        self.turns = 0
        self.last = ""
        self._beside: dict[str, set[str]] = {}

    def reachable(self, receptacle: str) -> bool:
        """Whether it is within the agent's reach."""
        return self.here is not None and (receptacle == self.here or receptacle in self._beside.get(self.here, ()))

    def holders(self, name: str) -> list[str]:
        """Receptacles in which this object, or any of this type, was last seen."""
        return [
            place for place, inside in self.contents.items() if any(name in (thing, kind(thing)) for thing in inside)
        ]

    def update(self, action: str, observation: str) -> None:
        """Take note of an action, whoever chose it, and of its answer."""
        self.turns += 1
        self.last = action.strip()
        self.stuck = observation == "Nothing happens."
        if self.stuck:
            self._learn_from_failure(self.last)
            return
        if walked := _COMMANDS["go"].fullmatch(self.last):
            self.here = walked[1]
        self._note_sight(observation)
        self._note_deed(observation)

    def _note_sight(self, observation: str) -> None:
        if seen := _SEEN.search(observation):
            self.contents[seen[1]], self.seen_at[seen[1]] = _LISTED.findall(seen[2]), self.turns
            self.closed.discard(seen[1])
        elif closed := _CLOSED.search(observation):
            self.closed.add(closed[1])
        elif facing := _FACING.match(observation):
            self._stand_together(re.findall(_NAME.strip("()").replace(r"\S", r"[^\s,]"), facing[1]))
        elif carried := _CARRIED.match(observation):
            self.held = carried[1]
        elif observation == "You are not carrying anything.":
            self.held = None

    def _note_deed(self, observation: str) -> None:
        if taken := _TAKEN.match(observation):
            thing, place = taken.groups()
            self.held = thing
            self._move_out(thing, place)
        elif put := _PUT.match(observation):
            thing, place = put.groups()
            self.held = None
            # A receptacle that has not been looked into stays unseen, whatever went in or out.
            if place in self.contents:
                self.contents[place].append(thing)
        elif shut := _SHUT.match(observation):
            self.closed.add(shut[1])
        elif treated := _TREATED.match(observation):
            self.treated[treated[2]] = treated[1]

    def _learn_from_failure(self, action: str) -> None:
        if walked := _COMMANDS["go"].fullmatch(action):
            # Only what is within reach cannot be walked to.
            if self.here is not None and walked[1] in self.receptacles and walked[1] != self.here:
                self._stand_together([self.here, walked[1]])
        elif opened := _COMMANDS["open"].fullmatch(action):
            if self.reachable(opened[1]):
                self.closed.discard(opened[1])
        elif taken := _COMMANDS["take"].fullmatch(action):
            thing, place = taken.groups()
            if self.held is None and self.reachable(place) and place not in self.closed:
                self._move_out(thing, place)
        elif put := _COMMANDS["put"].fullmatch(action):
            thing, place = put.groups()
            if thing == self.held and self.reachable(place) and place not in self.closed:
                self.refused.add((kind(thing), place))
        elif used := _COMMANDS["use"].fullmatch(action):
            for place in self.holders(used[1]):
                if self.reachable(place):
                    self.contents[place].remove(used[1])

    def _move_out(self, thing: str, place: str) -> None:
        if place in self.contents:
            self.contents[place] = [other for other in self.contents[place] if other != thing]

    def _stand_together(self, receptacles: Iterable[str]) -> None:
        group = set(receptacles)
        for place in list(group):
            group |= self._beside.get(place, set())
        for place in group:
            self._beside[place] = group


def _read_task(sentence: str) -> tuple[str, str, str]:
    for task_type, pattern in _TASKS:
        if match := pattern.fullmatch(sentence):
            return task_type, match[1], match[2]
    return "", "", ""

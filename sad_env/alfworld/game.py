"""A game compiled for play: names, places and abilities as small integers; shared by all episodes, never changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from sad_env.alfworld.problem import SIGNATURES, Problem
from sad_env.errors import DataError

Row = tuple[int, ...]


def visible_names(ids: Iterable[str]) -> dict[str, str]:
    """Names of entities as the agent reads them.

    The original hands out numbers in the order of ids, highest first, with one counter for each base name over
    objects and receptacles together (Demangler in alfworld/agents/utils/misc.py).

    >>> visible_names(["mug_bar_2", "mug_bar_1"])
    {'mug_bar_1': 'mug 2', 'mug_bar_2': 'mug 1'}
    """
    bases = {id_: id_.split("_bar_", 1)[0] + ("basin" if "basin" in id_ else "") for id_ in sorted(ids)}
    left = Counter(bases.values())
    names = {}
    for id_, base in bases.items():
        names[id_] = f"{base} {left[base]}"
        left[base] -= 1
    return names


class Game:
    """What cannot change in a game, and how it begins.

    Objects, receptacles and locations are numbered in the order of their PDDL ids, which is the order of every list
    in a text. Sets hold such numbers.

    Args:
        problem: the game's content.
        origin: what error messages call it.

    Attributes:
        goal, task, walkthrough: as in `Problem`.
        object_names, receptacle_names: e.g. "mug 1", "drawer 3".
        examine_commands: e.g. "examine drawer 3", by receptacle.
        start: location in which the agent begins; no receptacle is there.
        location_of: by receptacle.
        receptacles_at: by location.
        way_to: the receptacle that a "go to" command leads to.
        ways: the "go to" commands that lead elsewhere, sorted, by location.
        accepts: objects that may be put there, by receptacle.
        openable, washers, ovens, fridges: receptacles.
        pickupable, cleanable, heatable, coolable, toggleable, sliceable, knives: objects.
        vessels: objects that can hold others, a fixed trait; `inside` says which they hold.
        targets, target_places, target_lamps: objects, receptacles and lamps of the goal's types.
        opened, contents, nearby, clean, hot, cool, toggled, sliced: how `engine.State` begins.

    Raises:
        DataError: the facts describe a world that the original rules leave undefined.
    """

    def __init__(self, problem: Problem, origin: str = "game") -> None:
        self.goal, self.task, self.walkthrough = problem.goal, problem.task, problem.walkthrough
        facts = _Facts(problem, origin)
        names = visible_names([*facts.index["object"], *facts.index["receptacle"]])
        self.object_names = tuple(names[id_] for id_ in facts.index["object"])
        self.receptacle_names = tuple(names[id_] for id_ in facts.index["receptacle"])
        self._read_places(facts)
        self._read_receptacles(facts, problem.washers)
        self._read_objects(facts)
        self._read_beginning(facts)

    def _read_places(self, facts: _Facts) -> None:
        count = len(facts.index["location"])
        self.start = facts.pairs("atlocation")[0][1]
        self.location_of: Row = tuple(where for _, where in sorted(facts.pairs("receptacleatlocation")))
        self.receptacles_at = facts.rows("receptacleatlocation", "location")
        self.examine_commands = tuple(f"examine {name}" for name in self.receptacle_names)
        self.way_to: Mapping[str, int] = {f"go to {name}": number for number, name in enumerate(self.receptacle_names)}
        commands = sorted(self.way_to.items())
        self.ways = tuple(
            tuple(command for command, place in commands if self.location_of[place] != here) for here in range(count)
        )

    def _read_receptacles(self, facts: _Facts, washers: Iterable[str]) -> None:
        kinds = facts.grouped("receptacletype")
        object_kinds = facts.grouped("objecttype")
        accepts: list[set[int]] = [set() for _ in self.receptacle_names]
        for receptacle_type, object_type in facts.by_predicate["cancontain"]:
            for place in kinds[receptacle_type]:
                accepts[place].update(object_kinds[object_type])
        self.accepts = tuple(frozenset(things) for things in accepts)
        self.openable = facts.marked("openable")
        self.washers = frozenset(place for name in washers for place in kinds[name])
        self.ovens = frozenset(kinds["microwavetype"])
        self.fridges = frozenset(kinds["fridgetype"])
        self.target_places: Row = tuple(sorted(kinds[self.goal.place_type]))

    def _read_objects(self, facts: _Facts) -> None:
        kinds = facts.grouped("objecttype")
        self.pickupable = facts.marked("pickupable")
        self.cleanable = facts.marked("cleanable")
        self.heatable = facts.marked("heatable")
        self.coolable = facts.marked("coolable")
        self.toggleable = facts.marked("toggleable")
        self.sliceable = facts.marked("sliceable")
        self.vessels = facts.marked("isreceptacleobject")
        self.inside = facts.rows("inreceptacleobject", "object")
        self.knives = frozenset(kinds["knifetype"]) | frozenset(kinds["butterknifetype"])
        self.targets = frozenset(kinds[self.goal.object_type])
        self.target_lamps: Row = tuple(sorted(self.toggleable.intersection(kinds[self.goal.place_type])))

    def _read_beginning(self, facts: _Facts) -> None:
        self.opened = facts.marked("opened")
        self.contents = facts.rows("inreceptacle", "receptacle")
        self.nearby = facts.rows("objectatlocation", "location")
        self.clean = facts.marked("isclean")
        self.hot = facts.marked("ishot")
        self.cool = facts.marked("iscool")
        self.toggled = facts.marked("istoggled")
        self.sliced = facts.marked("issliced")


class _Facts:
    """The facts of a problem by predicate, with entities as numbers."""

    def __init__(self, problem: Problem, origin: str) -> None:
        self.by_predicate: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        entities: dict[str, set[str]] = {kind: set() for signature in SIGNATURES.values() for kind in signature}
        for predicate, *arguments in problem.facts:
            self.by_predicate[predicate].append(tuple(arguments))
            for name, kind in zip(arguments, SIGNATURES[predicate], strict=True):
                entities[kind].add(name)
        self.index = {
            kind: {name: number for number, name in enumerate(sorted(all_))} for kind, all_ in entities.items()
        }
        self._check(origin)

    def pairs(self, predicate: str) -> list[tuple[int, int]]:
        """Facts of two arguments."""
        first, second = (self.index[kind] for kind in SIGNATURES[predicate])
        return [(first[left], second[other]) for left, other in self.by_predicate[predicate]]

    def marked(self, predicate: str) -> frozenset[int]:
        """Entities that a predicate of one argument holds for."""
        index = self.index[SIGNATURES[predicate][0]]
        return frozenset(index[name] for (name,) in self.by_predicate[predicate])

    def rows(self, predicate: str, kind: str) -> tuple[Row, ...]:
        """First arguments by second argument, ascending."""
        rows: list[list[int]] = [[] for _ in self.index[kind]]
        for left, other in sorted(self.pairs(predicate)):
            rows[other].append(left)
        return tuple(tuple(row) for row in rows)

    def grouped(self, predicate: str) -> Mapping[str, list[int]]:
        """First arguments by the name of the second."""
        index = self.index[SIGNATURES[predicate][0]]
        groups: dict[str, list[int]] = defaultdict(list)
        for entity, name in self.by_predicate[predicate]:
            groups[name].append(index[entity])
        return groups

    def _check(self, origin: str) -> None:
        for kind in ("object", "receptacle"):
            for name in self.index[kind]:
                if "_bar_" not in name:
                    raise DataError(f"{origin}: the {kind} {name[:60]!r} has no '_bar_' in its id, as all games have")
        places = [place for place, _ in self.pairs("receptacleatlocation")]
        if sorted(places) != list(range(len(self.index["receptacle"]))):
            raise DataError(f"{origin}: each receptacle has exactly one location in a game; here it is otherwise")
        start = self.pairs("atlocation")
        if len(start) != 1 or any(where == start[0][1] for _, where in self.pairs("receptacleatlocation")):
            raise DataError(f"{origin}: the agent starts at one location without receptacles; here it is otherwise")

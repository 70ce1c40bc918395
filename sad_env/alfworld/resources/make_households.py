"""Makes households.json.gz: floor plans from the alfworld package, and how often things lie where.

Run as `python -m sad_env.alfworld.resources.make_households FOLDER`, where FOLDER holds the official train split
(json_2.1.1/train). The package `alfworld` must be installed. Only counts are taken from the split, no game.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.resources
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from sad_env.alfworld.problem import GAME_FILE, Problem, read_game

ROOMS = {
    "kitchen": range(1, 31),
    "livingroom": range(201, 231),
    "bedroom": range(301, 331),
    "bathroom": range(401, 431),
}
ABILITIES = ("pickupable", "cleanable", "heatable", "coolable", "toggleable", "sliceable", "isreceptacleobject")


def floor_plans(layouts: Any) -> dict[str, Any]:
    """Receptacles with the place from which they are used, and the types of objects there are, by scene number."""
    plans = {}
    for scenes in ROOMS.values():
        for scene in scenes:
            openable = json.loads((layouts / f"FloorPlan{scene}-openable.json").read_text())
            receptacles = {name: [round(4 * at[0]), round(4 * at[1]), *at[2:]] for name, at in openable.items()}
            objects = json.loads((layouts / f"FloorPlan{scene}-objects.json").read_text())
            plans[str(scene)] = {"receptacles": receptacles, "objects": sorted(set(objects))}
    return plans


class Counts:
    """What was counted over the games of the train split."""

    def __init__(self) -> None:
        self.tasks: Counter[tuple[str, str]] = Counter()
        self.numbers: Counter[int] = Counter()
        self.places: dict[str, dict[str, Counter[str]]] = {room: defaultdict(Counter) for room in ROOMS}
        self.there: dict[str, Counter[str]] = {room: Counter() for room in ROOMS}
        self.lying: dict[str, Counter[str]] = {room: Counter() for room in ROOMS}
        self.able: dict[str, set[str]] = {ability: set() for ability in ABILITIES}

    def add(self, problem: Problem, room: str) -> None:
        """Count one game."""
        self.tasks[problem.goal.task_type, room] += 1
        kind = {fact[1]: fact[2] for fact in problem.facts if fact[0] in ("objecttype", "receptacletype")}
        for predicate, *names in problem.facts:
            # A few official objects, such as cracked eggs, have no type: they count nowhere.
            if names[0] in kind and predicate in self.able:
                self.able[predicate].add(kind[names[0]])
            if names[0] in kind and predicate == "inreceptacle":
                self.places[room][kind[names[0]]][kind[names[1]]] += 1
        self.there[room].update(kind[fact[1]] for fact in problem.facts if fact[0] == "objecttype")
        inside = {fact[1] for fact in problem.facts if fact[0] == "inreceptacle"}
        self.lying[room].update(kind[name] for name in inside if name in kind)
        carried = Counter(kind.get(fact[1]) for fact in problem.facts if fact[0] == "pickupable")
        self.numbers.update(min(3, count) for count in carried.values())

    def content(self) -> dict[str, Any]:
        """The counts as JSON; `lying` is the share of objects of a type that lie in a receptacle at all."""
        shares = {
            room: {kind: round(self.lying[room][kind] / count, 3) for kind, count in sorted(there.items())}
            for room, there in self.there.items()
        }
        return {
            "tasks": sorted([*key, count] for key, count in self.tasks.items()),
            "numbers": [self.numbers[count] for count in (1, 2, 3)],
            "places": self.places,
            "lying": shares,
            "abilities": {ability: sorted(kinds) for ability, kinds in self.able.items()},
        }


def observed(train: Path) -> dict[str, Any]:
    """Counts over the games of the train split."""
    counts = Counts()
    for path in sorted(train.glob(f"*/*/{GAME_FILE}")):
        scene = int(path.parent.parent.name.rsplit("-", 1)[1])
        counts.add(read_game(path), next(room for room, scenes in ROOMS.items() if scene in scenes))
    return counts.content()


def main() -> None:
    """Write the resource next to this file."""
    package = importlib.resources.files("alfworld")
    constants = importlib.import_module("alfworld.gen.constants")
    accepts = {kind: sorted(inside) for kind, inside in sorted(constants.VAL_RECEPTACLE_OBJECTS.items())}
    content = {
        "accepts": accepts,
        "plans": floor_plans(package / "gen" / "layouts"),
        **observed(Path(sys.argv[1]) / "json_2.1.1" / "train"),
    }
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    target = Path(__file__).parent / "households.json.gz"
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

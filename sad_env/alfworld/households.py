"""Floor plans of the 120 scenes, and what is usual in a household: places, numbers, and which receptacle takes what."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

ROOM_OF_HUNDRED = {0: "kitchen", 2: "livingroom", 3: "bedroom", 4: "bathroom"}
UNSEEN_SCENES = (9, 10, 29, 215, 219, 226, 308, 315, 325, 404, 424, 425)
"""The scenes that no official train or valid_seen game plays in; the four of valid_unseen are among them."""

_OPENABLE = frozenset(("Cabinet", "Drawer", "Fridge", "Microwave", "Safe"))
_MISSING = {
    # The package's floor plans list receptacles that a robot was filmed at; these are there in every game all the
    # same, wherever the plan's object list names them.
    "StoveBurner": 4,
    "CoffeeMachine": 1,
    "Toaster": 1,
    "GarbageCan": 1,
    "LaundryHamper": 1,
    "Toilet": 1,
    "ToiletPaperHanger": 1,
    "TowelHolder": 1,
    "HandTowelHolder": 1,
}


class FloorPlanReceptacle(NamedTuple):
    """A receptacle of a floor plan: PDDL id, type such as "Drawer", location id, and whether it opens."""

    id: str
    kind: str
    location: str
    openable: bool


@dataclass(frozen=True)
class FloorPlan:
    """One scene.

    Attributes:
        scene: its number in ALFRED.
        room: kitchen, livingroom, bedroom or bathroom.
        places: its receptacles.
        objects: types of objects that it holds, e.g. "Mug".
    """

    scene: int
    room: str
    places: tuple[FloorPlanReceptacle, ...]
    objects: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Types of its receptacles, sorted."""
        return tuple(sorted({place.kind for place in self.places}))


@dataclass(frozen=True)
class Households:
    """Everything the resource file says.

    Attributes:
        plans: by scene number.
        accepts: types of objects that may be put into a type of receptacle (alfworld/gen/constants.py).
        abilities: types of objects that a predicate such as "heatable" holds for, e.g. "mugtype".
        places: how often a type of object lay in a type of receptacle in the official train split, by room.
        lying: share of the objects of a type that lie in a receptacle at all there, by room.
        tasks: how often a task type was played in a room there: (task type, room, count).
        numbers: how often there were one, two, three of an object there.
    """

    plans: Mapping[int, FloorPlan]
    accepts: Mapping[str, frozenset[str]]
    abilities: Mapping[str, frozenset[str]]
    places: Mapping[str, Mapping[str, Mapping[str, int]]]
    lying: Mapping[str, Mapping[str, float]]
    tasks: tuple[tuple[str, str, int], ...]
    numbers: tuple[int, ...]


@lru_cache(maxsize=1)
def households() -> Households:
    """The resource, read once."""
    data = (resources.files("sad_env.alfworld") / "resources" / "households.json.gz").read_bytes()
    content = json.loads(gzip.decompress(data))
    return Households(
        plans={int(scene): _floor_plan(int(scene), plan) for scene, plan in content["plans"].items()},
        accepts={kind: frozenset(inside) for kind, inside in content["accepts"].items()},
        abilities={ability: frozenset(kinds) for ability, kinds in content["abilities"].items()},
        places=content["places"],
        lying=content["lying"],
        tasks=tuple((task_type, room, count) for task_type, room, count in content["tasks"]),
        numbers=tuple(content["numbers"]),
    )


def floor_plan(scene: int) -> FloorPlan:
    """A scene's floor plan; numbers of five digits are scenes that no house has, made when they are asked for.

    Raises:
        KeyError: neither.
    """
    return households().plans.get(scene) or _composed(scene)


def composed_scene(room: str, number: int) -> int:
    """The number of a room's composed scene.

    >>> composed_scene("bathroom", 17)
    40017
    """
    hundred = next(hundred for hundred, name in ROOM_OF_HUNDRED.items() if name == room)
    # Kitchens begin with 0 in ALFRED, which five digits cannot.
    return (hundred or 1) * 10_000 + number


@lru_cache(maxsize=4096)
def _composed(scene: int) -> FloorPlan:
    """Each type of receptacle as in a train scene of the room, which is drawn for each type."""
    room = {composed_scene(name, 0) // 10_000: name for name in ROOM_OF_HUNDRED.values()}[scene // 10_000]
    donors = [plan for plan in households().plans.values() if plan.room == room and plan.scene not in UNSEEN_SCENES]
    draw = random.Random(f"floor plan {scene}")
    places: dict[str, FloorPlanReceptacle] = {}
    every = sorted({kind for plan in donors for kind in plan.kinds})
    for kind in every:
        # What two houses have at one spot would be seen and reached together, so the later one is left out.
        taken = {place.location for place in places.values()}
        for place in draw.choice(donors).places:
            if place.kind == kind and place.location not in taken:
                places.setdefault(place.id, place)
    here = {place.kind for place in places.values()}
    things = draw.choice(donors).objects
    objects = tuple(kind for kind in things if kind not in every or kind in here)
    return FloorPlan(scene, room, tuple(places.values()), objects)


def _floor_plan(scene: int, plan: Mapping[str, Any]) -> FloorPlan:
    places = [
        FloorPlanReceptacle(mangle(name), _kind(name), _location(*at), _kind(name) in _OPENABLE)
        for name, at in sorted(plan["receptacles"].items())
    ]
    known = Counter(place.kind for place in places)
    for kind, count in _MISSING.items():
        if kind in plan["objects"] and not known[kind]:
            for number in range(count):
                # Burners are reached in pairs, as on every stove of the official games.
                location = _location(100 + list(_MISSING).index(kind), number // 2, 0, 30)
                places.append(
                    FloorPlanReceptacle(mangle(f"{kind}|+00.00|+00.90|+0{number}.00"), kind, location, openable=False)
                )
    return FloorPlan(scene, ROOM_OF_HUNDRED[scene // 100], tuple(places), tuple(plan["objects"]))


def _kind(name: str) -> str:
    first, *_, last = name.split("|")
    return last if last.endswith("Basin") else first


def _location(x: int, z: int, rotation: int, horizon: int) -> str:
    return mangle(f"loc|{x}|{z}|{rotation // 90}|{horizon}")


def mangle(name: str) -> str:
    """A name of the simulator as PDDL spells it.

    >>> mangle("Mug|+01.50|-00.20")
    'mug_bar__plus_01_dot_50_bar__minus_00_dot_20'
    """
    for mark, word in (("|", "_bar_"), ("-", "_minus_"), ("+", "_plus_"), (".", "_dot_")):
        name = name.replace(mark, word)
    return name.lower()

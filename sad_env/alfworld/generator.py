"""Generates games: a floor plan, objects in their usual places, a task that can be done."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate

from sad_env.alfworld.game import Game
from sad_env.alfworld.households import (
    UNSEEN_SCENES,
    FloorPlanReceptacle,
    composed_scene,
    floor_plan,
    households,
    mangle,
)
from sad_env.alfworld.planner import plan
from sad_env.alfworld.problem import TREATMENTS, Fact, HouseholdGoal, Problem
from sad_env.errors import UnknownNameError

ROOMS_SPLIT = "train_rooms"
SPLITS = {"train": 3553, "valid_seen": 140, "valid_unseen": 134, ROOMS_SPLIT: 8000}
"""The splits of generated data and how many tasks each has when no number is asked for: as many as the official.

`train_rooms` has no official counterpart: its scenes are put together from receptacles of the train scenes, so that a
model cannot know its hundred rooms by heart and has to read what is in the present room.
"""

_COMPOSED = 1000
"""Composed scenes of each room."""

GENERATION = "g"
"""Stands in every generated task's name. Raised to the next letter by any change after which the same name would mean
another game, so that results of two releases are never taken for results on the same tasks."""

SENTENCES = {
    "look_at_obj_in_light": ("look at {object} under the {place}", "examine the {object} with the {place}"),
    "pick_and_place_simple": ("put a {object} in {place}", "put some {object} on {place}"),
    "pick_clean_then_place_in_recep": ("put a clean {object} in {place}", "clean some {object} and put it in {place}"),
    "pick_cool_then_place_in_recep": ("put a cool {object} in {place}", "cool some {object} and put it in {place}"),
    "pick_heat_then_place_in_recep": ("put a hot {object} in {place}", "heat some {object} and put it in {place}"),
    "pick_two_obj_and_place": ("put two {object} in {place}", "find two {object} and put them in {place}"),
}
"""The two wordings of each task in the official games."""

_STATIONS = {"clean": "SinkBasin", "heat": "Microwave", "cool": "Fridge"}
_TARGET_COUNTS = (967, 1137, 843, 598)
"""How often one, two, three or four objects of the wanted type were there in the official train split."""


@dataclass(frozen=True)
class Blueprint:
    """What a generated task is called and asks for; cheap to draw, decides the game together with its trial.

    Attributes:
        task_type: one of `TASK_TYPES`.
        object: type of the thing to handle, e.g. "Mug".
        place: type of the receptacle, or "DeskLamp".
        scene: number of the floor plan.
        trial: seed and number, e.g. "trial_g0_train_00017".
    """

    task_type: str
    object: str
    place: str
    scene: int
    trial: str

    @property
    def task_id(self) -> str:
        """Task and trial, joined by a slash, in the official manner."""
        return f"{self.task_type}-{self.object}-None-{self.place}-{self.scene}/{self.trial}"


def blueprints(split: str, count: int | None = None, seed: int = 0) -> Iterator[Blueprint]:
    """The tasks of a generated split, in order.

    Args:
        split: "train" and "valid_seen" play in the scenes of the official train split, "valid_unseen" in the others,
            "train_rooms" in composed ones.
        count: how many; the official split's number when omitted. More tasks leave the first ones as they are.
        seed: another seed, other tasks.

    Raises:
        UnknownNameError: another split.
    """
    if split not in SPLITS:
        raise UnknownNameError("split of generated alfworld", split, SPLITS)
    for number in range(SPLITS[split] if count is None else count):
        trial = f"trial_{GENERATION}{seed}_{split}_{number:05d}"
        draw = random.Random(f"blueprint {trial}")
        task_type, room = draw.choices(*_task_mix())[0]
        if split == ROOMS_SPLIT:
            scene = _composed_scene(draw, task_type, room)
        else:
            scene = draw.choice(_scenes(task_type, room, split == "valid_unseen"))
        wanted, place = draw.choice(_goals(task_type, scene))
        yield Blueprint(task_type, wanted, place, scene, trial)


@cache
def _task_mix() -> tuple[list[tuple[str, str]], list[int]]:
    tasks = households().tasks
    return [(task_type, room) for task_type, room, _ in tasks], [count for *_, count in tasks]


@cache
def _scenes(task_type: str, room: str, unseen: bool) -> list[int]:
    """Scenes of a room in which the task can be set."""
    plans = [plan for plan in households().plans.values() if (plan.scene in UNSEEN_SCENES) == unseen]
    return [plan.scene for plan in plans if plan.room == room and _goals(task_type, plan.scene)]


def _composed_scene(draw: random.Random, task_type: str, room: str) -> int:
    while True:
        scene = composed_scene(room, draw.randrange(_COMPOSED))
        if _goals(task_type, scene):
            return scene


@cache
def _goals(task_type: str, scene: int) -> list[tuple[str, str]]:
    """Pairs of object and receptacle that the task may ask for in a scene."""
    home, floor = households(), floor_plan(scene)
    treatment = TREATMENTS.get(task_type, "")
    ability, station = f"{treatment or 'pickup'}able", _STATIONS.get(treatment, "")
    things = [kind for kind in floor.objects if _able(kind, ability) and _able(kind, "pickupable")]
    if task_type == "look_at_obj_in_light":
        lit = "DeskLamp" in floor.objects and _usual_places(scene, "DeskLamp", ())[0]
        return [(kind, "DeskLamp") for kind in things if lit and _usual_places(scene, kind, ())[0]]
    if station and station not in floor.kinds:
        return []
    return [
        (kind, place)
        for kind in things
        for place in floor.kinds
        if kind in home.accepts[place] and place != station and _usual_places(scene, kind, (place, station))[0]
    ]


def _able(kind: str, ability: str) -> bool:
    return f"{kind.lower()}type" in households().abilities[ability]


@cache
def _usual_places(scene: int, kind: str, avoid: tuple[str, ...]) -> tuple[list[FloorPlanReceptacle], list[float]]:
    """Receptacles of a scene in which a type of object may lie at the start, with cumulative weights."""
    home, floor = households(), floor_plan(scene)
    usual = home.places[floor.room].get(f"{kind.lower()}type", {})
    places, weights = [], []
    for place in floor.places:
        weight = usual.get(f"{place.kind.lower()}type", 0) + 0.5 * (kind in home.accepts[place.kind])
        if weight and place.kind not in avoid:
            places.append(place)
            # The counts are of types of receptacles; a scene's receptacles of one type share theirs.
            weights.append(weight / sum(other.kind == place.kind for other in floor.places))
    return places, list(accumulate(weights))


def generate(blueprint: Blueprint) -> Problem:
    """The game of a blueprint: always the same one, not won at the start, its walkthrough proven by playing it."""
    for attempt in range(20):
        draw = random.Random(f"game {blueprint.task_id} {attempt}")
        template = draw.choice(SENTENCES[blueprint.task_type])
        problem = Problem(
            facts=tuple(sorted(_facts(blueprint, draw))),
            goal=HouseholdGoal(
                blueprint.task_type, f"{blueprint.object.lower()}type", f"{blueprint.place.lower()}type"
            ),
            task=template.format(object=blueprint.object.lower(), place=blueprint.place.lower()),
            walkthrough=(),
        )
        steps = plan(Game(problem))
        # A plan of no commands would mean that the game begins won.
        if steps:
            return replace(problem, walkthrough=steps)
    raise RuntimeError(f"no solvable layout of {blueprint.task_id} in 20 draws")


def _facts(blueprint: Blueprint, draw: random.Random) -> set[Fact]:
    home, floor = households(), floor_plan(blueprint.scene)
    facts: set[Fact] = {("atlocation", "agent1", mangle("loc|90|90|0|30"))}
    for place in floor.places:
        facts.add(("receptacletype", place.id, f"{place.kind.lower()}type"))
        facts.add(("receptacleatlocation", place.id, place.location))
        if place.openable:
            facts.add(("openable", place.id))
    for place_kind in floor.kinds:
        for kind in home.accepts[place_kind].intersection(floor.objects):
            facts.add(("cancontain", f"{place_kind.lower()}type", f"{kind.lower()}type"))
    for kind in floor.objects:
        if kind not in floor.kinds:
            for _ in range(_count(blueprint, kind, draw)):
                _add_object(facts, blueprint, kind, draw)
    return facts


def _count(blueprint: Blueprint, kind: str, draw: random.Random) -> int:
    """How many there are of a type of object."""
    if not _able(kind, "pickupable"):
        return 1
    if kind != blueprint.object:
        return draw.choices((1, 2, 3), households().numbers)[0]
    if blueprint.task_type == "pick_two_obj_and_place":
        return draw.choices((2, 3, 4), _TARGET_COUNTS[1:])[0]
    return draw.choices((1, 2, 3, 4), _TARGET_COUNTS)[0]


def _add_object(facts: set[Fact], blueprint: Blueprint, kind: str, draw: random.Random) -> None:
    wanted, room = kind == blueprint.object, floor_plan(blueprint.scene).room
    station = _STATIONS.get(TREATMENTS.get(blueprint.task_type, ""), "")
    places, weights = _usual_places(blueprint.scene, kind, (blueprint.place, station) if wanted else ())
    position = "|".join(f"{draw.uniform(-5, 5):+06.2f}" for _ in range(3))
    thing = mangle(f"{kind}|{position}")
    facts.add(("objecttype", thing, f"{kind.lower()}type"))
    facts.update((ability, thing) for ability in households().abilities if _able(kind, ability))
    if places:
        place = draw.choices(places, cum_weights=weights)[0]
        facts.add(("objectatlocation", thing, place.location))
        usually = households().lying[room].get(f"{kind.lower()}type", 0.0)
        if wanted or kind == blueprint.place or draw.random() < usually:
            facts.add(("inreceptacle", thing, place.id))

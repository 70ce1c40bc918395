"""The oracle: a short plan from hidden state, found by trying all candidates and checked by playing them."""

from __future__ import annotations

from itertools import permutations

from sad_env.alfworld.game import Game
from sad_env.alfworld.problem import TREATMENTS
from sad_env.alfworld.session import ALFWorldSession


class _Script:
    """Commands being written down while they are played."""

    def __init__(self, game: Game) -> None:
        self.session = ALFWorldSession(game)
        self.commands: list[str] = []

    def play(self, command: str) -> None:
        self.session.step(command)
        self.commands.append(command)

    def reach(self, place: int, *, inside: bool = True) -> None:
        game, state = self.session.game, self.session.state
        name = game.receptacle_names[place]
        if state.location != game.location_of[place]:
            self.play(f"go to {name}")
        if inside and place in game.openable and place not in state.opened:
            self.play(f"open {name}")

    def take(self, thing: int, place: int) -> None:
        self.reach(place)
        game = self.session.game
        self.play(f"take {game.object_names[thing]} from {game.receptacle_names[place]}")

    def move(self, thing: int, place: int) -> None:
        self.reach(place)
        game = self.session.game
        self.play(f"move {game.object_names[thing]} to {game.receptacle_names[place]}")

    def treat(self, verb: str, thing: int, place: int) -> None:
        self.reach(place, inside=False)
        game = self.session.game
        self.play(f"{verb} {game.object_names[thing]} with {game.receptacle_names[place]}")


def plan(game: Game) -> tuple[str, ...] | None:
    """The shortest plan among those of the task's usual form, or None where there is none.

    Each candidate fetches a target (two of them for pick_two_obj_and_place), treats it if the task says so, and
    brings it to one of the receptacles (or to the lamp, which is switched on).
    """
    lying = [
        (thing, place)
        for place, inside in enumerate(game.contents)
        for thing in inside
        if thing in game.targets and thing in game.pickupable
    ]
    best: tuple[str, ...] | None = None
    for script in _candidates(game, lying):
        if script.session.won and (best is None or len(script.commands) < len(best)):
            best = tuple(script.commands)
    return best


def _candidates(game: Game, lying: list[tuple[int, int]]) -> list[_Script]:
    task_type = game.goal.task_type
    if task_type == "look_at_obj_in_light":
        lamps = [
            (lamp, place) for place, inside in enumerate(game.contents) for lamp in inside if lamp in game.target_lamps
        ]
        return [_light(game, *target, *lamp) for target in lying for lamp in lamps]
    if task_type == "pick_two_obj_and_place":
        pairs = list(permutations(lying, 2))[:12]
        return [_bring_two(game, first, second, place) for first, second in pairs for place in _destinations(game)]
    verb = TREATMENTS.get(task_type, "")
    stations = {"": (-1,), "clean": game.washers, "heat": game.ovens, "cool": game.fridges}[verb]
    return [
        _bring(game, thing, source, verb, station, place)
        for thing, source in lying
        for station in sorted(stations)
        for place in _destinations(game)
    ]


def _destinations(game: Game) -> list[int]:
    """One destination of each sort: those of one sort cost the same number of commands but for shared locations."""
    sorts: dict[bool, int] = {}
    for place in game.target_places:
        sorts.setdefault(place in game.openable, place)
    return list(sorts.values())


def _light(game: Game, thing: int, source: int, lamp: int, lamp_place: int) -> _Script:
    script = _Script(game)
    script.take(thing, source)
    script.reach(lamp_place, inside=False)
    script.play(f"use {game.object_names[lamp]}")
    return script


def _bring(game: Game, thing: int, source: int, verb: str, station: int, place: int) -> _Script:
    script = _Script(game)
    script.take(thing, source)
    if verb:
        script.treat(verb, thing, station)
    script.move(thing, place)
    return script


def _bring_two(game: Game, first: tuple[int, int], second: tuple[int, int], place: int) -> _Script:
    script = _Script(game)
    for thing, source in (first, second):
        if source != place:
            script.take(thing, source)
            script.move(thing, place)
    return script

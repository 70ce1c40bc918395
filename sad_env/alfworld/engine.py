"""The ALFWorld engine: which commands a state allows, their effects, and the texts; a state is a plain value.

Rules and texts are those of alfworld 0.4.2 on textworld 1.7.0 with the official game files, oddities included: lists
run in the order of PDDL ids, `look` at the start sees nothing, receptacles that share the agent's location cannot be
gone to, an object may lie in two receptacles at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sad_env.alfworld.game import Game

NOTHING_HAPPENS = "Nothing happens."
NOTHING = -1
"""Stands for "no object" in `State.held`."""

HELP = """Available commands:
  look:                             look around your current location
  inventory:                        check your current inventory
  go to (receptacle):               move to a receptacle
  open (receptacle):                open a receptacle
  close (receptacle):               close a receptacle
  take (object) from (receptacle):  take an object from a receptacle
  move (object) to (receptacle):  place an object in or on a receptacle
  examine (something):              examine a receptacle or an object
  use (object):                     use an object
  heat (object) with (receptacle):  heat an object using a receptacle
  clean (object) with (receptacle): clean an object using a receptacle
  cool (object) with (receptacle):  cool an object using a receptacle
  slice (object) with (object):     slice an object using a sharp object
"""


class State(NamedTuple):
    """Everything that can change in a game; hashable, comparable, and never changed in place.

    Objects, receptacles and locations are the indices of `Game`.
    """

    location: int
    held: int
    opened: frozenset[int]
    contents: tuple[tuple[int, ...], ...]
    """Objects of each receptacle, ascending."""
    nearby: tuple[tuple[int, ...], ...]
    """Objects whose objectAtLocation names each location, ascending: what `look` and `slice` go by."""
    taken: frozenset[tuple[int, int]]
    """Objects that were taken from a receptacle and not put back into it."""
    clean: frozenset[int]
    hot: frozenset[int]
    cool: frozenset[int]
    toggled: frozenset[int]
    sliced: frozenset[int]


Outcome = tuple[State, str]
Command = tuple[Callable[[Game, State, int, int], Outcome], int, int]
"""A rule and what it is applied to."""


def initial_state(game: Game) -> State:
    """The state a game begins in."""
    return State(
        location=game.start,
        held=NOTHING,
        opened=game.opened,
        contents=game.contents,
        nearby=game.nearby,
        taken=frozenset(),
        clean=game.clean,
        hot=game.hot,
        cool=game.cool,
        toggled=game.toggled,
        sliced=game.sliced,
    )


def introduction(game: Game) -> str:
    """What is seen when a game begins."""
    seen = _list([f"a {name}" for name in game.receptacle_names])
    return (
        "-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room. Looking quickly around you, "
        f"you see {seen}.\n\nYour task is to: {game.task}."
    )


def local_commands(game: Game, state: State) -> dict[str, Command]:
    """All that can be done without going anywhere else, by its command."""
    commands: dict[str, Command] = {"help": (_help, 0, 0), "inventory": (_inventory, 0, 0), "look": (_look, 0, 0)}
    held = state.held
    names, objects = game.receptacle_names, game.object_names
    for place in game.receptacles_at[state.location]:
        name, inside = names[place], state.contents[place]
        commands[game.examine_commands[place]] = (_examine_receptacle, place, 0)
        openable = place in game.openable
        accessible = not openable or place in state.opened
        if openable:
            commands[f"close {name}" if accessible else f"open {name}"] = (_close if accessible else _open, place, 0)
        if held < 0:
            if accessible:
                for thing in inside:
                    if thing in game.pickupable:
                        commands[f"take {objects[thing]} from {name}"] = (_take, thing, place)
        else:
            _held_commands(game, commands, held, place, accessible)
        if game.toggleable:
            for thing in inside:
                if thing in game.toggleable:
                    commands[f"use {objects[thing]}"] = (_use, thing, 0)
    if held >= 0:
        commands[f"examine {objects[held]}"] = (_examine_object, held, 0)
        if held in game.knives:
            for thing in state.nearby[state.location]:
                if thing in game.sliceable:
                    commands[f"slice {objects[thing]} with {objects[held]}"] = (_slice, thing, held)
    return commands


def _held_commands(game: Game, commands: dict[str, Command], held: int, place: int, accessible: bool) -> None:
    thing, name = game.object_names[held], game.receptacle_names[place]
    if accessible and held in game.accepts[place]:
        commands[f"move {thing} to {name}"] = (_move, held, place)
    if place in game.washers and held in game.cleanable:
        commands[f"clean {thing} with {name}"] = (_clean, held, place)
    if place in game.ovens and held in game.heatable:
        commands[f"heat {thing} with {name}"] = (_heat, held, place)
    if place in game.fridges and held in game.coolable:
        commands[f"cool {thing} with {name}"] = (_cool, held, place)


def admissible(game: Game, state: State, local: Iterable[str]) -> list[str]:
    """All commands that do something, sorted by code point.

    Args:
        game: the game.
        state: of the game.
        local: the keys of `local_commands` for that state.
    """
    commands = sorted(local)
    # All ways to go somewhere sort between "examine" and "heat", and are sorted already.
    border = bisect_left(commands, "go to ")
    commands[border:border] = game.ways[state.location]
    return commands


def go(game: Game, state: State, place: int) -> Outcome:
    """Walk to a receptacle."""
    state = state._replace(location=game.location_of[place])
    return state, f"You arrive at {game.receptacle_names[place]}. {_sight(game, state, place)}"


def is_won(game: Game, state: State) -> bool:
    """The game's own verdict on a state."""
    wanted, places, contents = game.targets, game.target_places, state.contents
    if game.goal.task_type == "look_at_obj_in_light":
        here = game.receptacles_at[state.location]
        return state.held in wanted and any(
            lamp in state.toggled and any(lamp in contents[place] for place in here) for lamp in game.target_lamps
        )
    if game.goal.task_type == "pick_two_obj_and_place":
        return any(len(wanted.intersection(contents[place])) > 1 for place in places)
    treated = treated_targets(game, state)
    return bool(treated) and any(not treated.isdisjoint(contents[place]) for place in places)


def treated_targets(game: Game, state: State) -> frozenset[int]:
    """The target objects that are clean, hot or cool as the task wants them; all of them where it wants nothing."""
    task_type = game.goal.task_type
    if task_type == "pick_clean_then_place_in_recep":
        return game.targets & game.cleanable & state.clean
    if task_type == "pick_heat_then_place_in_recep":
        return game.targets & game.heatable & state.hot
    if task_type == "pick_cool_then_place_in_recep":
        return game.targets & game.coolable & state.cool
    return game.targets


# --- the rules ----------------------------------------------------------------------------------------------


def _help(game: Game, state: State, _: int, __: int) -> Outcome:
    return state, HELP


def _inventory(game: Game, state: State, _: int, __: int) -> Outcome:
    if state.held < 0:
        return state, "You are not carrying anything."
    return state, f"You are carrying: a {game.object_names[state.held]}."


def _look(game: Game, state: State, _: int, __: int) -> Outcome:
    here = game.receptacles_at[state.location]
    if not here:
        return state, "You are in the middle of a room. Looking quickly around you, you see nothing."
    facing = _list([game.receptacle_names[place] for place in here])
    moved = [
        f"a {game.object_names[thing]}"
        for thing in state.nearby[state.location]
        for place in here
        if (thing, place) in state.taken
    ]
    return state, f"You are facing the {facing}. Next to it, you see {_list(moved)}."


def _examine_receptacle(game: Game, state: State, place: int, _: int) -> Outcome:
    return state, _sight(game, state, place)


def _examine_object(game: Game, state: State, thing: int, _: int) -> Outcome:
    name = game.object_names[thing]
    if thing in game.vessels:
        inside = _list([f"a {game.object_names[inner]}" for inner in game.inside[thing]])
        return state, f"This is a normal {name}. In it, you see {inside}."
    clean, hot, cool, sliced = (thing in flag for flag in (state.clean, state.hot, state.cool, state.sliced))
    temperature = "hot" if hot else "cool" if cool else ""
    if clean and temperature:
        return state, f"This is a {temperature} and clean {'sliced ' if sliced else ''}{name}."
    if sliced and (clean or temperature):
        return state, f"This is a {'clean' if clean else temperature} sliced {name}."
    if hot or clean or cool:
        return state, f"This is a {'hot' if hot else 'clean' if clean else 'cold'} {name}."
    if thing in game.toggleable and thing in state.toggled:
        return state, f"This {name} is on."
    if thing in game.sliceable and sliced:
        return state, f"This is a sliced {name}."
    return state, f"There's nothing special about {name}."


def _open(game: Game, state: State, place: int, _: int) -> Outcome:
    state = state._replace(opened=state.opened | {place})
    return state, f"You open the {game.receptacle_names[place]}. {_sight(game, state, place)}"


def _close(game: Game, state: State, place: int, _: int) -> Outcome:
    state = state._replace(opened=state.opened - {place})
    return state, f"You close the {game.receptacle_names[place]}."


def _take(game: Game, state: State, thing: int, place: int) -> Outcome:
    here = state.location
    state = state._replace(
        held=thing,
        contents=_with(state.contents, place, tuple(x for x in state.contents[place] if x != thing)),
        nearby=_with(state.nearby, here, tuple(x for x in state.nearby[here] if x != thing)),
        taken=state.taken | {(thing, place)},
    )
    return state, f"You pick up the {game.object_names[thing]} from the {game.receptacle_names[place]}."


def _move(game: Game, state: State, thing: int, place: int) -> Outcome:
    here = state.location
    state = state._replace(
        held=NOTHING,
        contents=_with(state.contents, place, tuple(sorted({*state.contents[place], thing}))),
        nearby=_with(state.nearby, here, tuple(sorted({*state.nearby[here], thing}))),
        taken=state.taken - {(thing, place)},
    )
    return state, f"You move the {game.object_names[thing]} to the {game.receptacle_names[place]}."


def _clean(game: Game, state: State, thing: int, place: int) -> Outcome:
    return state._replace(clean=state.clean | {thing}), _treated(game, "clean", thing, place)


def _heat(game: Game, state: State, thing: int, place: int) -> Outcome:
    state = state._replace(hot=state.hot | {thing}, cool=state.cool - {thing})
    return state, _treated(game, "heat", thing, place)


def _cool(game: Game, state: State, thing: int, place: int) -> Outcome:
    state = state._replace(cool=state.cool | {thing}, hot=state.hot - {thing})
    return state, _treated(game, "cool", thing, place)


def _use(game: Game, state: State, thing: int, _: int) -> Outcome:
    return state._replace(toggled=state.toggled | {thing}), f"You turn on the {game.object_names[thing]}."


def _slice(game: Game, state: State, thing: int, knife: int) -> Outcome:
    text = f"You sliced the {game.object_names[thing]} with the {game.object_names[knife]}."
    return state._replace(sliced=state.sliced | {thing}), text


# --- texts --------------------------------------------------------------------------------------------------


def _treated(game: Game, verb: str, thing: int, place: int) -> str:
    return f"You {verb} the {game.object_names[thing]} using the {game.receptacle_names[place]}."


def _sight(game: Game, state: State, place: int) -> str:
    name = game.receptacle_names[place]
    if place in game.openable:
        if place not in state.opened:
            return f"The {name} is closed."
        return f"The {name} is open. In it, you see {_things(game, state.contents[place])}."
    return f"On the {name}, you see {_things(game, state.contents[place])}."


def _things(game: Game, things: tuple[int, ...]) -> str:
    return _list([f"a {game.object_names[thing]}" for thing in things])


def _list(items: list[str]) -> str:
    if len(items) < 2:
        return items[0] if items else "nothing"
    return f"{', '.join(items[:-1])}, and {items[-1]}"


def _with(table: tuple[tuple[int, ...], ...], index: int, row: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return (*table[:index], row, *table[index + 1 :])

"""Progress of a task, as a share of its sub-goals."""

from __future__ import annotations

from sad_env.alfworld.engine import State, is_won, treated_targets
from sad_env.alfworld.game import Game


def progress(game: Game, state: State) -> float:
    """Sub-goals that a state has reached, over all of the task's, in [0, 1]; 1 exactly when the game is won.

    The sub-goals, each counted only with those before it:

    - pick_and_place_simple: found, taken, placed;
    - pick_clean/heat/cool_then_place_in_recep: found, taken, treated, placed;
    - pick_two_obj_and_place: found, one taken, one placed, the other taken, both placed;
    - look_at_obj_in_light: found, taken, lamp on (in either order), held in its light.

    Found means that an object of the wanted type is in sight from where the agent is. Success is the game's own
    verdict and is never derived from this.
    """
    if is_won(game, state):
        return 1.0
    task_type = game.goal.task_type
    held = state.held in game.targets
    placed = _most_in_one_place(game, state)
    if task_type == "pick_two_obj_and_place":
        return (1 + min(2 * placed + held, 3) if placed or held else _seen(game, state)) / 5
    if task_type == "look_at_obj_in_light":
        lit = any(lamp in state.toggled for lamp in game.target_lamps)
        return (max(2 * held, _seen(game, state)) + lit) / 4
    if task_type == "pick_and_place_simple":
        return (2 if held else _seen(game, state)) / 3
    treated = treated_targets(game, state)
    if state.held in treated:
        return 3 / 4
    return (2 if held else _seen(game, state)) / 4


def _seen(game: Game, state: State) -> int:
    return int(
        any(
            not game.targets.isdisjoint(state.contents[place])
            for place in game.receptacles_at[state.location]
            if place not in game.openable or place in state.opened
        )
    )


def _most_in_one_place(game: Game, state: State) -> int:
    return max((len(game.targets.intersection(state.contents[place])) for place in game.target_places), default=0)

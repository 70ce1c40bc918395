"""Generated games: solvable, all different, close to the official ones, and apart by scene."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from sad_env.alfworld.engine import initial_state, is_won
from sad_env.alfworld.game import Game
from sad_env.alfworld.generator import GENERATION, Blueprint, blueprints, generate
from sad_env.alfworld.households import UNSEEN_SCENES, households
from sad_env.alfworld.problem import TASK_TYPES, Problem, read_game, write_game
from sad_env.alfworld.session import ALFWorldSession
from sad_env.errors import UnknownNameError


def likeness(game: Game) -> object:
    """Equal for games that cannot be told apart by playing: names instead of ids."""
    named = (tuple(sorted(game.object_names[thing] for thing in inside)) for inside in game.contents)
    return game.task, tuple(zip(game.receptacle_names, named, strict=True))


def check(blueprint: Blueprint) -> Game:
    game = Game(generate(blueprint))
    assert not is_won(game, initial_state(game))
    session = ALFWorldSession(game)
    for command in game.walkthrough:
        assert not session.won
        assert session.step(command)[1]
    assert session.won, blueprint
    assert game.goal.task_type == blueprint.task_type
    return game


def test_every_game_is_solvable_and_no_two_are_alike_within_or_between_splits() -> None:
    seen = Counter(
        likeness(check(blueprint))
        for split in ("train", "valid_seen", "valid_unseen", "train_rooms")
        for blueprint in blueprints(split, 150)
    )
    assert len(seen) == 600


def test_composed_rooms_are_new_rooms_of_known_furniture() -> None:
    def rooms(split: str) -> set[tuple[str, ...]]:
        return {tuple(Game(generate(one)).receptacle_names) for one in blueprints(split, 60)}

    known, composed = rooms("train") | rooms("valid_seen"), rooms("train_rooms")
    assert len(composed) > 50
    assert len(composed - known) > 50
    furniture = {kind.lower() for plan in households().plans.values() for kind in plan.kinds}
    assert {name.split()[0] for room in composed for name in room} <= furniture


@pytest.mark.slow
def test_ten_thousand_games_are_made_and_proven_in_a_minute_without_a_duplicate() -> None:
    start = time.process_time()
    seen = Counter(likeness(check(blueprint)) for blueprint in blueprints("train", 10_000, seed=1))
    print(f"10,000 games in {time.process_time() - start:.1f} s of one core")
    assert len(seen) == 10_000


def test_the_same_seed_gives_the_same_games_and_more_tasks_leave_the_first_alone() -> None:
    assert list(blueprints("train", 5)) == list(blueprints("train", 9))[:5]
    assert not set(blueprints("train", 50)) & set(blueprints("train", 50, seed=1))
    for blueprint in blueprints("valid_unseen", 5):
        assert generate(blueprint) == generate(blueprint)


def test_no_release_changes_a_generated_game_under_its_name() -> None:
    """When this fails on purpose, raise `GENERATION`."""
    digest = hashlib.sha256()
    for split in ("train", "valid_seen", "valid_unseen"):
        for blueprint in blueprints(split, 20):
            digest.update(write_game(generate(blueprint), blueprint.trial).encode())
    assert (GENERATION, digest.hexdigest()[:16]) == ("g", "e73ea6f50ad55d9f")


def test_splits_are_apart_by_scene_and_hold_all_task_types() -> None:
    scenes = {split: {one.scene for one in blueprints(split)} for split in ("train", "valid_seen", "valid_unseen")}
    assert scenes["valid_unseen"] == set(UNSEEN_SCENES)
    assert not scenes["valid_unseen"] & (scenes["train"] | scenes["valid_seen"])
    for split in scenes:
        assert {one.task_type for one in blueprints(split)} == set(TASK_TYPES)
    with pytest.raises(UnknownNameError, match="no split of generated alfworld 'test'"):
        list(blueprints("test"))


def test_unseen_scenes_are_unseen_in_the_official_train_split(official_games: Path) -> None:
    official = {int(path.name.rsplit("-", 1)[1]) for path in (official_games / "json_2.1.1" / "train").iterdir()}
    assert not official & set(UNSEEN_SCENES)


def profile(problems: Iterable[Problem]) -> dict[str, list[float]]:
    """Figures of each game, by what they are of."""
    figures: dict[str, list[float]] = {name: [] for name in ("receptacles", "objects", "lying", "plan", "opening")}
    for problem in problems:
        predicates = Counter(fact[0] for fact in problem.facts)
        figures["receptacles"].append(predicates["receptacletype"])
        figures["objects"].append(predicates["objecttype"])
        figures["lying"].append(predicates["inreceptacle"])
        figures["plan"].append(len(problem.walkthrough))
        figures["opening"].append(sum(command.startswith("open") for command in problem.walkthrough))
    return figures


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.slow
def test_generated_games_are_much_like_the_official_train_split(
    official_games: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted(official_games.glob("json_2.1.1/train/*/*/game.tw-pddl"))[::6]
    official, made = [read_game(path) for path in paths], [generate(one) for one in blueprints("train", len(paths))]
    theirs, ours = profile(official), profile(made)
    mix = [Counter(problem.goal.task_type for problem in some) for some in (official, made)]
    with capsys.disabled():
        print(f"\n{'mean of a game':40}{'official':>10}{'generated':>10}")
        for name in theirs:
            print(f"{name:40}{mean(theirs[name]):10.2f}{mean(ours[name]):10.2f}")
        for task_type in TASK_TYPES:
            print(f"{task_type:40}{mix[0][task_type] / len(official):10.3f}{mix[1][task_type] / len(made):10.3f}")
    for name, tolerance in (("receptacles", 0.15), ("objects", 0.15), ("lying", 0.15), ("plan", 0.10)):
        assert mean(ours[name]) == pytest.approx(mean(theirs[name]), rel=tolerance), name
    for task_type in TASK_TYPES:
        assert mix[1][task_type] / len(made) == pytest.approx(mix[0][task_type] / len(official), abs=0.06)
    assert range(3, 11) == range(int(min(ours["plan"])), int(max(ours["plan"])) + 1)

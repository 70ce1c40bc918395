"""ALFWorld as an environment: the contract, dialects, snapshots, filters, and what it refuses."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import sad_env
from sad_env.alfworld.env import ALFWorldEnv
from sad_env.alfworld.problem import TASK_TYPES
from sad_env.checks import check_world
from sad_env.errors import ConfigError, DataError, ResetNeededError, UnknownNameError


@pytest.mark.parametrize("options", [{}, {"dialect": "react"}, {"split": "train", "tasks": 20}])
def test_it_keeps_the_contract_of_a_world(options: dict[str, Any]) -> None:
    check_world(lambda: ALFWorldEnv(**options), tasks=3)


def test_the_official_games_keep_the_contract_too(official_games: Path) -> None:
    check_world(lambda: ALFWorldEnv(data=str(official_games), split="valid_seen"))


@pytest.mark.parametrize("dialect", ["2.1.3", "react"])
def test_the_oracle_wins_every_official_validation_game(dialect: str, official_games: Path) -> None:
    env = ALFWorldEnv(data=str(official_games), split="valid_seen", dialect=dialect)
    for task_id in env.panel.task_ids:
        env.reset(options={"task_id": task_id})
        plan = env.oracle() or []
        assert len(plan) <= len(env.store.game(task_id).walkthrough)
        outcomes = [env.step(command) for command in plan]
        assert all(info["valid_action"] for *_, info in outcomes)
        assert outcomes[-1][1:3] == (1.0, True)
        assert outcomes[-1][-1]["success"]
        assert not any(info["success"] for *_, info in outcomes[:-1])


def test_react_speaks_the_old_dialect() -> None:
    env = ALFWorldEnv(dialect="react", task_type="pick_and_place_simple")
    observation, info = env.reset(seed=1)
    assert observation.startswith("You are in the middle of a room.")
    assert observation.count("\n") == 1
    assert info["dialect"] == "react"
    plan = env.oracle() or []
    assert "in/on" in plan[-1]
    for command in plan:
        modern = command.replace("put ", "move ").replace(" in/on ", " to ")
        if modern != command:
            assert env.step(modern)[0] == "Nothing happens."
        assert command in info["admissible_actions"]
        assert "help" not in info["admissible_actions"]
        assert info["admissible_actions"] == sorted(info["admissible_actions"])
        observation, *_, info = env.step(command)
        assert "arrive" not in observation
    assert observation.startswith("You put the ")
    assert " in/on the " in observation
    assert info["success"]


def test_help_is_a_command_of_todays_text_only() -> None:
    for dialect, first in (("2.1.3", "Available commands:"), ("react", "Nothing happens.")):
        env = ALFWorldEnv(dialect=dialect)
        env.reset(seed=0)
        assert env.step("help")[0].startswith(first)


def test_a_snapshot_branches_an_episode() -> None:
    env, other = ALFWorldEnv(), ALFWorldEnv()
    env.reset(seed=2)
    plan = env.oracle() or []
    env.step(plan[0])
    snapshot = pickle.loads(pickle.dumps(env.clone_state()))
    future = [env.step(command) for command in plan[1:]]
    assert future[-1][-1]["success"]
    other.restore_state(snapshot)
    assert other.clone_state() == snapshot
    assert [other.step(command) for command in plan[1:]] == future
    env.restore_state(snapshot)
    assert [env.step(command) for command in plan[1:]] == future


def test_a_snapshot_of_the_end_stays_ended() -> None:
    env = ALFWorldEnv()
    with pytest.raises(ResetNeededError, match=r"call reset\(\) before clone_state"):
        env.clone_state()
    env.reset(seed=2)
    for command in env.oracle() or []:
        env.step(command)
    snapshot = env.clone_state()
    env.reset(seed=3)
    env.restore_state(snapshot)
    with pytest.raises(ResetNeededError):
        env.step("look")


def test_a_snapshot_of_another_panel_is_refused() -> None:
    env, other = ALFWorldEnv(), ALFWorldEnv(split="train", tasks=5)
    other.reset(seed=0)
    with pytest.raises(ConfigError, match="the snapshot's task is not in 'valid_unseen'"):
        env.restore_state(other.clone_state())


def test_progress_rises_to_one_along_the_oracles_plan_and_never_falls() -> None:
    for task_type in TASK_TYPES:
        env = ALFWorldEnv(task_type=task_type, split="train", tasks=120)
        for task_id in env.panel.task_ids[:5]:
            _, info = env.reset(options={"task_id": task_id})
            assert info["task_type"] == task_type
            seen = [info["progress"]] + [env.step(command)[-1]["progress"] for command in env.oracle() or []]
            assert seen[0] == 0.0
            assert seen == sorted(seen)
            assert seen[-1] == 1.0
            assert len(set(seen)) >= 4


def test_progress_is_not_lost_by_putting_things_back() -> None:
    env = ALFWorldEnv(task_type="pick_clean_then_place_in_recep")
    env.reset(seed=0)
    taken = next(command for command in env.oracle() or [] if env.step(command)[0].startswith("You pick up"))
    reached = env.clone_state().progress
    thing, place = taken.removeprefix("take ").split(" from ")
    *_, info = env.step(f"move {thing} to {place}")
    assert info["valid_action"]
    assert info["progress"] == reached == 0.5


def test_panels_are_named_after_what_was_asked_for() -> None:
    assert ALFWorldEnv().panel.name == "valid_unseen"
    assert len(ALFWorldEnv().panel.task_ids) == 134
    some = ALFWorldEnv(split="train", tasks=200, task_type="look_at_obj_in_light").panel
    assert some.name == "train-200-look_at_obj_in_light"
    assert all(task_id.startswith("look_at_obj_in_light-") for task_id in some.task_ids)
    assert (
        ALFWorldEnv(split="train", tasks=30).panel.sha256
        != ALFWorldEnv(split="train", tasks=30, generator_seed=1).panel.sha256
    )


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"split": "valid_sen"}, UnknownNameError, "did you mean 'valid_seen'"),
        ({"dialect": "3"}, UnknownNameError, "no dialect of alfworld '3'"),
        ({"backend": "fats"}, UnknownNameError, "did you mean 'fast'"),
        ({"task_type": "pick_clean"}, UnknownNameError, "no task type"),
        ({"data": "/nowhere"}, DataError, "no folder '/nowhere'"),
        ({"data": "official:x"}, ConfigError, "no pack 'x'"),
        ({"data": "/tmp", "tasks": 3}, ConfigError, "belong to data='generated'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        ALFWorldEnv(**options)


def test_gymnasium_and_its_vectors_play_it() -> None:
    env = gymnasium.make("sad_env/ALFWorld-v0", split="valid_seen")
    observation, _ = env.reset(seed=0)
    assert observation.startswith("-= Welcome")
    for _ in range(50):
        *_, truncated, _ = env.step("look")
    assert truncated
    vector = sad_env.registry.make_vec("alfworld", 3, split="train", tasks=10)
    try:
        draw = random.Random(0)
        _, info = vector.reset(seed=1)
        for _ in range(60):
            actions = tuple(draw.choice(actions) for actions in info["admissible_actions"])
            observations, *_, info = vector.step(actions)
        assert all(isinstance(observation, str) for observation in observations)
    finally:
        vector.close()


def test_info_tells_scene_and_task_type() -> None:
    env = ALFWorldEnv()
    _, info = env.reset(seed=0)
    assert info["task_id"].startswith(f"{info['task_type']}-")
    assert f"-{info['scene']}/" in info["task_id"]

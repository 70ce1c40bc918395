"""The base of the worlds: conformance of every registered world, the space, the registry, vector environments."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

import sad_env
from sad_env.checks import ConformanceError, check_world
from sad_env.core import Turn
from sad_env.errors import ConfigError, DataError, ResetNeededError, UnknownNameError
from sad_env.toy import ToyEnv

WORLDS = [spec.name for spec in sad_env.known()]


@pytest.mark.parametrize("name", WORLDS)
def test_every_registered_world_conforms(name: str) -> None:
    check_world(lambda: sad_env.make(name))


@pytest.mark.parametrize("name", WORLDS)
def test_every_registered_world_is_made_by_gymnasium_with_its_step_limit(name: str) -> None:
    spec = sad_env.registry.world(name)
    env = gymnasium.make(spec.gym_id, disable_env_checker=True)
    env.reset(seed=0)
    truncated = terminated = False
    for _ in range(spec.max_steps):
        assert not truncated
        _, _, terminated, truncated, _ = env.step("no such thing")
        if terminated:
            break
    assert truncated or terminated
    env.close()


@pytest.mark.parametrize("name", WORLDS)
def test_every_expert_wins_and_can_be_asked_twice(name: str) -> None:
    env = sad_env.make(name, split="train")
    wins = 0
    tasks = env.panel.head(5).task_ids
    for task_id in tasks:
        observation, info = env.reset(options={"task_id": task_id})
        expert = sad_env.make_expert(name, seed=1)
        expert.begin(observation, info)
        for _ in range(sad_env.registry.world(name).max_steps):
            decision = expert.decide()
            assert decision == expert.decide()
            observation, _, terminated, _, info = env.step(decision.action)
            expert.observe(decision.action, observation, info)
            if terminated:
                break
        wins += info["success"]
    assert wins >= 4


class LyingEnv(ToyEnv):
    """Calls every start of a task a success."""

    def _begin(self, task_id: str) -> Turn:
        turn = super()._begin(task_id)
        return Turn(turn.observation, success=True)


class ForgetfulEnv(ToyEnv):
    """Plays another task than it was asked for."""

    def _emit(self, turn: Turn) -> tuple[str, dict[str, object]]:
        observation, info = super()._emit(turn)
        return observation, info | {"task_id": "other"}


@pytest.mark.parametrize(
    ("world", "rule"), [(LyingEnv, "no task is won at reset"), (ForgetfulEnv, "plays the task it was asked for")]
)
def test_the_check_finds_a_world_that_breaks_a_rule(world: type[ToyEnv], rule: str) -> None:
    with pytest.raises(ConformanceError, match=rule):
        check_world(world)


def test_an_unknown_world_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'hotpotqa'"):
        sad_env.make("hotpot")


def test_an_unknown_name_of_another_process_is_told_as_it_was_there() -> None:
    sent = UnknownNameError("world", "hotpot", ["hotpotqa", "alfworld"])
    come = pickle.loads(pickle.dumps(sent))
    assert isinstance(come, UnknownNameError)
    assert str(come) == str(sent) == "no world 'hotpot': did you mean 'hotpotqa'? known: alfworld, hotpotqa"


def test_a_second_world_of_the_same_name_is_refused() -> None:
    spec = sad_env.WorldSpec("toy", "sad_env/Other-v0", "x:Y", 1, "test", "")
    with pytest.raises(ConfigError, match="already registered"):
        sad_env.register(spec)


def test_a_second_world_of_the_same_id_is_refused() -> None:
    spec = sad_env.WorldSpec("other", "sad_env/Toy-v0", "x:Y", 1, "test", "")
    with pytest.raises(ConfigError, match="id 'sad_env/Toy-v0' is already registered"):
        sad_env.register(spec)
    with pytest.raises(UnknownNameError):
        sad_env.make("other")


class FailingEnv(ToyEnv):
    """Its second task cannot begin."""

    def _begin(self, task_id: str) -> Turn:
        if task_id == self.panel.task_ids[1]:
            raise DataError("the task is damaged")
        return super()._begin(task_id)


def test_a_reset_that_fails_leaves_no_episode_running() -> None:
    env = FailingEnv()
    first, second, *_ = env.panel.task_ids
    env.reset(options={"task_id": first})
    for task in (second, "nowhere"):
        with pytest.raises((DataError, ConfigError)):
            env.reset(options={"task_id": task})
        assert env.oracle() is None
        with pytest.raises(ResetNeededError):
            env.step("look")


@pytest.mark.parametrize("name", WORLDS)
def test_before_the_first_reset_there_is_no_plan_and_a_copy_goes_its_own_way(name: str) -> None:
    env = sad_env.make(name)
    assert env.oracle() is None
    env.reset(seed=0)
    plan = env.oracle()
    assert plan
    copy = pickle.loads(pickle.dumps(env))
    assert [copy.step(action) for action in plan] == [env.step(action) for action in plan]


def test_a_step_needs_a_running_episode() -> None:
    env = sad_env.make("toy")
    with pytest.raises(ResetNeededError):
        env.step("look")


def test_reset_refuses_unknown_tasks_and_options() -> None:
    env = sad_env.make("toy")
    with pytest.raises(ConfigError, match="no task 'x'"):
        env.reset(options={"task_id": "x"})
    with pytest.raises(ConfigError, match="no task"):
        env.reset(options={"task_id": ["x"]})
    with pytest.raises(UnknownNameError, match="did you mean 'task_id'"):
        env.reset(options={"task": "x"})


def test_the_same_seed_gives_the_same_tasks() -> None:
    one, two = sad_env.make("toy"), sad_env.make("toy")
    assert [one.reset(seed=3)] + [one.reset() for _ in range(9)] == [two.reset(seed=3)] + [
        two.reset() for _ in range(9)
    ]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_vector_environments_carry_text_and_per_episode_info(asynchronous: bool) -> None:
    env = sad_env.make_vec("toy", 2, asynchronous=asynchronous)
    try:
        observations, info = env.reset(seed=[1, 2])
        assert all(text.startswith("You are in a corridor") for text in observations)
        observations, _, _, _, info = env.step(("go to attic", "nonsense"))
        assert observations[0].startswith("You are in the attic")
        assert observations[1] == "Nothing happens."
        assert list(info["valid_action"]) == [True, False]
        assert "go to attic" in info["admissible_actions"][0]
    finally:
        env.close()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_reset_after_the_end_does_not_swallow_the_next_action(asynchronous: bool) -> None:
    env = sad_env.make_vec("toy", 1, asynchronous=asynchronous)
    try:
        env.reset(seed=1)
        for _ in range(20):
            _, _, _, truncated, _ = env.step(("look",))
        assert truncated[0]
        env.reset(seed=1)
        observations, *_ = env.step(("go to cellar",))
        assert observations[0].startswith("You are in the cellar")
    finally:
        env.close()


def test_gymnasiums_shared_memory_is_refused_and_not_silently_wrong() -> None:
    with pytest.raises(ValueError, match="shared_memory"):
        gymnasium.make_vec("sad_env/Toy-v0", num_envs=2, vectorization_mode="async")


def test_the_space_holds_any_text_and_pickles_small() -> None:
    space = sad_env.AnyText(seed=1)
    assert "hello wörld \x1b 💥" in space
    assert "" in space
    assert 3 not in space
    assert len(pickle.dumps(space)) < 2000
    assert all(space.sample() in space for _ in range(50))
    assert sad_env.AnyText(5) == sad_env.AnyText(5) != sad_env.AnyText(6)
    with pytest.raises(ValueError, match="max_length"):
        sad_env.AnyText(0)


def test_importing_the_worlds_loads_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, sad_env, sad_env.toy, sad_env.checks;"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_face_is_what_it_says() -> None:
    assert all(hasattr(sad_env, name) for name in sad_env.__all__)
    assert sorted(sad_env.__all__) == sad_env.__all__


def test_worlds_of_other_distributions_are_found_and_broken_ones_reported(tmp_path: Path) -> None:
    info = tmp_path / "other-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[sad_env.worlds]\ngood = other:SPEC\nbad = other:MISSING\n")
    (tmp_path / "other.py").write_text(
        "from sad_env import WorldSpec\n"
        "SPEC = WorldSpec('other', 'sad_env/Other-v0', 'sad_env.toy:ToyEnv', 5, 'test', 'another toy')\n"
    )
    program = "import sad_env, sad_env.registry as r; print(sad_env.make('other').panel.name, r.load_plugins())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout.startswith("test {")
    assert "'good': ''" in done.stdout
    assert "'bad': \"AttributeError" in done.stdout

"""The world: contract, turn limit, verdicts, info, and the experts in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import sad_env
from sad_env.checks import check_world
from sad_env.core import TextEnv
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.expert import Expert
from sad_env.hotpotqa.env import HotPotQAEnv


@pytest.mark.parametrize("source", ["pool", "distractor"])
def test_the_world_keeps_the_contract(source: str) -> None:
    check_world(lambda: sad_env.make("hotpotqa", source=source), tasks=5)


def test_the_seventh_turn_without_answer_ends_the_episode_as_forced() -> None:
    env = HotPotQAEnv()
    env.reset(seed=0)
    for turn in range(6):
        observation, reward, terminated, _, info = env.step("think[hm]")
        assert (observation, reward, terminated) == ("Nice thought.", 0.0, False)
        assert (info["turns_left"], info["forced_finish"]) == (6 - turn, False)
    observation, reward, terminated, truncated, info = env.step("go north")
    assert observation == "Invalid action: go north"
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert info["forced_finish"] is True
    assert info["success"] is False


def test_more_turns_are_played_to_their_end_in_vector_environments() -> None:
    env = sad_env.make_vec("hotpotqa", 1, turns=12)
    env.reset(seed=0)
    ends = [env.step(("think[hm]",))[2:4] for _ in range(12)]
    assert [(bool(terminated[0]), bool(truncated[0])) for terminated, truncated in ends] == [(False, False)] * 11 + [
        (True, False)
    ]


def test_an_answer_on_the_seventh_turn_counts_and_is_not_forced() -> None:
    env = HotPotQAEnv()
    env.reset(seed=0)
    answer = _oracle(env)[-1]
    for _ in range(6):
        env.step("")
    _, reward, terminated, _, info = env.step(answer)
    assert (reward, terminated, info["success"], info["forced_finish"]) == (1.0, True, True, False)


def test_info_reports_f1_and_the_recall_of_supporting_titles() -> None:
    env = HotPotQAEnv()
    _, info = env.reset(options={"task_id": env.panel.task_ids[0]})
    assert (info["em"], info["f1"], info["title_recall"]) == (0.0, 0.0, 0.0)
    *searches, finish = _oracle(env)
    for number, search in enumerate(searches, 1):
        info = env.step(search)[4]
        assert info["title_recall"] == pytest.approx(number / len(searches))
    info = env.step(finish[:-1] + " extra]")[4]
    assert info["em"] == 0.0
    assert 0.0 < info["f1"] < 1.0


def test_gold_is_in_info_only_when_it_is_revealed() -> None:
    assert not {"answer", "supporting_titles"} & set(HotPotQAEnv().reset(seed=0)[1])
    info = HotPotQAEnv(reveal=True).reset(seed=0)[1]
    assert isinstance(info["answer"], str)
    assert isinstance(info["supporting_titles"], list)


def test_the_two_characters_backslash_n_are_taken_out_as_by_reacts_loop() -> None:
    env = HotPotQAEnv()
    env.reset(seed=0)
    assert env.step("a\\nb")[0] == "Invalid action: ab"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "did you mean 'test'"),
        ({"source": "pol"}, "did you mean 'pool'"),
        ({"data": "/no/such/folder"}, "no folder"),
        ({"turns": 0}, "at least one turn"),
    ],
)
def test_wrong_settings_are_refused_with_a_hint(options: dict[str, Any], message: str) -> None:
    with pytest.raises((UnknownNameError, ConfigError, sad_env.errors.DataError), match=message):
        HotPotQAEnv(**options)


def test_the_reading_expert_answers_generated_questions() -> None:
    env, expert = HotPotQAEnv(), sad_env.make_expert("hotpotqa")
    tasks = env.panel.task_ids[:200]
    assert sum(play(env, expert, task)["success"] for task in tasks) >= 0.97 * len(tasks)


def test_the_expert_takes_over_after_any_actions() -> None:
    """DAgger: somebody else plays two turns, then the expert goes on from what was seen."""
    env, expert = HotPotQAEnv(turns=9), sad_env.make_expert("hotpotqa", seed=3)
    won = 0
    for task in env.panel.task_ids[:100]:
        won += play(env, expert, task, first=("search[Nobody at All]", "lookup[born]"))["success"]
    assert won >= 95


def test_experts_say_the_same_thing_twice_and_other_things_with_other_seeds() -> None:
    env = HotPotQAEnv()
    observation, info = env.reset(seed=5)
    said = set()
    for seed in range(8):
        expert = sad_env.make_expert("hotpotqa", seed=seed)
        expert.begin(observation, info)
        assert expert.decide() == expert.decide()
        said.add(expert.decide().reasoning)
    assert len(said) > 2


def test_the_gold_titles_expert_needs_a_world_that_reveals() -> None:
    observation, info = HotPotQAEnv().reset(seed=0)
    with pytest.raises(ConfigError, match="reveal=True"):
        sad_env.make_expert("hotpotqa", "expert-gold-titles").begin(observation, info)


def play(env: TextEnv, expert: Expert, task: str, first: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """The last info of an episode that the expert plays after these first actions."""
    observation, info = env.reset(seed=0, options={"task_id": task})
    expert.begin(observation, info)
    waiting = list(first)
    terminated = False
    while not terminated:
        action = waiting.pop(0) if waiting else expert.decide().action
        observation, _, terminated, _, info = env.step(action)
        expert.observe(action, observation, info)
    return info


def _oracle(env: HotPotQAEnv) -> list[str]:
    plan = env.oracle()
    assert plan is not None
    return plan

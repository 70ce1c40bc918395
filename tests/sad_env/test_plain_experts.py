"""Experts with one wording for each situation: the same policy, whatever the seed of the words."""

from __future__ import annotations

import pytest

from sad_env import registry


def play(world: str, expert: str, seed: int, task: int) -> list[tuple[str, str]]:
    env = registry.make(world, split="train")
    observation, info = env.reset(options={"task_id": env.panel.task_ids[task]})
    policy = registry.make_expert(world, expert, seed=seed)
    policy.begin(observation, info)
    taken = []
    for _ in range(20):
        thought, action = policy.decide()
        taken.append((thought, action))
        observation, _, terminated, truncated, info = env.step(action)
        policy.observe(action, observation, info)
        if terminated or truncated:
            break
    return taken


@pytest.mark.parametrize("world", ["alfworld", "webshop", "hotpotqa"])
def test_a_plain_expert_acts_as_the_expert_does_and_always_says_it_alike(world: str) -> None:
    varied = set()
    for task in range(3):
        plain, again = play(world, "expert-plain", 0, task), play(world, "expert-plain", 0, task)
        assert plain == again
        told = play(world, "expert", 0, task)
        assert [action for _, action in plain] == [action for _, action in told]
        varied.add([thought for thought, _ in plain] == [thought for thought, _ in told])
    assert False in varied


def test_the_wording_does_not_depend_on_the_seed() -> None:
    assert play("alfworld", "expert-plain", 0, 0) == play("alfworld", "expert-plain", 1, 0)
    assert play("alfworld", "expert", 0, 0) != play("alfworld", "expert", 1, 0)

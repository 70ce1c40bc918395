"""Worlds through `skyrl_gym.make`."""

from __future__ import annotations

from typing import Any

import pytest

from sad_env.transcript import compose

skyrl_gym = pytest.importorskip("skyrl_gym", reason="needs skyrl-gym: make test-adapters")


@pytest.mark.parametrize("world", ["alfworld", "webshop", "hotpotqa"])
def test_an_expert_plays_there_as_in_our_harness(world: str, harness: Any) -> None:
    from sad_agents.frameworks.skyrl import register

    name, due, outcomes = register(f"sad_env_{world}", world=world), harness.play(world), {}
    with harness.timed(f"skyrl-gym {world}", len(due)):
        for task_id in due:
            env = skyrl_gym.make(name, extras={"task_id": task_id, "reward_model": {"ground_truth": None}})
            messages, info = env.init([])
            assert messages[0]["role"] == "system"
            assert "Reasoning:" in messages[0]["content"]
            expert, done, total = harness.expert(world, task_id, messages[-1]["content"], info), False, 0.0
            while not done:
                thought = expert.decide()
                out = env.step(compose(*thought).text)
                expert.observe(thought.action, out["metadata"]["observation"], out["metadata"])
                done, total = out["done"], total + out["reward"]
            metrics = env.get_metrics()
            assert total == pytest.approx(metrics["score"])
            outcomes[task_id] = (bool(metrics["success"]), int(metrics["steps"]))
            env.close()
    assert outcomes == due


def test_the_page_runs_as_printed(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    exec("".join(page.blocks("SkyRL")), {})
    printed = capsys.readouterr().out
    assert "Reasoning:" in printed
    assert "You are in the middle of a room." in printed
    assert printed.endswith(" 0.0 False\n")

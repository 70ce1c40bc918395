"""Equations 14 to 17 of arXiv 2505.13820v3 on its own numbers."""

from __future__ import annotations

import pytest
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.records import Attempt, EpisodeLine, Key

from sad_env.records import Status, Step, Trajectory, observation_chain
from sad_env.transcript import compose


def step(words: int, tokens: int = 0) -> Step:
    written = compose(" ".join(["word"] * words), "look")
    return Step(
        completion=written.text,
        spans=written.spans,
        reasoning=" ".join(["word"] * words),
        action="look",
        observation="ok",
        generated_tokens=tokens,
    )


def value(metric: str, *episodes: tuple[Step, ...], won: tuple[bool, ...] = ()) -> float:
    sums = MetricSums(50, tokenizer="words")
    for number, steps in enumerate(episodes):
        success = bool(won and won[number])
        trajectory = Trajectory(
            world="toy",
            data="generated",
            split="test",
            task_id=f"task {number}",
            agent="student",
            observation="Begin.",
            steps=steps,
            status=Status.SUCCESS if success else Status.FAILURE,
            success=success,
        )
        attempt = Attempt(status=trajectory.status, error="", seconds=0.0)
        key = Key(task_id=f"task {number}", seed=0, repeat=0)
        sums.add(EpisodeLine(key=key, chain=observation_chain(trajectory), attempts=(attempt,), trajectory=trajectory))
    found = sums.mean(metric)
    assert found is not None
    return found


def test_equation_14() -> None:
    episodes = [(step(1),)] * 8
    assert value("success_rate", *episodes, won=(True,) * 6 + (False,) * 2) == pytest.approx(0.75)


def test_equations_15_and_16() -> None:
    assert value("reasoning_per_episode", (step(12),), (step(9), step(6)), (step(14),)) == pytest.approx(
        13.67, abs=0.005
    )


def test_equation_17_in_its_forms() -> None:
    tokens = value("generated_tokens", (step(1, tokens=16),), (step(1, tokens=13),), (step(1, 12), step(1, 8)))
    assert tokens == pytest.approx(16.33, abs=0.005)
    # Eight steps, each a reasoning and an action, are 16; one without a reasoning is one.
    calls = value("reasoning_and_action_steps", (step(1),) * 8, (*(step(1),) * 6, step(0)), (step(1),) * 10)
    assert calls == pytest.approx(16.33, abs=0.005)
    assert value("environment_steps", (step(1),) * 8, (step(1),) * 6) == pytest.approx(7.0)

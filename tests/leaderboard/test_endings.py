"""Which endings follow from the world and the limits of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.endings import Bounds, ending_fault

from sad_env.records import Status, Trajectory

PLAYED = {"success": False}
"""What the world says of an episode that goes on."""


@pytest.fixture(scope="module")
def lost(toy_run: Callable[..., RunFolder]) -> Trajectory:
    """Twenty steps, none of which won."""
    episodes = toy_run("null", episodes=1).episodes()
    return next(episodes).trajectory


def cut(episode: Trajectory, steps: int, status: Status, **step: Any) -> Trajectory:
    kept = tuple(one.model_copy(update=step) for one in episode.steps[:steps])
    return episode.model_copy(update={"steps": kept, "status": status})


def test_tokens_explain_a_budget_once_they_are_spent(lost: Trajectory) -> None:
    episode = cut(lost, 3, Status.BUDGET, generated_tokens=10)
    assert ending_fault(episode, Bounds(20, max_tokens=30), False, PLAYED) == ""
    assert "no limit" in ending_fault(episode, Bounds(20, max_tokens=31), False, PLAYED)


def test_time_explains_a_budget_once_it_is_up_and_a_step_was_made(lost: Trajectory) -> None:
    episode = cut(lost, 1, Status.BUDGET).model_copy(update={"seconds": 5.0})
    assert ending_fault(episode, Bounds(20, max_seconds=5.0), False, PLAYED) == ""
    assert "no limit" in ending_fault(episode, Bounds(20, max_seconds=5.1), False, PLAYED)
    assert "no limit" in ending_fault(cut(episode, 0, Status.BUDGET), Bounds(20, max_seconds=5.0), False, PLAYED)


def test_a_context_explains_a_budget_only_if_the_text_can_have_filled_it(lost: Trajectory) -> None:
    episode = cut(lost, 0, Status.BUDGET)
    size = len(f"Observation: {episode.observation}\n".encode())
    assert ending_fault(episode, Bounds(20, context=size + 9, completion=10), False, PLAYED) == ""
    assert "no limit" in ending_fault(episode, Bounds(20, context=size + 10, completion=10), False, PLAYED)


def test_invalid_actions_end_an_episode_exactly_at_their_limit(lost: Trajectory) -> None:
    episode = cut(lost, 4, Status.INVALID_ACTIONS, valid=False)
    assert ending_fault(episode, Bounds(20, invalid_actions=4), False, PLAYED) == ""
    assert "not the limit" in ending_fault(episode, Bounds(20, invalid_actions=5), False, PLAYED)
    other = cut(lost, 4, Status.BUDGET, valid=False)
    assert "it ends as invalid_actions" in ending_fault(other, Bounds(20, invalid_actions=4), False, PLAYED)


@pytest.mark.parametrize(
    ("info", "ending"),
    [
        ({"success": True}, Status.SUCCESS),
        ({"success": False}, Status.FAILURE),
        ({"success": False, "forced_finish": True}, Status.FORCED_FINISH),
    ],
)
def test_the_world_names_the_ending_of_an_episode_that_is_over(
    lost: Trajectory, info: dict[str, bool], ending: Status
) -> None:
    for status in Status:
        fault = ending_fault(cut(lost, 3, status), Bounds(20), True, info)
        assert (fault == "") == (status is ending)


def test_an_episode_may_be_won_at_the_step_limit_without_being_over(lost: Trajectory) -> None:
    for success, ending in ((True, Status.SUCCESS), (False, Status.MAX_STEPS)):
        for status in (Status.SUCCESS, Status.MAX_STEPS, Status.FAILURE, Status.BUDGET, Status.INVALID_ACTIONS):
            fault = ending_fault(cut(lost, 3, status), Bounds(3), False, {"success": success})
            assert (fault == "") == (status is ending)

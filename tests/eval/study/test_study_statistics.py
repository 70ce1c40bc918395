"""Intervals, tests and claims of a study against cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sad_eval.metrics.cot_match import Reasoning, match_words
from sad_eval.metrics.statistics import holm, mcnemar, wilson
from sad_eval.study.claims import claims, verdicts
from sad_eval.study.comparisons import compare_methods, with_seeds_drawn
from sad_eval.study.results import COLUMNS, Evaluation, WorldResults
from sad_eval.study.statistics import effect_of, paired_effect, pooled_estimate, pooled_ratio, task_draws

from sad_env.errors import DataError


def evaluation(*wins: float, steps: float = 3.0, tasks: int | None = None) -> Evaluation:
    names = tuple(f"task {number}" for number in range(tasks or len(wins)))
    won = np.array(wins)
    parts = {name: won if name == "success" else np.full(len(won), steps) for name in COLUMNS}
    return Evaluation(names, parts, {name: np.ones(len(won)) for name in COLUMNS}, complete=True)


def world(evaluations: dict[str, Evaluation], name: str = "toy", **settings: object) -> WorldResults:
    base = {"students": ["small"], "seeds": 2, "shared_start": False, "arms": [], "ablations": []}
    return WorldResults(name, {**base, **settings}, evaluations, {}, 0, 0)


def test_a_ratio_is_a_sum_over_a_sum_in_every_resample() -> None:
    parts, wholes = np.array([[1.0, 4.0]]), np.array([[2.0, 4.0]])
    value, resampled = pooled_ratio(parts, wholes, np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    assert value == pytest.approx(5 / 6)
    assert resampled.tolist() == pytest.approx([0.5, 1.0, 5 / 6])


def test_resamples_draw_as_many_tasks_as_there_are_and_worlds_differ() -> None:
    drawn = task_draws(7, "one", 100)
    assert (drawn.sum(1) == 7).all()
    assert not np.array_equal(drawn, task_draws(7, "other", 100))
    task_draws.cache_clear()
    again = task_draws(7, "one", 100)
    assert again is not drawn
    assert np.array_equal(drawn, again)


def test_the_error_of_a_mean_is_the_one_of_the_textbook() -> None:
    values = np.arange(50.0)[None]
    _, resampled = pooled_ratio(values, np.ones_like(values), task_draws(50))
    assert resampled.std() == pytest.approx(values.std() / 50**0.5, rel=0.03)


def test_students_on_the_same_tasks_count_as_one_cluster() -> None:
    wins = np.array([[0.0, 1.0] * 20])
    alone = pooled_estimate(wins, np.ones_like(wins))
    copies = pooled_estimate(np.repeat(wins, 5, 0), np.ones((5, 40)))
    assert (alone.low, alone.high) == (copies.low, copies.high)


def test_a_share_without_spread_has_wilsons_interval() -> None:
    nothing = pooled_estimate(np.zeros((3, 20)), np.ones((3, 20)), share=True)
    assert (nothing.value, nothing.low, nothing.high) == (0.0, *wilson(0, 20))
    # z^2 / (n + z^2) by hand.
    assert nothing.high == pytest.approx(3.8415 / 23.8415, abs=1e-4)


def test_a_paired_difference_knows_that_hard_tasks_are_hard_for_both() -> None:
    easy = np.array([[1.0] * 30 + [0.0] * 30])
    better = easy.copy()
    better[0, 30:33] = 1
    ones = np.ones_like(easy)
    drawn = task_draws(60)
    found, _ = paired_effect((better, ones), (easy, ones), drawn)
    assert found.value == pytest.approx(3 / 60)
    # The difference alone has the variance of three ones among sixty: 0.05 * 0.95 / 60.
    assert found.error == pytest.approx((0.05 * 0.95 / 60) ** 0.5, rel=0.03)
    assert found.resolution == pytest.approx(2.8 * found.error)


def test_p_of_a_bootstrap_is_two_sided_and_never_zero() -> None:
    assert effect_of(1.0, np.full(99, 1.0)).p == pytest.approx(2 / 100)
    assert effect_of(0.0, np.array([-1.0, 1.0] * 50)).p == 1.0
    # Ten of hundred at or below zero: 2 * 11 / 101.
    assert effect_of(1.0, np.array([-1.0] * 10 + [1.0] * 90)).p == pytest.approx(22 / 101)


def test_a_resample_to_which_a_metric_does_not_apply_is_left_out() -> None:
    _, resampled = pooled_ratio(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 2.0]]))
    assert resampled[0] == 0.5
    assert np.isnan(resampled[1])
    found = pooled_estimate(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    effect = effect_of(1.0, np.array([np.nan] * 100 + [-1.0] * 10 + [1.0] * 90))
    assert effect.p == pytest.approx(22 / 101)
    assert effect.error == pytest.approx(0.6)


def test_mcnemar_counts_the_tasks_that_one_alone_won() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(6, 0) == pytest.approx(2 / 64)
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)


def test_holm_keeps_the_order_and_never_falls() -> None:
    assert holm([]) == []
    assert holm([0.02, 0.02, 0.9]) == pytest.approx([0.06, 0.06, 0.9])


def test_cot_match_by_hand() -> None:
    student, teacher = Reasoning(("go to the key the",)), Reasoning(("the key is in the attic",))
    recall, _, f1 = match_words(student, teacher)
    assert recall == pytest.approx(3 / 6)
    assert f1 == pytest.approx(2 * 3 / 11)


def test_a_comparison_pairs_seeds_and_averages_over_worlds() -> None:
    runs = {
        "small-sad-offline-0": evaluation(1, 1, 0, 0),
        "small-seqkd-0": evaluation(1, 0, 0, 0),
        "small-sad-offline-1": evaluation(1, 1, 1, 0),
        "small-seqkd-1": evaluation(0, 0, 0, 1),
        "small-seqkd-2": evaluation(1, 1, 1, 1),
    }
    other = {"small-sad-offline-0": evaluation(0, 1), "small-seqkd-0": evaluation(0, 1)}
    found = compare_methods([world(runs), world(other, "two"), world({}, "empty")], "sad-offline", "seqkd", "success")
    assert {name: one.value for name, one in found.worlds.items()} == {"toy": 3 / 8, "two": 0.0}
    assert found.overall is not None
    assert found.overall.value == pytest.approx(3 / 16)
    assert [pair.flips() for pair in found.pairs["toy"]] == [(1, 0), (3, 1)]


def test_seeds_are_drawn_in_addition_to_tasks() -> None:
    """One seed ahead on every task and one level: tasks say 0.5 for certain, and one of two seeds 0 or 1.

    The variance of a mean of two is half of theirs: (0.5 + 0.5) * 0.25 / 2 twice over, which a draw of one has.
    """
    runs = {
        "small-sad-offline-0": evaluation(1, 1, 1),
        "small-seqkd-0": evaluation(0, 0, 0),
        "small-sad-offline-1": evaluation(1, 1, 1),
        "small-seqkd-1": evaluation(1, 1, 1),
    }
    found = compare_methods([world(runs), world(runs, "two")], "sad-offline", "seqkd", "success")
    overall, worlds = with_seeds_drawn(found)
    assert found.worlds["toy"].error == pytest.approx(0, abs=1e-12)
    assert (worlds["toy"].value, worlds["toy"].low, worlds["toy"].high) == (0.5, 0, 1)
    assert worlds["toy"].error == pytest.approx(0.5, rel=0.03)
    assert worlds["toy"].p == pytest.approx(1, rel=0.03)
    # Two worlds draw apart: half the variance.
    assert overall is not None
    assert overall.error == pytest.approx(0.125**0.5, rel=0.03)
    alone = compare_methods(
        [world({name: one for name, one in runs.items() if name.endswith("0")})], "sad-offline", "seqkd", "success"
    )
    assert with_seeds_drawn(alone) == (None, {})


def test_a_shared_start_is_compared_with_every_seed() -> None:
    runs = {
        "small-start-0": evaluation(0, 0),
        "small-seqkd-0": evaluation(1, 0),
        "small-seqkd-1": evaluation(1, 1),
    }
    found = compare_methods([world(runs, shared_start=True)], "seqkd", "start", "success")
    assert found.worlds["toy"].value == pytest.approx(3 / 4)


def test_students_of_other_tasks_are_not_compared() -> None:
    runs = {"small-sad-offline-0": evaluation(1, 1), "small-seqkd-0": evaluation(1, 1, 1)}
    with pytest.raises(DataError, match="did not play the same tasks"):
        compare_methods([world(runs)], "sad-offline", "seqkd", "success")


def test_verdicts_say_held_opposite_undecided_and_unmeasured() -> None:
    wins, losses = [1.0] * 38 + [0.0] * 2, [0.0] * 38 + [1.0] * 2
    alike = [1.0, 0.0] * 20
    runs = {
        "small-sad-offline-0": evaluation(*wins, steps=5),
        "small-seqkd-0": evaluation(*losses, steps=4),
        "small-sad-online-0": evaluation(*alike),
        "small-minillm-0": evaluation(*reversed(alike)),
    }
    found = {(one.claim.second, one.claim.column): one for one in verdicts([world(runs, seeds=1)])}
    assert len(found) == len(list(claims()))
    assert found["seqkd", "success"].word == "held"
    # SAD took more steps, and fewer are claimed.
    assert found["seqkd", "steps"].word == "did not hold, the opposite did"
    assert found["minillm", "success"].word == "undecided"
    assert found["word-kd", "success"].word == "not measured"
    assert "+90.0 [" in found["seqkd", "success"].line

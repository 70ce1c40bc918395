"""Statistics against scipy and statsmodels, and the coverage of the intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sad_eval.metrics.statistics import (
    Ratios,
    alike,
    cluster_bootstrap,
    holm,
    mcnemar,
    paired_bootstrap,
    pass_hat,
    pass_hat_k,
    ranks,
    resolution,
    sign_flips,
    wilson,
)

TABLES = 1_000


def _means(values: np.ndarray) -> Ratios:
    return Ratios(values[:, None], np.ones((len(values), 1)))


def test_wilson_agrees_with_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion", reason="statsmodels is not installed")
    draw = np.random.default_rng(0)
    for _ in range(TABLES):
        n = int(draw.integers(1, 2_000))
        successes = int(draw.integers(0, n + 1))
        confidence = float(draw.uniform(0.5, 0.999))
        expected = proportion.proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
        assert wilson(successes, n, confidence) == pytest.approx(expected, abs=1e-9)


def test_mcnemar_agrees_with_statsmodels_and_scipy() -> None:
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables", reason="statsmodels is not installed")
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    draw = np.random.default_rng(1)
    for _ in range(TABLES):
        both, first, second, neither = (int(x) for x in draw.integers(0, 60, size=4))
        ours = mcnemar(first, second)
        theirs = contingency.mcnemar([[both, first], [second, neither]], exact=True).pvalue
        assert ours == pytest.approx(min(1.0, theirs), abs=1e-9)
        if first + second:
            assert ours == pytest.approx(stats.binomtest(first, first + second).pvalue, abs=1e-9)


def test_sign_flips_agree_with_scipy_and_with_mcnemar() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    draw = np.random.default_rng(7)
    for _ in range(50):
        values = draw.integers(-3, 4, size=int(draw.integers(2, 10)))
        theirs = stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
        assert sign_flips(values.tolist()) == pytest.approx(theirs, abs=1e-9)
    for _ in range(TABLES):
        first, second = (int(x) for x in draw.integers(0, 40, size=2))
        assert sign_flips([-1] * first + [1] * second + [0] * 5) == pytest.approx(mcnemar(first, second), abs=1e-9)
    assert sign_flips([]) == sign_flips([0]) == 1.0


def test_draws_that_are_all_alike_exclude_0_when_the_sign_test_does() -> None:
    for n in range(1, 40):
        assert (alike(-1.0, n, -1.0, 1.0).high < 0) == (sign_flips([-1] * n) < 0.05)
    low, high = alike(0.0, 100, -1.0, 1.0)
    assert (low, high) == pytest.approx((-0.0362, 0.0362), abs=1e-4)


@pytest.mark.slow
def test_holm_agrees_with_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    draw = np.random.default_rng(2)
    for _ in range(10):  # theirs takes up to half a second a table
        p_values = draw.uniform(size=int(draw.integers(1, 12))) ** 3
        expected = multitest.multipletests(p_values, method="holm")[1]
        assert holm(p_values.tolist()) == pytest.approx(expected.tolist(), abs=1e-9)


def test_pass_hat_for_all_k_is_pass_hat_k() -> None:
    for trials in (1, 2, 7, 130):
        for successes in {0, 1, trials // 2, trials}:
            if successes <= trials:
                wanted = [pass_hat_k(successes, trials, k) for k in range(1, trials + 1)]
                assert pass_hat(successes, trials) == wanted


def test_pass_hat_k_agrees_with_the_hypergeometric_distribution() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    draw = np.random.default_rng(3)
    for _ in range(TABLES):
        trials = int(draw.integers(1, 40))
        successes, k = int(draw.integers(0, trials + 1)), int(draw.integers(1, trials + 1))
        assert pass_hat_k(successes, trials, k) == pytest.approx(stats.hypergeom.pmf(k, trials, successes, k), abs=1e-9)


def test_bootstrap_end_points_agree_with_resampling_by_hand() -> None:
    """The same draws, one task at a time in plain Python, give the same ratio in every resample."""
    draw = np.random.default_rng(4)
    clusters = [int(x) for x in draw.integers(0, 7, size=30)]
    parts, wholes = draw.uniform(size=(30, 1)), draw.uniform(0.5, 2, size=(30, 1))
    order = sorted(set(clusters))
    ratios = []
    for row in np.random.default_rng(0).integers(0, len(order), size=(500, len(order))):
        rows = [i for task in row for i, cluster in enumerate(clusters) if cluster == order[task]]
        ratios.append(sum(parts[i, 0] for i in rows) / sum(wholes[i, 0] for i in rows))
    expected = np.quantile(ratios, [0.025, 0.975])
    assert cluster_bootstrap(parts, wholes, clusters, resamples=500)[0] == pytest.approx(tuple(expected), abs=1e-9)


def test_paired_bootstrap_agrees_with_scipy() -> None:
    """Different draws of the same statistic: the ends differ by the noise of resampling only."""
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    draw = np.random.default_rng(5)
    first, second = draw.normal(size=200), draw.normal(0.3, 1, size=200)
    ours = paired_bootstrap(_means(first), _means(second), range(200), resamples=20_000)[0]
    theirs = stats.bootstrap(
        (second - first,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours.value == pytest.approx(float(np.mean(second - first)), abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


@pytest.mark.parametrize("n", [20, 50, 134, 500])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_wilson_covers_the_truth(n: int, share: float) -> None:
    """Exact coverage, summed over all outcomes: never below 92 %, and 95 % on average over n and share."""
    covered = sum(_binomial(n, k, share) for k in range(n + 1) if wilson(k, n).low <= share <= wilson(k, n).high)
    assert 0.92 <= covered <= 0.99


def _binomial(n: int, k: int, share: float) -> float:
    from math import comb, exp, log

    return exp(log(comb(n, k)) + k * log(share) + (n - k) * log(1 - share))


def test_the_bootstrap_over_tasks_covers_the_truth_where_a_bootstrap_over_episodes_does_not() -> None:
    """60 tasks, 4 tries each, all tries of a task nearly alike."""
    draw = np.random.default_rng(6)
    over_tasks = over_episodes = 0
    simulations = 300
    clusters = np.repeat(np.arange(60), 4)
    for number in range(simulations):
        chances = draw.beta(0.3, 0.3, size=60)
        outcomes = (draw.uniform(size=240) < chances[clusters]).astype(float)[:, None]
        ones = np.ones_like(outcomes)
        low, high = cluster_bootstrap(outcomes, ones, clusters.tolist(), resamples=400, seed=number)[0]
        over_tasks += low <= 0.5 <= high
        low, high = cluster_bootstrap(outcomes, ones, range(240), resamples=400, seed=number)[0]
        over_episodes += low <= 0.5 <= high
    assert over_tasks / simulations >= 0.91
    assert over_episodes / simulations <= 0.85


def test_paired_bootstrap_covers_the_truth() -> None:
    draw = np.random.default_rng(7)
    covered = 0
    for number in range(300):
        first = (draw.uniform(size=120) < 0.5).astype(float)
        second = np.where(draw.uniform(size=120) < 0.2, 1.0, first)  # truth: 0.5 * 0.2 = 0.1 better
        difference = paired_bootstrap(_means(first), _means(second), range(120), resamples=400, seed=number)[0]
        low, high = difference.low, difference.high
        covered += low <= 0.1 <= high
    assert covered / 300 >= 0.91


def test_an_empty_list_has_no_interval() -> None:
    with pytest.raises(ValueError, match="0 trials have no interval"):
        wilson(0, 0)
    with pytest.raises(ValueError, match="an empty list has no mean"):
        cluster_bootstrap(np.zeros((0, 1)), np.zeros((0, 1)), [])
    with pytest.raises(ValueError, match="an empty list has no mean"):
        paired_bootstrap(_means(np.zeros(0)), _means(np.zeros(0)), [])
    with pytest.raises(ValueError, match=r"pass\^2 of 1 successes in 1 tries"):
        pass_hat_k(1, 1, 2)
    with pytest.raises(ValueError, match="nothing to say"):
        resolution(0)


def test_known_mcnemar_values() -> None:
    assert mcnemar(6, 0) == pytest.approx(0.03125)
    assert mcnemar(0, 5) == pytest.approx(0.0625)
    assert mcnemar(15, 5) == pytest.approx(0.0414, abs=1e-4)
    assert mcnemar(0, 0) == 1.0


def test_the_bootstrap_is_the_same_every_time_and_bounded_in_memory() -> None:
    draw = np.random.default_rng(8)
    parts = draw.uniform(size=(5_000, 2))
    ones = np.ones_like(parts)
    once = cluster_bootstrap(parts, ones, range(5_000), resamples=450)
    assert once == cluster_bootstrap(parts, ones, range(5_000), resamples=450)
    assert once != cluster_bootstrap(parts, ones, range(5_000), resamples=450, seed=1)


def test_ranks_tie_where_no_pair_is_told_apart() -> None:
    worst, middle, close, best = range(4)
    above = {(best, middle), (best, close), (best, worst), (middle, worst), (close, worst)}
    assert [str(rank) for rank in ranks(4, above)] == ["4", "2-3", "2-3", "1"]
    # A tie need not be passed on: the middle ties with both ends, which are told apart.
    assert [str(rank) for rank in ranks(3, {(0, 2)})] == ["1-2", "1-3", "2-3"]
    assert [str(rank) for rank in ranks(2, set())] == ["1-2", "1-2"]

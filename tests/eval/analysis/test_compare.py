"""Comparison of runs: pairs, flips, verdicts and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.analysis.compare import compare
from sad_eval.commands.evaluate import main
from sad_eval.metrics.statistics import mcnemar
from sad_eval.report.comparison import verdict
from sad_eval.runs.run_folder import RunFolder

from sad_env.errors import ConfigError, IncompleteError

Evaluate = Callable[..., int]


def play(evaluate: Evaluate, agent: str, out: str, *more: str) -> RunFolder:
    assert evaluate("--env", "toy", "--agent", agent, "--workers", "0", "--out", out, *more) == 0
    return RunFolder.open(out)


def outcomes(run: RunFolder) -> dict[str, bool]:
    return {line.key.task_id: line.trajectory.success for line in run.episodes()}


def test_pairs_count_what_the_runs_hold(evaluate: Evaluate) -> None:
    expert, chance = play(evaluate, "expert", "expert"), play(evaluate, "random", "chance")
    comparison = compare([expert, chance])
    (pair,) = comparison.pairs
    one, other = outcomes(expert), outcomes(chance)
    lost = sorted(task for task in one if one[task] and not other[task])
    assert (pair.both, pair.only_first, pair.only_second, pair.neither) == (100 - len(lost), len(lost), 0, 0)
    assert pair.flips == {"+": [], "-": lost}
    assert pair.p_value == pair.p_adjusted == mcnemar(len(lost), 0)
    assert pair.separable
    assert verdict(pair).startswith("expert succeeds more often, by ")
    rate = pair.differences["success_rate"]
    assert rate.value == pytest.approx(-len(lost) / 100)
    assert rate.low < rate.value < rate.high < 0
    assert [run.rank for run in comparison.runs] == ["1", "2"]
    assert comparison.remarks == ()


def test_three_runs_are_tested_at_once_and_like_runs_are_tied(evaluate: Evaluate) -> None:
    runs = [play(evaluate, "expert", "a"), play(evaluate, "expert", "b", "--seed", "1"), play(evaluate, "random", "c")]
    comparison = compare(runs)
    assert [(pair.first, pair.second) for pair in comparison.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [run.tied for run in comparison.runs] == [("b",), ("a",), ()]
    assert all(pair.p_adjusted >= pair.p_value for pair in comparison.pairs)
    assert verdict(comparison.pairs[0]) == "they solve the same 100 of 100 tasks"


def test_repeats_are_tested_over_tasks(evaluate: Evaluate) -> None:
    runs = [play(evaluate, agent, agent, "--repeats", "2") for agent in ("expert", "random", "null")]
    first, _, _ = compare(runs).pairs
    assert first.test == "permutation"
    assert first.p_value < first.p_adjusted < 0.001
    assert first.separable
    assert any(task.endswith("(try 2)") for task in first.flips["-"])


@pytest.mark.parametrize(("tasks", "tries", "p_value"), [(1, 3, 1.0), (5, 1, 0.0625), (5, 2, 0.0625), (6, 2, 0.03125)])
def test_more_tries_are_no_more_tasks(evaluate: Evaluate, tasks: int, tries: int, p_value: float) -> None:
    counts = ("--episodes", str(tasks), "--repeats", str(tries))
    comparison = compare([play(evaluate, agent, agent, *counts) for agent in ("expert", "null")])
    (pair,) = comparison.pairs
    rate = pair.differences["success_rate"]
    assert pair.p_value == pytest.approx(p_value)
    assert pair.separable == (p_value < 0.05) == (rate.high < 0)
    assert rate.low == rate.value == -1
    if not pair.separable:
        assert (
            verdict(pair)
            == f"{tasks * tries} pairs do not separate them: -100 points can be chance (p = {p_value:.2g})"
        )
        assert comparison.runs[0].tied == ("null",)


def test_a_reference_brings_cot_match_into_the_comparison(evaluate: Evaluate) -> None:
    runs = [play(evaluate, "expert", "a"), play(evaluate, "expert", "b", "--seed", "1")]
    assert "cot_match" not in compare(runs).pairs[0].differences
    difference = compare(runs, "a").pairs[0].differences["cot_match"]
    assert difference.value < 0  # b does not think in a's words, a does
    assert difference.low <= difference.value <= difference.high


def test_panels_that_overlap_are_compared_on_what_they_share(evaluate: Evaluate) -> None:
    whole, part = play(evaluate, "expert", "whole"), play(evaluate, "random", "part", "--episodes", "30")
    comparison = compare([whole, part])
    assert (comparison.panel, comparison.episodes) == ("tasks in common", 30)
    assert comparison.remarks == ("The panels differ; only the 30 episodes that all runs have are compared.",)


def test_ranks_say_what_the_paired_tests_say(evaluate: Evaluate) -> None:
    """Four of four against none of four: the intervals lie apart, but four flips are too few for a paired test."""
    runs = [play(evaluate, agent, agent, "--episodes", "4") for agent in ("expert", "null")]
    comparison = compare(runs)
    assert comparison.runs[0].low > comparison.runs[1].high
    assert not comparison.pairs[0].separable
    assert [(run.rank, run.tied) for run in comparison.runs] == [("1-2", ("null",)), ("1-2", ("expert",))]
    many = [play(evaluate, agent, f"{agent} of 100") for agent in ("null", "expert")]
    assert [run.rank for run in compare(many).runs] == ["2", "1"]


def test_fewer_tries_are_not_called_incomplete_and_a_silent_reference_is_named(evaluate: Evaluate) -> None:
    once, thrice = play(evaluate, "random", "once"), play(evaluate, "random", "thrice", "--repeats", "3")
    remarks = compare([once, thrice], "once").remarks
    assert any("different numbers of tries" in remark for remark in remarks)
    assert any("no reasoning on the tasks of once, thrice: no CoT match" in remark for remark in remarks)
    assert not any("incomplete" in remark for remark in remarks)
    (once.path / "episodes.jsonl").write_bytes(
        b"".join((once.path / "episodes.jsonl").read_bytes().splitlines(keepends=True)[:50])
    )
    assert any("A run is incomplete" in remark for remark in compare([once, thrice]).remarks)


def test_runs_that_differ_in_more_than_the_agent_are_remarked_on(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    few = ("--episodes", "3")
    plain, agent = play(evaluate, "expert", "plain", *few), play(evaluate, "random", "agent", *few)
    others = [
        play(evaluate, "expert", "seed", *few, "--seed", "1"),
        play(evaluate, "slow_agent:SlowExpert", "typos", *few, "--perturb", "typos", "--temperature", "0.5"),
    ]
    assert compare([plain, agent]).remarks == ()
    assert compare([plain, *others]).remarks == (
        "The runs differ in more than the agent: perturb none, typos; seed 0, 1; temperature 0.0, 0.5.",
    )
    identity = {**plain.manifest.identity, "world view": "rich"}
    del identity["invalid_actions"]  # a run from before this was written down
    other = RunFolder.create("other", plain.manifest.model_copy(update={"identity": identity}))
    (other.path / "episodes.jsonl").write_bytes((plain.path / "episodes.jsonl").read_bytes())
    assert compare([plain, other]).remarks == ("The runs differ in more than the agent: world view not given, rich.",)


def test_what_cannot_be_compared_is_refused(evaluate: Evaluate) -> None:
    test, train = play(evaluate, "expert", "test"), play(evaluate, "expert", "train", "--panel", "train")
    with pytest.raises(ConfigError, match="two run folders or more"):
        compare([test])
    with pytest.raises(ConfigError, match="named twice"):
        compare([test, RunFolder.open("../" + Path.cwd().name + "/test")])
    with pytest.raises(ConfigError, match="no episode in common"):
        compare([test, train])
    empty = RunFolder.create("empty", test.manifest)
    with pytest.raises(IncompleteError, match="'empty' has no scored episode yet"):
        compare([test, empty])
    other = RunFolder.create("other", test.manifest.model_copy(update={"world": "alfworld"}))
    with pytest.raises(ConfigError, match="the runs differ in their world: alfworld, toy"):
        compare([test, other])


def test_the_command_prints_flips_and_json(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    play(evaluate, "expert", "expert")
    play(evaluate, "random", "chance")
    assert main(["compare", "expert", "chance", "--flips", "2"]) == 0
    out = capsys.readouterr().out
    assert "McNemar p =" in out
    assert "only expert solved:" in out
    assert "more (--flips " in out
    assert main(["compare", "expert", "chance", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    difference = value["pairs"][0]["differences"]["success_rate"]["value"]
    assert difference < 0
    first, second = (run["values"]["success_rate"] for run in value["runs"])
    assert (first, second - first) == (1.0, pytest.approx(difference))
    assert f"{100 * second:.1f}" in next(line for line in out.splitlines() if line.startswith("success rate, %"))
    assert Path("expert").is_dir()

"""Metrics and results on episodes whose figures are known by hand."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.metrics.cot_match import Reasoning
from sad_eval.metrics.episode_metrics import METRICS, EpisodeView, reasoning_counter, shares
from sad_eval.metrics.statistics import cluster_bootstrap, pass_hat_k
from sad_eval.records import EpisodeKey, EpisodeLine, Manifest, PanelRecord

from sad_env.errors import DataError
from sad_env.records import SpanKind, Status, Step, Trajectory, parse_record
from sad_env.transcript import compose, segment


def step(reasoning: str, action: str, **changes: object) -> Step:
    rendering = compose(reasoning, action)
    values = {"reasoning": reasoning, "action": action, "observation": "seen", **changes}
    return Step(completion=rendering.text, spans=rendering.spans, **values)


def episode(
    task: str, *steps: Step, status: Status = Status.FAILURE, repeat: int = 0, **changes: object
) -> EpisodeLine:
    trajectory = Trajectory(
        world="toy",
        data="generated",
        split="test",
        task_id=task,
        repeat=repeat,
        agent="someone",
        observation="begin",
        steps=steps,
        status=status,
        success=status is Status.SUCCESS,
        **changes,
    )
    return EpisodeLine.of(trajectory)


def manifest(tasks: list[str], repeats: int = 1) -> Manifest:
    return Manifest(
        created="2026-01-01T00:00:00+00:00",
        command="",
        world="toy",
        data="generated",
        data_sha256="",
        panel=PanelRecord(name="test", sha256="0" * 64, task_ids=tuple(tasks)),
        agent="someone",
        seed=0,
        repeats=repeats,
        limits={"max_steps": 10},
        identity={},
        identity_sha256="",
        settings={},
        versions={},
    )


LINES = [
    episode(
        "a",
        step("I see the key", "take key", valid=False, progress=0.5, generated_tokens=9, world_seconds=0.5),
        step("", "look", progress=0.25, generated_tokens=3),
        status=Status.SUCCESS,
        score=0.75,
        seconds=2.0,
    ),
    episode("b", step("go on, then", "look", parsed=False, valid=False, generated_tokens=8), score=0.25, seconds=4.0),
]


def sums(*lines: EpisodeLine, **options: object) -> MetricSums:
    result = MetricSums(10, **options)
    for line in lines:
        result.add(line)
    return result


def test_every_metric_by_hand() -> None:
    found = {name: (one.value, one.n) for name, one in sums(*LINES).estimates().items()}
    assert found == {
        "success_rate": (0.5, 2),
        "score": (0.5, 2),
        "progress": (0.5, 1),  # the best that was reached, where the world tells
        "reasoning_per_step": (pytest.approx(8 / 3), 2),  # (4 + 0 + 4) words and signs over three steps
        "reasoning_per_episode": (4.0, 2),
        "environment_steps": (1.5, 2),
        "environment_steps_at_limit": (6.0, 2),  # 2 and, for the failure, the limit of 10
        "reasoning_and_action_steps": (2.5, 2),
        "generated_tokens": (10.0, 2),
        "invalid_actions": (pytest.approx(2 / 3), 2),
        "world_seconds": (0.25, 2),
        "seconds": (3.0, 2),
    }


def test_results_tell_how_much_of_the_run_the_reference_covers() -> None:
    reference = Reasoning.of(LINES[0].trajectory)
    results = sums(*LINES, references={"a": (reference,)}).results(manifest(["a", "b"]), {}, "teacher")
    assert any("covers 1 of 2 episodes" in remark for remark in results.remarks)


def test_sampled_ids_are_counted_by_their_labels() -> None:
    sampled = step("hm", "look", token_ids=(1, 2, 3, 4), token_labels="RRRA")
    assert reasoning_counter("sampled")(sampled) == 3
    assert reasoning_counter("words")(sampled) == 1
    auto = sums(episode("a", sampled))
    assert (auto.tokenizer, auto.estimates()["reasoning_per_step"].value) == ("sampled", 3.0)


def test_sampled_ids_that_are_not_there_are_not_counted_as_none() -> None:
    found = sums(*LINES, tokenizer="sampled").estimates()
    assert "reasoning_per_step" not in found
    assert "reasoning_per_episode" not in found


def test_a_tokenizer_file_counts_bodies(tmp_path: object) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"I": 0, "see": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    path = f"{tmp_path}/tokenizer.json"
    tokenizer.save(path)
    assert reasoning_counter(path)(step("I see the key", "look")) == 4
    with pytest.raises(DataError, match=r"is no tokenizer\.json"):
        reasoning_counter(f"{tmp_path}/none.json")


def test_an_empty_run_has_counts_but_no_mean() -> None:
    results = MetricSums(10).results(manifest(["a", "b"]), {EpisodeKey("a", 0, 0): Status.ENV_ERROR})
    assert results.metrics == {}
    assert results.status == "incomplete"
    assert (results.counts["env_error"], results.counts["cancelled"]) == (1, 1)
    assert results.bounds == (0.0, 1.0)
    with pytest.raises(ValueError, match="an empty list has no mean"):
        MetricSums(10).estimates()


def test_results_do_not_hang_on_the_order_in_which_episodes_end() -> None:
    draw = random.Random(0)
    lines = [
        episode(
            f"task {task}",
            *[step("word " * draw.randrange(1, 9), "look") for _ in range(draw.randrange(1, 5))],
            status=draw.choice([Status.SUCCESS, Status.FAILURE]),
            repeat=repeat,
            score=draw.random(),
            task_type=f"type {task % 3}",
        )
        for task in range(30)
        for repeat in range(2)
    ]
    shuffled = lines.copy()
    draw.shuffle(shuffled)
    pinned = manifest([f"task {task}" for task in range(30)], repeats=2)
    assert sums(*lines).results(pinned, {}) == sums(*shuffled).results(pinned, {})
    assert len(sums(*lines).results(pinned, {}).by_task_type) == 3


def test_intervals_hold_their_value_and_say_how_they_were_found() -> None:
    once = sums(*LINES).estimates()
    assert once["success_rate"].interval == "Wilson"
    assert once["score"].interval == "bootstrap over tasks"
    twice = [episode(task, status=Status.SUCCESS, repeat=repeat) for task in "abc" for repeat in (0, 1)]
    rate = sums(*twice).estimates()["success_rate"]
    assert rate.interval == "Wilson over tasks"
    assert rate.low == pytest.approx(0.4385, abs=1e-4)  # three of three, not six of six
    for estimate in (*once.values(), rate):
        assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize(
    ("outcomes", "low", "high"),
    [
        ({"a": "SSSSSFFFFF"}, 0.0546, 0.9454),  # half of one task
        (dict.fromkeys("abcde", "SS"), 0.5655, 1.0),
        (dict.fromkeys("abc", "SFF"), 0.0615, 0.7923),
    ],
)
def test_tasks_that_are_all_alike_still_have_an_interval(outcomes: dict[str, str], low: float, high: float) -> None:
    ending = {"S": Status.SUCCESS, "F": Status.FAILURE}
    lines = [
        episode(task, status=ending[one], repeat=repeat)
        for task, tries in outcomes.items()
        for repeat, one in enumerate(tries)
    ]
    found = sums(*lines)
    for estimate in (found.estimates()["success_rate"], found.pass_hat()["pass_hat_1"]):
        assert estimate.interval == "Wilson over tasks"
        assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-4)
    assert all(estimate.low < estimate.high for estimate in found.pass_hat().values())


def test_a_metric_that_does_not_apply_is_absent_never_zero() -> None:
    found = shares(EpisodeView(episode("a").trajectory, (), 10))
    for name in ("progress", "cot_match", "generated_tokens", "invalid_actions", "reasoning_per_step", "cot_semantic"):
        assert name in METRICS
        assert name not in found


def test_spans_of_reasoning_are_what_is_counted() -> None:
    text = "Thinking aloud\nAction: look\n"
    spans = segment(text)
    assert spans[0].kind is SpanKind.REASON
    loose = Step(completion=text, spans=spans, reasoning="Thinking aloud", action="look", observation="")
    assert reasoning_counter("words")(loose) == 2


def test_a_line_of_episodes_is_ascii_and_comes_back_whole() -> None:
    for text in ("plain", "Zoë \u202e\x7f\x9b2J 💥", "half \ud800", 'quo"te\\ \x1b[2J\n\u2028', "1e-7"):
        line = episode("a", step(text, text, reward=1e-7), score=1e16, seconds=0.1)
        written = line.to_json()
        assert written.isascii()
        assert "\x1b" not in written
        assert "\n" not in written
        assert parse_record(EpisodeLine, written) == line
        assert json.loads(written) == line.model_dump(mode="json")


def test_pass_hat_of_many_tries_is_that_of_every_k_by_itself() -> None:
    """Values of k are resampled in blocks; 70 are more than one block."""
    draw = random.Random(0)
    wins = {f"task-{number}": draw.randint(0, 70) for number in range(6)}
    lines = [
        episode(task, status=Status.SUCCESS if repeat < won else Status.FAILURE, repeat=repeat)
        for task, won in wins.items()
        for repeat in range(70)
    ]
    found = sums(*lines).pass_hat()
    assert list(found) == [f"pass_hat_{k}" for k in range(1, 71)]
    for k in (1, 2, 63, 64, 65, 70):
        column = np.array([[pass_hat_k(won, 70, k)] for won in wins.values()])
        (boot,) = cluster_bootstrap(column, np.ones_like(column), list(wins))
        estimate = found[f"pass_hat_{k}"]
        assert estimate.value == pytest.approx(column.mean(), abs=1e-15)
        if not boot.has_no_width():
            assert (estimate.low, estimate.high) == pytest.approx(boot, abs=1e-15)

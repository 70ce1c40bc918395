"""Whatever happens to a run: no scored episode is lost or double, and the final numbers are the undisturbed ones."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.runs.run_folder import RunFolder

from sad_env.records import Status

Evaluate = Callable[..., int]
Start = Callable[..., "subprocess.Popen[str]"]
Figures = Callable[[Path], dict[str, object]]

EPISODES = 12
TASK = "test-0007"


def flags(world: str, out: str, how: str, counter: Path, *more: str) -> list[str]:
    counter.mkdir(exist_ok=True)
    options = (f"how={how}", f"bad_task={TASK}", f"counter={counter}", "times=1")
    return ["--env", world, "--agent", "expert", "--out", out, "--options", *options, *more]


@pytest.mark.parametrize(
    "how",
    [
        "kill",
        "hang",
        "raise",
        "infrastructure",
        *(pytest.param(how, marks=pytest.mark.slow) for how in ("exit", "stop")),
    ],
)
def test_a_world_that_fails_once_changes_no_number(
    failing_world: str, evaluate: Evaluate, figures_of: Figures, tmp_path: Path, how: str
) -> None:
    calm = flags(failing_world, "calm", "print", tmp_path / "no faults", "--workers", "2")
    assert evaluate(*calm) == 0
    assert evaluate(*flags(failing_world, "run", how, tmp_path / how, "--workers", "2", "--step-seconds", "1.5")) == 0
    assert len(list((tmp_path / how).iterdir())) == 1
    assert figures_of(tmp_path / "run") == figures_of(tmp_path / "calm")
    line = next(line for line in RunFolder.open(tmp_path / "run").episodes() if line.key.task_id == TASK)
    assert [attempt.status.owed for attempt in line.attempts] == [True, False]
    remarks = RunFolder.open(tmp_path / "run").results().remarks
    assert any("were tried more than once" in remark for remark in remarks)


@pytest.mark.parametrize("how", ["raise", "reset"])
def test_a_world_that_keeps_failing_is_owed_with_both_bounds_and_made_good_later(
    failing_world: str, evaluate: Evaluate, figures_of: Figures, tmp_path: Path, how: str
) -> None:
    words = flags(failing_world, "run", how, tmp_path / "faults")
    words[words.index("times=1")] = "times=4"
    assert evaluate(*words) == 3
    run = RunFolder.open(tmp_path / "run")
    results = run.results()
    assert (results.status, results.owed, results.scored) == ("incomplete", 1, 99)
    assert results.bounds == pytest.approx((0.99, 1.0))
    assert results.counts["env_error"] == 1
    assert sum(results.counts.values()) == 100
    assert [line.trajectory.status for line in run.owed_attempts()] == [Status.ENV_ERROR] * 3
    assert evaluate(*words) == 0
    line = next(line for line in run.episodes() if line.key.task_id == TASK)
    assert [attempt.status.value for attempt in line.attempts] == ["env_error"] * 4 + ["success"]
    assert run.results().bounds is None


def finish(start: Start, *words: str) -> None:
    process = start(*words, seconds=0)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error


def killed_again_and_again(start: Start, figures_of: Figures, tmp_path: Path, moments: int) -> None:
    words = ("--episodes", "40", "--concurrency", "4", "--workers", "1", "--quiet")
    finish(start, *words, "--out", "calm")
    draw = random.Random(moments)
    kills = 0
    while kills < moments:
        process = start(*words, "--out", "run", seconds=0.03)
        try:
            process.communicate(timeout=draw.uniform(0.3, 2.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
        else:
            assert process.returncode == 0
            # Over before the moment came: begin another run, so that every moment hits a running one.
            assert figures_of(tmp_path / "run") == figures_of(tmp_path / "calm")
            (tmp_path / "run").rename(tmp_path / f"run-{kills}-{time.monotonic_ns()}")
    finish(start, *words, "--out", "run")
    assert figures_of(tmp_path / "run") == figures_of(tmp_path / "calm")


@pytest.mark.slow
def test_kill_9_at_three_random_moments(start: Start, figures_of: Figures, tmp_path: Path) -> None:
    killed_again_and_again(start, figures_of, tmp_path, 3)


@pytest.mark.slow
def test_kill_9_at_fifty_random_moments(start: Start, figures_of: Figures, tmp_path: Path) -> None:
    killed_again_and_again(start, figures_of, tmp_path, 50)


def wait_for_episodes(path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never held {count} episodes")


def test_ctrl_c_says_what_is_done_and_the_same_command_goes_on(
    start: Start, figures_of: Figures, tmp_path: Path
) -> None:
    words = ("--episodes", "20", "--concurrency", "2", "--workers", "1")
    process = start(*words, "--out", "run", seconds=0.1)
    wait_for_episodes(tmp_path / "run" / "episodes.jsonl", 4)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert process.returncode == 130
    results = RunFolder.open(tmp_path / "run").results()
    assert f"{results.scored} done, {results.owed} owed; run the same command to go on" in error
    assert "Traceback" not in out + error
    assert results.scored == sum(1 for _ in RunFolder.open(tmp_path / "run").episodes()) >= 4
    assert results.counts["cancelled"] == results.owed == 20 - results.scored
    finish(start, *words, "--out", "run")
    finish(start, *words, "--out", "calm")
    assert figures_of(tmp_path / "run") == figures_of(tmp_path / "calm")


@pytest.mark.parametrize("pause", [0.005, *(pytest.param(pause, marks=pytest.mark.slow) for pause in (0.0, 0.05))])
def test_ctrl_c_twice_loses_nothing(start: Start, figures_of: Figures, tmp_path: Path, pause: float) -> None:
    words = ("--episodes", "10", "--concurrency", "2", "--workers", "1", "--quiet", "--out", "run")
    process = start(*words, seconds=0.1)
    wait_for_episodes(tmp_path / "run" / "episodes.jsonl", 3)
    process.send_signal(signal.SIGINT)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    # Once Python takes itself down it handles no signal any more and dies of it; a shell calls both 130.
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in error
    finish(start, *words)
    run = RunFolder.open(tmp_path / "run")
    assert run.results().counts["success"] == 10
    assert len({line.id for line in run.episodes()}) == 10


@pytest.mark.slow
def test_two_at_once_on_one_run(start: Start, tmp_path: Path) -> None:
    words = ("--episodes", "12", "--concurrency", "1", "--workers", "1", "--quiet", "--out", "run")
    first = start(*words, seconds=0.1)
    wait_for_episodes(tmp_path / "run" / "episodes.jsonl", 1)
    first.send_signal(signal.SIGSTOP)  # so that it is still at work when the second comes, however slow that starts
    second = start(*words)
    _, error = second.communicate(timeout=60)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert error == "sad-eval: another process is at work on the run 'run': wait for it or stop it\n"
    assert first.wait(timeout=60) == 0
    assert len(list(RunFolder.open(tmp_path / "run").episodes())) == 12


def test_a_full_disk_ends_with_one_line_and_the_run_goes_on_when_there_is_room(
    start: Start, figures_of: Figures, tmp_path: Path
) -> None:
    words = ("--episodes", "30", "--concurrency", "2", "--workers", "0", "--quiet")
    finish(start, *words, "--out", "calm")
    size = (tmp_path / "calm" / "episodes.jsonl").stat().st_size // 2
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    process = start(*words, "--out", "run", seconds=0, before=limit)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 3, error
    assert "sad-eval: cannot go on: " in error
    assert "No space left" in error or "File too large" in error
    assert "Traceback" not in error
    written = (tmp_path / "run" / "episodes.jsonl").read_bytes()
    assert written.endswith(b"\n")
    assert 0 < written.count(b"\n") < 30
    finish(start, *words, "--out", "run")
    assert figures_of(tmp_path / "run") == figures_of(tmp_path / "calm")


def test_a_clock_that_jumps_changes_nothing(
    evaluate: Evaluate, figures_of: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wall time of an episode, limits and rests are measured on the monotonic clock."""
    words = ("--env", "toy", "--agent", "expert", "--episodes", str(EPISODES), "--workers", "0", "--max-seconds", "60")
    assert evaluate(*words, "--out", "calm") == 0
    hours = iter(range(0, 10**9, 7))
    monkeypatch.setattr(time, "time", lambda: 2e9 - 3600 * next(hours))
    assert evaluate(*words, "--out", "run") == 0
    assert figures_of(tmp_path / "run") == figures_of(tmp_path / "calm")
    for line in RunFolder.open(tmp_path / "run").episodes():
        assert 0 <= line.trajectory.seconds < 60


def test_a_torn_last_line_is_kept_aside_and_its_episode_played_again(
    evaluate: Evaluate, figures_of: Figures, tmp_path: Path
) -> None:
    words = ("--env", "toy", "--agent", "expert", "--episodes", str(EPISODES), "--workers", "0", "--out", "run")
    assert evaluate(*words) == 0
    before = figures_of(tmp_path / "run")
    path = tmp_path / "run" / "episodes.jsonl"
    os.truncate(path, path.stat().st_size - 100)
    assert evaluate(*words) == 0
    assert figures_of(tmp_path / "run") == before
    assert (tmp_path / "run" / "episodes.jsonl.torn").exists()


def test_a_changed_line_is_refused(evaluate: Evaluate, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("--env", "toy", "--agent", "expert", "--episodes", str(EPISODES), "--workers", "0", "--out", "run")
    assert evaluate(*words) == 0
    path = tmp_path / "run" / "episodes.jsonl"
    first, *rest = path.read_text().splitlines(keepends=True)
    changed = json.loads(first)
    changed["trajectory"]["steps"][0]["observation"] = "invented"
    path.write_text(json.dumps(changed) + "\n" + "".join(rest))
    assert evaluate(*words) == 5
    assert "was changed after it was written" in capsys.readouterr().err
    path.write_text(first + first + "".join(rest))
    assert evaluate(*words) == 5
    assert "stands twice" in capsys.readouterr().err

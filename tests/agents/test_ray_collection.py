"""Collection over a Ray cluster of two nodes on this machine, by the implementation that all commands have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sad_agents.collect_command import main

from sad_env.records import Trajectory, read_trajectories

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

EVAL = Path(__file__).resolve().parents[1] / "eval"


def played(path: Path) -> dict[tuple[str, int, int], dict[str, Any]]:
    """All that is recorded of each episode but times."""

    def plain(one: Trajectory) -> dict[str, Any]:
        steps = [step.model_dump(exclude={"agent_seconds", "world_seconds"}) for step in one.steps]
        return {**one.model_dump(exclude={"seconds", "steps"}), "steps": steps}

    return {(one.task_id, one.seed, one.repeat): plain(one) for one in read_trajectories(path)}


@pytest.mark.parametrize("temperature", ["0", "1"])
def test_a_model_plays_there_as_here(ray_backend: str, tmp_path: Path, temperature: str) -> None:
    """A local model, greedy and sampled: ids, labels, log-probabilities and endings are the same."""
    words = ["--env", "hotpotqa", "--agent", "nano", "--episodes", "12", "--seed", "3", "--workers", "0", "--quiet"]
    words += ["--temperature", temperature]
    assert main([*words, "--out", str(tmp_path / "here.jsonl")]) == 0
    assert main([*words, "--out", str(tmp_path / "there.jsonl"), "--backend", ray_backend, "--concurrency", "3"]) == 0
    here, there = played(tmp_path / "here.jsonl"), played(tmp_path / "there.jsonl")
    assert len(here) == 12
    assert any(step["token_ids"] for one in here.values() for step in one["steps"])
    assert there == here


def test_a_lost_worker_is_one_line_and_the_same_command_goes_on(
    ray_backend: str, tmp_path: Path, deadly_marker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.jsonl"
    words = ["--env", "toy", "--agent", "deadly_agent:DeadlyOnce", "--episodes", "24", "--workers", "0"]
    words += ["--concurrency", "4", "--out", str(out), "--backend", ray_backend]
    assert main(words) == 3
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1
    [line] = [line for line in printed.err.splitlines() if not line.startswith("toy episodes ")]  # progress
    assert "episodes are owed (a worker of the cluster was lost (WorkerCrashedError)): run the same command" in line
    assert main(words) == 0
    assert len(played(out)) == 24
    assert deadly_marker.exists()
    calm = ["--env", "toy", "--agent", "deadly_agent:DeadlyOnce", "--episodes", "24", "--workers", "0", "--quiet"]
    assert main([*calm, "--out", str(tmp_path / "calm.jsonl")]) == 0
    assert played(out) == played(tmp_path / "calm.jsonl")


def test_ctrl_c_ends_what_the_cluster_plays(ray_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process gathers; its workers stop with it, and what had ended is kept."""
    out = tmp_path / "run.jsonl"
    words = [
        "--env",
        "toy",
        "--agent",
        "slow_agent:SlowExpert",
        "--episodes",
        "60",
        "--workers",
        "0",
        "--out",
        str(out),
    ]
    environment = {**os.environ, "PYTHONPATH": f"{EVAL}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    flags = ["--concurrency", "1", "--backend", ray_backend]
    process = subprocess.Popen(
        [sys.executable, "-m", "sad_agents", *words, *flags],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 180
    while not (out.exists() and out.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    kept = played(out)
    assert 0 < len(kept) < 60
    monkeypatch.syspath_prepend(str(EVAL))
    assert main([*words, "--quiet"]) == 0
    whole = played(out)
    assert len(whole) == 60
    assert kept.items() <= whole.items()


def test_an_agent_that_no_worker_finds_is_one_line(
    ray_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An agent's module that is here and nowhere else."""
    (tmp_path / "only_here.py").write_text(
        "from sad_agents.policies import ExpertAgent\ndef Expert(world, options): return ExpertAgent(world)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    out = tmp_path / "run.jsonl"
    assert main(["--env", "toy", "--agent", "only_here:Expert", "--out", str(out), "--backend", ray_backend]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sad-collect:")]
    assert "in a worker of the cluster: no agent 'only_here:Expert': No module named 'only_here'" in line


@pytest.mark.parametrize(
    ("agent", "code", "said"),
    [
        ("Misset", 2, "--chat on needs a chat template"),
        ("Misnamed", 2, "no form 'line': did you mean 'lines'? known: lines, tags"),
        ("Damaged", 5, "the games are damaged"),
    ],
)
def test_what_a_worker_raises_ends_the_command_as_here(
    ray_backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    agent: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.syspath_prepend(str(EVAL))
    words = ["--env", "toy", "--agent", f"refusing_agent:{agent}", "--episodes", "4", "--workers", "0", "--quiet"]
    words += ["--out", str(tmp_path / "out.jsonl")]
    assert main([*words, "--backend", ray_backend]) == code
    assert capsys.readouterr().err == f"sad-collect: in a worker of the cluster: {said}\n"
    assert main(words) == code
    assert capsys.readouterr().err == f"sad-collect: {said}\n"

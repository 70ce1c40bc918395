"""Evaluations over a Ray cluster of two nodes on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_eval.runs.run_folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_two_nodes_play_what_one_machine_plays(
    ray_backend: str, evaluate: Callable[..., int], figures_of: Callable[[Path], dict[str, object]]
) -> None:
    import ray

    words = ("--env", "toy", "--agent", "random", "--episodes", "40", "--workers", "0", "--concurrency", "4")
    assert evaluate(*words, "--out", "here") == 0
    assert evaluate(*words, "--out", "there", "--backend", ray_backend) == 0
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    assert figures_of(Path("there")) == figures_of(Path("here"))
    # What is done is not played again, wherever the run goes on.
    assert evaluate(*words, "--out", "there") == 0


def test_a_worker_that_dies_leaves_its_episodes_owed(
    ray_backend: str,
    evaluate: Callable[..., int],
    figures_of: Callable[[Path], dict[str, object]],
    deadly_marker: Path,
) -> None:
    words = ("--env", "toy", "--agent", "deadly_agent:DeadlyOnce", "--episodes", "24", "--workers", "0")
    assert evaluate(*words, "--concurrency", "4", "--out", "run", "--backend", ray_backend) == 3
    results = RunFolder.open("run").results()
    assert 0 < results.counts["infra_error"] == results.owed < 24
    assert evaluate(*words, "--concurrency", "4", "--out", "run", "--backend", ray_backend) == 0
    assert deadly_marker.exists()
    assert evaluate(*words, "--out", "calm") == 0
    assert figures_of(Path("run")) == figures_of(Path("calm"))


def test_without_an_address_a_cluster_of_its_own_is_begun(
    ray_cluster: Any, evaluate: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever another one is there already, which its owner may end."""
    import ray

    monkeypatch.setenv("RAY_ADDRESS", ray_cluster.address)
    try:
        assert evaluate("--env", "toy", "--agent", "expert", "--episodes", "4", "--out", "run", "--backend", "ray") == 0
        assert len(ray.nodes()) == 1
    finally:
        ray.shutdown()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://[::1]:1", "127.0.0.1:99999"])
def test_an_address_at_which_nothing_listens_is_one_line(
    address: str, evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    assert evaluate("--env", "toy", "--agent", "expert", "--backend", f"ray:{address}", "--out", "run") == 3
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sad-eval:")]
    assert line.startswith(f"sad-eval: no Ray cluster at {address}: ")


def test_a_person_plays_here(evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--env", "toy", "--agent", "human", "--backend", "ray", "--out", "run") == 2
    assert "a person plays here, leave it out" in capsys.readouterr().err
    assert not Path("run").exists()

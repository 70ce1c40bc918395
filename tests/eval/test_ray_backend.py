"""Episodes over a Ray cluster of two nodes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sad_eval.runs.run_folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    ray = pytest.importorskip("ray", reason="the extra sad-env[ray] is not installed")
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", here)
    monkeypatch.setenv("DEADLY_MARKER", str(tmp_path / "dead"))
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made.address
    ray.shutdown()
    made.shutdown()


def test_two_nodes_play_what_one_machine_plays(
    cluster: str, evaluate: Callable[..., int], figures_of: Callable[[Path], dict[str, object]]
) -> None:
    import ray

    words = ("--env", "toy", "--agent", "random", "--episodes", "40", "--workers", "0", "--concurrency", "4")
    assert evaluate(*words, "--out", "here") == 0
    assert evaluate(*words, "--out", "there", "--backend", f"ray:{cluster}") == 0
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    assert figures_of(Path("there")) == figures_of(Path("here"))
    # What is done is not played again, wherever the run goes on.
    assert evaluate(*words, "--out", "there") == 0


def test_a_worker_that_dies_leaves_its_episodes_owed(
    cluster: str, evaluate: Callable[..., int], figures_of: Callable[[Path], dict[str, object]], tmp_path: Path
) -> None:
    words = ("--env", "toy", "--agent", "deadly_agent:DeadlyOnce", "--episodes", "24", "--workers", "0")
    assert evaluate(*words, "--concurrency", "4", "--out", "run", "--backend", f"ray:{cluster}") == 3
    assert (tmp_path / "dead").exists()
    results = RunFolder.open("run").results()
    assert 0 < results.counts["infra_error"] == results.owed < 24
    assert evaluate(*words, "--concurrency", "4", "--out", "run", "--backend", f"ray:{cluster}") == 0
    assert evaluate(*words, "--out", "calm") == 0
    assert figures_of(Path("run")) == figures_of(Path("calm"))

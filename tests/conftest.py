"""Fixtures that several folders share: where external data lies, and a skip with its reason where it does not."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# A run in the background inherits an ignored Ctrl-C, and so would the programs whose interruption is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline would measure the machine's load; the seed is fixed so that a failure is the same for everybody.
hypothesis.settings.register_profile("sad-env", deadline=None, derandomize=True)
hypothesis.settings.load_profile("sad-env")


def pytest_runtest_setup() -> None:
    """Every test begins at the same random state, whatever ran before it: models made without a seed, too."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


EXTERNAL = Path(os.environ.get("SAD_ENV_TEST_DATA", Path(__file__).resolve().parents[2] / "shared"))


def external(relative: str) -> Path:
    """A file of the external test data, or a skip that says which one is missing."""
    path = EXTERNAL / relative
    if not path.exists():
        pytest.skip(f"external test data {relative} not found under {EXTERNAL} (set SAD_ENV_TEST_DATA)")
    return path


@pytest.fixture(scope="session")
def external_path() -> Callable[[str], Path]:
    return external


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Iterator[Any]]:
    """Reads a gzipped JSON-lines golden, line by line."""

    def read(name: str) -> Iterator[Any]:
        with gzip.open(external(f"golden/{name}"), "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    return read


@pytest.fixture(scope="session")
def official_games(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The official ALFWorld games, unpacked once per machine: a folder that holds json_2.1.1/."""
    archive = external("data/alfworld/alfworld_train_valid_seen.tar.xz")
    folder = Path(os.environ.get("SAD_ENV_TEST_CACHE", "/tmp/sad-env-test-cache")) / "alfworld"
    done = folder / f"unpacked-{archive.stat().st_size}"
    if not done.exists():
        scratch = tmp_path_factory.mktemp("alfworld")
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        folder.parent.mkdir(parents=True, exist_ok=True)
        (scratch / done.name).touch()
        try:
            scratch.rename(folder)
        except OSError:
            if not done.exists():
                raise
    return folder


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Evaluates an agent on the toy world, by `sad-eval` itself, and returns the `RunFolder`."""
    from sad_eval.commands.evaluate import main
    from sad_eval.runs.run_folder import RunFolder

    def make(agent: str = "expert", *flags: str, episodes: int = 12, repeats: int = 1) -> RunFolder:
        folder = tmp_path_factory.mktemp("runs") / f"toy-{agent}"
        counts = ["--episodes", str(episodes), "--repeats", str(repeats)]
        code = main(
            ["--env", "toy", "--agent", agent, "--workers", "0", "--quiet", "--out", str(folder), *counts, *flags]
        )
        assert code == 0
        return RunFolder.open(folder)

    return make


@pytest.fixture(scope="session")
def ray_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where agents of tests that play over a cluster leave their traces."""
    return tmp_path_factory.mktemp("ray")


@pytest.fixture(scope="session")
def ray_cluster(ray_folder: Path) -> Iterator[Any]:
    """A Ray cluster of two nodes of a core each on this machine; their workers find the agents of tests/eval."""
    pytest.importorskip("ray", reason="the extra sad-env[ray] is not installed")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent / "eval"), prepend=os.pathsep)
        patch.setenv("DEADLY_MARKER", str(ray_folder / "dead"))
        patch.setenv("SLOW_AGENT_SECONDS", "0.3")
        patch.setenv("RAY_worker_niceness", "0")  # it is 15, at which busy cores let a worker wait for minutes
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        cluster.add_node(**node)
        cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture
def ray_backend(ray_cluster: Any) -> Iterator[str]:
    """The cluster as `--backend` names it; a test leaves it again."""
    import ray

    yield f"ray:{ray_cluster.address}"
    ray.shutdown()


@pytest.fixture
def deadly_marker(ray_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Until this file is there, the agent deadly_agent:DeadlyOnce takes its process down."""
    marker = ray_folder / "dead"
    marker.unlink(missing_ok=True)
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "eval"))
    monkeypatch.setenv("DEADLY_MARKER", str(marker))
    return marker

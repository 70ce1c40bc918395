"""Fixtures that several folders share: where external data lies, and a skip with its reason where it does not."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# A deadline would measure the machine's load; the seed is fixed so that a failure is the same for everybody.
hypothesis.settings.register_profile("sad-env", deadline=None, derandomize=True)
hypothesis.settings.load_profile("sad-env")

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
    """Evaluates the toy world's expert, or chance, into a run folder of its own, and returns that `RunFolder`."""
    from sad_agents.policies import ExpertAgent, RandomAgent
    from sad_agents.rollouts import rollout
    from sad_agents.world_pool import WorldRecipe
    from sad_eval.harness import evaluate
    from sad_eval.run_folder import Manifest, PanelRecord, RunFolder
    from sad_eval.tally import Tally

    from sad_env import registry

    def make(
        agent: str = "expert", *, episodes: int = 12, repeats: int = 1, parameters: int | None = None
    ) -> RunFolder:
        panel = registry.make("toy").panel.head(episodes)
        policy = ExpertAgent("toy") if agent == "expert" else RandomAgent("toy")
        manifest = Manifest(
            created="2026-01-01T00:00:00Z",
            command=f"sad-eval --agent {agent} --env toy --episodes {episodes}",
            world="toy",
            data="generated",
            data_sha256="",
            panel=PanelRecord(name=panel.name, sha256=panel.sha256, task_ids=panel.task_ids),
            agent=agent,
            seed=0,
            repeats=repeats,
            limits={"max_steps": 20},
            identity={} if parameters is None else {"parameters": parameters},
            identity_sha256="0" * 64,
            settings={},
            versions={},
        )
        run = RunFolder.create(tmp_path_factory.mktemp("runs") / f"toy-{agent}", manifest)
        evaluate(run, lambda jobs: rollout(policy, jobs, WorldRecipe("toy")), Tally(20))
        return run

    return make

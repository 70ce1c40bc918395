"""Evaluations in this process and in processes of their own that may be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sad_eval.commands.evaluate import main
from sad_eval.runs.run_folder import RunFolder

from sad_env import registry

HERE = Path(__file__).parent
TIMES = {"seconds", "agent_seconds", "world_seconds"}


@pytest.fixture
def failing_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A world that fails on one task as it is told to, importable here and in workers."""
    monkeypatch.setattr(registry, "_worlds", dict(registry._worlds))
    monkeypatch.syspath_prepend(str(HERE.parent / "agents"))
    import worlds_that_fail

    worlds_that_fail.register()
    yield "failing"
    sys.modules.pop("worlds_that_fail", None)


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `sad-eval` here, in an empty folder, and returns the exit code."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: main([*words, "--quiet"] if words[0].startswith("--") else list(words))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `sad-eval` with the slow expert in a process of its own."""
    processes = []

    def run(*words: str, seconds: float = 0.05, before: str = "") -> subprocess.Popen[str]:
        code = f"import sys; {before}\nfrom sad_eval.commands.evaluate import main\nsys.exit(main(sys.argv[1:]))"
        environment = {**os.environ, "PYTHONPATH": str(HERE), "SLOW_AGENT_SECONDS": str(seconds)}
        process = subprocess.Popen(
            [sys.executable, "-c", code, "--env", "toy", "--agent", "slow_agent:SlowExpert", *words],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def figures(run: RunFolder) -> dict[str, object]:
    """All that must not depend on how often a run was disturbed: counts, metrics but for times, every episode."""
    results = run.results()
    metrics = {name: estimate for name, estimate in results.metrics.items() if name not in TIMES}
    lines = list(run.episodes())
    assert all(line.chain_holds() for line in lines)
    return {
        "status": results.status,
        "counts": results.counts,
        "metrics": metrics,
        "chains": sorted((line.id, line.chain) for line in lines),
    }


@pytest.fixture
def figures_of() -> Callable[[Path], dict[str, object]]:
    return lambda path: figures(RunFolder.open(path))

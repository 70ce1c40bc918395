"""`sad-serve` by OpenEnv's own client and validator, over a real socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

pytest.importorskip("openenv.core", reason="needs openenv: make test-adapters")

from openenv.core import GenericEnvClient

import sad_env

SESSIONS = 16


@pytest.fixture(scope="module", params=["alfworld", "webshop"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A world and its address."""
    flags = ["--env", request.param, "--port", "0", "--sessions", str(SESSIONS)]
    with subprocess.Popen(
        [sys.executable, "-m", "sad_env.adapters.serve", *flags], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield request.param, line.split(" at ")[1].split(" ")[0]
        process.terminate()


def test_openenv_validates_it(served: tuple[str, str]) -> None:
    command = [str(Path(sys.executable).with_name("openenv")), "validate", served[1]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "Verdict: PASS" in done.stdout


def test_the_page_runs_as_printed(page: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    serve = f"exec {page.command('OpenEnv', 'sad-serve').replace('--port 8000', '--port 0')}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        ["bash", "-c", serve], cwd=tmp_path, env=settings, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split(" at ")[1].split(" ")[0]
        validate = page.command("OpenEnv", "openenv").replace("http://127.0.0.1:8000", address)
        assert "Verdict: PASS" in page.run(validate, tmp_path)
        exec("".join(page.blocks("OpenEnv")).replace("http://127.0.0.1:8000", address), {})
        process.terminate()
    printed = capsys.readouterr().out
    assert "Your task is to" in printed
    assert " 0.0 False\n" in printed
    assert "'step_count': 1" in printed


async def _play(harness: Any, world: str, address: str, tasks: list[str], outcomes: dict[str, Any]) -> None:
    async with GenericEnvClient(base_url=address) as client:
        while tasks:
            task_id = tasks.pop()
            result = await client.reset(task_id=task_id)
            expert, steps = harness.expert(world, task_id, result.observation["text"], _info(result.observation)), 0
            while not result.done:
                action = expert.decide().action
                result = await client.step({"text": action})
                expert.observe(action, result.observation["text"], _info(result.observation))
                steps += 1
            state = await client.state()
            assert (state["task_id"], state["step_count"]) == (task_id, steps)
            outcomes[task_id] = (result.observation["success"], steps)


def _info(observation: dict[str, object]) -> dict[str, object]:
    info = {name: value for name, value in observation.items() if name not in ("text", "info")}
    return info | dict(observation["info"])  # type: ignore[call-overload,no-any-return]


def test_sessions_at_once_play_as_our_harness_does(served: tuple[str, str], harness: Any) -> None:
    world, address = served
    due = harness.play(world)
    tasks, outcomes = list(due), {}

    async def all_sessions() -> None:
        await asyncio.gather(*(_play(harness, world, address, tasks, outcomes) for _ in range(SESSIONS)))

    with harness.timed(f"openenv {world}, {SESSIONS} sessions", len(due)):
        asyncio.run(all_sessions())
    assert len(due) == 100
    assert outcomes == due


def test_tasks_are_listed_by_split_and_played_by_index(served: tuple[str, str]) -> None:
    world, address = served
    splits = [one["name"] for one in requests.get(f"{address}/{world}/splits", timeout=30).json()]
    assert splits == sad_env.splits(world)
    split = splits[0]
    tasks = sad_env.panel(world, split).task_ids
    count = requests.post(f"{address}/{world}/num_tasks", json={"split": split}, timeout=30).json()
    assert count == {"num_tasks": len(tasks)}
    with GenericEnvClient(base_url=address).sync() as client:
        assert client.reset(split=split, index=2).observation["task_id"] == tasks[2]
        for wrong in ({"index": 10**9}, {"split": "tset"}, {"index": 1, "task_id": tasks[0]}):
            with pytest.raises(RuntimeError):
                client.reset(**wrong)


def test_sessions_are_bounded_and_pages_of_other_sites_are_refused(served: tuple[str, str]) -> None:
    address = served[1]
    for headers in ({"Origin": "http://elsewhere.example"}, {"Host": "elsewhere.example"}):
        assert requests.get(f"{address}/health", headers=headers, timeout=30).status_code == 403
    reset = f"{address}/reset"
    assert requests.post(reset, data=b" " * (2**20 + 1), timeout=30).status_code == 413
    assert requests.post(reset, data=iter([b"{}"]), timeout=30).status_code == 411
    assert requests.get(f"{address}/health", headers={"Origin": address}, timeout=30).status_code == 200

    async def too_many() -> int:
        clients = [GenericEnvClient(base_url=address) for _ in range(SESSIONS + 1)]
        opened = 0
        for client in clients:
            try:
                await client.reset(seed=1)
                opened += 1
            except Exception:
                break
        for client in clients:
            await client.close()
        return opened

    assert asyncio.run(too_many()) == SESSIONS

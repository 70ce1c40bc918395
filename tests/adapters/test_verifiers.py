"""Worlds through verifiers' own episodes, with a served model that writes what the expert would."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sad_env.transcript import compose, parse

pytest.importorskip("verifiers.v1", reason="needs verifiers: make test-adapters")


Outcomes = dict[str, tuple[bool, int]]


async def episodes_of(settings: dict[str, Any], address: str) -> list[Any]:
    """All tasks of a taskset, 16 at once, with the model at an address."""
    import verifiers.v1 as vf
    from verifiers.v1.utils.loaders import load_environment, resolve_env_config

    env = load_environment(resolve_env_config(settings))
    client = vf.EvalClientConfig(base_url=address, api_key_var="EXPERT_KEY")
    context, gate = vf.ModelContext(model="expert", client=client), asyncio.Semaphore(16)
    async with env.serving():
        slots = [slot for task in env.taskset for slot in env.slots(task)]
        return await asyncio.gather(*(env.run_slot(slot, context, gate) for slot in slots))


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, int], Outcomes]:
    """Plays the first tasks of a world through verifiers, with the model at an address: won and steps by task."""
    from sad_agents.frameworks.verifiers import plug_in

    monkeypatch.setenv("EXPERT_KEY", "none")

    def all_of(world: str, address: str, episodes: int) -> Outcomes:
        settings = {"taskset": {"id": plug_in(), "world": world, "episodes": episodes}}
        outcomes = {}
        for episode in asyncio.run(episodes_of(settings, address)):
            assert episode.ok, [*episode.errors, *(one for trace in episode.traces for one in trace.errors)]
            (trace,) = episode.traces
            metrics = trace.metrics
            outcomes[episode.task.data.task_id] = (metrics["success"] == 1.0, int(metrics["steps"]))
            assert trace.num_turns == metrics["steps"]
        return outcomes

    return all_of


@pytest.mark.parametrize("world", ["alfworld", "hotpotqa"])
@pytest.mark.filterwarnings("ignore")
def test_an_expert_plays_there_as_in_our_harness(
    world: str, harness: Any, model_server: Any, play: Callable[..., Any]
) -> None:
    due = harness.play(world)
    with model_server(harness.writer(world)) as address, harness.timed(f"verifiers {world}", len(due)):
        outcomes = play(world, address, len(due))
    assert outcomes == due


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_is_busy_or_breaks_off_is_asked_again(
    harness: Any, model_server: Any, play: Callable[..., Any]
) -> None:
    """Every third request fails, and yet each step is one turn of the trace."""
    due = harness.play("alfworld")
    with model_server(harness.writer("alfworld"), busy=(503, 429, 0, 500)) as address:
        outcomes = play("alfworld", address, 8)
    assert len(outcomes) == 8
    assert outcomes.items() <= due.items()


@pytest.mark.filterwarnings("ignore")
def test_a_request_that_the_model_refuses_is_no_reason_to_try_again(
    harness: Any, model_server: Any, play: Callable[..., Any]
) -> None:
    with model_server(harness.writer("alfworld"), busy=(400,)) as address, pytest.raises(AssertionError, match="400"):
        play("alfworld", address, 2)


def test_the_page_runs_as_printed(page: Any, harness: Any, model_server: Any, tmp_path: Path) -> None:
    (tmp_path / "sad_worlds.py").write_text(page.blocks("verifiers")[0])
    command = page.command("verifiers", "PYTHONPATH=. vf-eval sad_worlds")
    kept = os.environ.get("PYTHONPATH", "")  # of a checkout whose packages are not installed
    with model_server(harness.writer("alfworld")) as address:
        command = command.replace("http://localhost:8000/v1", address).replace("PYTHONPATH=.", f"PYTHONPATH=.:{kept}")
        page.run(command, tmp_path, OPENAI_API_KEY="KEY")
    [traces] = tmp_path.glob("outputs/*/traces.jsonl")
    outcomes = {}
    for episode in map(json.loads, traces.read_text().splitlines()):
        metrics = episode["traces"][0]["metrics"]
        outcomes[episode["task"]["data"]["task_id"]] = (metrics["success"] == 1.0, int(metrics["steps"]))
    assert len(outcomes) == 20
    assert outcomes.items() <= harness.play("alfworld").items()


@pytest.fixture
def openenv_server() -> Iterator[str]:
    """`sad-serve` in an environment of its own: no fastmcp, which OpenEnv needs, fits the mcp that verifiers needs."""
    python = os.environ.get("SAD_OPENENV_PYTHON", "")
    if not Path(python).is_file():
        pytest.skip("needs SAD_OPENENV_PYTHON, a Python that has sad-env-core[openenv]")
    command = [python, "-m", "sad_env.adapters.serve", "--env", "alfworld", "--port", "0", "--sessions", "16"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split(" at ")[1].split(" ")[0]
        process.terminate()


@pytest.fixture
def openenv_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenEnv's client beside verifiers: names that it imports for its servers, and never uses (docs/frameworks.md)."""
    pytest.importorskip("openenv", reason="needs pip install --no-deps openenv")
    names = {"Client": object, "FastMCP": object, "CallToolResult": object}
    for module in ("fastmcp", "fastmcp.client", "fastmcp.client.client"):
        monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**names))


@pytest.mark.filterwarnings("ignore")
def test_verifiers_own_openenv_taskset_plays_what_we_play(
    openenv_server: str, openenv_client: None, harness: Any, model_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP and WebSockets: observations come as JSON, and an action is what the model wrote."""
    from sad_agents.frameworks.verifiers import plug_in

    monkeypatch.setenv("EXPERT_KEY", "none")
    due = dict(itertools.islice(harness.play("alfworld").items(), 32))
    write = harness.writer("alfworld")

    def action(turns: list[str]) -> str:
        read = [json.loads(turn)["observation"]["text"] for turn in turns[::2]]
        chat = [text for pair in itertools.zip_longest(read, map(as_completion, turns[1::2])) for text in pair if text]
        return str(parse(write(chat)).action)

    settings = {
        "taskset": {"id": "openenv", "base_url": openenv_server, "resets": [{"task_id": task} for task in due]},
        "player": {"harness": {"id": plug_in()}, "runtime": {"type": "subprocess"}},
    }
    with model_server(action) as address, harness.timed("verifiers' openenv taskset", len(due)):
        episodes = asyncio.run(episodes_of(settings, address))
    outcomes = {}
    for episode in episodes:
        assert episode.ok, [*episode.errors, *(one for trace in episode.traces for one in trace.errors)]
        (trace,) = episode.traces
        outcomes[episode.task.data.reset["task_id"]] = (trace.reward > 0, trace.num_turns)
    assert outcomes == due
    assert len(outcomes) == 32


def as_completion(action: str) -> str:
    return compose("", action).text

"""Worlds through verifiers' own episodes, with a served model that writes what the expert would."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sad_env.transcript import compose, parse

pytest.importorskip("verifiers.v1", reason="needs verifiers: make test-adapters")


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    """With the default of 5, cores that are busy let connections of 16 episodes wait until they are given up."""


@contextmanager
def model_server(write: Callable[[list[str]], str], busy: Sequence[int] = ()) -> Iterator[str]:
    """An OpenAI-compatible server of a model that is a function of the turns after the system's.

    Every third request meets one of the statuses `busy`, in turn, where there are some; 0 is a connection that breaks.
    """
    faults, lock, numbers = itertools.cycle(busy), threading.Lock(), itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def refused(self) -> bool:
            with lock:
                if not busy or next(numbers) % 3:
                    return False
                status = next(faults)
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.close_connection = True
            return True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.refused():
                return
            turns = [one["content"] for one in request["messages"] if one["role"] != "system"]
            message = {"role": "assistant", "content": write(turns)}
            answer = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": request["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


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
def test_an_expert_plays_there_as_in_our_harness(world: str, harness: Any, play: Callable[..., Any]) -> None:
    due = harness.play(world)
    with model_server(harness.writer(world)) as address, harness.timed(f"verifiers {world}", len(due)):
        outcomes = play(world, address, len(due))
    assert outcomes == due


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_is_busy_or_breaks_off_is_asked_again(harness: Any, play: Callable[..., Any]) -> None:
    """Every third request fails, and yet each step is one turn of the trace."""
    due = harness.play("alfworld")
    with model_server(harness.writer("alfworld"), busy=(503, 429, 0, 500)) as address:
        outcomes = play("alfworld", address, 8)
    assert len(outcomes) == 8
    assert outcomes.items() <= due.items()


@pytest.mark.filterwarnings("ignore")
def test_a_request_that_the_model_refuses_is_no_reason_to_try_again(harness: Any, play: Callable[..., Any]) -> None:
    with model_server(harness.writer("alfworld"), busy=(400,)) as address, pytest.raises(AssertionError, match="400"):
        play("alfworld", address, 2)


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
    openenv_server: str, openenv_client: None, harness: Any, monkeypatch: pytest.MonkeyPatch
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

"""Worlds through verifiers' own episodes, with a served model that writes what the expert would."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

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
            message = {"role": "assistant", "content": write([one["content"] for one in request["messages"][1:]])}
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


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, int], dict[str, tuple[bool, int]]]:
    """Plays the first tasks of a world through verifiers, with the model at an address: won and steps by task."""
    import verifiers.v1 as vf
    from sad_agents.frameworks.verifiers import plug_in
    from verifiers.v1.utils.loaders import load_environment, resolve_env_config

    monkeypatch.setenv("EXPERT_KEY", "none")

    async def all_of(world: str, address: str, episodes: int) -> dict[str, tuple[bool, int]]:
        outcomes = {}
        env = load_environment(resolve_env_config({"taskset": {"id": plug_in(), "world": world, "episodes": episodes}}))
        client = vf.EvalClientConfig(base_url=address, api_key_var="EXPERT_KEY")
        context, gate = vf.ModelContext(model="expert", client=client), asyncio.Semaphore(16)
        async with env.serving():
            slots = [slot for task in env.taskset for slot in env.slots(task)]
            for episode in await asyncio.gather(*(env.run_slot(slot, context, gate) for slot in slots)):
                assert episode.ok, episode.errors
                (trace,) = episode.traces
                metrics = trace.metrics
                outcomes[episode.task.data.task_id] = (metrics["success"] == 1.0, int(metrics["steps"]))
                assert trace.num_turns == metrics["steps"]
        return outcomes

    return lambda world, address, episodes: asyncio.run(all_of(world, address, episodes))


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

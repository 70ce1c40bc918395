"""Worlds through verifiers' own episodes, with a served model that writes what the expert would."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("verifiers.v1", reason="needs verifiers: make test-adapters")


@contextmanager
def model_server(write: Callable[[list[str]], str]) -> Iterator[str]:
    """An OpenAI-compatible server of a model that is a function of the turns after the system's."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


@pytest.mark.parametrize("world", ["alfworld", "hotpotqa"])
@pytest.mark.filterwarnings("ignore")
def test_an_expert_plays_there_as_in_our_harness(world: str, harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import verifiers.v1 as vf
    from sad_agents.frameworks.verifiers import plug_in
    from verifiers.v1.utils.loaders import load_environment, resolve_env_config

    monkeypatch.setenv("EXPERT_KEY", "none")
    due, outcomes = harness.play(world), {}
    config = resolve_env_config({"taskset": {"id": plug_in(), "world": world, "episodes": len(due)}})

    async def play(address: str) -> None:
        env = load_environment(config)
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

    with model_server(harness.writer(world)) as address, harness.timed(f"verifiers {world}", len(due)):
        asyncio.run(play(address))
    assert outcomes == due

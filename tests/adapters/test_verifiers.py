"""Worlds through verifiers' own episodes, with a served model that writes what the expert would."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sad_env.transcript import compose, parse

SERVED = 32

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


@pytest.mark.filterwarnings("ignore")
def test_verifiers_own_openenv_taskset_plays_a_served_world_as_we_do_in_process(
    harness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openenv", reason="needs openenv beside verifiers")
    import verifiers.v1 as vf
    from sad_agents.frameworks.verifiers import plug_in
    from verifiers.v1.utils.loaders import load_environment, resolve_env_config

    monkeypatch.setenv("EXPERT_KEY", "none")
    due, write, outcomes = harness.play("alfworld"), harness.writer("alfworld"), {}
    due = dict(list(due.items())[:SERVED])
    resets = [{"task_id": task} for task in due]

    def answer(turns: list[str]) -> str:
        # There the world's words come as JSON, and the action is all that is answered.
        seen = [json.loads(turn)["observation"]["text"] for turn in turns[::2]]
        chat = [seen[0]]
        for action, text in zip(turns[1::2], seen[1:], strict=True):
            chat += [compose("", json.loads(action)["text"]).text, text]
        return json.dumps({"text": parse(write(chat)).action})

    async def play(model: str, world: str) -> None:
        config = {"id": "openenv", "base_url": world, "resets": resets}
        seat = {"harness": {"id": plug_in()}, "runtime": {"type": "subprocess"}}
        env = load_environment(resolve_env_config({"taskset": config, "player": seat}))
        client = vf.EvalClientConfig(base_url=model, api_key_var="EXPERT_KEY")
        context, gate = vf.ModelContext(model="expert", client=client), asyncio.Semaphore(8)
        async with env.serving():
            slots = [slot for task in env.taskset for slot in env.slots(task)]
            for episode in await asyncio.gather(*(env.run_slot(slot, context, gate) for slot in slots)):
                assert episode.ok, episode.errors
                (trace,) = episode.traces
                outcomes[episode.task.data.reset["task_id"]] = (trace.reward == 1.0, trace.num_turns)

    command = [sys.executable, "-m", "sad_env.adapters.serve", "--env", "alfworld", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, model_server(answer) as model:
        assert process.stdout is not None
        world = process.stdout.readline().split(" at ")[1].split(" ")[0]
        with harness.timed("verifiers' openenv taskset", len(due)):
            asyncio.run(play(model, world))
        process.terminate()
    assert len(due) == SERVED
    assert outcomes == due

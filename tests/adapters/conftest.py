"""What an expert does in our own harness, which every framework has to repeat."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sad_agents.policies import ExpertAgent
from sad_agents.rollout.episodes import episode_seed
from sad_agents.rollout.rollout import Job, WorldRecipe, rollout

import sad_env
from sad_env.expert import Expert
from sad_env.records import Status
from sad_env.transcript import compose, parse

EPISODES = 100
PAGE = Path(__file__).resolve().parents[2] / "docs" / "frameworks.md"

Outcomes = dict[str, tuple[bool, int]]
"""Task id to: won, steps."""


class Harness:
    """Our own harness, and the experts that it would have."""

    def play(self, world: str) -> Outcomes:
        """Let the expert play the first tasks of a world's panel, as `sad-eval` does."""
        jobs = [Job(task) for task in sad_env.panel(world, episodes=EPISODES).task_ids]
        recipe = WorldRecipe(world, {"split": sad_env.panel(world).name})
        done = [one.trajectory for one in rollout(ExpertAgent(world), jobs, recipe)]
        return {one.task_id: (one.status is Status.SUCCESS, len(one.steps)) for one in done}

    def expert(self, world: str, task_id: str, observation: str, info: Mapping[str, Any]) -> Expert:
        """The expert of this episode, after its first observation."""
        expert = sad_env.make_expert(world, seed=episode_seed(Job(task_id)))
        expert.begin(observation, info)
        return expert

    def writer(self, world: str) -> Callable[[list[str]], str]:
        """A model that writes what the expert would: from a chat's turns after the system's, the first an observation.

        The expert is made anew for every turn, from nothing but the chat: it has no memory of its own.
        """
        env = sad_env.make(world)
        tasks = {env.reset(options={"task_id": task})[0]: task for task in env.panel.task_ids}

        def write(turns: list[str]) -> str:
            expert = self.expert(world, tasks[turns[0]], turns[0], env.reset(options={"task_id": tasks[turns[0]]})[1])
            for completion, observation in zip(turns[1::2], turns[2::2], strict=True):
                expert.observe(parse(completion).action, observation, {})
            return compose(*expert.decide()).text

        return write

    @contextmanager
    def timed(self, name: str, episodes: int) -> Iterator[None]:
        """Prints episodes per second of wall time; read with -s."""
        began = time.perf_counter()
        yield
        print(f"\n{name}: {episodes / (time.perf_counter() - began):.1f} episodes/s")


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    """With the default of 5, cores that are busy let connections of 16 episodes wait until they are given up."""


@contextmanager
def _serving(write: Callable[[list[str]], str], busy: Sequence[int] = ()) -> Iterator[str]:
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


@pytest.fixture(scope="session")
def model_server() -> Callable[..., AbstractContextManager[str]]:
    """See `_serving`."""
    return _serving


@pytest.fixture(scope="session")
def harness() -> Harness:
    return Harness()


class Page:
    """A section of docs/frameworks.md, as a newcomer copies it."""

    def blocks(self, section: str, language: str = "python") -> list[str]:
        """What stands between fences of a language."""
        text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        found: list[str] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
        assert found
        return found

    def command(self, section: str, beginning: str) -> str:
        """The command of a section that begins so."""
        lines = "".join(self.blocks(section, "console")).splitlines()
        [line] = [line for line in lines if line.startswith(f"$ {beginning}")]
        return line[2:]

    def run(self, command: str, folder: Path, **settings: str) -> str:
        """What a command prints in a folder of its own, with this environment's programs; it has to end well."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**os.environ, "PATH": path, **settings},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture(scope="session")
def page() -> Page:
    return Page()

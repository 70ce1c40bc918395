"""Episodes over a slow server: how much of its waiting overlaps, against asking for all episodes in lock-step.

    python benchmarks/served_rollouts.py                           # 20 episodes of 10 steps

A server on this machine answers completions after 0.1 s, and every tenth of them after 3 s: first, one request of each
episode; then each with a chance of one in ten, by its own seed, so that some episodes meet several. The same agent
plays the same episodes twice: each episode asked for by itself, and all that are ready in one call, as an agent is
asked that does not say that it is concurrent. Seconds are of wall time: what is measured is waiting. No order of asking
could be faster than the episode that waits longest for its own answers, which is printed, too.
"""

from __future__ import annotations

import argparse
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sad_agents.openai_model import OpenAIModel
from sad_agents.prompts import load_prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe

from sad_env.toy import toy_panel

PROMPT = load_prompt("toy")


class LockStepAgent(ReActAgent):
    """Is asked for all episodes that are ready in one call."""

    concurrent = False


class SlowServer(ThreadingHTTPServer):
    """Answers every request with the same action, some of them late.

    Args:
        given: the settings.
        evenly: one request of each episode is slow, not any.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, given: argparse.Namespace, *, evenly: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.given, self.evenly = given, evenly
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def seconds(self, body: dict[str, Any]) -> float:
        """How long a request waits for its answer."""
        episode, _, history = body["prompt"].removeprefix(PROMPT.text(0)).partition("\nReasoning:")
        if self.evenly:
            late = random.Random(episode).randrange(self.given.every)
            slow = history.count("\nAction:") % self.given.every == late
        else:
            slow = random.Random(body["seed"]).random() < 1 / self.given.every
        return float(self.given.slow if slow else self.given.quick)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._reply({"data": [{"id": "model"}]})

    def do_POST(self) -> None:
        assert isinstance(self.server, SlowServer)
        time.sleep(self.server.seconds(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        text = "Reasoning: I look.\nAction: look\n"
        self._reply({"choices": [{"text": text, "finish_reason": "stop"}], "usage": {"completion_tokens": 9}})

    def _reply(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


def play(kind: type[ReActAgent], given: argparse.Namespace, *, evenly: bool) -> tuple[float, int, float]:
    """Wall seconds, steps, and the longest that an episode waited for its own answers."""
    server = SlowServer(given, evenly=evenly)
    agent = kind(OpenAIModel(f"http://127.0.0.1:{server.server_port}", concurrency=given.episodes), PROMPT)
    jobs = [Job(task) for task in toy_panel("test").task_ids[: given.episodes]]
    limits = Limits(max_steps=given.steps)
    began = time.perf_counter()
    played = [one.trajectory for one in rollout(agent, jobs, WorldRecipe("toy"), live=given.episodes, limits=limits)]
    seconds = time.perf_counter() - began
    server.shutdown()
    own = max(sum(step.agent_seconds for step in one.steps) for one in played)
    return seconds, sum(len(one.steps) for one in played), own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--quick", type=float, default=0.1)
    parser.add_argument("--slow", type=float, default=3.0)
    parser.add_argument("--every", type=int, default=10)
    given = parser.parse_args()
    for evenly in (True, False):
        print(f"slow: {'one request of each episode' if evenly else 'each request with the same chance'}")
        seconds, steps, own = play(ReActAgent, given, evenly=evenly)
        print(f"  each by itself {seconds:5.1f} s, {steps} steps; its longest episode waited {own:.1f} s")
        seconds, steps, _ = play(LockStepAgent, given, evenly=evenly)
        print(f"  in lock-step   {seconds:5.1f} s, {steps} steps")


if __name__ == "__main__":
    main()

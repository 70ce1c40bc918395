"""Model servers that are down, slow, busy or broken: a run waits, or owes its episodes and goes on later."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sad_agents.collect_command import main as collect
from sad_agents.openai_answers import served_changes
from sad_eval.runs.run_folder import RunFolder

from sad_env.http import Patience
from sad_env.toy import ROOMS

Evaluate = Callable[..., int]
Figures = Callable[[Path], dict[str, object]]
EPISODES = 8


def policy(prompt: str) -> str:
    """Plays the toy world from the text of a prompt."""
    episode = prompt[prompt.rindex("You are in a corridor.") :]
    wanted = re.search(r"Bring the (\w+)\.", episode)
    seen = re.findall(r"You are in the (\w+)\. You see: (.*)\.", episode)
    assert wanted is not None
    if seen and wanted[1] in seen[-1][1].split(", "):
        return f"Reasoning: here it is.\nAction: take {wanted[1]}\n"
    room = next(room for room in ROOMS if room not in [name for name, _ in seen])
    return f"Reasoning: not there; the {room} is next.\nAction: go to {room}\n"


class Server:
    """An OpenAI-compatible server that misbehaves as long as `faults` says."""

    def __init__(self) -> None:
        self.faults = 0
        self.how = ""
        self.said: dict[str, object] = {}
        """Of the model, in /models."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(200, {"data": [{"id": "toy-player", **server.said}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if server.faults > 0:
                    server.faults -= 1
                    getattr(self, server.how)()
                    return
                self.answer(200, {"choices": [{"text": policy(body["prompt"])}], "usage": {"completion_tokens": 9}})

            def answer(self, status: int, value: Any, **headers: str) -> None:
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(data)

            def busy(self) -> None:
                self.answer(429, {"error": "slow down"})

            def broken(self) -> None:
                self.answer(503, b"<html>unavailable</html>")

            def other_json(self) -> None:
                self.answer(200, {"answer": 42})

            def no_json(self) -> None:
                self.answer(200, b"{'choices': [")

            def closes(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"choices": [{"te')
                self.close_connection = True

            def slow(self) -> None:
                time.sleep(0.4)
                self.busy()

            def log_message(self, *_: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sad_agents.loading.PATIENCE", Patience(pause=0.01))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def words(server: Server, out: str, live: int = 4) -> list[str]:
    flags = ["--env", "toy", "--agent", f"openai:{server.url}", "--episodes", str(EPISODES), "--workers", "0"]
    return [*flags, "--concurrency", str(live), "--out", out]


def chains(path: str) -> list[tuple[str, str]]:
    return sorted((line.key.task_id, line.chain) for line in RunFolder.open(path).episodes())


@pytest.mark.parametrize("how", ["busy", "slow", pytest.param("broken", marks=pytest.mark.slow)])
def test_a_short_fault_is_waited_out(
    server: Server, evaluate: Evaluate, figures_of: Figures, tmp_path: Path, how: str
) -> None:
    assert evaluate(*words(server, "calm")) == 0
    server.how, server.faults = how, 2
    assert evaluate(*words(server, "run")) == 0
    assert server.faults == 0
    assert figures_of(tmp_path / "run") == figures_of(tmp_path / "calm")
    assert RunFolder.open("run").results().counts["success"] == EPISODES


@pytest.mark.parametrize(
    "how", ["other_json", *(pytest.param(how, marks=pytest.mark.slow) for how in ("no_json", "closes"))]
)
def test_a_server_that_talks_nonsense_leaves_episodes_owed_until_it_is_well(
    server: Server, evaluate: Evaluate, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    assert evaluate(*words(server, "calm")) == 0
    server.how, server.faults = how, 10**9
    assert evaluate(*words(server, "run")) == 3
    error = capsys.readouterr().err
    assert server.url in error
    assert f"0 done, {EPISODES} owed; run the same command to go on" in error
    results = RunFolder.open("run").results()
    assert (results.status, results.metrics, results.bounds) == ("incomplete", {}, (0.0, 1.0))
    assert results.counts["infra_error"] > 0
    assert results.counts["infra_error"] + results.counts["cancelled"] == EPISODES
    server.faults = 0
    assert evaluate(*words(server, "run")) == 0
    assert chains("run") == chains("calm")
    assert any(len(line.attempts) > 1 for line in RunFolder.open("run").episodes())


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_and_comes_back_elsewhere(evaluate: Evaluate) -> None:
    """The address of a server is no part of what a run is."""
    first = Server()
    assert evaluate(*words(first, "calm")) == 0
    first.how, first.faults = "closes", 0
    threading.Timer(0.2, lambda: setattr(first, "faults", 10**9)).start()
    code = evaluate(*words(first, "run", live=1))
    first.close()
    assert code in (0, 3)
    second = Server()
    assert evaluate(*words(second, "run", live=1)) == 0
    second.close()
    assert chains("run") == chains("calm")


OLD, NEWER = 1_600_000_000, 1_700_000_000


@pytest.mark.parametrize(
    ("before", "now", "fact"),
    [
        ({"created": OLD}, {"created": NEWER}, "created '1600000000', not '1700000000'"),
        ({"root": "a"}, {"root": "b"}, "root 'a', not 'b'"),
        ({"owned_by": "vllm"}, {"owned_by": "llamacpp"}, "owned_by 'vllm', not 'llamacpp'"),
        ({"root": "a", "revision": "1"}, {"root": "a", "revision": "2"}, "revision '1', not '2'"),
        ({"root": "a", "owned_by": "x"}, {"owned_by": "x"}, "root 'a', not nothing"),
        ({"owned_by": "x"}, {"root": "a", "owned_by": "x"}, "root nothing, not 'a'"),
        ({"created": OLD}, {}, "created '1600000000', not nothing"),
    ],
)
def test_other_weights_under_the_same_name_are_refused(
    server: Server,
    evaluate: Evaluate,
    capsys: pytest.CaptureFixture[str],
    before: dict[str, object],
    now: dict[str, object],
    fact: str,
) -> None:
    server.said = before
    assert evaluate(*words(server, "run")) == 0
    collected = ["--env", "toy", "--agent", f"openai:{server.url}", "--episodes", "2", "--workers", "0", "--quiet"]
    assert collect([*collected, "--out", "toy.jsonl"]) == 0
    server.said = now
    capsys.readouterr()
    assert evaluate(*words(server, "run")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"'run' was run with agent served {fact} (the server has other weights under this name)" in error
    assert "take another --out, or begin anew with --new" in error
    assert collect([*collected, "--out", "toy.jsonl"]) == 2
    assert f"was made with another served {fact.split()[0]}: name another --out" in capsys.readouterr().err
    server.said = before
    assert evaluate(*words(server, "run")) == 0
    assert "nothing played: results of " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {"root": "a", "created": OLD}),  # a server that told nothing, or a run of before servers were asked
        ({"root": "a"}, {"root": "a", "created": OLD}),
    ],
)
def test_a_server_that_begins_to_tell_of_weights_older_than_the_run_is_the_same(
    server: Server, evaluate: Evaluate, before: dict[str, object], now: dict[str, object]
) -> None:
    server.said = before
    assert evaluate(*words(server, "run")) == 0
    server.said = now
    assert evaluate(*words(server, "run")) == 0


def test_the_time_of_a_request_is_no_fact_of_the_weights(server: Server, evaluate: Evaluate) -> None:
    """vLLM and llama.cpp give it as the time at which the model was created."""
    server.said = {"root": "a", "created": int(time.time())}
    assert evaluate(*words(server, "run")) == 0
    assert "agent served created" not in RunFolder.open("run").manifest.identity
    server.said = {"root": "a", "created": int(time.time()) + 1}
    assert evaluate(*words(server, "run")) == 0


def test_weights_that_were_made_after_the_run_was_begun_are_others() -> None:
    """A day later their age is told; that they are newer than the run then is certain."""
    begun = 1_700_000_000.0
    assert served_changes({"root": "a"}, {"root": "a", "created": "1700003600"}, begun) == ["created"]
    assert served_changes({}, {"created": "1700003600"}, begun) == ["created"]
    assert served_changes({"root": "a"}, {"root": "a", "created": "1699999000"}, begun) == []
    assert served_changes({}, {}, begun) == []

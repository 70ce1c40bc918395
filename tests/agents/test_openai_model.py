from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sad_agents.agent import Sampling
from sad_agents.model import Piece, Request
from sad_agents.openai_model import OpenAIModel
from sad_agents.prompts import load_prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, WorldRecipe, rollout

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.http import Patience
from sad_env.records import Status
from sad_env.toy import toy_panel
from sad_env.transcript import FORMS, Form

TASKS = toy_panel("test").task_ids
REQUEST = Request("1.0", (Piece("Do it.\n"),), (Piece("Observation: x\n"),), "7")
Reply = tuple[int, dict[str, str], bytes]


class Server(ThreadingHTTPServer):
    """A model server whose answers to POST are scripted; the last one is repeated."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Callable[[dict[str, Any]], Reply | None]] = [completion("Action: look\n")]
        self.seen: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.models: dict[str, Any] = {"data": [{"id": "tiny", "max_model_len": 512}]}
        self.chat_only = False
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.reply((200, {}, json.dumps(self.server.models).encode()))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.chat_only and not self.path.endswith("/chat/completions"):
            self.reply((404, {}, b"{}"))
            return
        with self.server.lock:
            self.server.seen.append((self.path, body, dict(self.headers)))
            answer = self.server.script.pop(0) if len(self.server.script) > 1 else self.server.script[0]
        reply = answer(body)
        if reply is None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
        else:
            self.reply(reply)

    def reply(self, reply: Reply) -> None:
        status, headers, body = reply
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def completion(text: str, tokens: int = 5, wait: float = 0.0) -> Callable[[dict[str, Any]], Reply]:
    def answer(body: dict[str, Any]) -> Reply:
        time.sleep(wait)
        choice = {"message": {"content": text}} if "messages" in body else {"text": text}
        return 200, {}, json.dumps({"choices": [choice], "usage": {"completion_tokens": tokens}}).encode()

    return answer


def status(code: int, text: str = "busy", **headers: str) -> Callable[[dict[str, Any]], Reply]:
    return lambda body: (code, headers, text.encode())


def raw(text: bytes) -> Callable[[dict[str, Any]], Reply]:
    return lambda body: (200, {}, text)


def closed(body: dict[str, Any]) -> None:
    """The connection ends in the middle of the answer."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield one
        one.shutdown()


def model(server: Server, url: str = "", **options: Any) -> OpenAIModel:
    patience = Patience(
        seconds=0, pause=0.01, attempts=options.pop("attempts", 4), answer=options.pop("seconds", 5.0), connect=1
    )
    return OpenAIModel(url or server.url, patience=patience, **options)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_base_url_with_or_without_v1(server: Server, suffix: str) -> None:
    (answer,) = model(server, server.url + suffix).complete([REQUEST], Sampling(temperature=0.5, max_tokens=9))
    assert (answer.text, answer.generated, answer.stop) == ("Action: look\n", 5, None)
    path, body, _ = server.seen[0]
    assert path == "/v1/completions"
    assert body["prompt"] == "Do it.\nObservation: x\n"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("tiny", 0.5, 9)


def test_chat_where_there_are_no_completions(server: Server) -> None:
    server.chat_only = True
    served = model(server)
    for _ in range(2):
        (answer,) = served.complete([REQUEST], Sampling())
        assert answer.text == "Action: look\n"
    assert [path for path, _, _ in server.seen] == ["/v1/chat/completions"] * 2
    assert server.seen[0][1]["messages"] == [{"role": "user", "content": "Do it.\nObservation: x\n"}]


def test_key_comes_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    model(server).complete([REQUEST], Sampling())
    assert server.seen[0][2]["Authorization"] == "Bearer abc"


def test_seed_is_the_requests_and_draws_repeat(server: Server) -> None:
    served = model(server)
    other = Request("2.0", REQUEST.head, REQUEST.tail, "8")
    served.complete([REQUEST], Sampling())
    served.complete([other], Sampling())
    served.complete([REQUEST], Sampling())
    seeds = [body["seed"] for _, body, _ in server.seen]
    assert seeds[0] == seeds[2] != seeds[1]


@pytest.mark.parametrize(
    "trouble", [status(429, **{"Retry-After": "0"}), status(500), status(503), closed, raw(b"<html>"), raw(b"[1]")]
)
def test_passing_trouble_is_waited_out(server: Server, trouble: Any) -> None:
    server.script = [trouble, trouble, completion("Action: look\n")]
    (answer,) = model(server).complete([REQUEST], Sampling())
    assert (answer.text, answer.stop) == ("Action: look\n", None)
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("trouble", "reason", "tries"),
    [
        (status(500, "\x1b[2Jdown"), r"HTTP 500: ␛\[2Jdown after 3 tries", 3),
        (status(429), "HTTP 429", 3),
        (status(401, "no key"), "HTTP 401: no key$", 1),
        (raw(b"not json"), "no JSON after 3 tries", 3),
        (raw(b"{}"), "another form.* after 3 tries", 3),
        (closed, "closed the connection|unreachable|no answer|no JSON|broken|Connection", 3),
    ],
)
def test_lasting_trouble_is_one_line_of_infra_error(server: Server, trouble: Any, reason: str, tries: int) -> None:
    server.script = [trouble]
    (answer,) = model(server, attempts=3).complete([REQUEST], Sampling())
    assert answer.stop is Status.INFRA_ERROR
    import re

    assert re.search(reason, answer.error), answer.error
    assert "\n" not in answer.error
    assert "\x1b" not in answer.error
    assert len(server.seen) == tries


def test_a_slow_server_is_given_up(server: Server) -> None:
    server.script = [completion("Action: look\n", wait=1.5)]
    (answer,) = model(server, seconds=0.2, attempts=2).complete([REQUEST], Sampling())
    assert answer.stop is Status.INFRA_ERROR
    assert "no answer within 0.2 s after 2 tries" in answer.error


def test_a_full_context_is_a_budget(server: Server) -> None:
    server.script = [status(400, "This model's maximum context length is 10 tokens")]
    (answer,) = model(server).complete([REQUEST], Sampling())
    assert answer.stop is Status.BUDGET


def test_nobody_there() -> None:
    with pytest.raises(InfrastructureError, match="unreachable after 2 tries: is the server ready") as caught:
        OpenAIModel("http://127.0.0.1:9", patience=Patience(attempts=2, pause=0.01))
    assert "\n" not in str(caught.value)


def test_address_and_model_name_are_checked(server: Server) -> None:
    with pytest.raises(ConfigError, match="named by its address"):
        OpenAIModel("localhost:8000")
    with pytest.raises(ConfigError, match="it serves: tiny"):
        model(server, model="huge")
    server.models = {"data": [{"id": "a"}, {"id": "b"}]}
    with pytest.raises(ConfigError, match="add #NAME"):
        model(server)
    server.models = {"models": []}
    with pytest.raises(InfrastructureError, match="another form"):
        model(server)


def test_requests_go_out_at_once(server: Server) -> None:
    together = threading.Barrier(8, timeout=30)

    def answer(body: dict[str, Any]) -> Reply:
        together.wait()  # nobody is answered before all have asked
        return completion("Action: look\n")(body)

    server.script = [answer]
    requests = [Request(f"{n}.0", REQUEST.head, REQUEST.tail, str(n)) for n in range(8)]
    assert len(model(server, concurrency=8).complete(requests, Sampling())) == 8


def test_episodes_over_a_server_with_bad_moments(server: Server) -> None:
    server.script = [completion("Reasoning: hm\nAction: look\n"), status(500), closed, completion("Action: look\n")]
    agent = ReActAgent(model(server), load_prompt("toy"), shots=1)
    finished = list(rollout(agent, [Job(task) for task in TASKS[:4]], WorldRecipe("toy"), limits=Limits(max_steps=3)))
    assert {one.trajectory.status for one in finished} == {Status.MAX_STEPS}
    assert all(step.generated_tokens == 5 for one in finished for step in one.trajectory.steps)


def test_a_server_that_dies_leaves_its_episodes_owed(server: Server) -> None:
    server.script = [*[completion("Action: look\n")] * 4, status(500)]
    agent = ReActAgent(model(server, attempts=2), load_prompt("toy"))
    finished = []
    with pytest.raises(InfrastructureError, match="HTTP 500"):
        finished.extend(rollout(agent, [Job(task) for task in TASKS[:4]], WorldRecipe("toy"), live=2))
    assert all(one.trajectory.status is Status.INFRA_ERROR for one in finished)


HEAD = (Piece("Play.\n\n", role="system"), Piece("Observation: x\n", role="user"))
TURNS = Request("1.0", HEAD, (), "7")


def answers(text: str | None, ending: str = "stop", **message: str) -> Callable[[dict[str, Any]], Reply]:
    def answer(body: dict[str, Any]) -> Reply:
        choice: dict[str, Any] = {"finish_reason": ending, "text": text}
        if "messages" in body:
            choice = {"finish_reason": ending, "message": {"content": text, **message}}
        return 200, {}, json.dumps({"choices": [choice]}).encode()

    return answer


def test_chat_sends_turns_as_messages(server: Server) -> None:
    served = model(server, chat="on")
    (answer,) = served.complete([TURNS], Sampling())
    ((path, body, _),) = server.seen
    assert (path, answer.text, served.chat) == ("/v1/chat/completions", "Action: look\n", True)
    assert body["messages"] == [
        {"role": "system", "content": "Play."},
        {"role": "user", "content": "Observation: x"},
    ]


def test_a_server_without_completions_gets_turns_and_the_record_says_so(server: Server) -> None:
    server.chat_only = True
    agent = ReActAgent(model(server), load_prompt("toy"))
    (one,) = rollout(agent, [Job(TASKS[0])], WorldRecipe("toy"), limits=Limits(max_steps=2))
    assert one.trajectory.chat
    roles = [message["role"] for message in server.seen[-1][1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


def test_chat_off_is_no_chat(server: Server) -> None:
    server.chat_only = True
    (answer,) = model(server, chat="off").complete([TURNS], Sampling())
    assert answer.stop is Status.INFRA_ERROR
    assert "leave out --chat off" in answer.error
    assert not server.seen


@pytest.mark.parametrize(
    "cut",
    [
        answers("<think>The line would be"),
        answers("", reasoning_content="The line would be"),
        answers(None, reasoning="a"),
    ],
)
def test_a_stop_string_does_not_cut_thoughts(cut: Any, server: Server) -> None:
    server.script = [cut, answers("<think>\nObservation: and Action: no\n</think>\n\nAction: look")]
    served = model(server, chat="on")
    (answer,) = served.complete([TURNS], Sampling())
    assert answer.text == "<think>\nObservation: and Action: no\n</think>\n\nAction: look\n"
    assert [body.get("stop") for _, body, _ in server.seen] == [["\nObservation:"], None]
    alone = model(server, chat="on").complete([TURNS], Sampling())[0].generated
    assert answer.generated > alone
    served.complete([TURNS], Sampling())
    # From then on it is known to think.
    assert "stop" not in server.seen[-1][1]


@pytest.mark.parametrize("form", list(FORMS.values()), ids=list(FORMS))
def test_thoughts_apart_are_reasoning_in_every_form(form: Form, server: Server) -> None:
    thoughts = "Perhaps\nAction: no\n[ACT] no\n<action> no </action></think>"
    server.script = [answers(form.render("", "look").text, reasoning_content=thoughts)]
    (answer,) = model(server, form=form, chat="on").complete([TURNS], Sampling())
    parsed = form.parse(answer.text)
    assert parsed.action == "look"
    assert parsed.reasoning.startswith("Perhaps Action: no (ACT) no (action) no")
    assert server.seen[0][1]["stop"] == list(form.stop)

"""Servers as they are and as they misbehave: every answer ends in a step, in a budget or in one owed episode's line."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent import Sampling
from sad_agents.model import Completion, Piece, Request
from sad_agents.openai_model import OpenAIModel
from sad_distill.teachers.base import WritingPrompt
from sad_distill.teachers.openai import OpenAITeacher
from sad_distill.teachers.remote import RemoteTeacher

from sad_env.addresses import endpoint, public_address
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.http import Client, Patience, RequestError
from sad_env.json_lines import RecordError, parse_json
from sad_env.records import Status

# Some 300 servers, each asked by several programs: with the other slow tests.
pytestmark = pytest.mark.slow


QUICK = Patience(seconds=0, attempts=2, pause=0.01, longest=0.05, connect=1.0, answer=0.3)
REQUEST = Request("1.0", (Piece("Do it.\n"),), (Piece("Observation: x\n"),), "7")
LOOK = "Reasoning: I look around first.\nAction: look\n"

Write = Callable[[BaseHTTPRequestHandler], None]
"""Sends one answer, well or badly."""


def chat(content: Any = LOOK, *, ending: str = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": ending, "message": {"role": "assistant", "content": content, **message}}
    return {"choices": [choice], "usage": {"completion_tokens": 12} if usage is None else usage}


def sends(body: Any, status: int = 200, **headers: str) -> Write:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return write


def error(status: int, message: str, **fields: Any) -> Write:
    return sends({"error": {"message": message, **fields}}, status)


def closes(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"te')
    handler.close_connection = True


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def drips(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(20):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def drips_headers(handler: BaseHTTPRequestHandler) -> None:
    for letter in b"HTTP/1.1 200 OK\r\nX-Long: yes":
        handler.wfile.write(bytes([letter]))
        time.sleep(0.1)


def floods(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(400):
        handler.wfile.write(b" " * 2**20)


def bomb(layers: int = 1) -> Write:
    packer = zlib.compressobj(1, wbits=31)
    data = b"".join(packer.compress(b"0" * 2**20) for _ in range(400)) + packer.flush()
    for _ in range(layers - 1):
        data = gzip.compress(data)
    return sends(data, Content_Encoding=", ".join(["gzip"] * layers))


def redirects_with_a_flood(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()
    for _ in range(400):
        handler.wfile.write(b" " * 2**20)


def stalls(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.5)


class Server(ThreadingHTTPServer):
    """Answers POST with what is next in `script`, the last one again and again, and GET with `listed`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Write] = [sends(chat())]
        self.listed: Write = sends({"data": [{"id": "m"}]})
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.listed(self)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        self.server.bodies.append(body)
        (self.server.script.pop(0) if len(self.server.script) > 1 else self.server.script[0])(self)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield one
        one.shutdown()


def said_by(server: Server, patience: Patience = QUICK, **options: Any) -> Completion:
    began = time.monotonic()
    model = OpenAIModel(server.url, "m", patience=patience, **options)
    (completion,) = model.complete([REQUEST], Sampling())
    assert time.monotonic() - began < 5
    assert "\n" not in completion.error
    assert len(completion.error) < 400
    return completion


# --- what the agent's model makes of it -----------------------------------------------------------------------------

PLAIN = {
    "plain": chat(),
    "parts": chat([{"type": "text", "text": LOOK}]),
    "usage is a string": chat(usage="12"),
    "usage is a list": chat(usage=[12]),
    "negative tokens": chat(usage={"completion_tokens": -5}),
    "tokens are text": chat(usage={"completion_tokens": "many"}),
    "tokens beyond reason": chat(usage={"completion_tokens": 10**15}),
    "tokens are a fraction": chat(usage={"completion_tokens": 1.5}),
    "end token": {"choices": [{"text": "Reasoning: I look.\nAction: look<|im_end|>"}]},
    "end token of Llama 2": {"choices": [{"text": "Reasoning: I look.\nAction: look</s>"}]},
    "lone surrogate": chat(LOOK.replace("around", "\ud800")),
    "line separators": chat(LOOK.replace("around", "a\u2028b\u0085c")),
    "null message beside text": {"choices": [{"message": None, "text": LOOK}]},
}


@pytest.mark.parametrize("name", PLAIN)
def test_forms_of_a_good_answer(name: str, server: Server) -> None:
    server.script = [sends(PLAIN[name])]
    completion = said_by(server)
    assert completion.stop is None
    assert completion.text.endswith("Action: look\n")
    assert 0 < completion.generated < 100


@pytest.mark.parametrize(
    "answer",
    [
        chat([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": LOOK}]),
        chat([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": LOOK}]),
        chat("Action: look", reasoning_content="hm"),
        chat("Action: look", reasoning="hm"),
    ],
)
def test_thinking_apart_is_reasoning(answer: Any, server: Server) -> None:
    server.script = [sends(answer)]
    completion = said_by(server)
    assert completion.text.startswith("Reasoning: hm\n")
    assert completion.text.endswith("Action: look\n")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (chat(None, ending="length", reasoning_content="so many thoughts"), "cut at its greatest length"),
        (chat(None, ending="content_filter"), "content filter"),
        (chat(None, ending="tool_calls", tool_calls=[{"id": "1", "type": "function"}]), "tool call"),
    ],
)
def test_an_answer_without_an_action_says_why(answer: Any, complaint: str, server: Server) -> None:
    server.script = [sends(answer)]
    completion = said_by(server)
    assert completion.stop is None
    assert complaint in completion.complaint
    assert len(server.asked) == 1
    if "thoughts" in json.dumps(answer):
        assert "so many thoughts" in completion.text


DAMAGED: dict[str, Write] = {
    "error inside 200": sends({"error": {"message": "Provider returned error", "code": 502}}),
    "rate limit inside 200": sends({"error": {"message": "Rate limit exceeded", "code": 429}}),
    "error is text": sends({"error": "overloaded"}),
    "no choices": sends({"choices": []}),
    "choices null": sends({"choices": None}),
    "a choice is null": sends({"choices": [None]}),
    "content is a number": sends(chat(7)),
    "a bare list": sends([1]),
    "nothing at all": sends(b""),
    "html": sends(b"<html>"),
    "infinite tokens": sends(b'{"choices": [{"text": "Action: look"}], "usage": {"completion_tokens": Infinity}}'),
    "tokens of 400 digits": sends(b'{"choices": [{"text": "x"}], "usage": {"completion_tokens": ' + b"1" * 400 + b"}}"),
    "a number of a million digits": sends(b'{"choices": ' + b"1" * 10**6 + b"}"),
    "lists 100,000 deep": sends(b"[" * 100_000 + b"]" * 100_000),
    "a text 100,000 deep": sends(b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a key twice among 40,000": sends(b"{" + b"".join(b'"k%d":1,' % n for n in range(40_000)) + b'"k39999":2}'),
    "not UTF-8": sends(b'{"choices": "\xff\xfe"}'),
    "6 MB of text": sends(chat("word " * 1_200_000)),
    "a byte every 0.1 s": drips,
    "headers byte by byte": drips_headers,
    "400 MB": floods,
    "gzip that unpacks to 400 MB": bomb(),
    "gzip in gzip": bomb(2),
    "no gzip at all": sends(b"plain", Content_Encoding="gzip"),
    "a circle of redirects": sends(b"", 302, Location="/v1/completions"),
    "a redirect to nowhere": sends(b"", 302, Location="http://[::1"),
    "a redirect with 400 MB": redirects_with_a_flood,
    "closed in the middle": closes,
    "closed before": hangs_up,
    "stalls": stalls,
    "500": error(500, "CUDA error"),
    "502": sends(b"<html>bad gateway</html>", 502),
    "529": error(529, "overloaded_error"),
    "429": error(429, "quota"),
    "Retry-After is nonsense": sends({}, 429, Retry_After="soon"),
    "Retry-After is infinite": sends({}, 503, Retry_After="inf"),
    "Retry-After is negative": sends({}, 503, Retry_After="-5"),
    "Retry-After of many digits": sends({}, 429, Retry_After="9" * 5000),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_answer_is_asked_for_again_and_then_owed(name: str, server: Server) -> None:
    server.script = [DAMAGED[name]]
    completion = said_by(server)
    assert (completion.stop, completion.text) == (Status.INFRA_ERROR, "")
    assert "after 2 tries" in completion.error
    server.script = [DAMAGED[name], sends(chat())]
    assert said_by(server).text == LOOK


OVERFLOWS = {
    "vLLM": (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
    "vLLM, newer": (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
    "OpenAI": (400, "Your messages resulted in 5000 tokens. Please reduce the length of the messages."),
    "llama.cpp": (400, "the request exceeds the available context size. try increasing the context size"),
    "llama.cpp, older": (500, "context size exceeded"),
    "TGI": (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"),
    "TGI, inputs": (422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"),
    "Anthropic": (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "Anthropic, sum": (400, "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"),
    "Anthropic, body": (413, "Request exceeds the maximum size"),
    "SGLang": (400, "The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
    "Mistral": (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),
    "Gemini": (400, "The input token count (5000) exceeds the maximum number of tokens allowed (4096)."),
    "a gateway": (200, "This model's maximum context length is 4096 tokens"),
}


@pytest.mark.parametrize("name", OVERFLOWS)
def test_a_full_context_is_a_budget_in_everybodys_words(name: str, server: Server) -> None:
    status, words = OVERFLOWS[name]
    server.script = [error(status, words)]
    assert said_by(server).stop is Status.BUDGET
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "CUDA error: out of memory"), (400, "max_tokens is too large: this model supports 4096 completion tokens")],
)
def test_other_errors_are_no_full_context(status: int, words: str, server: Server) -> None:
    server.script = [error(status, words)]
    assert said_by(server).stop is Status.INFRA_ERROR


@pytest.mark.parametrize("field", ["max_tokens", "stop", "top_p", "seed", "temperature"])
def test_a_field_that_the_server_refuses_can_be_left_out(field: str, server: Server) -> None:
    server.script = [error(400, f"Unsupported parameter: '{field}'", param=field)]
    completion = said_by(server)
    assert completion.stop is Status.INFRA_ERROR
    assert f"--omit {field}" in completion.error
    assert len(server.asked) == 1
    server.script = [sends(chat())]
    assert said_by(server, omit=(field, "model=model_name")).text == LOOK
    sent = json.loads(server.bodies[-1])
    assert field not in sent
    assert sent["model_name"] == "m"


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_completions_is_asked_for_chat(status: int, server: Server) -> None:
    server.script = [error(status, "not found"), sends(chat())]
    assert said_by(server).text == LOOK
    assert [path.removeprefix("/v1/") for path in server.asked] == ["completions", "chat/completions"]


def test_a_chat_model_that_says_so_is_asked_for_chat(server: Server) -> None:
    server.script = [error(400, "This is a chat model, use chat/completions"), sends(chat())]
    assert said_by(server).text == LOOK


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "0.2"},
        {"Retry_After": "1"},
        {"Retry_After": "date"},
        {"retry_after_ms": "200"},
        {"Retry_After": "Sun, 29 Nov 1990 12:00:30 GMT"},
        {},
    ],
)
def test_a_quota_is_waited_for_as_long_as_patience_lasts(headers: dict[str, str], server: Server) -> None:
    began = time.time()
    given = {name: formatdate(began + 1, usegmt=True) if value == "date" else value for name, value in headers.items()}

    def quota(handler: BaseHTTPRequestHandler) -> None:
        (sends({}, 429, **given) if time.time() - began < 0.5 else sends(chat()))(handler)

    server.script = [quota]
    patience = Patience(seconds=3, attempts=1, pause=0.05, longest=2, answer=1)
    assert said_by(server, patience).text == LOOK
    if headers in ({"Retry_After": "1"}, {"Retry_After": "0.2"}, {"retry_after_ms": "200"}):
        assert len(server.asked) <= 4
    server.script = [sends({}, 429, **given)]
    assert said_by(server, Patience(seconds=0.3, attempts=1, pause=0.05, longest=0.2)).stop is Status.INFRA_ERROR


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_key_is_said_at_once(status: int, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.script = [error(status, "missing api key")]
    model = OpenAIModel(server.url, "m", patience=QUICK)
    (completion,) = model.complete([REQUEST], Sampling())
    assert "OPENAI_API_KEY is not set" in completion.error
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        model.complete([REQUEST], Sampling())
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("listed", "context"),
    [
        ({"data": [{"id": "m", "max_model_len": "4096"}]}, 4096),
        ({"data": [{"id": "m", "max_model_len": 512}]}, 512),
        ({"data": [{"id": "m", "meta": {"n_ctx": 2048}}]}, 2048),
        ({"data": [{"id": "m", "meta": None, "max_model_len": None}]}, 777),
        ({"data": [{"id": "m", "max_model_len": "9" * 400}]}, 777),
        ([{"id": "m"}], 777),
        ({"data": []}, 777),
        ({"data": None}, 777),
        ({"data": [3, None, {"no": "id"}]}, 777),
    ],
)
def test_what_is_listed_gives_the_context_and_a_name_is_trusted(listed: Any, context: int, server: Server) -> None:
    server.listed = sends(listed)
    model = OpenAIModel(server.url, "m", context=777, patience=QUICK, room=64)
    assert model.windowing.budget == context


def test_what_a_server_tells_of_its_weights_is_kept(server: Server) -> None:
    server.listed = sends({"data": [{"id": "m", "created": 1_600_000_000, "root": "org/m", "owned_by": "x"}]})
    told = OpenAIModel(server.url, patience=QUICK).identity
    assert told == {"created": "1600000000", "root": "org/m", "owned_by": "x"}
    # vLLM and llama.cpp give the time of the request, which says nothing of the weights.
    server.listed = sends({"data": [{"id": "m", "created": int(time.time())}]})
    assert OpenAIModel(server.url, patience=QUICK).identity == {}


# --- teachers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*DAMAGED, "null text"])
def test_a_writing_teacher_is_asked_again_and_never_writes_none(name: str, server: Server) -> None:
    damaged = DAMAGED.get(name, sends({"choices": [{"text": None}]}))
    teacher = OpenAITeacher(server.url, "m", patience=QUICK)
    server.script = [damaged]
    with pytest.raises(InfrastructureError, match="did not answer in 2 attempts") as caught:
        teacher.generate([WritingPrompt("x")])
    assert "\n" not in str(caught.value)
    server.script = [damaged, sends({"choices": [{"text": LOOK}]})]
    assert teacher.generate([WritingPrompt("x")]) == [LOOK]


def test_a_teachers_full_context_and_refusal_are_settings(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    teacher = OpenAITeacher(server.url, "m", patience=QUICK)
    for answer, words in ((error(422, OVERFLOWS["TGI"][1]), "--context"), (error(401, "no key"), "OPENAI_API_KEY")):
        server.script = [answer]
        with pytest.raises(ConfigError, match=words):
            teacher.generate([WritingPrompt("x")])
    assert len(server.asked) == 2


# What a client of our own server reads is not OpenAI's form.
OURS = sorted(set(DAMAGED) - {"error is text"})


@pytest.mark.parametrize("name", [*OURS, "null text", "too few texts"])
def test_our_own_teachers_client_is_as_careful(name: str, server: Server) -> None:
    server.listed = sends({"name": "t", "vocabulary": 9, "tokens": "x"})
    teacher = RemoteTeacher(server.url, patience=QUICK)
    odd = {"null text": {"completions": [None]}, "too few texts": {"completions": []}}
    server.script = [DAMAGED[name] if name in DAMAGED else sends(odd[name])]
    with pytest.raises(InfrastructureError, match="did not answer in 2 attempts"):
        teacher.generate([WritingPrompt("x")])
    server.script.append(sends({"completions": [LOOK]}))
    assert teacher.generate([WritingPrompt("x")]) == [LOOK]


# --- the commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sad_agents.loading.PATIENCE", QUICK)
    monkeypatch.chdir(tmp_path)


def play(command: str, server: Server) -> int:
    from sad_agents.collect_command import main as collect
    from sad_eval.commands.evaluate import main as evaluate

    words = [
        "--env",
        "toy",
        "--agent",
        f"openai:{server.url}#m",
        "--episodes",
        "2",
        "--workers",
        "0",
        "--quiet",
    ]
    if command == "sad-eval":
        return evaluate([*words, "--out", "run"])
    return collect([*words, "--out", "collected.jsonl"])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("command", ["sad-eval", "sad-collect"])
@pytest.mark.parametrize(
    "name",
    [
        "lists 100,000 deep",
        "tokens of 400 digits",
        "6 MB of text",
        "gzip that unpacks to 400 MB",
        "content is a number",
    ],
)
def test_one_answer_poisons_no_run(command: str, name: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.script = [sends(chat()), DAMAGED[name]]
    assert play(command, server) == 3
    said = capsys.readouterr().err
    assert "Traceback" not in said
    server.script = [sends(chat())]
    assert play(command, server) == 0


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("command", ["sad-eval", "sad-collect"])
def test_a_full_context_ends_episodes_of_a_run(command: str, server: Server) -> None:
    server.script = [sends(chat()), error(422, OVERFLOWS["TGI"][1])]
    assert play(command, server) == 0


# --- the client itself ----------------------------------------------------------------------------------------------


def test_time_and_size_are_bounded_whatever_the_server_does(server: Server) -> None:
    client = Client(Patience(seconds=0, attempts=1, connect=1, answer=0.3), limit=1000)
    for write, words in ((drips, "within 0.3 s"), (drips_headers, "within 0.3 s"), (floods, "more than 1,000 bytes")):
        server.script = [write]
        began = time.monotonic()
        with pytest.raises(RequestError, match=words):
            client.ask("POST", server.url, lambda answer: answer.content, json={})
        assert time.monotonic() - began < 1.5


def test_nobody_there_and_no_such_host() -> None:
    client = Client(Patience(seconds=0, attempts=2, pause=0.01, connect=0.5))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        with pytest.raises(RequestError, match="unreachable") as caught:
            client.ask("GET", f"http://127.0.0.1:{taken.getsockname()[1]}", lambda answer: answer)
    assert caught.value.tries == 2


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://host:8000/v1", "http://host:8000/v1"),
        ("https://me:p@ss@host/v1?key=abc#m", "https://host/v1#m"),
        ("openai:https://me@host?key=a&b=c", "openai:https://host"),
        ("got http://u:p@a/x?k=1 and HTTP://u:p@b", "got http://a/x and HTTP://b"),
        ("http://u:p'w@host/?key=a'b", "http://host/"),
        ("me@home.org", "me@home.org"),
    ],
)
def test_addresses_are_shown_without_secrets(given: str, shown: str) -> None:
    assert public_address(given) == shown


def test_a_query_of_the_address_goes_with_every_path() -> None:
    assert endpoint("http://u:p@host/v1?key=a#m", "models") == "http://u:p@host/v1/models?key=a"


@pytest.mark.parametrize("text", ["1" * 10**6, "[" * 10**6, '{"a":' * 10**5, "-" + "9" * 41, "[" * 101 + "]" * 101])
def test_json_beyond_bounds_is_refused_quickly(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(RecordError):
        parse_json(text)
    assert time.monotonic() - began < 1


def test_json_within_bounds_is_read() -> None:
    deep = "[" * 100 + "]" * 100
    assert json.dumps(parse_json(deep)) == deep
    assert parse_json('["[[[\\"[[", "{", 18446744073709551615]') == ['[[["[[', "{", 2**64 - 1]
    assert parse_json('{"a": "' + "9" * 500 + '"}')["a"] == "9" * 500


# --- below HTTP: what connections, addresses and lists may be ---------------------------------------------------------


def raw(*blocks: bytes, times: int = 1) -> Write:
    """Sends these bytes, the last of them `times` times, and closes the connection."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        for block in (*blocks[:-1], *[blocks[-1]] * times):
            handler.wfile.write(block)
        # Until then the connection looks as one that may be used again.
        time.sleep(0.05)
        handler.close_connection = True

    return write


HEAD, GOOD = b"HTTP/1.1 200 OK\r\n", json.dumps(chat()).encode()
CHUNKED, CHUNK = HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n" % (len(GOOD), GOOD)

READ_ALL_THE_SAME = {
    "HTTP/1.0 without a length": raw(b"HTTP/1.0 200 OK\r\n\r\n", GOOD),
    "chunks": raw(CHUNKED, CHUNK, b"0\r\n\r\n"),
    "a length beside chunks": raw(
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK, b"0\r\n\r\n"
    ),
    "a negative length": raw(HEAD + b"Content-Length: -5\r\n\r\n", GOOD),
    "a length of 5,000 digits": raw(HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", GOOD),
    "deflate without a header": sends(zlib.compress(GOOD)[2:-4], Content_Encoding="deflate"),
    "a byte order mark": sends(b"\xef\xbb\xbf" + GOOD),
    "the first choice second": sends({"choices": [{"index": 1, "text": "Action: no"}, {"index": 0, "text": LOOK}]}),
    "an end token": sends(chat(LOOK.strip() + "<|im_end|>")),
}


@pytest.mark.parametrize("name", READ_ALL_THE_SAME)
def test_odd_forms_of_a_good_answer_are_read(name: str, server: Server) -> None:
    server.script = [READ_ALL_THE_SAME[name]]
    assert said_by(server).text == LOOK
    # What a teacher writes is learned, to the character.
    assert OpenAITeacher(server.url, "m", patience=QUICK).generate([WritingPrompt("x")]) == [LOOK]
    assert len(server.asked) == 2


DAMAGED_BELOW = {
    "a chunk of no size": raw(CHUNKED, b"zz\r\n", GOOD),
    "a chunk of negative size": raw(CHUNKED, b"-5\r\n", GOOD),
    "a size without end": raw(CHUNKED, b"0" * 2**20, times=400),
    "trailers without end": raw(CHUNKED, CHUNK, b"0\r\n", b"a: b\r\n" * 10**5, times=400),
    "a trailer without end": raw(CHUNKED, CHUNK, b"0\r\n", b"a" * 2**20, times=400),
    "100 Continue without end": raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 10**4, times=1000),
    "103 Early Hints": raw(b"HTTP/1.1 103 Early Hints\r\n\r\n", HEAD, b"Content-Length: 0\r\n\r\n"),
    "101 Switching Protocols": raw(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n"),
    "204 No Content": raw(b"HTTP/1.1 204 x\r\n\r\n"),
    "304 Not Modified": raw(b"HTTP/1.1 304 x\r\n\r\n"),
    "a redirect to a file": sends(b"", 302, Location="file:///etc/passwd"),
    "a redirect with controls": raw(
        b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\x1b[2J\r\nContent-Length: 0\r\n\r\n"
    ),
    "a redirect with secrets": sends(b"", 302, Location="http://u:secret@127.0.0.1:1/?key=secret"),
    "20,000 headers": raw(HEAD, b"X-A: b\r\n" * 20_000),
    "a header of 100 MB": raw(HEAD + b"X: ", b"a" * 2**20, times=100),
    "two lengths": raw(HEAD + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n", GOOD),
    "a greeting of SSH": raw(b"SSH-2.0-OpenSSH_9.0\r\n"),
    "a status with controls": raw(b"HTTP/1.1 599 \x1b[2J\r\nContent-Length: 6\r\n\r\n\x1b]0;x\x07"),
    "gzip a hundred times": sends(b"x", Content_Encoding=", ".join(["gzip"] * 100)),
    "UTF-16": sends(json.dumps(chat()).encode("utf-16")),
    "a stream of events": sends(b'data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: [DONE]\n\n'),
    "two answers in one": sends(GOOD + b"\n" + GOOD),
    "choices by name": sends({"choices": {"0": {"text": LOOK}}}),
    "Retry-After: 0 for ever": sends({}, 429, Retry_After="0"),
    "Retry-After in the year 9999": sends({}, 429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"),
}


@pytest.mark.parametrize("name", DAMAGED_BELOW)
def test_damage_below_json_is_asked_for_again_and_then_owed(
    name: str, server: Server, harmless: Callable[[str], None]
) -> None:
    server.script = [DAMAGED_BELOW[name]]
    completion = said_by(server)
    assert (completion.stop, completion.text) == (Status.INFRA_ERROR, "")
    assert "after 2 tries" in completion.error
    assert "secret" not in completion.error
    harmless(completion.error)
    teacher = OpenAITeacher(server.url, "m", patience=QUICK)
    with pytest.raises(InfrastructureError, match="did not answer in 2 attempts"):
        teacher.generate([WritingPrompt("x")])
    server.script = [DAMAGED_BELOW[name], sends(chat())]
    assert teacher.generate([WritingPrompt("x")]) == [LOOK]


@pytest.mark.parametrize("text", ["", " \n\t\n", "<|im_end|>", "</s>\n"])
def test_a_teacher_never_writes_nothing(text: str, server: Server) -> None:
    server.script = [sends(chat(text)), sends(chat())]
    assert OpenAITeacher(server.url, "m", patience=QUICK).generate([WritingPrompt("x")]) == [LOOK]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_follows_no_redirect_to_another_server(
    status: int, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    seen = []

    def spy(handler: BaseHTTPRequestHandler) -> None:
        seen.append(str(handler.headers))
        sends(chat())(handler)

    with Server() as other:
        threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        other.script, other.listed = [spy], spy
        server.script = [sends(b"", status, Location=f"{other.url}/v1/completions")]
        model = OpenAIModel(f"{server.url.replace('//', '//me:secret@')}/?key=secret", "m", patience=QUICK)
        (completion,) = model.complete([REQUEST], Sampling())
        other.shutdown()
    assert completion.text == LOOK
    assert len(seen) == 1
    assert "secret" not in seen[0]
    assert "Authorization" not in seen[0]


def test_cookies_are_not_kept(server: Server) -> None:
    """Fifty new ones with every answer made the next request too long for any server."""
    lengths = []

    def sets_cookies(handler: BaseHTTPRequestHandler) -> None:
        lengths.append(len(handler.headers.get("Cookie", "")))
        handler.send_response(200)
        for number in range(50):
            handler.send_header("Set-Cookie", f"c{len(lengths)}x{number}={'v' * 1000}")
        handler.send_header("Content-Length", str(len(GOOD)))
        handler.end_headers()
        handler.wfile.write(GOOD)

    server.script = [sets_cookies]
    model = OpenAIModel(server.url, "m", patience=QUICK)
    assert all(model.complete([REQUEST], Sampling())[0].text == LOOK for _ in range(3))
    assert lengths == [0, 0, 0]


@pytest.mark.parametrize(
    "address", ["http://[::1", "http://", "http://:80", "http://h:99999", "http://h:x", "http://\x1b[2J/"]
)
def test_an_address_that_is_none_is_one_line_at_once(address: str, one_clear_line: Callable[[str], None]) -> None:
    makers: list[Callable[[], Any]] = [
        lambda: OpenAIModel(address, "m"),
        lambda: OpenAITeacher.of(f"openai:{address}#m"),
        lambda: RemoteTeacher(address),
    ]
    for make in makers:
        with pytest.raises(ConfigError, match="is no address") as caught:
            make()
        one_clear_line(str(caught.value))


@pytest.mark.parametrize("entries", [[{"id": None}], [{"id": {"a": 1}}], [{"id": ""}], [{"id": 7}]])
def test_a_model_without_a_name_is_none(entries: Any, server: Server) -> None:
    server.listed = sends({"data": entries})
    with pytest.raises(InfrastructureError, match="name the model with #NAME"):
        OpenAIModel(server.url, patience=QUICK)


def test_a_list_of_100_000_models_is_one_short_line(server: Server, one_clear_line: Callable[[str], None]) -> None:
    server.listed = sends({"data": [{"id": f"\x1b[2J{number}"} for number in range(100_000)]})
    with pytest.raises(ConfigError, match="add #NAME") as caught:
        OpenAIModel(server.url, patience=Patience(seconds=0, attempts=1))
    one_clear_line(str(caught.value))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["../../../etc/x", "a\x1b[2J\n\r\0b", "x" * 100_000, "\ud800", "a#b", "con"])
@pytest.mark.usefixtures("quick")
def test_any_name_of_a_model_makes_a_run_in_the_folder(
    name: str, server: Server, capsys: pytest.CaptureFixture[str], harmless: Callable[[str], None]
) -> None:
    from sad_eval.commands.evaluate import main

    server.listed = sends({"data": [{"id": name}]})
    flags = ("--env", "toy", "--episodes", "1", "--workers", "0", "--max-steps", "2")
    assert main([*flags, "--agent", f"openai:{server.url}"]) == 0
    said = capsys.readouterr()
    harmless(said.out + said.err)
    (run,) = Path("runs").iterdir()
    assert main(["report", str(run)]) == 0
    harmless(capsys.readouterr().out)

"""The retrieval server's protocol, against a local server that answers as Search-R1's does, and as networks do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.http import Patience
from sad_env.searchqa.env import SearchQAEnv
from sad_env.searchqa.served import ServedRetriever

QUICK = Patience(seconds=0.0, attempts=3, pause=0.01, longest=0.02, connect=1.0, answer=1.0)


@dataclass
class Server:
    """A local retrieval server.

    Attributes:
        base: its address without a path.
        answers: what it says to the next requests: a status, or a value that is sent as JSON; then passages again.
        scores: it gives documents with their scores, and bare ones otherwise.
        asked: path and body of each request.
    """

    base: str = ""
    answers: list[Any] = field(default_factory=list)
    scores: bool = True
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def passages(self, body: dict[str, Any]) -> dict[str, Any]:
        documents = [{"id": str(n), "contents": f'"T{n}"\n{body["queries"][0]} {n}'} for n in range(body["topk"])]
        scored = [{"document": document, "score": 0.5} for document in documents]
        return {"result": [scored if self.scores else documents]}


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append((self.path, body))
            said = state.answers.pop(0) if state.answers else state.passages(body)
            content = b"sorry" if isinstance(said, int) else json.dumps(said).encode()
            self.send_response(said if isinstance(said, int) else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        state.base = f"http://127.0.0.1:{http.server_port}"
        yield state
        http.shutdown()


@pytest.mark.parametrize("scores", [True, False])
@pytest.mark.parametrize("path", ["", "/", "/retrieve"])
def test_the_protocol_is_spoken(server: Server, scores: bool, path: str) -> None:
    server.scores = scores
    retriever = ServedRetriever(server.base + path)
    assert retriever.search("ed wood", 2) == ['"T0"\ned wood 0', '"T1"\ned wood 1']
    assert server.asked == [("/retrieve", {"queries": ["ed wood"], "topk": 2, "return_scores": True})]
    retriever.close()
    retriever.close()


def test_half_a_character_is_replaced_and_another_path_is_kept(server: Server) -> None:
    ServedRetriever(server.base + "/v2/find").search("a\ud800é", 1)
    assert server.asked == [("/v2/find", {"queries": ["a?é"], "topk": 1, "return_scores": True})]


def test_passing_faults_are_tried_again(server: Server) -> None:
    server.answers = [503, {"result": "soon"}]
    assert len(ServedRetriever(server.base, patience=QUICK).search("x", 3)) == 3
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (404, "refuses with HTTP 404"),
        (500, "after 3 attempts: HTTP 500"),
        ({"result": []}, "no list of passages"),
        ({"result": [[{"document": {"text": "x"}}]]}, "no contents"),
        ({"result": [["x"]]}, "no contents"),
        (["x"], "no JSON object"),
    ],
)
def test_what_is_no_answer_is_a_fault_of_the_infrastructure(server: Server, answer: Any, message: str) -> None:
    server.answers = [answer] * 3
    with pytest.raises(InfrastructureError, match=message):
        ServedRetriever(server.base, patience=QUICK).search("x", 3)


def test_no_server_is_a_fault_of_the_infrastructure_and_secrets_are_not_told() -> None:
    with pytest.raises(InfrastructureError, match="unreachable") as caught:
        ServedRetriever("http://me:secret@127.0.0.1:9/retrieve?key=secret", patience=QUICK).search("x", 3)
    assert "secret" not in str(caught.value)


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="starts with http"):
        ServedRetriever("localhost:8000")


def test_the_world_plays_over_a_server(server: Server) -> None:
    env = SearchQAEnv(retriever=server.base, passages=2)
    env.reset(seed=0)
    observation = env.step("search[ed wood]")[0]
    assert observation == 'Doc 1(Title: "T0") ed wood 0\nDoc 2(Title: "T1") ed wood 1'
    asked = len(server.asked)
    env.step("search[ ]")
    env.step("answer[x]")
    assert len(server.asked) == asked
    env.close()

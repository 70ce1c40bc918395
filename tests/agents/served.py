"""A model server for tests that behaves as a real one does at its addresses: what it lists, takes and refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Answer = tuple[int, Any]


class ModelServer(ThreadingHTTPServer):
    """Answers as `answer` says; keeps what it was asked: path, body and headers.

    Args:
        answer: of a path below the address and a body: status and JSON.
        base: the path at which it serves; everything elsewhere is 404.
        models: status and JSON of /models.
        version: what it says at /version; empty for nothing.
    """

    daemon_threads = True

    def __init__(
        self,
        answer: Callable[[str, dict[str, Any]], Answer],
        base: str = "/v1",
        models: Answer = (404, {}),
        version: str = "",
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.base, self.models, self.version = answer, base, models, version
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, body, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/version" and self.server.version:
            self._send(200, {"version": self.server.version})
        else:
            self._send(*(self.server.models if self._below() == "models" else (404, {})))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, dict(self.headers)))
        below = self._below()
        self._send(*(self.server.answer(below, body) if below else (404, {})))

    def _below(self) -> str:
        path, base = urlsplit(self.path).path, f"{self.server.base}/"
        return path.removeprefix(base) if path.startswith(base) else ""

    def _send(self, status: int, value: Any) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {**self.server.headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serving(server: ModelServer) -> Iterator[ModelServer]:
    """The server while it serves."""
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def says(text: Any, ending: str = "stop", **message: Any) -> Answer:
    """An answer of chat completions."""
    choice = {"index": 0, "finish_reason": ending, "message": {"role": "assistant", "content": text, **message}}
    return 200, {"choices": [choice], "usage": {"completion_tokens": 7}}


def calls(*functions: tuple[str, Any], said: str | None = None, **message: Any) -> Answer:
    """An answer of chat completions that calls functions; arguments are JSON, or text that is sent as it is."""
    listed = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for number, (name, given) in enumerate(functions)
    ]
    return says(said, "tool_calls", tool_calls=listed, **message)

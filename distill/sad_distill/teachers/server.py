"""`sad-distill serve`: a teacher behind HTTP, with the standard library's server and one model."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import torch
from sad_agents.agent import Sampling
from sad_agents.model import Piece, Request
from sad_agents.sampling.local_model import LocalModel

from sad_distill.models.language import Language
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.wire import decode_request, encode_response, fingerprint
from sad_env.errors import DataError, SadEnvError
from sad_env.json_lines import RecordError, parse_json
from sad_env.safe_text import one_line

MAX_BYTES = 256 * 2**20
"""A longer request is refused unread."""


WRITING = Sampling(temperature=0.2)
"""How a served teacher writes (the paper's E.2)."""


class TeacherServer(ThreadingHTTPServer):
    """Serves one model.

    ``GET /about`` gives name, vocabulary (rows of the head) and tokens (the tokenizer's fingerprint, see `wire`);
    ``POST /score?top=K`` takes a request of `wire` and answers it; ``POST /generate`` takes and gives JSON.

    Args:
        language: the model and its tokenizer.
        name: its identity.
        address: host and port; port 0 takes a free one.
        sampling: how completions are drawn; a prompt's seed goes into it.
    """

    daemon_threads = True

    def __init__(
        self,
        language: Language,
        name: str,
        address: tuple[str, int] = ("127.0.0.1", 8700),
        sampling: Sampling = WRITING,
    ) -> None:
        super().__init__(address, _Handler)
        self.language = language
        self.teacher_name = name
        self.sampling = sampling
        self.writer = LocalModel(language.model, language.tokenizer, name=name)
        self.vocabulary = LocalTeacher(language.model, name).vocabulary
        self.tokens = fingerprint(language.tokenizer.get_vocab())
        # A model serves one request at a time; the others wait here instead of fighting for its memory.
        self.busy = threading.Lock()

    @property
    def url(self) -> str:
        """Where it can be reached."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}"

    @torch.no_grad()
    def score(self, data: bytes, top: int) -> bytes:
        """Score the positions of a request (`wire.encode_request`)."""
        batch = decode_request(data, self.vocabulary).to(next(self.language.model.parameters()).device)
        with self.busy:
            target = LocalTeacher(self.language.model, self.teacher_name, top).score(batch)
        return encode_response(target)  # type: ignore[arg-type]

    def generate(self, prompts: list[Any]) -> list[str]:
        """Write a completion for each prompt."""
        requests = [
            Request(f"serve.{index}", (Piece(str(prompt["text"])),), (), str(prompt.get("seed", 0)))
            for index, prompt in enumerate(prompts)
        ]
        with self.busy:
            completions = self.writer.complete(requests, self.sampling) if requests else []
        return [completion.text for completion in completions]


class _Handler(BaseHTTPRequestHandler):
    server: TeacherServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if urlsplit(self.path).path != "/about":
            self._refuse(404, "GET /about, POST /score?top=K, POST /generate")
            return
        server = self.server
        self._json({"name": server.teacher_name, "vocabulary": server.vocabulary, "tokens": server.tokens})

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BYTES:
            self.close_connection = True
            self._refuse(413, f"a request says its length, at most {MAX_BYTES:,} bytes")
            return
        body = self.rfile.read(int(length))
        try:
            if parts.path == "/score":
                self._send(200, "application/octet-stream", self.server.score(body, _top(parts.query)))
            elif parts.path == "/generate":
                self._json({"completions": self.server.generate(_prompts(body))})
            else:
                self._refuse(404, "GET /about, POST /score?top=K, POST /generate")
        except (SadEnvError, RecordError) as error:
            self._refuse(400, str(error))

    def _json(self, value: dict[str, Any]) -> None:
        self._send(200, "application/json", json.dumps(value).encode())

    def _refuse(self, status: int, reason: str) -> None:
        self._send(status, "text/plain; charset=utf-8", one_line(reason).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is printed for each request."""


def _top(query: str) -> int:
    value = parse_qs(query).get("top", ["64"])[0]
    if not value.isdecimal() or not 1 <= int(value) <= 4096:
        raise DataError(f"top={value[:20]!r}: a number from 1 to 4096")
    return int(value)


def _prompts(body: bytes) -> list[Any]:
    value = parse_json(body)
    prompts = value.get("prompts") if isinstance(value, dict) else None
    if not isinstance(prompts, list) or not all(
        isinstance(p, dict) and isinstance(p.get("text"), str) for p in prompts
    ):
        raise DataError('a request to write is {"prompts": [{"text": "...", "seed": 0}]}')
    return prompts

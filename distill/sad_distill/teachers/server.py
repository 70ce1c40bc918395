"""`sad-distill serve`: a teacher behind HTTP, with the standard library's server and one model."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import torch
from sad_agents.agent import Sampling
from sad_agents.model import Piece, Request
from sad_agents.sampling.kv_cache import context_of
from sad_agents.sampling.local_model import LocalModel

from sad_distill.models.heads import rows_of_head
from sad_distill.models.language import Language
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.reading import LocalReader, passages_of, readings_as_json
from sad_distill.teachers.wire import decode_request, encode_response, fingerprint
from sad_env.errors import DataError, SadEnvError
from sad_env.json_lines import RecordError, parse_json
from sad_env.local_server import RefusingHandler
from sad_env.transcript import form_of

MAX_BYTES = 256 * 2**20
"""A longer request is refused unread."""

_BODIES = 4
"""Requests whose bodies are in memory at once."""
_KINDS = {"/score": "application/octet-stream", "/generate": "application/json", "/read": "application/json"}
_PATHS = "GET /about, GET /tokens, POST /score?top=K, POST /generate, POST /read"

WRITING = Sampling(temperature=0.2)
"""How a served teacher writes (the paper's E.2)."""


class TeacherServer(ThreadingHTTPServer):
    """Serves one model.

    ``GET /about`` gives name, vocabulary (rows of the head), ids (those of the tokenizer, as `TokenIds.numbers`),
    tokens (the tokenizer's fingerprint, see `wire`), context (positions of the model) and reading
    (`teachers.registry.ReadingHabits`: how the model reads by itself); ``GET /tokens`` gives the tokenizer's tokens
    with their ids; ``POST /score?top=K`` takes a request of `wire` and answers it; ``POST /generate`` takes and gives
    JSON, and so does ``POST /read`` (`reading`): likelihoods of text.

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
        self._writers: dict[tuple[str, bool], LocalModel] = {}
        self.ids = LocalTeacher(language.model, name).ids
        self.reader = LocalReader(language, name, context_of(language.model))
        self.vocabulary = rows_of_head(language.model)
        self.context = context_of(language.model)
        template = language.tokenizer.chat_template
        self.reading = {
            "start_ids": list(language.start_ids),
            "template": template if isinstance(template, str) else "",
            "chat": language.chat,
            "ours": language.ours,
        }
        self.tokens = fingerprint(language.tokenizer.get_vocab())
        # A model serves one request at a time; the others wait here instead of fighting for its memory.
        self.busy = threading.Lock()
        self.bodies = threading.BoundedSemaphore(_BODIES)

    @property
    def url(self) -> str:
        """Where it can be reached."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}"

    def about(self) -> dict[str, Any]:
        """What a client has to know."""
        return {
            "name": self.teacher_name,
            "vocabulary": self.vocabulary,
            "ids": self.ids.numbers(),
            "tokens": self.tokens,
            "context": self.context,
            "reading": self.reading,
        }

    @torch.no_grad()
    def score(self, data: bytes, top: int) -> bytes:
        """Score the positions of a request (`wire.encode_request`)."""
        batch, ids = decode_request(data, self.ids)
        batch = batch.to(next(self.language.model.parameters()).device)
        with self.busy:
            target = LocalTeacher(self.language.model, self.teacher_name, top, ids).score(batch)
        return encode_response(target)  # type: ignore[arg-type]

    def read(self, data: bytes) -> bytes:
        """Say how likely the text of a request is (`reading.passages_as_json`)."""
        passages = passages_of(data)
        with self.busy:
            return readings_as_json(self.reader.read(passages))

    def generate(self, prompts: list[Any]) -> list[str]:
        """Write a completion for each prompt, in its form; those that have messages in turns of the chat template."""
        found = [""] * len(prompts)
        kinds = [(str(prompt.get("form", "lines")), bool(prompt.get("messages"))) for prompt in prompts]
        for kind in dict.fromkeys(kinds):
            places = [place for place, other in enumerate(kinds) if other == kind]
            requests = [
                Request(f"serve.{place}", _pieces(prompts[place]), (), _seed(prompts[place])) for place in places
            ]
            with self.busy:
                completions = self._writer(*kind).complete(requests, self.sampling)
            for place, completion in zip(places, completions, strict=True):
                found[place] = completion.text
        return found

    def _writer(self, form: str, chat: bool) -> LocalModel:
        if (form, chat) not in self._writers:
            one = self.language
            self._writers[form, chat] = LocalModel(
                one.model, one.tokenizer, name=self.teacher_name, start_ids=one.start_ids, form=form_of(form), chat=chat
            )
        return self._writers[form, chat]


class _Handler(RefusingHandler):
    server: TeacherServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802
        if reason := self.foreign():
            self.refuse(HTTPStatus.FORBIDDEN, reason)
        elif urlsplit(self.path).path == "/about":
            self._json(self.server.about())
        elif urlsplit(self.path).path == "/tokens":
            self._json(self.server.language.tokenizer.get_vocab())
        else:
            self.refuse(HTTPStatus.NOT_FOUND, _PATHS)

    def do_POST(self) -> None:  # noqa: N802
        parts = urlsplit(self.path)
        kind = _KINDS.get(parts.path)
        if reason := self.foreign():
            self.refuse(HTTPStatus.FORBIDDEN, reason)
        elif kind is None:
            self.refuse(HTTPStatus.NOT_FOUND, _PATHS)
        elif self.headers.get_content_type() != kind:
            # A page of another site can send plain text and forms unasked, but nothing else.
            self.refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{parts.path} takes {kind}")
        elif not self.server.bodies.acquire(timeout=self.timeout):
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once; ask again later")
        else:
            try:
                self._answer(parts)
            finally:
                self.server.bodies.release()

    def _answer(self, parts: SplitResult) -> None:
        body = self.body(MAX_BYTES)
        if body is None:
            return
        try:
            if parts.path == "/score":
                self.reply(200, "application/octet-stream", self.server.score(body, _top(parts.query)))
            elif parts.path == "/read":
                self.reply(200, "application/json", self.server.read(body))
            else:
                self._json({"completions": self.server.generate(_prompts(body))})
        except (SadEnvError, RecordError) as error:
            self.refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")

    def _json(self, value: dict[str, Any]) -> None:
        self.reply(200, "application/json", json.dumps(value).encode())


def _top(query: str) -> int:
    value = parse_qs(query).get("top", ["64"])[0]
    if not value.isdecimal() or not 1 <= int(value) <= 4096:
        raise DataError(f"top={value[:20]!r}: a number from 1 to 4096")
    return int(value)


def _prompts(body: bytes) -> list[Any]:
    value = parse_json(body)
    prompts = value.get("prompts") if isinstance(value, dict) else None
    if not isinstance(prompts, list) or not all(
        isinstance(p, dict) and isinstance(p.get("text"), str) and _are_messages(p.get("messages", [])) for p in prompts
    ):
        raise DataError('a request to write is {"prompts": [{"text": "...", "seed": 0}]}')
    return prompts


def _are_messages(value: object) -> bool:
    roles = ("system", "user", "assistant")
    return isinstance(value, list) and all(
        isinstance(one, list) and len(one) == 2 and one[0] in roles and isinstance(one[1], str) for one in value
    )


def _pieces(prompt: Any) -> tuple[Piece, ...]:
    """A conversation, which has a system's message, empty or not, or one text."""
    messages = prompt.get("messages")
    if not messages:
        return (Piece(str(prompt["text"])),)
    first = () if messages[0][0] == "system" else (Piece("", role="system"),)
    return (*first, *(Piece(content, role=role) for role, content in messages))


def _seed(prompt: Any) -> str:
    return str(prompt.get("seed", 0))

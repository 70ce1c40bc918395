"""The contract of a model backend, and the scripted backend that tests and documentation use."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from sad_agents.agent import Sampling
from sad_agents.windowing import Windowing
from sad_env.errors import ConfigError, DataError
from sad_env.json_lines import RecordError, parse_json, read_lines
from sad_env.records import Status, TopLogprobs
from sad_env.transcript import LINES, Form

Role = Literal["", "system", "user", "assistant"]
"""Whose turn of a chat a piece is; empty for text that no chat divides."""


class Piece(NamedTuple):
    """A stretch of a conversation. `ids` are there when a model sampled it; other text is encoded by the model."""

    text: str
    ids: tuple[int, ...] = ()
    role: Role = ""


@dataclass(frozen=True)
class Request:
    """One completion to be written.

    Attributes:
        key: names the conversation, for models that keep a cache of it.
        head: the task header, always shown.
        tail: what came after it, oldest first; already windowed by steps.
        seed: seeds the draws of this completion.
        step: the number of completions before.
        forced: text that the completion begins with.
        admissible: the actions that the completion may hold, for models that decode under constraints; empty for any.
    """

    key: str
    head: Sequence[Piece]
    tail: Sequence[Piece]
    seed: str
    step: int = 0
    forced: str = ""
    admissible: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All that comes before the completion."""
        return "".join(piece.text for piece in (*self.head, *self.tail))


@dataclass(frozen=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: to the character; it ends with a newline and begins with the forced text.
        ids: its ids; empty for models that do not tell.
        ends: for each id, where its text ends in `text`; 0 for ids that were not sampled.
        generated: tokens produced.
        logprobs: of each id, 0 for ids that were not sampled; None where nobody asked (`Sampling.logprobs`).
        top_logprobs: see `Step.top_logprobs`; None where nobody asked (`Sampling.top_logprobs`).
        stop: an ending: AGENT_ERROR (the model is broken), BUDGET (its context is full) or INFRA_ERROR (no answer).
        error: one line for `stop`.
        complaint: why the text may hold no action, where the model knows.
        unusable: what stands in the text as its action is none, for the reason in `complaint`.
    """

    text: str
    ids: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    generated: int = 0
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[TopLogprobs, ...] | None = None
    stop: Status | None = None
    error: str = ""
    complaint: str = ""
    unusable: bool = False


class Model(Protocol):
    """Writes completions. A completion is over at the end of its first action (`Form.is_complete`).

    Attributes:
        name: for the records.
        form: how it writes.
        chat: it reads the pieces as turns of a chat; otherwise they are one text.
    """

    name: str
    form: Form
    chat: bool

    @property
    def windowing(self) -> Windowing | None:
        """What it can see at once; None when there is no bound that matters."""
        ...

    def measure(self, piece: Piece) -> int:
        """Tokens that a piece takes."""
        ...

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """One completion for each request, in order.

        Raises:
            InfrastructureError: the model cannot be reached at all.
        """
        ...

    def forget(self, key: str) -> None:
        """A conversation is over; an unknown one is ignored."""
        ...


def cut(text: str) -> str:
    r"""`text` up to the end of its first action line, with a final newline: `Form.cut` of the default form.

    >>> cut("Action: look\nObservation: I make things up")
    'Action: look\n'
    """
    return LINES.cut(text)


Script = Callable[[Request], str]
"""Writes a completion for a request."""


@dataclass
class ScriptedModel:
    """A model whose words are known beforehand.

    Attributes:
        script: a function of the request, or completions that every episode gets in order, the last one again and
            again.
        name: for the records.
        windowing: as of any model; a piece measures its words.
        form: as of any model.
        chat: as of any model.
    """

    script: Script | Sequence[str]
    name: str = "scripted"
    windowing: Windowing | None = None
    form: Form = LINES
    chat: bool = False

    def measure(self, piece: Piece) -> int:
        """Words."""
        return len(piece.text.split())

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """What the script says."""
        return [self._completion(request) for request in requests]

    def _completion(self, request: Request) -> Completion:
        if callable(self.script):
            text = self.script(request)
        else:
            text = self.script[min(request.step, len(self.script) - 1)]
        text = self.form.cut(request.forced + text)
        return Completion(text, generated=len(text.split()))

    def forget(self, key: str) -> None:
        """Nothing is kept."""


def read_script(path: Path) -> list[str]:
    """Completions from a file with one JSON string a line.

    Raises:
        ConfigError: no such file.
        DataError: another content, or nothing in it.
    """
    try:
        lines = [parse_json(line) for _, line in read_lines(path)]
    except OSError as error:
        raise ConfigError(f"cannot read the script {str(path)!r}: {error.strerror}") from None
    except RecordError as error:
        raise DataError(f"{path}: {error}") from None
    if not lines or not all(isinstance(line, str) for line in lines):
        raise DataError(f"{path}: a script is a file with one JSON string a line, e.g. {json.dumps('Action: look')}")
    return lines

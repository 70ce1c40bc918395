"""The records that all packages share: what an agent wrote, what the world answered, how an episode ended."""

from __future__ import annotations

import enum
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    Strict,
    ValidationError,
    model_serializer,
    model_validator,
)

from sad_env.json_lines import RecordError, parse_json, read_lines

SCHEMA_VERSION = 1
"""Raised whenever a field changes its meaning; files of another version are refused by number."""

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)
Item = TypeVar("Item")
Many = Annotated[tuple[Item, ...], Strict(False)]
"""A tuple that may be read from a JSON array; its items stay strict."""


TopLogprobs = Many[Annotated[tuple[int, float], Strict(False)]]
"""The likeliest ids at one place with their natural log-probabilities, likeliest first."""


class SpanKind(str, enum.Enum):
    """Who wrote a stretch of text, and as what. The values are the labels of one token or character."""

    NONE = "N"
    """Prompt, padding, or a header forced on the agent."""
    REASON = "R"
    """The agent's reasoning."""
    ACT = "A"
    """The agent's action."""
    OBS = "O"
    """The world's observation."""


FormName = Literal["lines", "tags", "think"]
"""Names of the forms of `sad_env.transcript`."""

_HOUSE_FORM: tuple[tuple[str, object], ...] = (("form", "lines"), ("chat", False), ("unknown", []), ("unknown", ()))
_LETTERS = frozenset(kind.value for kind in SpanKind)


class Status(str, enum.Enum):
    """How an episode ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    MAX_STEPS = "max_steps"
    FORCED_FINISH = "forced_finish"
    """The world ended the episode of an agent that had used up its turns (HotPotQA, SearchQA)."""
    BUDGET = "budget"
    """Tokens, context or wall time ran out."""
    INVALID_ACTIONS = "invalid_actions"
    AGENT_ERROR = "agent_error"
    ENV_ERROR = "env_error"
    INFRA_ERROR = "infra_error"
    CANCELLED = "cancelled"

    @property
    def owed(self) -> bool:
        """True when the episode says nothing of the agent and is to be run again."""
        return self in (Status.ENV_ERROR, Status.INFRA_ERROR, Status.CANCELLED)


class Record(BaseModel):
    """Base of the records: frozen, no unknown key, no coerced type, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Span(Record):
    """Characters `start` to `end` of a text, all of one kind.

    `body` is where the header ("Action: ") is over; the newline that ends a span belongs to it.
    """

    kind: Annotated[SpanKind, Strict(False)]
    start: int
    end: int
    body: int

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if not 0 <= self.start <= self.body <= self.end:
            raise ValueError(f"a span needs 0 <= start <= body <= end, not {self.start}, {self.body}, {self.end}")
        return self


class Step(Record):
    """One turn: what the agent wrote and what the world answered."""

    completion: str
    """What the agent wrote, to the character, final newline included."""
    spans: Many[Span]
    """They tile `completion`."""
    reasoning: str
    """Bodies of the reasoning spans."""
    action: str
    """What was sent to the world; empty when the completion held no action."""
    observation: str
    """What came back, to the character."""
    reward: float = 0.0
    parsed: bool = True
    """False when the completion held no action: the world was not asked."""
    valid: bool = True
    """False when the world (or the parser) could do nothing with the action."""
    admissible: Many[str] | None = None
    """Admissible actions before this action, where the world lists them."""
    progress: float | None = None
    """Sub-goal progress in [0, 1] after this action, where the world has it."""
    token_ids: Many[int] = ()
    """The ids as they were sampled; empty when no model sampled them."""
    token_labels: str = ""
    """One letter of `SpanKind` for each of `token_ids`."""
    logprobs: Many[float] | None = None
    """Natural log-probability of each of `token_ids` as it was drawn (temperature, nucleus); 0 for ids that were not
    sampled. Files have it only where it was recorded."""
    top_logprobs: Many[TopLogprobs] | None = None
    """The likeliest ids where each of `token_ids` was sampled, under the model's own distribution at temperature 1;
    empty for ids that were not sampled. What mass they leave is that of all other ids. Files have it only where it was
    recorded."""
    generated_tokens: int = 0
    """Tokens that a model produced for this step, discarded ones included."""
    agent_seconds: float = 0.0
    world_seconds: float = 0.0
    author: str = ""
    """Who wrote the completion, where that was not the episode's agent: "teacher" for a guide's turn, "replay" for a
    turn of an earlier episode that was played again. Files name it only then."""

    def without_ids(self) -> Step:
        """The step as text alone."""
        return self.model_copy(update={"token_ids": (), "token_labels": "", "logprobs": None, "top_logprobs": None})

    @model_serializer(mode="wrap")
    def _without_author(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Versions that do not know the field read what they always have.
        written: dict[str, Any] = write(self)
        if not self.author:
            written.pop("author", None)
        return written

    @model_validator(mode="after")
    def _tiled(self) -> Step:
        check_tiling(self.completion, self.spans)
        if len(self.token_labels) != len(self.token_ids):
            raise ValueError(f"{len(self.token_ids)} token ids but {len(self.token_labels)} labels")
        if self.logprobs is not None and len(self.logprobs) != len(self.token_ids):
            raise ValueError(f"{len(self.token_ids)} token ids but {len(self.logprobs)} log-probabilities")
        if self.top_logprobs is not None and len(self.top_logprobs) != len(self.token_ids):
            raise ValueError(f"{len(self.token_ids)} token ids but {len(self.top_logprobs)} places of top_logprobs")
        if not set(self.token_labels) <= _LETTERS:
            raise ValueError(f"token labels are letters of {''.join(sorted(_LETTERS))}")
        return self


class Trajectory(Record):
    """One episode, from the prompt to its end."""

    schema_version: Literal[1] = 1
    world: str
    data: str
    """generated, official or given."""
    split: str
    task_id: str
    task_type: str = ""
    seed: int = 0
    repeat: int = 0
    agent: str
    prompt: str = ""
    """What stood before the first observation: instructions and exemplars."""
    observation: str
    """The first observation."""
    steps: Many[Step]
    status: Annotated[Status, Strict(False)]
    success: bool
    """The world's own verdict."""
    score: float = 0.0
    """The benchmark's own score, e.g. WebShop's reward in [0, 1]."""
    error: str = ""
    """One line when the status is an error."""
    seconds: float = 0.0
    extra: dict[str, float] = {}
    """Figures of one world, e.g. f1."""
    form: FormName = "lines"
    """How the agent wrote: a form of `sad_env.transcript`. Files name it only where it is another than "lines"."""
    chat: bool = False
    """The agent read and wrote in turns of a chat template; files say so only where it did."""
    unknown: Many[str] = ()
    """Fields that the source of an imported episode does not say, e.g. "success"; they hold the least claim."""

    @property
    def ending(self) -> str:
        """How it ended, in words: its status, or "ending not known" of an imported episode."""
        return "ending not known" if "status" in self.unknown else self.status.value.replace("_", " ")

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Versions that do not know these fields read what they always have.
        written: dict[str, Any] = write(self)
        for step in written.get("steps", ()):
            for name in ("logprobs", "top_logprobs"):
                if step.get(name, 0) is None:
                    del step[name]
        return {key: value for key, value in written.items() if (key, value) not in _HOUSE_FORM}

    def to_json(self) -> str:
        """One line of JSON without a newline; lone surrogates are written as escapes."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> Trajectory:
        """The inverse of `to_json`.

        Raises:
            RecordError: not JSON, a duplicate key, NaN, an unknown key, a wrong type, another schema version.
        """
        return parse_record(cls, line)


def check_tiling(text: str, spans: tuple[Span, ...]) -> None:
    """Raise ValueError unless the spans cover `text` from end to end, in order and without overlap."""
    position = 0
    for span in spans:
        if span.start != position:
            raise ValueError(f"a span starts at {span.start} where {position} was due")
        position = span.end
    if position != len(text):
        raise ValueError(f"spans end at {position}, the text at {len(text)}")


def observation_chain(trajectory: Trajectory) -> str:
    """Hash chain over actions and observations, hex sha256: equal chains mean equal episodes, step by step.

    Each link is sha256(previous link, action, observation), so that one invented observation changes all that follow.
    """
    link = hashlib.sha256(_bytes(trajectory.task_id) + b"\0" + _bytes(trajectory.observation)).digest()
    for step in trajectory.steps:
        link = hashlib.sha256(link + _bytes(step.action) + b"\0" + _bytes(step.observation)).digest()
    return link.hex()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def parse_record(model: type[AnyRecord], line: str | bytes) -> AnyRecord:
    """`line` as an instance of the record class `model`; `RecordError` with one line of reason otherwise."""
    value = parse_json(line)
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version is not None and (type(version) is not int or version != SCHEMA_VERSION):
        raise RecordError(f"schema version {str(version)[:40]}; this release reads version {SCHEMA_VERSION}")
    try:
        # Not pydantic's own JSON parser: it takes the last of two equal keys and no lone surrogate.
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise RecordError(f"{where[:80]}: {first['msg'][:200]}") from None
    except ValueError as error:
        raise RecordError(f"not a record: {str(error)[:200]}") from None


def read_trajectories(path: str | os.PathLike[str], *, unended: bool = True) -> Iterator[Trajectory]:
    """The trajectories of a JSON-lines file, strictly: the first bad line raises `RecordError` with its number.

    A torn last line is passed over; `unended` as of `read_lines`.
    """
    for number, line in read_lines(path, unended=unended):
        try:
            yield Trajectory.from_json(line)
        except RecordError as error:
            raise RecordError(f"{path}:{number}: {error}{_advice(line)}") from None


def _advice(line: bytes) -> str:
    """What to do with a line that is another program's chat; empty for others."""
    try:
        value = parse_json(line)
    except RecordError:
        return ""
    chat = isinstance(value, dict) and any(isinstance(value.get(key), list) for key in ("messages", "conversations"))
    return "; it is no file of trajectories: `sad-collect import` reads logs of chats" if chat else ""

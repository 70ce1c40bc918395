"""A teacher behind `sad-distill serve`: it scores any token at any position of the student's own ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sad_distill.data.batch import Batch
from sad_distill.losses.targets import Target
from sad_distill.teachers.base import WritingPrompt
from sad_distill.teachers.http import CONCURRENCY, TEACHER_PATIENCE, ask, written
from sad_distill.teachers.wire import decode_response, encode_request, fingerprint
from sad_env.addresses import endpoint, public_address
from sad_env.errors import ConfigError
from sad_env.http import Answer, Client, Patience, RequestError
from sad_env.json_lines import RecordError, parse_json

_LONGEST_ANSWER = 256 * 2**20


class RemoteTeacher:
    """A client of our own teacher server.

    Args:
        url: e.g. ``http://localhost:8700``.
        top: likeliest tokens in the answer for positions without a token set.
        patience: timeouts and retries.
        concurrency: requests at once, each of a batch.

    Raises:
        InfrastructureError: there is no answer.
        ConfigError: the answer is not that of such a server.
    """

    def __init__(
        self, url: str, *, top: int = 64, patience: Patience = TEACHER_PATIENCE, concurrency: int = CONCURRENCY
    ) -> None:
        self.concurrency = concurrency
        self.url = public_address(url.rstrip("/"))
        self.top = top
        self._address = url
        self._client = Client(patience, connections=concurrency, limit=_LONGEST_ANSWER, proxies=False)
        self.reading: tuple[tuple[int, ...], str, bool, bool] | None = None
        self.name, self.vocabulary, self._tokens, self.context = self._about()

    def _about(self) -> tuple[str, int, str, int]:
        """Name, rows of the head, fingerprint of the tokenizer, and context (0 where an earlier release serves)."""
        answer = ask(self._client, "GET", endpoint(self._address, "about"), _content)
        try:
            about = parse_json(answer)
            values = (about["name"], about["vocabulary"], about["tokens"], about.get("context", 0))
            self.reading = _reading(about.get("reading"))
            if [type(value) for value in values] != [str, int, str, int] or values[1] < 1:
                raise ValueError
            return values
        except (RecordError, KeyError, TypeError, ValueError, AttributeError):
            raise ConfigError(
                f"{self.url} answers, but not as a teacher of this release: start one with sad-distill serve, or give"
                " openai:URL#MODEL"
            ) from None

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return f"top {self.top}"

    def fits(self, vocabulary: Mapping[str, int], rows: int) -> None:
        """Refuse a student whose ids mean other tokens to this teacher.

        Args:
            vocabulary: of the student's tokenizer.
            rows: of its head.

        Raises:
            ConfigError: its tokenizer is another, or its head knows fewer ids.
        """
        if fingerprint(vocabulary) != self._tokens:
            raise ConfigError(
                f"the teacher at {self.url} has another tokenizer than the student: give --student a model with the"
                " teacher's tokenizer (nano-… trains its own), or distil from text (method seqkd)"
            )
        if self.vocabulary > rows:
            raise ConfigError(
                f"the teacher at {self.url} tells of {self.vocabulary:,} ids and the student's head has {rows:,}:"
                " give --student a model with as many"
            )

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`."""
        if batch.sees is not None:
            raise ConfigError("a remote teacher scores plain rows, not branches; use a local one")
        device = batch.ids_BT.device
        target = ask(
            self._client,
            "POST",
            endpoint(self._address, "score"),
            lambda answer: decode_response(_content(answer), len(batch.kind_N), self.vocabulary),
            params={"top": self.top},
            data=encode_request(batch),
            headers={"Content-Type": "application/octet-stream"},
        )
        return type(target)(target.ids_NK.to(device), target.log_p_NK.to(device), target.log_rest_N.to(device))

    def generate(self, prompts: Sequence[WritingPrompt]) -> list[str]:
        """See `WritingTeacher`."""
        return ask(
            self._client,
            "POST",
            endpoint(self._address, "generate"),
            lambda answer: _written(answer, len(prompts)),
            json={"prompts": [_asked(prompt) for prompt in prompts]},
        )


def _asked(prompt: WritingPrompt) -> dict[str, Any]:
    """A prompt as JSON; what earlier releases do not know is left out where it says nothing."""
    form = {} if prompt.form == "lines" else {"form": prompt.form}
    messages = {"messages": [list(one) for one in prompt.messages]} if prompt.messages else {}
    return {"text": prompt.text, "seed": prompt.seed, **form, **messages}


def _reading(told: object) -> tuple[tuple[int, ...], str, bool, bool] | None:
    """How the served model reads by itself, as `teachers.registry.ReadingHabits`; earlier releases do not say."""
    if told is None:
        return None
    if not isinstance(told, dict) or [type(told.get(name)) for name in ("template", "chat", "ours")] != [
        str,
        bool,
        bool,
    ]:
        raise ValueError
    ids = told.get("start_ids")
    if not isinstance(ids, list) or not all(type(one) is int and one >= 0 for one in ids):
        raise ValueError
    return tuple(ids), told["template"], told["chat"], told["ours"]


def _content(answer: Answer) -> bytes:
    answer.check()
    return answer.content


def _written(answer: Answer, count: int) -> list[str]:
    texts = answer.json().get("completions")
    if not isinstance(texts, list) or len(texts) != count:
        raise RequestError(f"the answer does not hold {count} completions")
    return [written(text) for text in texts]

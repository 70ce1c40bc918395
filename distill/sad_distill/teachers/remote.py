"""A teacher behind `sad-distill serve`: it scores any token at any position of the student's own ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sad_distill.data.batch import Batch
from sad_distill.losses.targets import Target
from sad_distill.models.heads import rows_of_head
from sad_distill.models.language import Language
from sad_distill.models.token_ids import TokenIds, shared_ids
from sad_distill.teachers.base import WritingPrompt, check_ids, said_of
from sad_distill.teachers.http import CONCURRENCY, TEACHER_PATIENCE, ask, written
from sad_distill.teachers.reading import Passage, TextReading, passages_as_json, readings_of
from sad_distill.teachers.wire import decode_response, encode_request, fingerprint
from sad_env.addresses import endpoint, public_address
from sad_env.errors import ConfigError
from sad_env.http import Answer, Client, Patience, RequestError
from sad_env.json_lines import RecordError, parse_json

_LONGEST_ANSWER = 256 * 2**20


class _About(NamedTuple):
    """What a server says of itself; `earlier` where it is of a release that does not say its ids."""

    name: str
    vocabulary: int
    ids: Any
    tokens: str
    context: int
    earlier: bool


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
        self._about = self._ask_about()
        self.name, self.context = self._about.name, self._about.context
        self.ids = self._about.ids
        """What its distributions are over: the ids that it shares with the student, once that is known."""

    def _ask_about(self) -> _About:
        answer = ask(self._client, "GET", endpoint(self._address, "about"), _content)
        try:
            about = parse_json(answer)
            self.reading = _reading(about.get("reading"))
            rows = about["vocabulary"]
            ids = about.get("ids", [rows])
            found = _About(about["name"], rows, ids, about["tokens"], about.get("context", 0), "ids" not in about)
            if [type(value) for value in found] != [str, int, list, str, int, bool] or rows < 1:
                raise ValueError
            return found._replace(ids=TokenIds.from_numbers([int(one) for one in ids]))
        except (RecordError, KeyError, TypeError, ValueError, AttributeError):
            raise ConfigError(
                f"{self.url} answers, but not as a teacher of this release: start one with sad-distill serve, or give"
                " openai:URL#MODEL"
            ) from None

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return f"top {self.top}{said_of(self.ids, self._about.vocabulary)}"

    def fits(self, student: Language) -> TokenIds | None:
        """The ids that mean the same to the teacher, which its answers are over from now on; None where it is of
        another family.

        Raises:
            ConfigError: it is served by a release that cannot say its tokens.
        """  # noqa: D205
        own = student.tokenizer.get_vocab()
        same = fingerprint(own) == self._about.tokens
        if self._about.earlier and not (same and self._about.vocabulary <= TokenIds.of(own.values()).end):
            raise ConfigError(
                f"the teacher at {self.url} has another tokenizer than the student, or a padded head, and is served by"
                " an earlier release: serve it with this one"
            )
        shared = TokenIds.of(own.values()) if same else shared_ids(self._vocabulary(), own)
        if shared is not None:
            self.ids = shared.below(min(self._about.ids.end, rows_of_head(student.model)))
        return self.ids if shared is not None else None

    def _vocabulary(self) -> dict[str, int]:
        value = parse_json(ask(self._client, "GET", endpoint(self._address, "tokens"), _content))
        if not isinstance(value, dict) or not all(type(index) is int for index in value.values()):
            raise ConfigError(f"{self.url} does not tell its tokens: serve it with this release")
        return value

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`.

        Raises:
            DataError: the rows hold an id that teacher and student do not share.
        """
        if batch.sees is not None:
            raise ConfigError("a remote teacher scores plain rows, not branches; use a local one")
        check_ids(batch, self.ids, self.name)
        device = batch.ids_BT.device
        target = ask(
            self._client,
            "POST",
            endpoint(self._address, "score"),
            lambda answer: decode_response(_content(answer), len(batch.kind_N), self.ids.end),
            params={"top": self.top},
            data=encode_request(batch, None if self.ids == self._about.ids else self.ids),
            headers={"Content-Type": "application/octet-stream"},
        )
        return type(target)(target.ids_NK.to(device), target.log_p_NK.to(device), target.log_rest_N.to(device))

    def read(self, passages: Sequence[Passage]) -> list[TextReading]:
        """See `Reader`."""
        return ask(
            self._client,
            "POST",
            endpoint(self._address, "read"),
            lambda answer: readings_of(answer.json(), passages),
            json=passages_as_json(passages),
        )

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

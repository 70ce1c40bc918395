"""Likelihoods of text: what a teacher with a tokenizer of its own is asked, and what it answers.

It gets text in segments and spells it in its own tokens. It says where each token ends and how likely it was, so that
whoever asked can add up the likelihoods of stretches that both spell in whole tokens; and how likely other
continuations were, such as admissible actions.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sad_distill.data.batch import Batch, collate
from sad_distill.data.labels import encode_with_ends
from sad_distill.data.rows import Branch, Row
from sad_distill.losses.next_byte import OUTCOMES, byte_table, next_byte
from sad_distill.losses.targets import check_log_probs, log_probs
from sad_distill.models.heads import head_logits, vocabulary_of
from sad_distill.models.language import Language
from sad_env.errors import ConfigError, DataError
from sad_env.json_lines import parse_json

_TOGETHER = 2**14
"""Tokens of a forward pass at most, padding included; branches take a pass of their own."""
_MOST_CHARACTERS = 2**22
_MOST_TOKENS = 2**14
"""Of one passage with its offers: the mask of its branches has the square of them."""
_MOST_LOGITS = 2**28
"""Of one segment whose bytes are told, a gibibyte; a longer one is compared by chunks."""
_MOST_BYTES = 2**17
"""Of the segments of a request whose bytes are told: each takes a kilobyte of the answer."""


@dataclass(frozen=True)
class Offer:
    """Continuations whose likelihoods are wanted.

    Attributes:
        after: segments that come before them.
        texts: the continuations.
    """

    after: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Passage:
    """A text to be read.

    Attributes:
        segments: its parts, each of which is spelled by itself, so that no token crosses from one into the next.
        wanted: the segments whose tokens' likelihoods are wanted.
        offers: other continuations.
        next_byte: of the wanted segments also what each byte could have been is wanted.
    """

    segments: tuple[str, ...]
    wanted: tuple[bool, ...]
    offers: tuple[Offer, ...] = ()
    next_byte: bool = False


@dataclass(frozen=True)
class TextReading:
    """How a teacher spells a passage, and how likely that was.

    Attributes:
        ends: where each token of the passage ends, in characters of the whole text.
        log_p: its log-probability; NaN where it is not wanted, or not known.
        offers: the log-probability of each continuation of each offer.
        next_byte: for each segment `losses.next_byte.next_byte`, or None where that is not wanted or not known; empty
            where none is.
    """

    ends: tuple[int, ...]
    log_p: tuple[float, ...]
    offers: tuple[tuple[float, ...], ...] = ()
    next_byte: tuple[Tensor | None, ...] = ()


class Reader(Protocol):
    """A teacher that can say how likely text is, whatever its tokenizer.

    Attributes:
        name: identity and revision.
    """

    name: str

    def read(self, passages: Sequence[Passage]) -> list[TextReading]:
        """One reading for each passage.

        Raises:
            ConfigError: a passage is longer than its context.
            InfrastructureError: it did not answer, also after retries.
        """
        ...


class LocalReader:
    """A causal LM of transformers, read in its own tokens.

    Args:
        language: model and tokenizer; its begin ids come first.
        name: its identity.
        context: tokens that it sees at once; 0 where that is not known.
    """

    def __init__(self, language: Language, name: str, context: int = 0) -> None:
        self.name = name
        self._language = language
        self._context = context

    @torch.no_grad()
    def read(self, passages: Sequence[Passage]) -> list[TextReading]:
        """See `Reader`."""
        rows = [self._row(passage) for passage in passages]
        found = self._scores([row for row, _ in rows], passages)
        return [
            replace(_reading(passage, row, ends, score, len(self._language.start_ids)), next_byte=told)
            for passage, (row, ends), (score, told) in zip(passages, rows, found, strict=True)
        ]

    def _row(self, passage: Passage) -> tuple[Row, list[int]]:
        tokenizer, start = self._language.tokenizer, self._language.start_ids
        ids, labels, ends, behind = list(start), "N" * len(start), list[int](), [len(start) - 1]
        for text, wanted in zip(passage.segments, passage.wanted, strict=True):
            mine, theirs = encode_with_ends(tokenizer, text)
            offset = sum(map(len, passage.segments[: len(behind) - 1]))
            ids += mine
            ends += [offset + end for end in theirs]
            labels += ("R" if wanted else "N") * len(mine)
            behind.append(len(ids) - 1)
        branches = []
        for offer in passage.offers:
            for text in offer.texts:
                path = tuple(encode_with_ends(tokenizer, text)[0])
                branches.append(Branch(behind[offer.after], path, "A" * len(path)))
        longest = max((branch.after + 1 + len(branch.ids) for branch in branches), default=0)
        if self._context and max(longest, len(ids)) > self._context:
            raise ConfigError(
                f"teacher {self.name!r} sees {self._context:,} tokens and spells a row in {max(longest, len(ids)):,} of"
                " its own: give a smaller --context"
            )
        if len(ids) + sum(len(branch.ids) for branch in branches) > _MOST_TOKENS:
            raise ConfigError(
                f"a passage with its offers of more than {_MOST_TOKENS:,} tokens: give a smaller --context"
            )
        return Row(tuple(ids), labels, (), branches=tuple(branches)), ends

    def _scores(
        self, rows: Sequence[Row], passages: Sequence[Passage]
    ) -> Iterator[tuple[dict[int, float], tuple[Tensor | None, ...]]]:
        """Log-probability of each scored token of each row, by its position; and of the next bytes."""
        model, asked = self._language.model, iter(passages)
        for part in _parts(rows):
            batch = collate(part).to(next(model.parameters()).device)
            states = batch.states(model)
            values = self._chosen(batch, states).tolist()
            found: list[dict[int, float]] = [{} for _ in part]
            for row, at, value in zip(batch.row_N.tolist(), batch.at_N.tolist(), values, strict=True):
                found[row][at] = value
            for row, score in enumerate(found):
                yield score, self._next_bytes(next(asked), states[row], batch.ids_BT[row])

    def _next_bytes(self, passage: Passage, states: Tensor, ids: Tensor) -> tuple[Tensor | None, ...]:
        table = byte_table(self._language.tokenizer)
        if not passage.next_byte or table is None:
            return ()
        found: list[Tensor | None] = []
        start = len(self._language.start_ids)
        for text, wanted in zip(passage.segments, passage.wanted, strict=True):
            end = start + len(encode_with_ends(self._language.tokenizer, text)[0])
            told = wanted and start and (end - start) * vocabulary_of(self._language.model) <= _MOST_LOGITS
            spellings = table.spell(ids[start:end].tolist(), text) if told else None
            if spellings is None:
                found.append(None)
            else:
                log_p = log_probs(head_logits(self._language.model, states[start - 1 : end - 1]), self.name)
                found.append(next_byte(log_p, ids[start:end], table, table.reaching(spellings)).cpu())
            start = end
        return tuple(found)

    def _chosen(self, batch: Batch, states_BTD: Tensor) -> Tensor:
        states = states_BTD[batch.row_N, batch.from_N]
        parts = []
        for hidden, token in zip(torch.split(states, 256), torch.split(batch.target_N, 256), strict=True):
            log_p = log_probs(head_logits(self._language.model, hidden), self.name)
            parts.append(log_p.gather(1, token[:, None])[:, 0])
        return torch.cat(parts).double() if parts else torch.zeros(0)


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that go through the model together; one with branches goes alone, since its mask is a square."""
    part: list[Row] = []
    for row in rows:
        widest = max(len(one.ids) for one in (*part, row))
        if part and (row.branches or part[-1].branches or widest * (len(part) + 1) > _TOGETHER):
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def _reading(passage: Passage, row: Row, ends: list[int], scores: dict[int, float], begun: int) -> TextReading:
    log_p = tuple(scores.get(place, math.nan) for place in range(begun, len(row.ids)))
    sums, place = [], len(row.ids)
    for branch in row.branches:
        # Without an id before it, the first one has no probability.
        sums.append(sum(scores.get(place + one, math.nan) for one in range(len(branch.ids))))
        place += len(branch.ids)
    told = iter(sums)
    return TextReading(tuple(ends), log_p, tuple(tuple(next(told) for _ in offer.texts) for offer in passage.offers))


# --- the wire ------------------------------------------------------------------------------------------------------


def passages_as_json(passages: Sequence[Passage]) -> dict[str, Any]:
    """Passages as a request."""
    return {"passages": [asdict(passage) for passage in passages]}


def passages_of(data: bytes) -> list[Passage]:
    """The passages of a request.

    Raises:
        DataError: it holds something else, or too much.
    """
    try:
        passages = [
            Passage(
                tuple(_text(one) for one in told["segments"]),
                tuple(bool(one) for one in told["wanted"]),
                tuple(Offer(int(one["after"]), tuple(map(_text, one["texts"]))) for one in told["offers"]),
                told.get("next_byte", False) is True,
            )
            for told in parse_json(data)["passages"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(
            'a request to read is {"passages": [{"segments": ["..."], "wanted": [true],'
            ' "offers": [{"after": 1, "texts": ["..."]}]}]}'
        ) from None
    for passage in passages:
        after = [offer.after for offer in passage.offers]
        if len(passage.wanted) != len(passage.segments) or not all(0 <= one <= len(passage.segments) for one in after):
            raise DataError("a passage has a 'wanted' for each segment, and offers after one of them")
    _check_sizes(passages)
    return passages


def _check_sizes(passages: Sequence[Passage]) -> None:
    texts = [
        text for one in passages for text in (*one.segments, *(text for offer in one.offers for text in offer.texts))
    ]
    if sum(map(len, texts)) > _MOST_CHARACTERS:
        raise DataError(f"a request to read more than {_MOST_CHARACTERS:,} characters")
    told = [
        text
        for one in passages
        if one.next_byte
        for text, wanted in zip(one.segments, one.wanted, strict=True)
        if wanted
    ]
    if sum(len(text.encode(errors="replace")) for text in told) > _MOST_BYTES:
        raise DataError(
            f"a request for what could follow more than {_MOST_BYTES:,} bytes: give a smaller --micro-batch"
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def readings_as_json(readings: Sequence[TextReading]) -> bytes:
    """Readings as an answer; what is not known is null."""

    def said(values: Sequence[float]) -> list[float | None]:
        return [None if math.isnan(value) else max(value, -1e4) for value in values]

    told = [
        {
            "ends": list(one.ends),
            "log_p": said(one.log_p),
            "offers": [said(offer) for offer in one.offers],
            "next_byte": [None if table is None else _table_as_text(table) for table in one.next_byte],
        }
        for one in readings
    ]
    return json.dumps({"readings": told}).encode()


def _table_as_text(table: Tensor) -> str:
    """Numbers as base64 of little-endian float32, a tenth of what they take as digits."""
    return base64.b64encode(table.float().numpy().astype("<f4").tobytes()).decode()


def _tables_of(told: Any, passage: Passage) -> tuple[Tensor | None, ...]:
    """The next bytes of an answer; servers of earlier releases tell none."""
    if not told:
        return ()
    if not isinstance(told, list) or len(told) != len(passage.segments):
        raise ValueError
    found = [None if one is None else _table_of(one, text) for one, text in zip(told, passage.segments, strict=True)]
    return tuple(found)


def _table_of(told: Any, text: str) -> Tensor:
    values = np.frombuffer(base64.b64decode(_text(told), validate=True), "<f4")
    table = torch.from_numpy(values.astype(np.float32)).view(len(text.encode(errors="replace")), OUTCOMES)
    if not table.isfinite().all():
        raise ValueError
    if len(table):
        check_log_probs(float(table.max()), float(table.logsumexp(1).max()))
    return table


def readings_of(value: dict[str, Any], passages: Sequence[Passage]) -> list[TextReading]:
    """The readings of an answer from the wire, which is untrusted.

    Raises:
        DataError: it does not fit the request, or holds log-probabilities that are none.
    """
    told = value.get("readings")
    if not isinstance(told, list) or len(told) != len(passages):
        raise DataError(f"the answer does not hold {len(passages)} readings")
    return [_checked(one, passage) for one, passage in zip(told, passages, strict=True)]


def _checked(told: Any, passage: Passage) -> TextReading:
    length = sum(map(len, passage.segments))
    try:
        ends = tuple(told["ends"])
        offers = tuple(_numbers(one) for one in told["offers"])
        tables = _tables_of(told.get("next_byte"), passage)
        reading = TextReading(ends, _numbers(told["log_p"]), offers, tables)
        ordered = all(type(end) is int for end in ends) and list(ends) == sorted(ends)
        fits = ordered and len(ends) == len(reading.log_p) and (not ends or (ends[0] >= 0 and ends[-1] <= length))
        counts = [len(one) for one in reading.offers] == [len(offer.texts) for offer in passage.offers]
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError):
        raise DataError("the answer holds no readings") from None
    if not fits or not counts or any(math.isnan(one) for offer in reading.offers for one in offer):
        raise DataError("a reading does not fit its passage")
    known = [one for one in (*reading.log_p, *(one for offer in reading.offers for one in offer)) if one == one]
    check_log_probs(max(known, default=0.0), 0.0)
    return reading


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    if any(isinstance(value, (bool, str)) for value in values):
        raise TypeError
    return tuple(math.nan if value is None else float(value) for value in values)

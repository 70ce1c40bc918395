"""A teacher of another family: it reads the student's text in its own tokens, and says how likely it was."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from sad_agents.sampling.action_trie import spelled
from sad_agents.sampling.local_model import decode, ends_in
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from sad_distill.data.batch import Batch
from sad_distill.data.rows import Row
from sad_distill.data.text_chunks import chunks_between
from sad_distill.losses.by_text import Stretch, TextTarget, joined
from sad_distill.losses.next_byte import byte_table
from sad_distill.losses.whole_actions import Choice, choices_of
from sad_distill.teachers.reading import Offer, Passage, Reader, TextReading
from sad_env.errors import ConfigError
from sad_env.records import SpanKind


@dataclass
class _Text:
    """A student's row as text.

    Attributes:
        segments: its parts.
        starts: where in the row's ids each begins.
        ends: where in the text each of the row's ids ends.
        ids: the row's.
    """

    ids: tuple[int, ...]
    segments: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def before(self, token: int) -> int:
        """Where in the text a token begins."""
        return self.ends[token - 1] if token else 0


class TextTeacher:
    """A `ScoringTeacher` for students with another tokenizer; see `losses.by_text` for what is compared.

    Args:
        reader: says how likely text is.
        tokenizer: of the student.
        whole_actions: compare actions whole where the world lists the admissible ones, else by chunks like all text.
    """

    def __init__(self, reader: Reader, tokenizer: PreTrainedTokenizerBase, *, whole_actions: bool = True) -> None:
        self.name = reader.name
        self._reader = reader
        self._tokenizer = tokenizer
        self._whole_actions = whole_actions
        self._table = byte_table(tokenizer)
        self._piece = functools.lru_cache(maxsize=None)(lambda one: decode(tokenizer, [one]))

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        text, actions = "bytes" if self._table else "chunks", "whole" if self._whole_actions else "as text"
        return f"likelihoods of text in {text}, actions {actions}"

    def score(self, batch: Batch) -> TextTarget:
        """See `ScoringTeacher`.

        Raises:
            ConfigError: branches, whose text a teacher would read as if it followed the row.
        """
        if batch.sees is not None:
            raise ConfigError("a teacher with another tokenizer scores plain rows, not branches")
        choices = choices_of(batch.rows, self._tokenizer) if self._whole_actions else []
        texts = [self._text(row, [one for one in choices if one.row == n]) for n, row in enumerate(batch.rows)]
        passages = [
            _passage(row, text, [one for one in choices if one.row == n])
            for n, (row, text) in enumerate(zip(batch.rows, texts, strict=True))
        ]
        readings = self._reader.read(passages)
        return self._target(batch, texts, choices, readings)

    def action_likelihoods(self, rows: Sequence[Row], choices: Sequence[Choice], device: torch.device) -> list[Tensor]:
        """The teacher's log-probability of each admissible action of each choice."""
        passages = []
        for number, row in enumerate(rows):
            mine = [one for one in choices if one.row == number]
            passage = _passage(row, self._text(row, mine), mine)
            passages.append(replace(passage, wanted=(False,) * len(passage.segments), next_byte=False))
        return _offered(self._reader.read(passages), device)

    def _text(self, row: Row, choices: Sequence[Choice]) -> _Text:
        cuts = {0, len(row.ids), *(one.at + 1 for one in choices)}
        cuts |= {place for unit in row.units for place in (unit.start, unit.end)}
        found, length = _Text(row.ids), 0
        for start, end in pairwise(sorted(cuts)):
            ids = row.ids[start:end]
            text = decode(self._tokenizer, ids)
            found.segments.append(text)
            found.starts.append(start)
            found.ends += [length + one for one in ends_in(self._tokenizer, ids, text, self._piece)]
            length += len(text)
        return found

    def _target(
        self, batch: Batch, texts: Sequence[_Text], choices: Sequence[Choice], readings: Sequence[TextReading]
    ) -> TextTarget:
        device = batch.ids_BT.device
        places = {
            (row, at): index
            for index, (row, at) in enumerate(zip(batch.row_N.tolist(), batch.at_N.tolist(), strict=True))
        }
        chunk_N, log_p, stretches = [-1] * len(places), list[float](), list[Stretch]()
        for number, (row, text, reading) in enumerate(zip(batch.rows, texts, readings, strict=True)):
            mine = [one for one in choices if one.row == number]
            for start, end in self._parts(row, text, mine):
                at = [places.get((number, place), -1) for place in range(start, end)]
                if (stretch := self._stretch(number, text, reading, (start, end), at, device)) is not None:
                    stretches.append(stretch)
                    continue
                whole = "".join(text.segments)
                for chunk in chunks_between(text.ends[start:end], reading.ends, text.before(start), whole):
                    tokens, value = at[slice(*chunk.own)], math.fsum(reading.log_p[slice(*chunk.other)])
                    if -1 in tokens or math.isnan(value):
                        continue
                    for place in tokens:
                        chunk_N[place] = len(log_p)
                    log_p.append(value)
        counted = [n for n, one in enumerate(choices) if (one.row, one.at + 1) in places]
        offered = _offered(readings, device)
        return TextTarget(
            torch.tensor(chunk_N, dtype=torch.long, device=device),
            joined(log_p, device),
            tuple(choices[n] for n in counted),
            tuple(offered[n] for n in counted),
            torch.tensor([places[choices[n].row, choices[n].at + 1] for n in counted], dtype=torch.long, device=device),
            tuple(stretches),
        )

    def _parts(self, row: Row, text: _Text, choices: Sequence[Choice]) -> Iterator[tuple[int, int]]:
        """The stretches of a row's completions that are compared by their text, none across two segments."""
        for unit in row.units:
            # A listed action is compared whole; one that is not, which is other text there, also by its text.
            acts = [one.at + 1 for one in choices if unit.start <= one.at < unit.end and self._listed(row, one)]
            stop = acts[0] if acts else unit.end
            yield from pairwise([*(start for start in text.starts if unit.start <= start < stop), stop])
            after = _behind_action(row, stop, unit.end) if acts else unit.end
            if after < unit.end:
                yield after, unit.end

    def _stretch(
        self,
        number: int,
        text: _Text,
        reading: TextReading,
        ends: tuple[int, int],
        at: Sequence[int],
        device: torch.device,
    ) -> Stretch | None:
        """A stretch that is compared by bytes; None where either side does not tell them.

        Args:
            number: of the row.
            text: of the row.
            reading: of the row.
            ends: first position and behind the last.
            at: for each position, which of the batch's it is, -1 for none.
            device: where the student is.
        """
        start, end = ends
        segment = text.starts.index(start) if start in text.starts else -1
        told = reading.next_byte[segment] if segment >= 0 and reading.next_byte else None
        if told is None or self._table is None or not start:
            return None
        spellings = self._table.spell(text.ids[start:end], text.segments[segment])
        if spellings is None or len(told) != sum(map(len, spellings)):
            return None
        reaching = self._table.reaching(spellings)
        place = torch.tensor(at)[reaching.owner]
        kept = (place >= 0).nonzero().flatten()
        return Stretch(
            number, start, end, self._table, reaching, kept.to(device), place[kept].to(device), told[kept].to(device)
        )

    def _listed(self, row: Row, choice: Choice) -> bool:
        end = _behind_action(row, choice.at + 1, len(row.ids))
        return decode(self._tokenizer, row.ids[choice.at + 1 : end]) in map(spelled, choice.actions)


def _behind_action(row: Row, start: int, end: int) -> int:
    while start < end and row.span_labels[start] == SpanKind.ACT.value:
        start += 1
    return start


def _passage(row: Row, text: _Text, choices: Sequence[Choice]) -> Passage:
    starts = text.starts
    wanted = [any(unit.start <= start < unit.end for unit in row.units) for start in starts]
    offers = [Offer(starts.index(one.at + 1), tuple(map(spelled, one.actions))) for one in choices]
    return Passage(tuple(text.segments), tuple(wanted), tuple(offers), next_byte=True)


def _offered(readings: Sequence[TextReading], device: torch.device) -> list[Tensor]:
    return [joined(one, device) for reading in readings for one in reading.offers]

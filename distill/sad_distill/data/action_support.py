"""Action support: the tokens that may come next in an action that the world would accept (V_a of the paper)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sad_agents.sampling.action_trie import Trie, before_slot, spelled
from transformers import PreTrainedTokenizerBase

from sad_distill.data.labels import encode
from sad_distill.data.rows import Row, Unit
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.records import SpanKind
from sad_env.transcript import FORMS

SupportMode = Literal["full", "static", "trie", "byte"]
"""full: the whole vocabulary. static: every token that occurs in an action of the data. trie: what may come next in an
admissible action, in the tokenizer's own spelling. byte: as trie, in every spelling the vocabulary allows."""

_HEADERS = tuple(form.headers[SpanKind.ACT].rstrip() for form in FORMS.values() if form.closing == "\n")
"""What comes before an action; forms that close it with more than a newline have no token sets."""


def action_start(tokenizer: PreTrainedTokenizerBase, ids: tuple[int, ...], labels: str) -> int | None:
    """Index of the first token after "Action:" or "[ACT]", or None when these ids spell the header in another way.

    Args:
        tokenizer: of the ids.
        ids: of one completion.
        labels: of one completion.
    """
    first = labels.find(SpanKind.ACT.value)
    if first < 0:
        return None
    for end in range(first + 1, min(first + 9, len(ids)) + 1):
        text = str(tokenizer.decode(list(ids[first:end]))).lstrip("\n")
        if text in _HEADERS:
            return end
        if not any(header.startswith(text) for header in _HEADERS):
            return None
    return None


@dataclass
class SupportCounts:
    """How often token sets could be used; the trainer shows the rates."""

    positions: int = 0
    branching: int = 0
    off_trie: int = 0
    """Positions of actions that left the admissible ones, or of headers spelled in another way."""

    @property
    def off_trie_rate(self) -> float:
        """Share of action positions that no admissible action leads to, although the world lists its actions."""
        return self.off_trie / max(1, self.positions)


class ActionSupport:
    """Gives each action position of a row its token set (a `Supports` of `collate`).

    Args:
        tokenizer: of the rows.
        mode: see `SupportMode`.
        rows: where the static set is collected.

    Raises:
        ConfigError: the static set would be empty.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, mode: SupportMode = "trie", rows: Iterable[Row] = ()
    ) -> None:
        if mode not in ("full", "static", "trie", "byte"):
            raise UnknownNameError("action support", mode, ["full", "static", "trie", "byte"])
        self.tokenizer = tokenizer
        self.mode = mode
        self.counts = SupportCounts()
        self._tries: dict[tuple[str, ...], Trie] = {}
        self._bytes = ByteSpellings(tokenizer) if mode == "byte" else None
        self._static = sorted(_action_tokens(tokenizer, rows)) if mode == "static" else []
        if mode == "static" and not self._static:
            raise ConfigError("a static action support needs rows that hold actions")

    def __call__(self, row: Row) -> dict[int, list[int]]:
        """Token sets of the row by position."""
        sets: dict[int, list[int]] = {}
        if self.mode == "full":
            return sets
        for unit in row.units:
            ids, labels = row.ids[unit.start : unit.end], row.span_labels[unit.start : unit.end]
            start = action_start(self.tokenizer, ids, labels)
            stop = start
            while start is not None and stop is not None and stop < len(ids) and labels[stop] == SpanKind.ACT.value:
                stop += 1
            if start is None or stop is None:
                if unit.admissible is not None:
                    self._count(labels.count(SpanKind.ACT.value), 0, labels.count(SpanKind.ACT.value))
                continue
            found = list(self._sets(unit, ids[start:stop]))
            sets.update({unit.start + start + offset: one for offset, one in enumerate(found) if one})
            if unit.admissible is not None:
                self._count(len(found), sum(len(one or ()) > 1 for one in found), found.count([]))
        return sets

    def _count(self, positions: int, branching: int, off_trie: int) -> None:
        self.counts.positions += positions
        self.counts.branching += branching
        self.counts.off_trie += off_trie

    def _sets(self, unit: Unit, ids: tuple[int, ...]) -> Iterator[list[int] | None]:
        if self.mode == "static":
            for token in ids:
                yield self._static if token in self._static else []
        elif unit.admissible is not None and self._bytes is not None:
            yield from self._bytes.walk(unit.admissible, ids)
        elif unit.admissible is not None:
            if unit.admissible not in self._tries:
                if len(self._tries) > 50_000:
                    self._tries.clear()
                self._tries[unit.admissible] = Trie.of(self.tokenizer, unit.admissible)
            yield from self._tries[unit.admissible].walk(ids)


def _action_tokens(tokenizer: PreTrainedTokenizerBase, rows: Iterable[Row]) -> set[int]:
    tokens: set[int] = set()
    for row in rows:
        for unit in row.units:
            ids, labels = row.ids[unit.start : unit.end], row.span_labels[unit.start : unit.end]
            start = action_start(tokenizer, ids, labels)
            if start is not None:
                tokens.update(ids[start:])
            for action in unit.admissible or ():
                tokens.update(encode(tokenizer, spelled(action)))
    return tokens


class ByteSpellings:
    """Every spelling of the admissible actions that a byte-level vocabulary allows.

    Args:
        tokenizer: a byte-level BPE tokenizer (GPT-2, LLaMA 3, Qwen, SmolLM, nano).

    Raises:
        ConfigError: another kind of tokenizer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        alphabet = {character: byte for byte, character in byte_alphabet().items()}
        special = set(tokenizer.all_special_ids)
        self.token_bytes: dict[int, bytes] = {}
        for text, token in tokenizer.get_vocab().items():
            if token not in special and all(character in alphabet for character in text):
                self.token_bytes[token] = bytes(alphabet[character] for character in text)
        self.by_bytes = {spelling: token for token, spelling in self.token_bytes.items()}
        if len(self.by_bytes) < 0.9 * len(tokenizer):
            raise ConfigError("action support 'byte' needs a byte-level tokenizer; use 'trie'")
        self.longest = max(map(len, self.by_bytes))

    def walk(self, actions: Iterable[str], ids: Iterable[int]) -> Iterator[list[int] | None]:
        """For each id, what may begin the rest of some admissible action: None inside a slot, [] off the path."""
        left: list[tuple[bytes, bool]] = []
        for action in actions:
            before = before_slot(action)
            left.append(((spelled(action) if before is None else f" {before}").encode(), before is not None))
        for token in ids:
            if any(slot and not rest for rest, slot in left):
                yield None
                continue
            if not left:
                yield []
                continue
            yield sorted(
                {
                    self.by_bytes[rest[:size]]
                    for rest, _ in left
                    for size in range(1, min(len(rest), self.longest) + 1)
                    if rest[:size] in self.by_bytes
                }
            )
            spelling = self.token_bytes.get(token, b"")
            left = [(rest[len(spelling) :], slot) for rest, slot in left if spelling and rest.startswith(spelling)]


def byte_alphabet() -> dict[int, str]:
    """How byte-level tokenizers write each byte as one printable character (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in printable}
    for shift, byte in enumerate(byte for byte in range(256) if byte not in table):
        table[byte] = chr(0x100 + shift)
    return table

"""Inverted lists: gathered in runs of bounded size, then merged into the arrays that an index is made of."""

from __future__ import annotations

import heapq
import itertools
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sad_env.errors import DataError
from sad_env.search.lengths import encode

Array = npt.NDArray[Any]
Allocate = Callable[[str, int, Any], Array]
"""Makes room for the array of this name, length and dtype: in memory or in a file."""

_MERGE_POSTINGS = 1 << 21


def allocate_in_memory(name: str, length: int, dtype: Any) -> Array:
    """An `Allocate` for collections that fit into memory."""
    return np.zeros(length, dtype=dtype)


@dataclass(frozen=True)
class Strings:
    """Many byte strings in one array: string i is blob[starts[i]:starts[i + 1]]."""

    blob: Array
    starts: Array

    @classmethod
    def of(cls, strings: Sequence[bytes]) -> Strings:
        """`strings`, packed."""
        starts = np.zeros(len(strings) + 1, dtype=np.uint64)
        np.cumsum([len(string) for string in strings], out=starts[1:])
        return cls(np.frombuffer(b"".join(strings), dtype=np.uint8), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> bytes:
        return bytes(self.blob[int(self.starts[index]) : int(self.starts[index + 1])].data)

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))

    def find(self, string: bytes) -> int:
        """Index of `string` among sorted strings, -1 when it is not there."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self[middle] < string:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self[low] == string else -1


@dataclass(frozen=True)
class IndexRun:
    """The inverted lists of consecutive documents.

    Attributes:
        keys: of the documents, in order.
        terms: sorted.
        starts: list i is docs[starts[i]:starts[i + 1]], shape (terms + 1,), uint64.
        docs: document numbers in the whole collection, ascending in each list, uint32.
        weights: term frequency << 8 | length byte of the document, uint32.
        tokens: of all documents together, shape (1,).
    """

    keys: Strings
    terms: Strings
    starts: Array
    docs: Array
    weights: Array
    tokens: Array


class RunBuilder:
    """Takes documents and makes a `IndexRun` of them.

    Args:
        first: number of the first document.
    """

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self._keys: list[bytes] = []
        self._vocabulary: defaultdict[str, int] = defaultdict()
        self._vocabulary.default_factory = self._vocabulary.__len__
        self._terms = array("I")
        self._lengths = array("I")

    def __len__(self) -> int:
        """Tokens so far."""
        return len(self._terms)

    def add(self, key: str, terms: Sequence[str]) -> None:
        """One document with its terms in any order."""
        self._keys.append(key.encode("utf-8", "surrogatepass"))
        self._terms.extend(map(self._vocabulary.__getitem__, terms))
        self._lengths.append(len(terms))

    def finish(self) -> IndexRun:
        """The run of all documents added."""
        names = [name.encode("utf-8", "surrogatepass") for name in self._vocabulary]
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), dtype=np.uint64)
        rank[order] = np.arange(len(names), dtype=np.uint64)
        lengths = np.frombuffer(self._lengths, dtype=np.uint32).astype(np.int64)
        documents = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
        pairs = rank[np.frombuffer(self._terms, dtype=np.uint32)] << np.uint64(32) | documents
        pairs, frequencies = np.unique(pairs, return_counts=True)
        docs = (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        starts = np.searchsorted(pairs, np.arange(len(names) + 1, dtype=np.uint64) << np.uint64(32))
        weights = np.minimum(frequencies, (1 << 24) - 1).astype(np.uint32) << np.uint32(8) | encode(lengths)[docs]
        return IndexRun(
            keys=Strings.of(self._keys),
            terms=Strings.of([names[index] for index in order]),
            starts=starts.astype(np.uint64),
            docs=docs + np.uint32(self._first),
            weights=weights,
            tokens=np.array([lengths.sum()], dtype=np.uint64),
        )


def merge(runs: Sequence[IndexRun], allocate: Allocate) -> dict[str, Array]:
    """The arrays of an index over the documents of all runs, which follow one another.

    Memory: a few bytes for each term of each run, and about 100 bytes a document while the keys are sorted; the
    inverted lists themselves pass through in pieces.

    Returns:
        - ``key_blob``, ``key_starts``: the documents' keys;
        - ``key_ranks``: place of each document when sorted by key, uint32;
        - ``term_blob``, ``term_starts``: sorted terms;
        - ``list_starts``: of each term's list, uint64;
        - ``docs``: document numbers, uint32; ``codes``: index into ``weights`` for each of them, uint16 or uint32;
        - ``weights``: the distinct values of `Run.weights`, sorted, uint32;
        - ``peaks``: for each term its largest frequency << 8 | its documents' smallest length byte, uint32;
        - ``tokens``: their number in the whole collection, shape (1,), uint64.

    Raises:
        DataError: two documents have one key.
    """
    arrays: dict[str, Array] = {}
    _copy(arrays, allocate, "key", [run.keys for run in runs])
    _rank_keys(arrays, allocate)
    numbers = _merge_terms(runs, arrays, allocate)
    _merge_lists(runs, numbers, arrays, allocate)
    arrays["tokens"] = allocate("tokens", 1, np.uint64)
    arrays["tokens"][0] = sum(int(run.tokens[0]) for run in runs)
    return arrays


def _copy(arrays: dict[str, Array], allocate: Allocate, name: str, parts: Sequence[Strings]) -> None:
    blob = allocate(f"{name}_blob", sum(len(part.blob) for part in parts), np.uint8)
    starts = allocate(f"{name}_starts", sum(len(part) for part in parts) + 1, np.uint64)
    byte = count = 0
    for part in parts:
        blob[byte : byte + len(part.blob)] = part.blob
        starts[count + 1 : count + 1 + len(part)] = part.starts[1:] + np.uint64(byte)
        byte, count = byte + len(part.blob), count + len(part)
    arrays[f"{name}_blob"], arrays[f"{name}_starts"] = blob, starts


def _rank_keys(arrays: dict[str, Array], allocate: Allocate) -> None:
    keys = list(Strings(arrays["key_blob"], arrays["key_starts"]))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    for document, other in itertools.pairwise(order):
        if keys[document] == keys[other]:
            raise DataError(
                f"two documents have the key {keys[document].decode(errors='replace')[:80]!r}; keys are unique"
            )
    arrays["key_ranks"] = allocate("key_ranks", len(keys), np.uint32)
    arrays["key_ranks"][order] = np.arange(len(keys), dtype=np.uint32)


def _merge_terms(runs: Sequence[IndexRun], arrays: dict[str, Array], allocate: Allocate) -> list[Array]:
    """Writes the terms; returns for each run the number that each of its terms has now."""
    numbers = [array("I") for _ in runs]
    blob, starts = bytearray(), array("Q", [0])
    last: bytes | None = None
    for name, run in heapq.merge(*(zip(run.terms, itertools.repeat(index)) for index, run in enumerate(runs))):
        if name != last:
            blob += name
            starts.append(len(blob))
            last = name
        numbers[run].append(len(starts) - 2)
    merged = Strings(np.frombuffer(bytes(blob), dtype=np.uint8), np.frombuffer(starts, dtype=np.uint64))
    _copy(arrays, allocate, "term", [merged])
    return [np.frombuffer(part, dtype=np.uint32) for part in numbers]


def _merge_lists(
    runs: Sequence[IndexRun], numbers: Sequence[Array], arrays: dict[str, Array], allocate: Allocate
) -> None:
    terms = len(arrays["term_starts"]) - 1
    starts = allocate("list_starts", terms + 1, np.uint64)
    peaks = allocate("peaks", terms, np.uint32)
    sizes = np.zeros(terms, dtype=np.int64)
    distinct = np.zeros(0, dtype=np.uint32)
    for run, number in zip(runs, numbers, strict=True):
        sizes[number] += run.starts[1:].astype(np.int64) - run.starts[:-1].astype(np.int64)
        for piece in _pieces(run):
            distinct = np.union1d(distinct, run.weights[int(run.starts[piece.start]) : int(run.starts[piece.stop])])
    starts[1:] = np.cumsum(sizes)
    weights = allocate("weights", len(distinct), np.uint32)
    weights[:] = distinct
    docs = allocate("docs", int(starts[-1]), np.uint32)
    codes = allocate("codes", int(starts[-1]), np.uint16 if len(distinct) <= 1 << 16 else np.uint32)
    cursor = starts[:-1].astype(np.int64)
    frequency, length = np.zeros(terms, dtype=np.uint32), np.full(terms, 255, dtype=np.uint32)
    for run, number in zip(runs, numbers, strict=True):
        for piece in _pieces(run):
            bounds = run.starts[piece.start : piece.stop + 1].astype(np.int64)
            counts, first, term_ids = np.diff(bounds), bounds[0], number[piece]
            target = np.repeat(cursor[term_ids] - bounds[:-1], counts) + np.arange(first, bounds[-1])
            weight = run.weights[first : bounds[-1]]
            docs[target] = run.docs[first : bounds[-1]]
            codes[target] = np.searchsorted(distinct, weight)
            cursor[term_ids] += counts
            local = bounds[:-1] - first
            frequency[term_ids] = np.maximum(frequency[term_ids], np.maximum.reduceat(weight >> np.uint32(8), local))
            length[term_ids] = np.minimum(length[term_ids], np.minimum.reduceat(weight & np.uint32(255), local))
    peaks[:] = frequency << np.uint32(8) | length
    arrays.update(list_starts=starts, peaks=peaks, weights=weights, docs=docs, codes=codes)


def _pieces(run: IndexRun) -> Iterator[slice]:
    """Stretches of the run's terms with a bounded number of postings each, but at least one term."""
    terms, low = len(run.terms), 0
    while low < terms:
        limit = np.uint64(int(run.starts[low]) + _MERGE_POSTINGS)
        high = max(low + 1, min(terms, int(np.searchsorted(run.starts, limit, side="right")) - 1))
        yield slice(low, high)
        low = high

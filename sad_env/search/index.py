"""Ranked search as Lucene's BM25 does it, exactly, over arrays in memory or on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sad_env.errors import DataError
from sad_env.json_lines import read_json
from sad_env.search.analyzer import analyze
from sad_env.search.lengths import LENGTHS
from sad_env.search.runs import Array, RunBuilder, Strings, allocate_in_memory, merge

FORMAT = 1
"""Version of the folder's layout; another one is refused."""

_WINDOW = 1 << 20
"""Documents that are scored at a time: bounds a query's memory to a few megabytes."""

_BLOCK = 64
_SLACK = 1e-5
"""Relative error allowed to the 32-bit sums that choose candidates; candidates are then scored exactly."""

_K1, _B = np.float32(0.9), np.float32(0.4)
"""Saturation of the term frequency, and weight of the document's length: the values of Anserini."""


@dataclass(frozen=True)
class _Query:
    """One distinct term of a query.

    Attributes:
        docs: document numbers that hold it, ascending.
        codes: index into `scores` for each of them.
        scores: its contribution for every distinct weight of the index, float32.
        bound: no contribution is larger.
    """

    docs: Array
    codes: Array
    scores: Array
    bound: float


class RankedIndex:
    """Keys of documents, found by BM25.

    The score of a document is the sum over the query's terms of ``w - w / (1 + f * n)`` with f the term's frequency in
    the document, ``w = q * ln(1 + (N - df + 0.5) / (df + 0.5))``, q its frequency in the query, and
    ``n = 1 / (k1 * (1 - b + b * length / average length))``, with k1 = 0.9, b = 0.4 and the length in one byte's
    precision. Arithmetic follows Lucene 8: single precision for each term, summed in double, rounded to single.
    Documents of equal score are in ascending order of their keys.

    Thread-safe: a search shares nothing but read-only arrays. A process that opens a folder maps its files; what it
    has of its own is a few megabytes.

    Args:
        arrays: as `sad_env.search.runs.merge` returns them.

    >>> index = RankedIndex.of([("a", "red shoes"), ("b", "blue shoes"), ("c", "red red dress")])
    >>> [key for key, score in index.search("red shoe", 2)]
    ['a', 'c']
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._keys = Strings(arrays["key_blob"], arrays["key_starts"])
        self._terms = Strings(arrays["term_blob"], arrays["term_starts"])
        self._ranks = arrays["key_ranks"]
        self._starts, self._peaks = arrays["list_starts"], arrays["peaks"]
        self._docs, self._codes = arrays["docs"], arrays["codes"]
        weights = np.asarray(arrays["weights"])
        average = np.float32(int(arrays["tokens"][0]) / max(1, len(self)))
        lengths = LENGTHS.astype(np.float32)
        unit = np.float32(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            norms = unit / (_K1 * ((unit - _B) + _B * lengths / average))
        self._norms = norms.astype(np.float32)
        # 1 + f * n of every distinct (frequency, length); a term's scores are w - w / this.
        self._divisors = self._divisor(weights)

    @classmethod
    def of(cls, documents: Iterable[tuple[str, str]]) -> RankedIndex:
        """An index in memory over (key, text) pairs; for collections of thousands."""
        run = RunBuilder()
        for key, text in documents:
            run.add(key, analyze(text))
        return cls(merge([run.finish()], allocate_in_memory))

    @classmethod
    def open(cls, folder: Path) -> RankedIndex:
        """The index that `sad_env.search.build.build_index` wrote; its files are mapped, not read.

        Raises:
            DataError: no index there, of another version, or with a missing or cut file.
        """
        try:
            about = read_json(folder / "index.json")
            if about.get("format") != FORMAT:
                raise DataError(
                    f"{folder}: index format {about.get('format')!r}; this release reads {FORMAT}: build it again"
                )
            arrays = {}
            for name, length in about["arrays"].items():
                mapped = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                if len(mapped) != length:
                    raise DataError(
                        f"{folder}: {name}.npy holds {len(mapped)} entries where {length} are due: build it again"
                    )
                arrays[name] = np.asarray(mapped)
            return cls(arrays)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{folder}: no readable index ({error}); build it again") from None

    def __len__(self) -> int:
        """Documents."""
        return len(self._keys)

    def key(self, number: int) -> str:
        """Key of the document of this number; numbers follow the order in which documents came."""
        return self._keys[number].decode("utf-8", "surrogatepass")

    def search(self, query: str, k: int = 50) -> list[tuple[str, float]]:
        """The best `k` documents as (key, score), best first; fewer when fewer hold any of the query's terms."""
        return [(self.key(number), score) for number, score in self.search_numbers(query, k)]

    def search_numbers(self, query: str, k: int = 50) -> list[tuple[int, float]]:
        """As `search`, with the documents' numbers."""
        terms = self._lookup(query)
        if not terms or k < 1:
            return []
        chosen, scores = np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.float32)
        floor = 0.0
        for low in range(0, len(self), _WINDOW):
            candidates = self._candidates(terms, low, min(low + _WINDOW, len(self)), k, floor)
            chosen = np.concatenate([chosen, candidates])
            scores = np.concatenate([scores, _exact(terms, candidates)])
            chosen, scores = self._best(chosen, scores, k)
            if len(scores) == k:
                floor = float(scores[-1])
        return [(int(number), float(score)) for number, score in zip(chosen, scores, strict=True)]

    def _lookup(self, query: str) -> list[_Query]:
        """The query's distinct terms that the index has, in the query's order."""
        lists = []
        for term, times in Counter(analyze(query)).items():
            number = self._terms.find(term.encode("utf-8", "surrogatepass"))
            if number >= 0:
                start, end = int(self._starts[number]), int(self._starts[number + 1])
                frequency = end - start
                idf = np.log(1 + (len(self) - frequency + 0.5) / (frequency + 0.5))
                weight = np.float32(times) * np.float32(idf)
                scores = weight - weight / self._divisors
                bound = weight - weight / self._divisor(self._peaks[number : number + 1])[0]
                lists.append(_Query(self._docs[start:end], self._codes[start:end], scores, float(bound)))
        return lists

    def _divisor(self, weights: Array) -> Array:
        frequencies = (weights >> np.uint32(8)).astype(np.float32)
        divisor: Array = np.float32(1) + frequencies * self._norms[weights & np.uint32(255)]
        return divisor

    def _candidates(self, terms: list[_Query], low: int, high: int, k: int, floor: float) -> Array:
        """Numbers in [low, high) of all documents that can be among the best `k`, and maybe a few others.

        Terms are added in descending order of what they can contribute. Once the terms that are left cannot lift a
        document that has none of the others over the k-th best, they are only looked up for the documents in reach.
        """
        sums = np.zeros(-(-(high - low) // _BLOCK) * _BLOCK, dtype=np.float32)
        order = sorted(terms, key=lambda term: -term.bound)
        rest = sum(term.bound for term in order)
        touched = 0
        for index, term in enumerate(order):
            first, last = np.searchsorted(term.docs, np.array([low, high], dtype=term.docs.dtype))
            if touched > k and last - first > _BLOCK * k and (limit := max(floor, _kth(sums, k))) * (1 - _SLACK) > rest:
                near = _reaching(sums, limit * (1 - _SLACK) - rest)
                return self._narrow(order[index:], (near + low).astype(np.uint32), sums[near], k, floor)
            docs = term.docs[first:last] - np.uint32(low) if low else term.docs[first:last]
            sums[docs] += term.scores[term.codes[first:last]]
            rest -= term.bound
            touched += int(last - first)
        numbers: Array = (_reaching(sums, max(floor, _kth(sums, k)) * (1 - _SLACK)) + low).astype(np.uint32)
        return numbers

    def _narrow(self, terms: list[_Query], docs: Array, sums: Array, k: int, floor: float) -> Array:
        """Of `docs` with partial `sums`, those that can still be among the best `k` when `terms` are added."""
        rest = sum(term.bound for term in terms)
        for term in terms:
            sums = sums + _contributions(term, docs)
            rest -= term.bound
            limit = max(floor, _kth(sums, k)) * (1 - _SLACK) - rest
            docs, sums = docs[sums >= limit], sums[sums >= limit]
        return docs

    def _best(self, docs: Array, scores: Array, k: int) -> tuple[Array, Array]:
        if len(docs) > k:
            enough = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
            docs, scores = docs[enough], scores[enough]
        order = np.lexsort((self._ranks[docs], -scores))[:k]
        return docs[order], scores[order]


def _contributions(term: _Query, docs: Array) -> Array:
    """What `term` adds to each of `docs`, float32; zero where it does not occur."""
    places = np.minimum(np.searchsorted(term.docs, docs), len(term.docs) - 1)
    scores: Array = np.where(term.docs[places] == docs, term.scores[term.codes[places]], np.float32(0))
    return scores


def _exact(terms: list[_Query], docs: Array) -> Array:
    """Scores as Lucene computes them."""
    total = np.zeros(len(docs), dtype=np.float64)
    for term in terms:
        total += _contributions(term, docs)
    return total.astype(np.float32)


def _kth(sums: Array, k: int) -> float:
    """A value that at least `k` of the sums reach, as large as can be had cheaply; 0 when fewer are positive."""
    if len(sums) >= 4 * k * _BLOCK and len(sums) % _BLOCK == 0:
        # The largest of each block: when k of them reach a value, so do k documents.
        sums = sums.reshape(_BLOCK, -1).max(axis=0)
    if len(sums) <= k:
        return 0.0
    return float(np.partition(sums, len(sums) - k)[len(sums) - k])


def _reaching(sums: Array, limit: float) -> Array:
    """Where the sums are at least `limit`, or, with no limit, positive."""
    if limit <= 0:
        return np.flatnonzero(sums)
    if len(sums) % _BLOCK == 0:
        blocks = sums.reshape(_BLOCK, -1)
        columns = np.flatnonzero(blocks.max(axis=0) >= limit)
        if 8 * len(columns) < blocks.shape[1]:
            rows, places = np.nonzero(blocks[:, columns] >= limit)
            return np.sort(rows * blocks.shape[1] + columns[places])
    return np.flatnonzero(sums >= limit)

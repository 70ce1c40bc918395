"""Passages: how they are written and shown, dumps of them, and collections in memory and on disk that are searched."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Protocol, cast

from sad_env.data import Progress, silent
from sad_env.encyclopedia.articles import Article
from sad_env.errors import DataError
from sad_env.json_lines import RecordError, parse_json
from sad_env.search import DocumentStore, RankedIndex, build_index, build_store, fingerprint, is_built

STORE, INDEX = "passages.sqlite", "ranked"
WORDS = 100
"""Words of a passage at most, where we cut articles ourselves."""

_DUMPS = (".jsonl", ".jsonl.gz")


class PassageRecord(NamedTuple):
    """A passage: a unique id, and its contents: the title in quotes, a newline, the text."""

    id: str
    contents: str


class Retriever(Protocol):
    """Where passages come from."""

    def search(self, query: str, k: int) -> list[str]:
        """Contents of the best `k` passages, best first; fewer when fewer fit.

        Raises:
            InfrastructureError: the retriever does not answer; asking again is harmless.
        """
        ...

    def close(self) -> None:
        """Free what it holds; twice is fine."""
        ...


def shown(contents: Iterable[str]) -> str:
    r"""Passages as the agent sees them, in the words of Search-R1.

    >>> shown(['"Ed Wood"\nEd Wood was a director.'])
    'Doc 1(Title: "Ed Wood") Ed Wood was a director.'
    """
    lines = []
    for number, text in enumerate(contents, 1):
        title, _, body = text.partition("\n")
        lines.append(f"Doc {number}(Title: {title}) {body}")
    return "\n".join(lines).strip()


def cut(article: Article) -> Iterator[str]:
    """The contents of an article's passages, cut between sentences; only a sentence that is longer passes `WORDS`."""
    part: list[str] = []
    words = 0
    for sentence in article.sentences:
        length = len(sentence.split())
        if part and words + length > WORDS:
            yield f'"{article.title}"\n{"".join(part).strip()}'
            part, words = [], 0
        part.append(sentence)
        words += length
    yield f'"{article.title}"\n{"".join(part).strip()}'


class PoolRetriever:
    """Passages in memory, ranked by BM25; for collections of some ten thousand.

    Args:
        passages: the collection.
    """

    def __init__(self, passages: Iterable[PassageRecord]) -> None:
        self._passages = list(passages)
        self._index = RankedIndex.of(self._passages)

    def __len__(self) -> int:
        return len(self._passages)

    def search(self, query: str, k: int) -> list[str]:
        """Contents of the best `k` passages, best first."""
        return [self._passages[number].contents for number, _ in self._index.search_numbers(query, k)]

    def close(self) -> None:
        """Nothing to free."""


class StoredRetriever:
    """A collection that `build_passages` wrote, ranked by BM25.

    Nothing is held in memory but what the operating system maps, so that many workers share one copy.

    Args:
        folder: of the collection.

    Raises:
        DataError: no collection there, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / STORE).is_file():
            raise DataError(
                f"{folder}: no built passages; make them with `sad-data build searchqa --source DUMP --out {folder}`"
            )
        self._index = RankedIndex.open(folder / INDEX)
        self._store = DocumentStore(folder / STORE)

    def __len__(self) -> int:
        return len(self._index)

    def search(self, query: str, k: int) -> list[str]:
        """Contents of the best `k` passages, best first."""
        return [self._store.at(number)[1] for number, _ in self._index.search_numbers(query, k)]

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def build_passages(files: Sequence[Path], target: Path, *, progress: Progress = silent) -> StoredRetriever:
    """Turn a dump of passages into a collection on disk; interrupted, the same call goes on where it was.

    The text is copied first, which begins again when it was interrupted; the index, which takes most of the time, goes
    on from its last whole run.

    Args:
        files: the dump, JSON lines (packed by gzip or not) with ``id`` and ``contents``.
        target: folder of the collection.
        progress: called every few thousand passages.

    Raises:
        DataError: a file is not in this schema, two passages have one id, or there is none.
    """
    mark, path = fingerprint(files), target / STORE
    if not is_built(path, mark):
        build_store(path, _documents(files), about={"source": mark}, progress=progress).close()
    with contextlib.closing(DocumentStore(path)) as store:
        build_index(target / INDEX, store, fingerprint=mark, total=len(store), progress=progress)
    return StoredRetriever(target)


def _documents(files: Sequence[Path]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    empty = True
    for passage in read_passages(files):
        empty = False
        yield passage.id, passage.contents, ()
    if empty:
        raise DataError(
            f"{', '.join(map(str, files))}: no passage is in there; a line is an object with id and contents"
        )


def dump_files(source: Path, *, but: Collection[Path] = (), needed: bool = True) -> list[Path]:
    """The files of a dump: the file itself, or those in a folder (``*.jsonl``, ``*.jsonl.gz``).

    Args:
        source: the file or the folder.
        but: files of the folder that are no part of the dump.
        needed: a folder without any is refused.

    Raises:
        DataError: nothing of the kind.
    """
    if source.is_file():
        return [source]
    files = sorted(path for path in source.iterdir() if path.name.endswith(_DUMPS) and path not in but)
    if needed and not files:
        raise DataError(f"{source}: no dump ({', '.join(_DUMPS)}) is there; the official one has --pack passages")
    return files


def read_passages(files: Iterable[Path]) -> Iterator[PassageRecord]:
    """The passages of a dump in their order.

    Raises:
        DataError: a file is damaged or not in this schema.
    """
    for path in files:
        number = 0
        try:
            with _open(path) as lines:
                for line in lines:
                    number += 1
                    if line.strip():
                        yield _passage(line)
        except (RecordError, KeyError, TypeError) as error:
            raise DataError(f"{path}:{number}: not a passage with id and contents ({error})") from None
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be read: {error}") from None


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else open(path, "rb")


def _passage(line: bytes) -> PassageRecord:
    record = parse_json(line)
    name, contents = record["id"], record["contents"]
    if not isinstance(contents, str) or not isinstance(name, str | int):
        raise TypeError("id and contents are texts")
    # SQLite takes no lone surrogates.
    return PassageRecord(*(text.encode("utf-8", "replace").decode() for text in (str(name), contents)))


def passage_line(passage: PassageRecord) -> str:
    """A passage as a line of a dump."""
    return json.dumps(passage._asdict())

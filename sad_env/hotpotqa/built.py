"""Question files of any size on disk: questions read one at a time, and the pool of their paragraphs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sad_env.data import Progress, silent
from sad_env.encyclopedia.articles import Article
from sad_env.encyclopedia.questions import Question, task_names
from sad_env.errors import DataError
from sad_env.hotpotqa.fullwiki import read_dump, write_corpus
from sad_env.hotpotqa.questions import articles_file, to_question
from sad_env.json_stream import elements
from sad_env.panels import name_fault
from sad_env.search import DocumentStore, build_store, fingerprint


def questions_file(folder: Path, split: str) -> Path:
    """Where the questions of a split lie in a built folder."""
    return folder / f"questions_{split}.sqlite"


def pool_folder(folder: Path, split: str) -> Path:
    """Where the corpus of a split's paragraphs lies in a built folder."""
    return folder / f"pool_{split}"


class StoredQuestions(Mapping[str, Question]):
    """The questions of a split by task id, in the file's order; only their ids are held in memory.

    Args:
        path: a file that `build_questions` wrote.

    Raises:
        DataError: no such file, or not one of ours.
    """

    def __init__(self, path: Path) -> None:
        self._store = DocumentStore(path)
        self._names = tuple(self._store.about["names"].split("\n"))
        self._read = lru_cache(maxsize=64)(self._load)

    def __getitem__(self, name: str) -> Question:
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _load(self, name: str) -> Question:
        body = self._store.get(name)
        if body is None:
            raise KeyError(name)
        return to_question(json.loads(body), name, self._store.path)


def build_questions(source: Path, target: Path, split: str, *, progress: Progress = silent) -> int:
    """Turn a question file into the on-disk form, without ever holding all of it in memory.

    Args:
        source: the file.
        target: folder of the on-disk form.
        split: what the split is called there.
        progress: called every few thousand questions and articles.

    Returns:
        The number of questions.

    Raises:
        DataError: the file is not in HotPotQA's schema, or an id holds a newline or a lone surrogate.
    """
    names = task_names(str(record.get("_id") or "") for record in stream_records(source))
    if not names:
        raise DataError(f"{source} holds no question")
    if fault := next(filter(None, map(name_fault, names)), ""):  # no panel could name it
        raise DataError(f"{source}: {fault}: give it another _id")
    records = zip(names, stream_records(source), strict=True)
    path = questions_file(target, split)
    documents = ((name, json.dumps(record), ()) for name, record in records if to_question(record, name, source))
    build_store(path, documents, about={"names": "\n".join(names)}, total=len(names), progress=progress).close()
    dump = articles_file(source.parent, split)
    mark = fingerprint([dump if dump.is_file() else source])

    def articles() -> Iterator[Article]:
        return read_dump([dump]) if dump.is_file() else _paragraphs(path)

    write_corpus(articles, pool_folder(target, split), mark, progress=progress).close()
    return len(names)


def _paragraphs(path: Path) -> Iterator[Article]:
    """The different paragraphs of all questions, in their order."""
    seen: set[int] = set()
    with contextlib.closing(DocumentStore(path)) as store:
        for name, body in store:
            for article in to_question(json.loads(body), name, path).context:
                # Equal hashes in one process: this set is never written anywhere.
                if (mark := hash((article.title, article.text))) not in seen:
                    seen.add(mark)
                    yield article


def stream_records(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list, one after the other.

    Raises:
        DataError: no such file, or no list of objects.
    """
    for record in elements(path):
        if not isinstance(record, dict):
            raise DataError(f"{path} holds no list of questions in HotPotQA's schema")
        yield record

"""The tasks of a split: its questions, and the passages that come with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from sad_env.data import located, pack_folder, read_packs
from sad_env.encyclopedia.articles import AMBIGUOUS, Article
from sad_env.encyclopedia.fiction import Fiction
from sad_env.encyclopedia.names import SPLITS as GENERATED_SPLITS
from sad_env.encyclopedia.questions import Question
from sad_env.encyclopedia.quiz import Quiz
from sad_env.encyclopedia.writer import Writer
from sad_env.errors import DataError, UnknownNameError
from sad_env.panels import Panel
from sad_env.searchqa.passages import (
    STORE,
    PassageRecord,
    PoolRetriever,
    Retriever,
    StoredRetriever,
    cut,
    read_passages,
)
from sad_env.searchqa.questions import QuestionFiles, file_stamp, question_files

WORLD = "searchqa"
PACKS = read_packs("sad_env.searchqa")
SIZES = {"train": (8000, 16000), "test": (1000, 4000)}
"""Questions and articles of the generated splits that need no folder."""

SHARES = {"one-hop": 34, "bridge-2": 30, "bridge-3": 12, "intersection": 12, "comparison": 8, "yes-no": 4}
"""Families of generated questions in per cent: choices between two, which can be guessed, are few."""

_ARTICLES = 3
"""Articles that a generated question needs at most: three searches and the answer are four turns."""


@dataclass(frozen=True)
class QuestionSet:
    """The questions of a split.

    Attributes:
        panel: the tasks.
        questions: by task id.
        folder: where files lie; None for generated data.
        passages: of generated data.
    """

    panel: Panel
    questions: Mapping[str, Question]
    folder: Path | None = None
    passages: tuple[PassageRecord, ...] = field(default=(), repr=False)

    @cached_property
    def retriever(self) -> Retriever:
        """The passages that come with the questions; copies of the world in one process share them.

        Raises:
            DataError: none do.
        """
        if self.folder is None:
            return PoolRetriever(self.passages)
        for place in _passages_of(self.folder, self.panel.data, self.panel.name):
            if place.is_file():
                built = place.name == STORE
                return StoredRetriever(place.parent) if built else PoolRetriever(read_passages([place]))
        raise DataError(
            f"{self.folder} has no passages: give corpus=FOLDER, which `sad-data build searchqa --source DUMP --out"
            " FOLDER` makes, or retriever=http://HOST:PORT/retrieve"
        )


def passages_file(folder: Path, split: str) -> Path:
    """Where the generator writes the passages of a split, next to its questions."""
    return folder / f"{split}.passages.jsonl"


def _passages_of(folder: Path, kind: str, split: str) -> list[Path]:
    """Where the passages of a folder's questions may lie, the first place first."""
    corpora = [folder / "corpus", *([pack_folder(WORLD, "passages") / "corpus"] if kind == "official" else [])]
    return [*(corpus / STORE for corpus in corpora), passages_file(folder, split)]


def generate(split: str, count: int, articles: int, seed: int = 0) -> QuestionSet:
    """A generated encyclopedia, cut into passages, and questions on it.

    Args:
        split: "train" or "test"; no name is in both, whatever the seed.
        count: questions.
        articles: about how many articles.
        seed: decides everything else.

    Raises:
        UnknownNameError: another split.
        ConfigError: so many questions that so small a world does not hold them.
    """
    if split not in GENERATED_SPLITS:
        raise UnknownNameError("split of generated searchqa", split, GENERATED_SPLITS)
    fiction = Fiction(seed, split, articles)
    written = Writer(fiction, seed, full=True).write_all()
    questions = Quiz(fiction, written, seed, shares=SHARES, articles=_ARTICLES).draw(split, count)
    # Disambiguation pages are in no dump of passages either.
    texts = [part for one in written.values() if not _is_list(one.article) for part in cut(one.article)]
    passages = tuple(PassageRecord(f"{split}-{number}", text) for number, text in enumerate(texts))
    panel = Panel.of(WORLD, "generated", split, [question.id for question in questions])
    return QuestionSet(panel, {question.id: question for question in questions}, passages=passages)


def _is_list(article: Article) -> bool:
    return AMBIGUOUS in article.sentences[0]


def open_questions(data: str, split: str | None) -> QuestionSet:
    """The questions that a world's `data` and `split` name; copies of the world in one process share them.

    Args:
        data: "generated", "official", a folder of question files (`question_files`), or one such file.
        split: generated: train or test (the default). Folders: train, dev, test (the default where it is there). A file
            has one split, named after it.

    Raises:
        DataError: the data is not there or not in this schema.
        UnknownNameError: no such split.
    """
    if data == "generated":
        if (split or "test") not in SIZES:
            raise UnknownNameError("split of generated searchqa", str(split), SIZES)
        return _generated(split or "test")
    kind, path = located(WORLD, data, PACKS)
    if path.is_file():
        folder, there = path.parent, {path.stem: {path.stem: path}}
    else:
        folder, there = path, question_files(path)
    if not there:
        raise DataError(
            f"{folder}: no question files (DATASET/SPLIT.jsonl, DATASET_SPLIT.jsonl or SPLIT.jsonl) are there"
        )
    split = split or ("test" if "test" in there else next(iter(there)))
    if split not in there:
        raise UnknownNameError(f"split of searchqa in {folder}", split, there)
    files = tuple(there[split].items())
    read = [path for _, path in files] + [place for place in _passages_of(folder, kind, split) if place.is_file()]
    return _load(kind, split, files, folder, tuple(map(file_stamp, read)))


@lru_cache(maxsize=2)
def _generated(split: str) -> QuestionSet:
    return generate(split, *SIZES[split])


@lru_cache(maxsize=4)
def _load(
    kind: str, split: str, files: tuple[tuple[str, Path], ...], folder: Path, stamp: tuple[tuple[int, int, int], ...]
) -> QuestionSet:
    """The questions of files; `stamp` changes with them and their passages, so that changed data is read again."""
    questions = QuestionFiles(files)
    return QuestionSet(Panel.of(WORLD, kind, split, questions), questions, folder)

"""The tasks of a split: its questions, and the articles that come with them."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from sad_env.data import located, read_packs
from sad_env.encyclopedia.articles import Article
from sad_env.encyclopedia.fiction import Fiction
from sad_env.encyclopedia.names import SPLITS
from sad_env.encyclopedia.questions import Question
from sad_env.encyclopedia.quiz import Quiz
from sad_env.encyclopedia.writer import Writer
from sad_env.errors import DataError, UnknownNameError
from sad_env.hotpotqa.built import StoredQuestions, pool_folder, questions_file
from sad_env.hotpotqa.corpus import PoolSource
from sad_env.hotpotqa.fullwiki import STORE, StoredSource, read_dump
from sad_env.hotpotqa.pages import PageSource
from sad_env.hotpotqa.questions import DEV_SIZE, OFFICIAL_FILES, articles_file, load_questions, react_order
from sad_env.panels import Panel

WORLD = "hotpotqa"
PACKS = read_packs("sad_env.hotpotqa")
SIZES = {"train": (8000, 24000), "test": (1000, 4000)}
"""Questions and articles of the generated splits that need no folder."""

REACT = "react-500"
"""The panel of ReAct's evaluation: the first 500 development questions in its order."""

PAPER_SPLITS = {"paper-train": slice(84_000), "paper-eval": slice(84_000, 87_447), "paper-test": slice(87_447, 90_447)}
"""Parts of the official train file, of the sizes of arXiv 2505.13820v3, section 4.1.

It does not say which questions are in which part: here they are in the order of their ids' hashes."""
_TRAIN_SIZE = 90_447

UNSEEN = "unseen-entities"
"""Questions about articles that no question of train is about (appendix J): generated, those of test; else of dev."""

_DISTRACTORS = 8


@dataclass(frozen=True)
class TaskSet:
    """The questions of a split.

    Attributes:
        kind: generated, official or given.
        panel: the tasks.
        questions: by task id.
        articles: what the pool is made of, where it is made in memory.
        stored: the pool, where it lies on disk.
    """

    kind: str
    panel: Panel
    questions: Mapping[str, Question]
    articles: tuple[Article, ...]
    stored: StoredSource | None = None

    @cached_property
    def _by_title(self) -> dict[str, Article]:
        return {article.title: article for article in self.articles}

    @cached_property
    def pool(self) -> PageSource:
        """All articles as one page source."""
        return self.stored or PoolSource(self.articles)

    def context(self, question: Question) -> tuple[Article, ...]:
        """The question's own paragraphs; for generated questions the supporting ones among eight drawn at random."""
        if question.context:
            return question.context
        draw = random.Random(f"context {question.id} {question.text}")
        gold = [article for title in question.titles if (article := self._by_title.get(title))]
        others = draw.sample(self.articles, min(len(self.articles), _DISTRACTORS + len(gold)))
        chosen = gold + [article for article in others if article not in gold][:_DISTRACTORS]
        draw.shuffle(chosen)
        return tuple(chosen)


def generate(split: str, count: int, articles: int, seed: int = 0) -> TaskSet:
    """A generated encyclopedia and questions on it.

    Args:
        split: "train" or "test"; no name is in both, whatever the seed.
        count: questions.
        articles: about how many articles.
        seed: decides everything else.

    Raises:
        UnknownNameError: another split.
        ConfigError: so many questions that so small a world does not hold them.
    """
    if split not in SPLITS:
        raise UnknownNameError("split of generated hotpotqa", split, SPLITS)
    fiction = Fiction(seed, split, articles)
    written = Writer(fiction, seed).write_all()
    questions = Quiz(fiction, written, seed).draw(split, count)
    panel = Panel.of(WORLD, "generated", split, [question.id for question in questions])
    texts = tuple(text.article for text in written.values())
    return TaskSet("generated", panel, {question.id: question for question in questions}, texts)


def open_tasks(data: str, split: str | None) -> TaskSet:
    """The tasks that a world's `data` and `split` name; copies of the world in one process share them.

    Args:
        data: "generated", "official", a folder with files under their official names or in the form that
            `sad-data build` makes of them, or one such file.
        split: generated: train, test (the default) or unseen-entities. Folders: train, dev (the default),
            dev-fullwiki, test, react-500, unseen-entities (of dev), or paper-train, paper-eval and paper-test, parts of
            train. A file has one split: that of its name in a folder, or one named after it.

    Raises:
        DataError: the data is not there or not in this schema.
        UnknownNameError: no such split.
    """
    if data == "generated":
        split = split or "test"
        if split == UNSEEN:
            test = _generated("test")  # shares no name with train
            return replace(test, panel=Panel.of(WORLD, "generated", UNSEEN, test.panel.task_ids))
        if split not in SIZES:
            raise UnknownNameError("split of generated hotpotqa", split, [*SIZES, UNSEEN])
        return _generated(split)
    kind, folder = located(WORLD, data, PACKS)
    if folder.is_file():
        path, folder = folder, folder.parent
        own = next((name for name, file in OFFICIAL_FILES.items() if file == path.name), path.stem)
        # Before files had the names of their splits, a file's split was called after the file.
        name = own if split in (None, path.stem) else str(split)
        return _load(kind, name, ((own, path),), folder, _stamp(folder, {own: path}))
    built = {name: questions_file(folder, name) for name in OFFICIAL_FILES}
    plain = {name: folder / file for name, file in OFFICIAL_FILES.items()}
    there = {name: path for name in OFFICIAL_FILES for path in (plain[name], built[name]) if path.is_file()}
    if not there:
        raise DataError(f"{folder}: none of {', '.join(OFFICIAL_FILES.values())} is there")
    split = split or ("dev" if "dev" in there else next(iter(there)))
    return _load(kind, split, tuple(there.items()), folder, _stamp(folder, there))


@lru_cache(maxsize=2)
def _generated(split: str) -> TaskSet:
    return generate(split, *SIZES[split])


def _stamp(folder: Path, files: Mapping[str, Path]) -> tuple[tuple[int, int, int], ...]:
    """What changes when a question file, its articles or its built pool are replaced or rewritten."""
    pools = [place for split in files for place in (articles_file(folder, split), pool_folder(folder, split))]
    there = [path for path in (*files.values(), *pools, *(pool / STORE for pool in pools)) if path.exists()]
    return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in map(os.stat, there))


@lru_cache(maxsize=4)
def _load(
    kind: str, split: str, files: tuple[tuple[str, Path], ...], folder: Path, stamp: tuple[tuple[int, int, int], ...]
) -> TaskSet:
    """The split's questions from its file, and what its pool is made of.

    Args:
        kind: official or given.
        split: its name.
        files: the file of each split.
        folder: of the articles, or of the built pool.
        stamp: of all that is read, so that changed data is read again.
    """
    there = dict(files)
    names = [*there, *([REACT] if "dev" in there else []), *(PAPER_SPLITS if "train" in there else [])]
    names += [UNSEEN] if {"train", "dev"} <= there.keys() else []
    if split not in names:
        raise UnknownNameError(f"split of hotpotqa in {folder}", split, names)
    file = "dev" if split in (REACT, UNSEEN) else "train" if split in PAPER_SPLITS else split
    path = there[file]
    questions: Mapping[str, Question]
    if path.suffix == ".sqlite":
        questions, pool = StoredQuestions(path), StoredSource(pool_folder(folder, file))
        return TaskSet(kind, _panel(kind, split, questions, path, there), questions, (), pool)
    loaded = load_questions(path)
    questions = {question.id: question for question in loaded}
    dump = articles_file(folder, split if split == REACT else file)
    articles = read_dump([dump]) if dump.is_file() else (article for question in loaded for article in question.context)
    return TaskSet(kind, _panel(kind, split, questions, path, there), questions, tuple(dict.fromkeys(articles)))


def _panel(kind: str, split: str, questions: Mapping[str, Question], path: Path, files: Mapping[str, Path]) -> Panel:
    names = list(questions)
    if split == REACT:
        if len(names) != DEV_SIZE:
            raise DataError(f"{path} has {len(names):,} questions; {REACT} is drawn from all {DEV_SIZE:,}")
        names = [names[position] for position in react_order()[:500]]
    elif split == UNSEEN:
        seen = {title for question in _questions(files["train"]) for title in question.titles}
        names = [name for name in names if seen.isdisjoint(questions[name].titles)]
    elif split in PAPER_SPLITS:
        if len(names) != _TRAIN_SIZE:
            raise DataError(f"{path} has {len(names):,} questions; {split} is a part of all {_TRAIN_SIZE:,}")
        names = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[PAPER_SPLITS[split]]
    return Panel.of(WORLD, kind, split, names)


def _questions(path: Path) -> Iterable[Question]:
    return StoredQuestions(path).values() if path.suffix == ".sqlite" else load_questions(path)

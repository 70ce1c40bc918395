"""Sets of tasks: the questions of a split, and the articles that come with them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from sad_env.data import resolve
from sad_env.errors import DataError, UnknownNameError
from sad_env.hotpotqa.articles import Article
from sad_env.hotpotqa.corpus import PoolSource
from sad_env.hotpotqa.fullwiki import read_dump
from sad_env.hotpotqa.generator.encyclopedia import Writer
from sad_env.hotpotqa.generator.fiction import Fiction
from sad_env.hotpotqa.generator.names import SPLITS
from sad_env.hotpotqa.generator.quiz import Quiz
from sad_env.hotpotqa.packs import PACKS
from sad_env.hotpotqa.questions import DEV_SIZE, OFFICIAL_FILES, Question, load_questions, react_order
from sad_env.panels import Panel

WORLD = "hotpotqa"
SIZES = {"train": (4000, 8000), "test": (1000, 4000)}
"""Questions and articles of the generated splits that need no folder."""

REACT = "react-500"
"""The panel of ReAct's evaluation: the first 500 development questions in its order."""

_DISTRACTORS = 8


@dataclass(frozen=True)
class TaskSet:
    """The questions of a split.

    Attributes:
        kind: generated, official or given.
        panel: the tasks.
        questions: by task id.
        articles: what the pool is made of.
    """

    kind: str
    panel: Panel
    questions: dict[str, Question]
    articles: tuple[Article, ...]

    @cached_property
    def _by_title(self) -> dict[str, Article]:
        return {article.title: article for article in self.articles}

    @cached_property
    def pool(self) -> PoolSource:
        """All articles as one page source."""
        return PoolSource(self.articles)

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
        split: "train" or "test"; no name of one stands in the other, whatever the seed.
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
    texts = tuple(one.article for one in written.values())
    return TaskSet("generated", panel, {question.id: question for question in questions}, texts)


@lru_cache(maxsize=4)
def open_tasks(data: str, split: str | None) -> TaskSet:
    """The tasks that a world's `data` and `split` name; copies of the world in one process share them.

    Args:
        data: "generated", "official", a folder with files under their official names, or one such file.
        split: generated: train or test (the default). Folders: train, dev (the default), dev-fullwiki, test, or
            react-500. A file has one split, named after it.

    Raises:
        DataError: the data is not there or not in this schema.
        UnknownNameError: no such split.
    """
    if data == "generated":
        split = split or "test"
        if split not in SIZES:
            raise UnknownNameError("split of generated hotpotqa", split, SIZES)
        return generate(split, *SIZES[split])
    path = Path(data)
    if path.is_file():
        return _from_file("given", path, split or path.stem, path.stem)
    kind, folder = resolve(WORLD, data, PACKS)
    assert folder is not None
    there = {name: folder / file for name, file in OFFICIAL_FILES.items() if (folder / file).is_file()}
    if not there:
        raise DataError(f"{folder}: none of {', '.join(OFFICIAL_FILES.values())} is there")
    names = [*there, *([REACT] if "dev" in there else [])]
    split = split or ("dev" if "dev" in there else next(iter(there)))
    if split not in names:
        raise UnknownNameError(f"split of hotpotqa in {folder}", split, names)
    return _from_file(kind, there["dev" if split == REACT else split], split, split)


def _from_file(kind: str, path: Path, split: str, name: str) -> TaskSet:
    if split != name:
        raise UnknownNameError(f"split of {path}", split, [name])
    questions = load_questions(path)
    chosen = questions
    if split == REACT:
        if len(questions) != DEV_SIZE:
            raise DataError(f"{path} has {len(questions):,} questions; {REACT} is drawn from all {DEV_SIZE:,}")
        chosen = [questions[position] for position in react_order()[:500]]
    panel = Panel.of(WORLD, kind, split, [question.id for question in chosen])
    dump = articles_file(path.parent, split)
    if dump.is_file():
        articles = tuple(read_dump([dump]))
    else:
        articles = tuple(dict.fromkeys(article for question in questions for article in question.context))
    return TaskSet(kind, panel, {question.id: question for question in chosen}, articles)


def articles_file(folder: Path, split: str) -> Path:
    """Where the generator writes the articles of a split beside its questions."""
    return folder / f"articles_{split}.jsonl"

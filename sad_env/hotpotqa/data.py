"""Data of HotPotQA for `sad-data`: official packs, generated questions with their encyclopedia, corpora on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sad_env.answers import normalize_answer
from sad_env.data import DataPack, Progress
from sad_env.encyclopedia.questions import Question
from sad_env.encyclopedia.titles import normalize_title
from sad_env.errors import DataError
from sad_env.files import atomic_text, exclusive
from sad_env.hotpotqa.built import build_questions
from sad_env.hotpotqa.fullwiki import STORE, StoredSource, article_line, build_corpus, has_dump
from sad_env.hotpotqa.questions import OFFICIAL_FILES, articles_file, load_questions, official_record, save_questions
from sad_env.hotpotqa.tasks import PACKS, generate

ARTICLES_PER_QUESTION = 2
_FEWEST_ARTICLES = 1000


class HotPotQAData:
    """What `sad-data` does for HotPotQA."""

    packs: Sequence[DataPack] = PACKS

    def generate(self, folder: Path, *, count: int, seed: int, split: str, progress: Progress) -> str:
        """Write questions in the official schema, and the encyclopedia they are asked of."""
        articles = max(_FEWEST_ARTICLES, ARTICLES_PER_QUESTION * count)
        tasks = generate(split, count, articles, seed)
        records = []
        for number, question in enumerate(tasks.questions.values(), 1):
            records.append(official_record(question, tasks.context(question)))
            if number % 500 == 0:
                progress("writing questions", number, count)
        path = folder / OFFICIAL_FILES[split]
        save_questions(path, records)
        with atomic_text(articles_file(folder, split)) as file:
            for article in tasks.articles:
                print(article_line(article), file=file)
        return f"{path}: {count:,} questions over {len(tasks.articles):,} articles"

    def build(self, source: Path, target: Path, *, progress: Progress) -> str:
        """Turn question files into the on-disk form, to be given as `data`, and a dump of articles into a corpus.

        A corpus serves `source="fullwiki"`. Either may be missing. Interrupted, the same command goes on where it was.
        """
        with exclusive(target.with_name(f"{target.name}.lock"), str(target)):
            return self._build(source, target, progress)

    def _build(self, source: Path, target: Path, progress: Progress) -> str:
        files = {split: source / name for split, name in OFFICIAL_FILES.items() if (source / name).is_file()}
        lines = []
        for split, path in files.items():
            lines.append(f"{split} {build_questions(path, target, split, progress=progress):,} questions")
        # The articles that belong to a question file are part of its on-disk form.
        pools = {articles_file(source, split) for split in files}
        if not files or has_dump(source, but=pools):
            corpus = build_corpus(source, target, but=pools, progress=progress)
            corpus.close()
            lines.append(f"{len(corpus):,} articles")
        return f"{target}: " + ", ".join(lines)

    def verify(self, folder: Path, *, progress: Progress) -> list[str]:
        """Look at every question of every file, and at a corpus where there is one.

        Raises:
            DataError: nothing to verify, or something is damaged.
        """
        lines = []
        for name in OFFICIAL_FILES.values():
            if (folder / name).is_file():
                questions = load_questions(folder / name)
                progress(name, len(questions), len(questions))
                lines.append(f"{name}: {_findings(questions)}")
        if (folder / STORE).is_file():
            corpus = StoredSource(folder)
            lines.append(f"{STORE}: {len(corpus):,} articles")
            corpus.close()
        if not lines:
            raise DataError(f"{folder}: none of {', '.join((*OFFICIAL_FILES.values(), STORE))} is there")
        return lines


def _findings(questions: Sequence[Question]) -> str:
    """One line on the questions of a file."""
    without_facts = sum(not question.facts for question in questions)
    outside = sum(not _gold_is_given(question) for question in questions)
    unread = sum(not _answer_is_given(question) for question in questions)
    return (
        f"{len(questions):,} questions; {without_facts} without supporting facts, {outside} whose supporting"
        f" paragraphs are not all given, {unread} whose answer is not in the given paragraphs"
    )


def _gold_is_given(question: Question) -> bool:
    given = {normalize_title(article.title) for article in question.context}
    return all(normalize_title(title) in given for title in question.titles)


def _answer_is_given(question: Question) -> bool:
    answer = normalize_answer(question.answer)
    return answer in ("yes", "no") or any(answer in normalize_answer(article.text) for article in question.context)


DATA = HotPotQAData()
"""The data of this world."""

"""Data of Search-QA for `sad-data`: official packs, generated questions with their passages, collections on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sad_env.data import DataPack, Progress
from sad_env.errors import DataError
from sad_env.files import atomic_text, exclusive
from sad_env.searchqa.passages import STORE, StoredRetriever, build_passages, dump_files, passage_line, read_passages
from sad_env.searchqa.questions import QuestionFiles, question_files, save_questions
from sad_env.searchqa.tasks import PACKS, generate, passages_file

ARTICLES_PER_QUESTION = 2
_FEWEST_ARTICLES = 1000


class SearchQAData:
    """What `sad-data` does for Search-QA."""

    packs: Sequence[DataPack] = PACKS

    def generate(self, folder: Path, *, count: int, seed: int, split: str, progress: Progress) -> str:
        """Write questions, and the passages that answer them."""
        made = generate(split, count, max(_FEWEST_ARTICLES, ARTICLES_PER_QUESTION * count), seed)
        progress("writing questions", count, count)
        path = folder / f"{split}.jsonl"
        with atomic_text(passages_file(folder, split)) as file:
            for passage in made.passages:
                print(passage_line(passage), file=file)
        save_questions(path, made.questions.values())
        return f"{path}: {count:,} questions over {len(made.passages):,} passages"

    def build(self, source: Path, target: Path, *, progress: Progress) -> str:
        """Turn a dump of passages into a collection on disk, to be given as `corpus`; question files are left out."""
        questions = {path for files in question_files(source).values() for path in files.values()}
        with exclusive(target.with_name(f"{target.name}.lock"), str(target)):
            collection = build_passages(dump_files(source, but=questions), target, progress=progress)
        collection.close()
        return f"{target}: {len(collection):,} passages"

    def verify(self, folder: Path, *, progress: Progress) -> list[str]:
        """Look at every question, at every passage of dumps, and at a built collection.

        Raises:
            DataError: nothing to verify, or something is damaged.
        """
        lines, files = [], question_files(folder)
        for split, those in files.items():
            questions = QuestionFiles(those.items())
            progress(split, len(questions), len(questions))
            counts = Counter(question.kind for question in questions.values())
            lines.append(f"{split}: {', '.join(f'{count:,} of {kind}' for kind, count in sorted(counts.items()))}")
        for place in (folder, folder / "corpus"):
            if (place / STORE).is_file():
                collection = StoredRetriever(place)
                lines.append(f"{place.name}: {len(collection):,} passages, built")
                collection.close()
        known = {path for those in files.values() for path in those.values()}
        for path in dump_files(folder, but=known, needed=not lines):
            count = 0
            for count, _ in enumerate(read_passages([path]), 1):
                if count % 100_000 == 0:
                    progress(path.name, count, 0)
            lines.append(f"{path.name}: {count:,} passages")
        if not lines:
            raise DataError(f"{folder}: neither questions nor passages are there")
        return lines


DATA = SearchQAData()
"""The data of this world."""

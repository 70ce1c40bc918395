"""Question files: JSON lines with `id`, `question`, `golden_answers`, `data_source`, one file or many in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sad_env.encyclopedia.questions import Question, task_names
from sad_env.errors import DataError
from sad_env.files import atomic_text
from sad_env.json_lines import RecordError, parse_json

SPLITS = ("train", "dev", "test")


def question_files(folder: Path) -> dict[str, dict[str, Path]]:
    """The question files of a folder: by split, then by data set, in the data sets' order.

    A data set's file is DATASET/SPLIT.jsonl (as FlashRAG publishes them), DATASET_SPLIT.jsonl, or SPLIT.jsonl with the
    names of the data sets in its lines. The split test takes a data set's dev file where it has no test file, as
    Search-R1 does: the test answers of several are not public.
    """
    found: dict[str, dict[str, Path]] = {split: {} for split in SPLITS}
    for split, files in found.items():
        for path in sorted(folder.glob(f"*/{split}.jsonl")):
            files[path.parent.name] = path
        for path in sorted(folder.glob(f"*_{split}.jsonl")):
            files[path.stem.removesuffix(f"_{split}")] = path
        if (own := folder / f"{split}.jsonl").is_file():
            files[folder.name] = own
    found["test"] = found["dev"] | found["test"]
    return {split: dict(sorted(files.items())) for split, files in found.items() if files}


def load_questions(files: Iterable[tuple[str, Path]]) -> list[Question]:
    """The questions of a split in their files' order, each named DATASET/ID.

    Names that are not unique are replaced by positions. A question that does not end in a question mark gets one, as
    in Search-R1.

    Args:
        files: name of the data set, where the lines do not say it, and file.

    Raises:
        DataError: a file cannot be read, holds no question, or is not in this schema.
    """
    records = [(where, source, record) for source, path in files for where, record in _read(path)]
    sources = [_text(record.get("data_source", source), where) for where, source, record in records]
    ids = [f"{source}/{record.get('id', '')}" for source, (_, _, record) in zip(sources, records, strict=True)]
    names = task_names("" if one.endswith("/") else one for one in ids)
    return [
        _question(record, name, source, where)
        for (where, _, record), name, source in zip(records, names, sources, strict=True)
    ]


def save_questions(path: Path, questions: Iterable[Question]) -> None:
    """Write questions in this schema."""
    with atomic_text(path) as file:
        for question in questions:
            record = {
                "id": question.id,
                "question": question.text,
                "golden_answers": question.answers,
                "data_source": question.kind,
            }
            print(json.dumps(record), file=file)


def _read(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    number = 0
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                record = parse_json(line)
                if not isinstance(record, dict):
                    raise RecordError("an object is due")
                yield f"{path}:{number}", record
    except RecordError as error:
        raise DataError(f"{path}:{number}: not a question ({error})") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not number:
        raise DataError(f"{path} holds no question")


def _question(record: Mapping[str, Any], name: str, source: str, where: str) -> Question:
    text = _text(record.get("question"), where).strip()
    answers = record.get("golden_answers")
    answers = answers if isinstance(answers, list) else [answers]
    first, *others = [_text(answer, where) for answer in answers] or [""]
    if not text or not first.strip():
        raise DataError(f"{where}: a question needs a text and golden_answers")
    text = text if text.endswith("?") else f"{text}?"
    return Question(id=name, text=text, answer=first, aliases=tuple(others), kind=source, facts=())


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: question, golden_answers and data_source are texts")
    return value

"""Question files: JSON lines with `id`, `question`, `golden_answers`, `data_source`, one file or many in a folder."""

from __future__ import annotations

import json
import os
from array import array
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


class QuestionFiles(Mapping[str, Question]):
    """The questions of a split by task id, in their files' order; only ids and places are held in memory.

    Each is named DATASET/ID; names that are not unique are replaced by positions. A question that does not end in a
    question mark gets one, as in Search-R1.

    Args:
        files: name of the data set, where the lines do not say it, and file.

    Raises:
        DataError: a file cannot be read, holds no question, or is not in this schema; also when a question is read from
            a file that has changed since.
    """

    def __init__(self, files: Iterable[tuple[str, Path]]) -> None:
        self._files = [(source, path, file_stamp(path)) for source, path in files]
        self._places = array("Q")
        self._owners = array("H")
        names = []
        for owner, (source, path, _) in enumerate(self._files):
            for place, where, record in _read(path):
                self._places.append(place)
                self._owners.append(owner)
                name = str(record.get("id", ""))
                kind = _question(record, name, source, where).kind
                names.append(name and f"{kind}/{name}")
        self._numbers = {name: number for number, name in enumerate(task_names(names))}

    def __getitem__(self, name: str) -> Question:
        number = self._numbers[name]
        source, path, stamp = self._files[self._owners[number]]
        if file_stamp(path) != stamp:
            raise DataError(f"{path} has changed since it was opened: start again")
        with open(path, "rb") as file:
            file.seek(self._places[number])
            return _question(parse_json(file.readline()), name, source, str(path))

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def file_stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or rewritten."""
    try:
        stat = os.stat(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


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


def _read(path: Path) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Place, file and line, and content of each line."""
    number = place = 0
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    record = parse_json(line)
                    if not isinstance(record, dict):
                        raise RecordError("an object is expected")
                    yield place, f"{path}:{number}", record
                place += len(line)
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
    kind = _text(record.get("data_source", source), where)
    return Question(id=name, text=text, answer=first, aliases=tuple(others), kind=kind, facts=())


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: question, golden_answers and data_source are texts")
    return value

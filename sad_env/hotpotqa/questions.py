"""Questions in HotPotQA's official schema: files, and the order in which ReAct evaluates."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sad_env.encyclopedia.articles import Article
from sad_env.encyclopedia.questions import Question, task_names
from sad_env.errors import DataError
from sad_env.files import atomic_text

OFFICIAL_FILES = {
    "train": "hotpot_train_v1.1.json",
    "dev": "hotpot_dev_distractor_v1.json",
    "dev-fullwiki": "hotpot_dev_fullwiki_v1.json",
    "test": "hotpot_test.json",
}
"""File of each split; the last is what the generator writes, since the official test set has no answers."""

DEV_SIZE = 7405
"""Questions of the official development set, which ReAct samples from."""


def official_record(question: Question, context: Iterable[Article]) -> dict[str, Any]:
    """A question in the official schema, with a list of aliases where there are any."""
    record: dict[str, Any] = {
        "_id": question.id,
        "question": question.text,
        "answer": question.answer,
        "type": question.kind,
        "level": question.level or "hard",
        "supporting_facts": [list(fact) for fact in question.facts],
        "context": [[article.title, list(article.sentences)] for article in context],
    }
    return record | ({"aliases": list(question.aliases)} if question.aliases else {})


def load_questions(path: Path) -> list[Question]:
    """The questions of a file in the official schema, in the file's order.

    Ids that are missing, empty or not unique are replaced by positions: ReAct, too, names its tasks so.

    Raises:
        DataError: no such file, or not in this schema.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"no file {str(path)!r}: fetch it with `sad-data fetch hotpotqa` or give its folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(records, list) or not records:
        raise DataError(f"{path} holds no list of questions in HotPotQA's schema")
    names = task_names(str(record.get("_id") or "") if isinstance(record, dict) else "" for record in records)
    return [to_question(record, name, path) for record, name in zip(records, names, strict=True)]


def to_question(record: Mapping[str, Any], name: str, path: Path) -> Question:
    """A record of the official schema as a question.

    Raises:
        DataError: it is not in the schema; `path` and `name` say which record.
    """
    try:
        return Question(
            id=name,
            text=_text(record["question"]),
            answer=_text(record["answer"]),
            aliases=tuple(_text(alias) for alias in record.get("aliases", ())),
            kind=_text(record.get("type", "")),
            facts=tuple((_text(title), int(number)) for title, number in record.get("supporting_facts", ())),
            context=tuple(
                Article(_text(title), tuple(_text(sentence) for sentence in sentences))
                for title, sentences in record.get("context", ())
            ),
            level=_text(record.get("level", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: question {name}: not in HotPotQA's schema ({reason})") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was due, not {type(value).__name__}")
    return value


def articles_file(folder: Path, split: str) -> Path:
    """Where the generator writes the articles of a split, next to its questions."""
    return folder / f"articles_{split}.jsonl"


def save_questions(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write questions in the official schema, one a line inside one JSON list."""
    lines = ",\n".join(json.dumps(record) for record in records)
    with atomic_text(path) as file:
        print(f"[\n{lines}\n]", file=file)


def react_order(count: int = DEV_SIZE) -> list[int]:
    """Positions of the development questions in the order in which ReAct evaluates them; it takes the first 500."""
    order = list(range(count))
    random.Random(233).shuffle(order)
    return order

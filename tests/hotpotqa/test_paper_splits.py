"""The paper's parts of the train file, and questions about entities that training does not name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sad_env.encyclopedia.questions import Question
from sad_env.errors import DataError, UnknownNameError
from sad_env.hotpotqa import tasks
from sad_env.hotpotqa.env import HotPotQAEnv
from sad_env.hotpotqa.questions import OFFICIAL_FILES
from sad_env.hotpotqa.tasks import PAPER_SPLITS, UNSEEN, generate


def write(folder: Path, split: str, questions: Sequence[Question]) -> None:
    records = [
        {
            "_id": one.id,
            "question": one.text,
            "answer": one.answer,
            "supporting_facts": [list(fact) for fact in one.facts],
            "context": [[title, ["A sentence."]] for title in one.titles],
        }
        for one in questions
    ]
    (folder / OFFICIAL_FILES[split]).write_text(json.dumps(records))


def test_the_papers_parts_share_nothing_and_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [part.stop - (part.start or 0) for part in PAPER_SPLITS.values()]
    assert parts == [84_000, 3_447, 3_000]
    assert sum(parts) == 90_447
    questions = list(generate("train", 20, 200).questions.values())
    write(tmp_path, "train", questions)
    with pytest.raises(DataError, match="has 20 questions; paper-test is a part of all 90,447"):
        HotPotQAEnv(data=tmp_path, split="paper-test")
    monkeypatch.setattr(tasks, "_TRAIN_SIZE", 20)
    small = {"paper-train": slice(12), "paper-eval": slice(12, 16), "paper-test": slice(16, 20)}
    for name, part in small.items():
        monkeypatch.setitem(PAPER_SPLITS, name, part)
    found = [set(HotPotQAEnv(data=tmp_path, split=name).panel.task_ids) for name in small]
    assert [len(one) for one in found] == [12, 4, 4]
    names = {question.id for question in questions}
    assert set.union(*found) == names
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    assert found[2] == set(order[16:])


def test_unseen_entities_are_in_no_question_of_train(tmp_path: Path) -> None:
    train = list(generate("train", 60, 300).questions.values())
    # Every third question of dev is one of train under another name.
    again = [replace(question, id=f"again-{question.id}") for question in train[::3]]
    fresh = list(generate("test", 30, 200).questions.values())
    write(tmp_path, "train", train)
    write(tmp_path, "dev", [*again, *fresh])
    world = HotPotQAEnv(data=tmp_path, split=UNSEEN)
    assert set(world.panel.task_ids) == {question.id for question in fresh}
    (tmp_path / OFFICIAL_FILES["train"]).unlink()
    with pytest.raises(UnknownNameError, match="known: dev, react-500"):
        HotPotQAEnv(data=tmp_path, split=UNSEEN)


def test_generated_unseen_entities_are_the_questions_of_test() -> None:
    assert HotPotQAEnv(split=UNSEEN).panel.task_ids == HotPotQAEnv(split="test").panel.task_ids

"""A loss term, a teacher and a method from outside the package: a table takes them, and a run trains with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.checkpoints import load_student
from sad_distill.auxiliary.terms import TERMS, Term
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.config_ignored import ignored_by
from sad_distill.data.batch import Batch
from sad_distill.losses.objective import Objective
from sad_distill.losses.scoring import Scores
from sad_distill.losses.targets import DenseTarget, Target
from sad_distill.signals.table import SIGNALS
from sad_distill.teachers.registry import TEACHERS, Teacher
from sad_distill.training.methods import METHODS
from sad_distill.training.run import Run

from sad_env.errors import ConfigError
from sad_env.settings import replaced


def two_updates(files: Path, out: Path, teacher: str = "", **changes: Any) -> list[dict[str, float]]:
    recorded = (str(files / "expert.jsonl"),)
    student = str(files / "start.pt")
    settings = {"method": "sft", "learning_rate": 1e-3, "mode": "offline", "env": "toy", **changes}
    sizes = {"steps": 2, "batch": 2, "context": 200, "max_new_tokens": 40}
    models = {"student": student, "teacher": teacher, "trajectories": recorded}
    path = Run(replaced(TrainConfig(out=str(out)), **models, **settings, **sizes)).train()
    before, after = (load_student(one).model.state_dict() for one in (student, path))
    assert any(not torch.equal(tensor, after[name]) for name, tensor in before.items())
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_a_loss_term(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class SmallStates:
        """The mean square of the student's states."""

        weight = 0.5

        def count(self, batch: Batch) -> int:
            return len(batch.kind_N)

        def sum(self, student: torch.nn.Module, batch: Batch, states: torch.Tensor, scores: Scores) -> torch.Tensor:
            return states[batch.row_N, batch.from_N].square().mean(-1).sum()

    monkeypatch.setitem(TERMS, "small states", Term(lambda context: SmallStates(), lambda config: 0.5))
    lines = two_updates(files, tmp_path)
    assert len(lines) == 2
    assert all(line["extra"] > 0 for line in lines)
    monkeypatch.setitem(TERMS, "small", Term(lambda context: SmallStates()))
    monkeypatch.delitem(TERMS, "small states")
    asked = two_updates(files, tmp_path / "asked", terms=("small=0.5",))
    assert [line["extra"] for line in asked] == [line["extra"] for line in lines]
    # It speaks of text: a method that learns by signals alone, or a setting of theirs, needs others.
    config = replaced(TrainConfig(out="x"), terms=("small=0.5",), method="policy", ratio_clip=0.1)
    assert "ratio_clip" in ignored_by(config)
    with pytest.raises(ConfigError, match="method policy learns by terms alone"):
        check(config)


def test_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIGNALS, "mine", SIGNALS["opd"])
    config = replaced(TrainConfig(out="x"), terms=("mine=0.5",), method="policy", ratio_clip=0.1)
    check(config)
    assert "ratio_clip" not in ignored_by(config)


def test_a_teacher(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Undecided:
        """Finds every token equally likely."""

        name, setting = "undecided", ""

        def score(self, batch: Batch) -> Target:
            return DenseTarget(torch.zeros(len(batch.kind_N), 370))

    monkeypatch.setitem(TEACHERS, "undecided:", lambda spec, config: Teacher(spec, scores=Undecided()))
    lines = two_updates(files, tmp_path, "undecided:370", method="sad", action_support="full")
    assert len(lines) == 2
    assert all(line["reason_divergence"] > 0 for line in lines)


def test_a_method(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "actions_only", lambda config: Objective(likelihood=1, divergence=0, reason_weight=0))
    lines = two_updates(files, tmp_path, method="actions_only")
    assert len(lines) == 2
    assert all(line["loss"] == pytest.approx(line["act_nll"]) for line in lines)

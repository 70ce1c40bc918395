"""training.html: a page of a run's curves, written while it trains, safe and without scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sad_distill.commands.main import main
from sad_distill.training import page
from sad_distill.training.page import TrainingPage


def test_a_run_leaves_a_page_with_its_curves(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["--env", "toy", "--student", str(files / "start.pt"), "--teacher", str(files / "teacher.pt")]
    words += [
        "--trajectories",
        str(files / "expert.jsonl"),
        "--mode",
        "offline",
        "--steps",
        "3",
        "--batch",
        "4",
        "--micro-batch",
        "4",
    ]
    assert main([*words, "--context", "200", "--device", "cpu", "--out", str(out)]) == 0
    text = (out / "training.html").read_text(encoding="utf-8")
    assert "Update 3 of 3" in text
    assert "The run is complete." in text
    for title in ("Loss", "Divergence from the teacher", "Learning rate", "Cost of an update"):
        assert f"<figcaption>{title}" in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_success_of_nothing_is_shown_and_a_divergence_of_nothing_is_not(tmp_path: Path) -> None:
    numbers = {"step": 0, "loss": 1.5, "rollout_success": 0.0, "reason_divergence": 0.0, "act_divergence": 0.25}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(numbers) + "\n")
    TrainingPage(tmp_path, {"steps": 1}).write()
    text = (tmp_path / "training.html").read_text(encoding="utf-8")
    assert "success of rollouts" in text
    assert "divergence, action" in text
    assert "divergence, reasoning" not in text


def test_the_page_is_written_when_it_is_due_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(page.time, "monotonic", lambda: now[0])
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 0, "loss": 1.5}) + "\n")
    made = TrainingPage(tmp_path, {"steps": 10, "student": "<script>alert(1)</script>"})
    made.refresh()
    assert not (tmp_path / "training.html").exists()
    now[0] += 1.0
    made.refresh()
    text = (tmp_path / "training.html").read_text(encoding="utf-8")
    assert "Update 1 of 10" in text
    assert "<script" not in text
    (tmp_path / "training.html").unlink()
    now[0] += 9.0
    made.refresh()
    assert not (tmp_path / "training.html").exists()
    now[0] += 1.0
    made.refresh()
    assert (tmp_path / "training.html").exists()

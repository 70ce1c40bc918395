"""What a running study says of the stages that run: the last line of each one's log."""

from __future__ import annotations

from pathlib import Path

import pytest
from sad_eval.study.config import StudyConfig
from sad_eval.study.plan import keys, stages
from sad_eval.study.runner import Runner, last_line


def test_the_last_line_of_a_log_is_what_was_said_since_the_command(tmp_path: Path) -> None:
    log = tmp_path / "stage.log"
    assert last_line(log) == ""
    log.write_text("update  1/2\n$ sad-distill --out x\n")
    assert last_line(log) == ""
    log.write_text("x" * 100_000 + "\n$ sad-distill\nupdate  5/9  3 s left, 1.0/s  loss 0.5\n\n")
    assert last_line(log) == "update 5/9 3 s left, 1.0/s loss 0.5"
    log.write_text("\x1b[31mred\n")
    assert "\x1b" not in last_line(log)


def test_running_stages_are_named_with_their_own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = StudyConfig(out=str(tmp_path), worlds=("toy",))
    plan = stages(config)
    runner = Runner(plan, keys(plan, {}), config)
    first, second = plan[:2]
    monkeypatch.setattr(runner, "_running", {stage.name: (stage, None) for stage in (first, second)})
    runner.log(first).parent.mkdir(parents=True)
    runner.log(first).write_text("$ sad-collect\ntoy episodes  5/9  3 s left, 1.0/s\n")
    assert runner.running() == [f"{first.name}: toy episodes 5/9 3 s left, 1.0/s", f"{second.name}: starting"]


def test_the_time_left_is_told_once_half_of_what_is_missing_is_of_a_known_kind(tmp_path: Path) -> None:
    config = StudyConfig(out=str(tmp_path), worlds=("toy",), seeds=2, jobs=2)
    plan = stages(config)
    runner = Runner(plan, keys(plan, {}), config)
    assert runner.seconds_left() is None
    runner._done.add(plan[0].name)
    runner._took[plan[0].name] = 3.0
    assert runner.seconds_left() is None  # collecting says nothing of training
    for stage in plan:
        if stage.kind.startswith("toy: train") or stage.kind == "toy: evaluate nano-2m":
            runner._done.add(stage.name)
            runner._took[stage.name] = 10.0
    missing = [stage for stage in plan if stage.name not in runner._done]
    known = {stage.kind for stage in plan if stage.name in runner._done}
    assert 2 * sum(stage.kind in known for stage in missing) < len(missing)
    assert runner.seconds_left() is None
    last = plan[-1]
    runner._done.add(last.name)
    runner._took[last.name] = 10.0
    assert (runner.seconds_left() or 0) > 0

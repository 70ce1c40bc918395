"""A study says where a teacher has little to teach: as soon as that is known, and in its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from sad_eval.runs.run_folder import RESULTS, RunFolder
from sad_eval.study.results import COLUMNS, Evaluation, WorldResults
from sad_eval.study.tables import summary
from sad_eval.study.teacher_doubts import doubt_of_run, doubts


def evaluation(won: int, tasks: int = 10) -> Evaluation:
    parts = np.array([1.0] * won + [0.0] * (tasks - won))
    return Evaluation(
        tuple(map(str, range(tasks))), dict.fromkeys(COLUMNS, parts), dict.fromkeys(COLUMNS, np.ones(tasks)), True
    )


def world(teacher: int, starts: tuple[int, ...]) -> WorldResults:
    evaluations = {"teacher": evaluation(teacher)}
    evaluations |= {f"nano-0.7m-start-{seed}": evaluation(won) for seed, won in enumerate(starts)}
    settings = {
        "failures": True,
        "students": ("nano-0.7m",),
        "arms": (),
        "ablations": (),
        "ablation_students": (),
        "seeds": len(starts),
    }
    return WorldResults("toy", settings, evaluations, {}, 1, 1)


def test_starts_above_their_teacher_and_weak_teachers_are_named() -> None:
    assert doubts(world(9, (5, 7))) == []
    assert [line.partition(":")[0] for line in doubts(world(6, (5, 8)))] == ["toy, nano-0.7m"]
    assert "the student wins 65% at the start, its teacher 60%" in doubts(world(6, (5, 8)))[0]
    weak = world(4, (3, 2))
    assert "the teacher wins 40%" in doubts(weak)[0]
    assert doubts(replace(weak, settings={**weak.settings, "failures": False})) == []
    assert doubts(WorldResults("toy", world(9, (1,)).settings, {}, {}, 1, 0)) == []


def test_a_summary_has_the_range_over_seeds() -> None:
    lines = summary(world(9, (5, 7, 6)))
    assert lines[0].startswith("toy: teacher: success 90.0 [")
    assert lines[0].endswith("] %")
    assert lines[1].startswith("toy: nano-0.7m, SFT start: success 60.0 [")
    assert lines[1].endswith("] %, 3 seeds 50.0 to 70.0")


def test_a_running_study_says_it_when_the_evaluation_has_ended(
    tmp_path: Path, toy_run: Callable[..., RunFolder]
) -> None:
    weak, strong = (toy_run(agent, episodes=4).path / RESULTS for agent in ("null", "expert"))
    places = {
        "teacher": weak,
        "nano-0.7m-start-0": strong,
        "nano-0.7m-begin-0": strong,
        "nano-0.7m-sad-offline-0": strong,
        "expert": strong,
    }
    for name, source in places.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / RESULTS).write_bytes(source.read_bytes())
    said = {name for name in places if doubt_of_run(tmp_path / name, begun=False)}
    assert said == {"teacher", "nano-0.7m-start-0"}
    assert doubt_of_run(tmp_path / "teacher", begun=False, won_alone=True) == ""
    assert doubt_of_run(tmp_path / "teacher", begun=False).startswith("the teacher wins 0%")
    assert {name for name in places if doubt_of_run(tmp_path / name, begun=True)} == {"teacher", "nano-0.7m-begin-0"}

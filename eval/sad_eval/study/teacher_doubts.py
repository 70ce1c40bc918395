"""Lines on teachers that have little to teach: while a study runs, and from its results."""

from __future__ import annotations

import re
from pathlib import Path

from sad_agents.teacher_strength import doubt

from sad_eval.records import Results
from sad_eval.runs.run_folder import RESULTS
from sad_eval.study.plan import BEGIN, TEACHER
from sad_eval.study.results import WorldResults
from sad_eval.study.tables import pooled, starts_of


def doubt_of_run(run: Path, *, begun: bool, won_alone: bool = False) -> str:
    """What an evaluation that has just ended says of the teacher; "" for runs of others than teacher and starts.

    Args:
        run: the folder of the evaluation; the teacher's lies beside it.
        begun: the methods begin where another method ended, not at the SFT start.
        won_alone: the teacher's won episodes alone are learned from.
    """
    teacher = _success(run.with_name(TEACHER))
    if teacher is None:
        return ""
    if run.name == TEACHER:
        return doubt(teacher, won_alone=won_alone)
    start = re.search(rf"-{BEGIN if begun else 'start'}-\d+$", run.name)
    student = _success(run) if start else None
    return "" if student is None else doubt(teacher, student, won_alone=won_alone)


def doubts(world: WorldResults) -> list[str]:
    """What the results of a world say of its teacher, a line for each size of students that it concerns."""
    evaluation = world.evaluations.get(TEACHER)
    teacher = evaluation.value("success") if evaluation else None
    if teacher is None:
        return []
    found = {}
    for size in world.settings["students"]:
        start = pooled(list(world.runs(size, starts_of(world)[-1]).values()), "success")
        if line := doubt(teacher, start.value if start else None, won_alone=not world.settings.get("failures")):
            found[line] = size
    return [f"{world.name}, {size}: {line}" for line, size in found.items()]


def _success(run: Path) -> float | None:
    path = run / RESULTS
    found = Results.model_validate_json(path.read_bytes()).metrics.get("success_rate") if path.exists() else None
    return found.value if found else None

"""What lies in a study's folder, as numbers: episodes of every evaluation, and what every student cost."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sad_env.json_lines import parse_json, read_lines
from sad_env.records import Trajectory
from sad_eval.study.costs import Cost, cost_of
from sad_eval.study.plan import marker, run_name

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """One figure of an evaluation: over episodes, the sum of a part divided by the sum of a whole.

    Attributes:
        title: what tables call it.
        higher: more of it is better.
        scale: what tables multiply it by.
    """

    title: str
    higher: bool
    scale: float = 1.0


METRICS: dict[str, Metric] = {
    "success": Metric("success, %", higher=True, scale=100),
    "reasoning": Metric("reasoning tokens a step", higher=False),
    "cot_f1": Metric("CoT match F1, %", higher=True, scale=100),
    "cot_recall": Metric("CoT match recall, %", higher=True, scale=100),
    "steps": Metric("steps", higher=False),
}
"""The paper's four, CoT match twice; an episode that is no success counts as many steps as it was allowed."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one evaluation.

    Attributes:
        tasks: names, sorted.
        parts: by metric, what each task adds above the line, [tasks].
        wholes: by metric, what it adds below; 0 where the metric does not apply.
        complete: False while episodes are owed.
        counted_in: what reasoning is counted in: ids that a model sampled, or words and signs.
    """

    tasks: tuple[str, ...]
    parts: dict[str, Floats]
    wholes: dict[str, Floats]
    complete: bool
    counted_in: str

    def value(self, metric: str) -> float | None:
        """A metric over all tasks; None where it applies to none."""
        whole = self.wholes[metric].sum()
        return float(self.parts[metric].sum() / whole) if whole else None


@dataclass(frozen=True)
class WorldResults:
    """All that one world's part of a study holds.

    Attributes:
        name: of the world.
        settings: what it was run with.
        evaluations: by name of run; those that are not there are missing.
        costs: by name of run; those that cannot be told are missing.
        planned: stages.
        done: of them, how many are done.
    """

    name: str
    settings: dict[str, Any]
    evaluations: dict[str, Evaluation]
    costs: dict[str, Cost]
    planned: int
    done: int

    def runs(self, size: str, way: str) -> dict[int, Evaluation]:
        """Evaluations of a size and way that are whole, by seed."""
        found = {}
        for seed in range(int(self.settings["seeds"])):
            evaluation = self.evaluations.get(run_name(size, way, seed))
            if evaluation is not None and evaluation.complete:
                found[seed] = evaluation
        return found

    def run(self, size: str, way: str, seed: int) -> Evaluation | None:
        """The evaluation of one student; a start that is shared is every seed's."""
        shared = way == "start" and self.settings["shared_start"]
        return self.runs(size, way).get(0 if shared else seed)


def read_study(out: Path) -> list[WorldResults]:
    """All worlds of a study that were begun, in the order of their names."""
    return [_read_world(path.parent) for path in sorted(out.glob("*/study.json"))]


def _read_world(folder: Path) -> WorldResults:
    record = parse_json((folder / "study.json").read_bytes())
    reference = _reasoning(folder / "eval" / "teacher")
    evaluations: dict[str, Evaluation] = {}
    costs: dict[str, Cost] = {}
    done = 0
    for name, key in record["stages"]:
        path = marker(folder.parent, folder.name, key)
        kind, _, run = name.partition(": ")[2].partition(" ")
        evaluation = folder / "eval" / run
        if not path.exists() or (kind == "evaluate" and not (evaluation / "results.json").exists()):
            continue
        done += 1
        if kind == "evaluate":
            evaluations[run] = read_evaluation(evaluation, reference)
        elif kind == "train":
            cost = cost_of(parse_json(path.read_bytes()), folder / run)
            if cost is not None:
                costs[run] = cost
    return WorldResults(folder.name, record["settings"], evaluations, costs, len(record["stages"]), done)


def read_evaluation(folder: Path, reference: dict[str, Counter[str]]) -> Evaluation:
    """The episodes of a run folder of `sad-eval`.

    Args:
        folder: with `results.json`, `manifest.json` and `episodes.jsonl`.
        reference: words of the reference's reasoning by task.
    """
    results = parse_json((folder / "results.json").read_bytes())
    limit = int(parse_json((folder / "manifest.json").read_bytes())["limits"]["max_steps"])
    rows = {}
    for one in _trajectories(folder):
        if not one.status.owed:
            rows[one.task_id] = _measure(one, limit, reference.get(one.task_id), results["tokenizer"] == "sampled")
    tasks = tuple(sorted(rows))
    parts = {name: np.array([rows[task][name][0] for task in tasks]) for name in METRICS}
    wholes = {name: np.array([rows[task][name][1] for task in tasks]) for name in METRICS}
    return Evaluation(tasks, parts, wholes, results["status"] == "complete", results["tokenizer"])


def _trajectories(folder: Path) -> list[Trajectory]:
    path = folder / "episodes.jsonl"
    if not path.exists():
        return []
    return [Trajectory.model_validate(parse_json(line)["trajectory"]) for _, line in read_lines(path)]


def _reasoning(folder: Path) -> dict[str, Counter[str]]:
    return {one.task_id: words_of(one) for one in _trajectories(folder)}


def _measure(
    one: Trajectory, limit: int, reference: Counter[str] | None, sampled: bool
) -> dict[str, tuple[float, float]]:
    """What an episode adds to each metric: part and whole."""
    if sampled:
        reasoning = sum(step.token_labels.count("R") for step in one.steps)
    else:
        reasoning = sum(len(re.findall(r"\w+|[^\w\s]", step.reasoning)) for step in one.steps)
    recall, f1 = match(words_of(one), reference) if reference else (0.0, 0.0)
    applies = float(bool(reference))
    return {
        "success": (float(one.success), 1.0),
        "reasoning": (float(reasoning), float(len(one.steps))),
        "cot_f1": (f1, applies),
        "cot_recall": (recall, applies),
        "steps": (float(len(one.steps) if one.success else max(limit, len(one.steps))), 1.0),
    }


def words_of(trajectory: Trajectory) -> Counter[str]:
    """Lower-cased words of an episode's reasoning, with their numbers."""
    return Counter(_WORD.findall(" ".join(step.reasoning for step in trajectory.steps).lower()))


def match(student: Counter[str], teacher: Counter[str]) -> tuple[float, float]:
    """CoT match of an episode: multiset recall of the teacher's words, and F1.

    >>> match(Counter("aab"), Counter("aac"))
    (0.6666666666666666, 0.6666666666666666)
    """
    common = sum((student & teacher).values())
    total = sum(student.values()) + sum(teacher.values())
    return common / sum(teacher.values()), 2 * common / total

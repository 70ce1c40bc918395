"""What is in a study's folder, as numbers: the metrics of every evaluation, and what every student cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sad_env.json_lines import parse_json
from sad_env.settings import present_names
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.metrics.cot_match import Reasoning
from sad_eval.metrics.statistics import Floats
from sad_eval.study.config import StudyConfig
from sad_eval.study.costs import Cost, cost_of
from sad_eval.study.kept_episodes import RecordedRun, read_run
from sad_eval.study.plan import BEGIN, TEACHER, kept_name, marker, run_name


@dataclass(frozen=True)
class Column:
    """A metric as a study reports it.

    Attributes:
        metric: its name in `sad_eval.metrics.episode_metrics`.
        title: what tables call it.
        higher: more of it is better.
        scale: what tables multiply it by.
    """

    metric: str
    title: str
    higher: bool
    scale: float = 1.0


COLUMNS: dict[str, Column] = {
    "success": Column("success_rate", "success, %", higher=True, scale=100),
    "reasoning": Column("reasoning_per_step", "reasoning tokens a step", higher=False),
    "arl": Column("reasoning_per_episode", "reasoning tokens an episode (ARL)", higher=False),
    "cot_f1": Column("cot_f1", "CoT match F1, %", higher=True, scale=100),
    "cot_recall": Column("cot_match", "CoT match recall, %", higher=True, scale=100),
    "cot_tokens": Column("cot_match_tokens", "CoT match, tokens, %", higher=True, scale=100),
    "steps": Column("environment_steps_at_limit", "steps", higher=False),
    "latency": Column("reasoning_and_action_steps", "latency, reasonings and actions", higher=False),
}
"""The paper's four metrics: reasoning a step and an episode (Eq. 15), CoT match in three forms, two latencies."""


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one evaluation.

    Attributes:
        tasks: names, sorted.
        parts: by column, what each task adds to the numerator, [tasks].
        wholes: by column, what it adds to the denominator; 0 where the metric does not apply.
        complete: False while episodes are owed.
    """

    tasks: tuple[str, ...]
    parts: dict[str, Floats]
    wholes: dict[str, Floats]
    complete: bool

    def value(self, column: str) -> float | None:
        """A metric over all tasks; None where it applies to none."""
        whole = self.wholes[column].sum()
        return float(self.parts[column].sum() / whole) if whole else None


@dataclass(frozen=True)
class WorldResults:
    """All that one world's part of a study holds.

    Attributes:
        name: of the world.
        settings: what it was run with.
        evaluations: by name of run; those that do not exist yet are missing.
        costs: by name of run; those that are not known are missing.
        planned: stages.
        done: of them, how many are done.
    """

    name: str
    settings: dict[str, Any]
    evaluations: dict[str, Evaluation]
    costs: dict[str, Cost]
    planned: int
    done: int

    def runs(self, size: str, method: str, share: float = 1.0) -> dict[int, Evaluation]:
        """Complete evaluations of a size and method, by seed; of students kept after a share of their training."""
        found = {}
        for seed in range(int(self.settings["seeds"])):
            run = run_name(size, method, seed)
            evaluation = self.evaluations.get(run if share == 1 else kept_name(run, share))
            if evaluation is not None and evaluation.complete:
                found[seed] = evaluation
        return found

    def run(self, size: str, method: str, seed: int) -> Evaluation | None:
        """The evaluation of one student; a start that is shared is every seed's, and so is the teacher."""
        if method == TEACHER:
            teacher = self.evaluations.get(TEACHER)
            return teacher if teacher is not None and teacher.complete else None
        shared = method in ("start", BEGIN) and self.settings["shared_start"]
        return self.runs(size, method).get(0 if shared else seed)


def read_study(out: Path) -> list[WorldResults]:
    """All worlds of a study that were begun, in the order of their names.

    Raises:
        DataError: the record of an evaluation cannot be read.
    """
    return [_read_world(path.parent) for path in sorted(out.glob("*/study.json"))]


def _read_world(folder: Path) -> WorldResults:
    record = parse_json((folder / "study.json").read_bytes())
    teacher = read_run(folder, TEACHER)
    references = {line.key.task_id: [Reasoning.of(line.trajectory)] for line in teacher.episodes} if teacher else {}
    evaluations: dict[str, Evaluation] = {}
    costs: dict[str, Cost] = {}
    done = 0
    for name, key in record["stages"]:
        path = marker(folder.parent, folder.name, key)
        kind, _, run = name.partition(": ")[2].partition(" ")
        recorded = read_run(folder, run) if kind == "evaluate" and path.exists() else None
        if not path.exists() or (kind == "evaluate" and recorded is None):
            continue
        done += 1
        if recorded is not None:
            evaluations[run] = evaluation_of(recorded, references)
        elif kind == "train":
            cost = cost_of(parse_json(path.read_bytes()), folder / run)
            if cost is not None:
                costs[run] = cost
    return WorldResults(
        folder.name, present_names(StudyConfig, record["settings"]), evaluations, costs, len(record["stages"]), done
    )


def evaluation_of(run: RecordedRun, references: Mapping[str, Sequence[Reasoning]]) -> Evaluation:
    """The metrics of an evaluation, task by task.

    Args:
        run: the evaluation.
        references: the teacher's reasoning by task.
    """
    limit = int(run.manifest.limits["max_steps"] or 0)
    sums = MetricSums(limit, tokenizer=run.results.tokenizer, references=references)
    for line in run.episodes:
        sums.add(line)
    rows = sorted(range(len(sums)), key=sums.keys.__getitem__)
    parts, wholes = sums.ratios(rows, [column.metric for column in COLUMNS.values()])
    return Evaluation(
        tuple(sums.keys[row].task_id for row in rows),
        dict(zip(COLUMNS, parts.T, strict=True)),
        dict(zip(COLUMNS, wholes.T, strict=True)),
        run.results.status == "complete",
    )

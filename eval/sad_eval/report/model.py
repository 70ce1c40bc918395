"""What every form of a report is made from: run folders read once, as versioned records with a published schema."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Strict

from sad_env.errors import DataError
from sad_env.records import Many, Record, Status, Trajectory
from sad_env.safe_text import one_line
from sad_eval.records import EpisodeLine, Manifest, Results
from sad_eval.runs.run_folder import RunFolder


class EpisodeSummary(Record):
    """One episode in figures."""

    task_id: str
    task_type: str
    seed: int
    repeat: int
    status: Annotated[Status, Strict(False)]
    success: bool
    score: float
    steps: int
    invalid_actions: int
    generated_tokens: int
    seconds: float
    attempts: int
    chain: str
    """Hash chain over actions and observations."""


class RunReport(Record):
    """One run: what it was, what came out, and every episode in figures."""

    name: str
    """Name of the run folder."""
    created: str
    world: str
    data: str
    panel: str
    panel_sha256: str
    panel_description: str
    agent: str
    agent_sha256: str
    parameters: int | None
    """Number of the model's parameters, where the manifest states it."""
    command: str
    commit: str
    dirty: bool | None
    versions: dict[str, str]
    seed: int
    repeats: int
    limits: dict[str, float | int | None]
    results: Results
    solved_within: Many[float]
    """Share of the scored episodes that were solved within 0, 1, 2, ... steps."""
    episodes: Many[EpisodeSummary]


class Report(Record):
    """The JSON form of a report. A field that changes its meaning raises the version."""

    schema_version: Literal[1] = 1
    runs: Many[RunReport]


def json_schema() -> dict[str, Any]:
    """JSON Schema of `Report`, as written by ``sad-eval report --schema``."""
    return Report.model_json_schema()


def summary(line: EpisodeLine) -> EpisodeSummary:
    """The figures of one recorded episode."""
    trajectory = line.trajectory
    return EpisodeSummary(
        task_id=trajectory.task_id,
        task_type=trajectory.task_type,
        seed=trajectory.seed,
        repeat=trajectory.repeat,
        status=trajectory.status,
        success=trajectory.success,
        score=trajectory.score,
        steps=len(trajectory.steps),
        invalid_actions=sum(not (step.parsed and step.valid) for step in trajectory.steps),
        generated_tokens=sum(step.generated_tokens for step in trajectory.steps),
        seconds=trajectory.seconds,
        attempts=len(line.attempts),
        chain=line.chain,
    )


def solved_within(episodes: Iterable[EpisodeSummary]) -> tuple[float, ...]:
    """Share of episodes solved within k steps, for k = 0, 1, ... up to the longest episode.

    Empty when there is no episode: a share of nothing does not exist.
    """
    episodes = list(episodes)
    if not episodes:
        return ()
    solved = Counter(episode.steps for episode in episodes if episode.success)
    shares, total = [], 0
    for steps in range(max(episode.steps for episode in episodes) + 1):
        total += solved[steps]
        shares.append(total / len(episodes))
    return tuple(shares)


def report_run(run: RunFolder) -> RunReport:
    """The report of one run folder.

    Raises:
        DataError: the folder has no results yet, or a file in it cannot be read.
    """
    return report_of(run, (summary(line) for line in run.episodes()))


def report_of(run: RunFolder, summaries: Iterable[EpisodeSummary]) -> RunReport:
    """The report of a run folder whose episodes have been read.

    Raises:
        DataError: the folder has no results yet, or they cannot be read.
    """
    manifest, results = run.manifest, run.results()
    episodes = tuple(sorted(summaries, key=_order))
    shared = RunReport.model_fields.keys() & Manifest.model_fields.keys() - {"panel"}
    return RunReport(
        **{name: getattr(manifest, name) for name in shared},
        name=run.path.resolve().name,
        panel=manifest.panel.name,
        panel_sha256=manifest.panel.sha256,
        panel_description=manifest.panel.description,
        parameters=parameters_of(manifest),
        results=results,
        solved_within=solved_within(episodes),
        episodes=episodes,
    )


def check_results(run: RunReport) -> None:
    """See that the results are of this run and its episodes: results.json is a file that anything may have changed.

    Raises:
        DataError: they are not.
    """
    results = run.results
    found: list[tuple[str, object, object]] = [
        (name, getattr(results, name), getattr(run, name))
        for name in ("world", "data", "panel", "panel_sha256", "agent")
    ]
    found.append(("scored", results.scored, len(run.episodes)))
    endings = Counter(episode.status for episode in run.episodes)
    found += [(one.value, results.counts.get(one.value, 0), endings[one]) for one in Status if not one.owed]
    for name, claimed, fact in found:
        if claimed != fact:
            raise DataError(
                f"{one_line(run.name, 80)!r}: results.json says {name} {one_line(str(claimed), 60)!r}, "
                f"manifest and episodes say {one_line(str(fact), 60)!r}: compute it anew with `sad-eval rescore`"
            )


def parameters_of(manifest: Manifest) -> int | None:
    """The number of parameters that a run's agent said it has; None for agents without."""
    said = manifest.identity.get("agent parameters")
    return int(said) if isinstance(said, str) and re.fullmatch("[1-9][0-9]{0,14}", said) else None


def build_report(runs: Sequence[RunFolder]) -> Report:
    """The report of one or several runs, in the order given."""
    return Report(runs=tuple(report_run(run) for run in runs))


def shown_trajectories(run: RunFolder, limit: int) -> tuple[list[Trajectory], int]:
    """Up to `limit` trajectories to click through, and how many there are.

    Failures and successes are taken in turn, so that a cut does not hide either; the result is in the order of keys.
    """
    queues: dict[bool, list[Trajectory]] = {False: [], True: []}
    total = 0
    for line in run.episodes():
        total += 1
        queue = queues[line.trajectory.success]
        if len(queue) < limit:
            queue.append(line.trajectory)
    chosen: list[Trajectory] = []
    for index in range(limit):
        chosen += [queue[index] for queue in queues.values() if index < len(queue)]
    return sorted(chosen[:limit], key=_order), total


def _order(episode: EpisodeSummary | Trajectory) -> tuple[str, int, int]:
    return episode.task_id, episode.seed, episode.repeat

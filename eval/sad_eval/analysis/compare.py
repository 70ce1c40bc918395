"""Comparison of runs on the same tasks, paired episode by episode."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sad_env.errors import ConfigError, IncompleteError
from sad_env.safe_text import one_line
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.metrics.cot_match import Reasoning
from sad_eval.metrics.episode_metrics import METRICS, WORDS
from sad_eval.metrics.statistics import (
    CONFIDENCE,
    Difference,
    Interval,
    Ratios,
    alike,
    holm,
    mcnemar,
    paired_bootstrap,
    ranks,
    sign_flips,
)
from sad_eval.records import EpisodeLine
from sad_eval.runs.reference import references
from sad_eval.runs.run_folder import RunFolder

_REMARKED = frozenset({"world", "world split", "data", "data_sha256", "panel", "panel_sha256", "repeats", "max_steps"})
"""Parts of a run's identity whose differences are refused, or have a remark of their own."""

Pairing = tuple[str, int]
"""Task and repeat: what two runs must have in common to be compared episode by episode."""


@dataclass(frozen=True)
class RunColumn:
    """One run in a comparison.

    Attributes:
        name: of the folder.
        agent: of the run.
        success_rate: over the shared episodes.
        low: of its interval.
        high: of its interval.
        rank: place by the pairs that the test separates, e.g. "1-2".
        tied: names of the runs that the test does not separate it from.
        values: every metric over the shared episodes.
    """

    name: str
    agent: str
    success_rate: float
    low: float
    high: float
    rank: str
    tied: tuple[str, ...]
    values: dict[str, float]


@dataclass(frozen=True)
class Pair:
    """Two runs, paired.

    Attributes:
        first: name of the first run.
        second: name of the second run.
        both: pairs that both solved.
        only_first: pairs that only the first solved.
        only_second: pairs that only the second solved.
        neither: pairs that neither solved.
        test: McNemar's, exact; with repeats, whose episodes are not independent, the exact permutation test over tasks.
        p_value: of the test.
        p_adjusted: the same for all pairs of runs at once (Holm).
        separable: whether the success rates differ, by the adjusted p-value.
        differences: second minus first for every metric that both have, with 95 % intervals over tasks.
        flips: "+" for what only the second solved, "-" for what only the first solved, and the tasks.
    """

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int
    test: Literal["McNemar", "permutation"]
    p_value: float
    p_adjusted: float
    separable: bool
    differences: dict[str, Difference]
    flips: dict[str, list[str]]


@dataclass(frozen=True)
class Comparison:
    """Runs compared on what they share.

    Attributes:
        world: of all runs.
        panel: of all runs; "tasks in common" where they are of several panels.
        episodes: pairs.
        tasks: different tasks among them.
        runs: in the order given.
        pairs: each run with each later one.
        remarks: whole sentences a reader should not miss.
    """

    world: str
    panel: str
    episodes: int
    tasks: int
    runs: tuple[RunColumn, ...]
    pairs: tuple[Pair, ...]
    remarks: tuple[str, ...]


def compare(runs: Sequence[RunFolder], reference: str = "") -> Comparison:
    """Compare runs of one world on the episodes that all of them have.

    Args:
        runs: two or more.
        reference: run folders for CoT match, with commas between them; empty for none.

    Raises:
        ConfigError: fewer than two runs, runs of different worlds or data, or nothing in common.
        IncompleteError: a run without a scored episode.
    """
    if len(runs) < 2:
        raise ConfigError("a comparison needs two run folders or more")
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise ConfigError("a run is named twice: it cannot be told from itself")
    manifests = [run.manifest for run in runs]
    for what in ("world", "data"):
        if len(values := {str(getattr(manifest, what)) for manifest in manifests}) > 1:
            raise ConfigError(f"the runs differ in their {what}: {', '.join(sorted(values))}")
    teacher = references(reference, manifests[0]) if reference else {}
    return compare_read([ComparedRun.read(run, teacher) for run in runs], teacher)


def compare_read(
    columns: Sequence[ComparedRun], teacher: Mapping[str, Sequence[Reasoning]] | None = None
) -> Comparison:
    """Compare runs of one world and kind of data whose episodes have been read already.

    Args:
        columns: two or more different runs.
        teacher: what CoT match was measured against.

    Raises:
        ConfigError: nothing in common.
        IncompleteError: a run without a scored episode.
    """
    runs = [column.run for column in columns]
    for column in columns:
        if not column.rows:
            raise IncompleteError(f"{one_line(str(column.run.path))!r} has no scored episode yet")
    manifests, names, teacher = [run.manifest for run in runs], _names(runs), teacher or {}
    shared = sorted(set.intersection(*(set(column.rows) for column in columns)))
    if not shared:
        raise ConfigError("the runs have no episode in common")
    pairs = [
        _pair(names[i], names[j], columns[i], columns[j], shared)
        for i, j in itertools.combinations(range(len(runs)), 2)
    ]
    pairs = _adjusted(pairs)
    same = len({manifest.panel.sha256 for manifest in manifests}) == 1
    whole = all(len(column.rows) == len(shared) for column in columns)
    return Comparison(
        world=manifests[0].world,
        panel=manifests[0].panel.name if same else "tasks in common",
        episodes=len(shared),
        tasks=len({task for task, _ in shared}),
        runs=tuple(_run_columns(names, columns, shared, pairs)),
        pairs=tuple(pairs),
        remarks=(*_remarks(runs, columns, shared, same=same, whole=whole), *_unmatched(names, columns, teacher)),
    )


class ComparedRun:
    """What a comparison needs of a run: numbers of its episodes, which are added one after the other.

    Args:
        run: the run.
        teacher: reasoning that CoT match compares with.

    Attributes:
        rows: place of each episode by task and repeat.
    """

    def __init__(self, run: RunFolder, teacher: Mapping[str, Sequence[Reasoning]] | None = None) -> None:
        self.run = run
        self.agent = run.manifest.agent
        limit = run.manifest.limits.get("max_steps")
        self.sums = MetricSums(int(limit or 0), tokenizer=WORDS, references=teacher)
        self.rows: dict[Pairing, int] = {}

    @classmethod
    def read(cls, run: RunFolder, teacher: Mapping[str, Sequence[Reasoning]] | None = None) -> ComparedRun:
        """A run with all its episodes."""
        column = cls(run, teacher)
        for line in run.episodes():
            column.add(line)
        return column

    def add(self, line: EpisodeLine) -> None:
        """Add a scored episode."""
        self.sums.add(line)
        self.rows[line.key.task_id, line.key.repeat] = len(self.rows)

    def ratios(self, shared: Sequence[Pairing], metrics: Sequence[str]) -> Ratios:
        """The metrics of these episodes, as parts and wholes."""
        return self.sums.ratios([self.rows[pair] for pair in shared], metrics)


def _names(runs: Sequence[RunFolder]) -> list[str]:
    """Folder names, with a number where two are the same."""
    names: list[str] = []
    for run in runs:
        name = run.path.resolve().name
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return names


def _pair(first: str, second: str, one: ComparedRun, other: ComparedRun, shared: Sequence[Pairing]) -> Pair:
    tasks = [task for task, _ in shared]
    metrics = [name for name in METRICS if one.sums.applies(name) and other.sums.applies(name)]
    ours, theirs = one.ratios(shared, metrics), other.ratios(shared, metrics)
    common = (ours.wholes.sum(axis=0) > 0) & (theirs.wholes.sum(axis=0) > 0)
    names = [name for name, used in zip(metrics, common, strict=True) if used]
    found = paired_bootstrap(
        Ratios(ours.parts[:, common], ours.wholes[:, common]),
        Ratios(theirs.parts[:, common], theirs.wholes[:, common]),
        tasks,
    )
    differences = dict(zip(names, found, strict=True))
    won, lost = (ratios.parts[:, 0] > 0 for ratios in (ours, theirs))  # success_rate is the first metric
    only_first, only_second = int((won & ~lost).sum()), int((~won & lost).sum())
    number = len(set(tasks))
    rate = differences["success_rate"]
    if Interval(rate.low, rate.high).has_no_width():
        differences["success_rate"] = Difference(rate.value, *alike(rate.value, number, -1.0, 1.0))
    repeated = number < len(tasks)
    p_value = sign_flips(_gains(tasks, won, lost)) if repeated else mcnemar(only_first, only_second)
    return Pair(
        first=first,
        second=second,
        both=int((won & lost).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~won & ~lost).sum()),
        test="permutation" if repeated else "McNemar",
        p_value=p_value,
        p_adjusted=p_value,
        separable=p_value < 1 - CONFIDENCE,
        differences=differences,
        flips={"+": _listed(shared, ~won & lost), "-": _listed(shared, won & ~lost)},
    )


def _gains(tasks: Sequence[str], won: np.ndarray, lost: np.ndarray) -> list[int]:
    """For each task, how many tries more the second run solved."""
    gains = dict.fromkeys(tasks, 0)
    for task, ours, theirs in zip(tasks, won.tolist(), lost.tolist(), strict=True):
        gains[task] += theirs - ours
    return list(gains.values())


def _listed(shared: Sequence[Pairing], chosen: np.ndarray) -> list[str]:
    return [
        task if not repeat else f"{task} (try {repeat + 1})"
        for (task, repeat), one in zip(shared, chosen, strict=True)
        if one
    ]


def _adjusted(pairs: list[Pair]) -> list[Pair]:
    adjusted = holm([pair.p_value for pair in pairs])
    return [
        dataclasses.replace(pair, p_adjusted=p_value, separable=p_value < 1 - CONFIDENCE)
        for pair, p_value in zip(pairs, adjusted, strict=True)
    ]


def _run_columns(
    names: Sequence[str], columns: Sequence[ComparedRun], shared: Sequence[Pairing], pairs: Sequence[Pair]
) -> list[RunColumn]:
    estimates = [column.sums.estimates([column.rows[pair] for pair in shared]) for column in columns]
    places = ranks(len(names), [_better_first(names, pair) for pair in pairs if pair.separable])
    tied: dict[str, list[str]] = {name: [] for name in names}
    for pair in pairs:
        if not pair.separable:
            tied[pair.first].append(pair.second)
            tied[pair.second].append(pair.first)
    return [
        RunColumn(
            name,
            column.agent,
            *(found["success_rate"].value, found["success_rate"].low, found["success_rate"].high),
            str(place),
            tuple(tied[name]),
            {metric: estimate.value for metric, estimate in found.items()},
        )
        for name, column, found, place in zip(names, columns, estimates, places, strict=True)
    ]


def _better_first(names: Sequence[str], pair: Pair) -> tuple[int, int]:
    first, second = names.index(pair.first), names.index(pair.second)
    return (second, first) if pair.differences["success_rate"].value > 0 else (first, second)


def _remarks(
    runs: Sequence[RunFolder], columns: Sequence[ComparedRun], shared: Sequence[Pairing], *, same: bool, whole: bool
) -> list[str]:
    remarks = []
    complete = all(len(column.rows) == len(run.manifest.planned()) for run, column in zip(runs, columns, strict=True))
    why = "A run is incomplete" if not complete else "The runs have different numbers of tries or different parts"
    if not same:
        remarks.append(f"The panels differ; only the {len(shared)} episodes that all runs have are compared.")
    elif not whole:
        remarks.append(f"{why}; only the {len(shared)} episodes that all runs have are compared.")
    if len({run.manifest.data_sha256 for run in runs}) > 1:
        remarks.append("The data of the runs have different checksums.")
    if len({run.manifest.limits.get("max_steps") for run in runs}) > 1:
        remarks.append("The runs have different step limits.")
    if differing := _differing([run.manifest.identity for run in runs]):
        remarks.append(f"The runs differ in more than the agent: {'; '.join(differing)}.")
    return remarks


def _differing(identities: Sequence[Mapping[str, object]]) -> list[str]:
    """What was not the same in all runs, e.g. "seed 0, 1"; of their agents only how they were sampled."""
    names = sorted({name for identity in identities for name in identity if not name.startswith("agent")})
    found = []
    for name in names:
        # Only of a world's options is it known what it means that one was not given.
        known = name.startswith("world ") or all(name in identity for identity in identities)
        values = dict.fromkeys(one_line(str(identity.get(name, "not given")), 40) for identity in identities)
        if name not in _REMARKED and known and len(values) > 1:
            found.append(f"{one_line(name, 40)} {', '.join(values)}")
    return found


def _unmatched(
    names: Sequence[str], columns: Sequence[ComparedRun], teacher: Mapping[str, Sequence[Reasoning]]
) -> list[str]:
    """What a reader who asked for CoT match must know when there is none."""
    without = [
        name for name, column in zip(names, columns, strict=True) if teacher and not column.sums.applies("cot_match")
    ]
    return [f"The reference has no reasoning on the tasks of {', '.join(without)}: no CoT match."] if without else []

"""`sad-eval compare`: runs on the same tasks, paired episode by episode."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from sad_env import cli
from sad_env.errors import ConfigError, IncompleteError
from sad_env.safe_text import console, one_line
from sad_eval.metrics.aggregate import Tally
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
from sad_eval.report.comparison import print_comparison
from sad_eval.runs.reference import references
from sad_eval.runs.run_folder import RunFolder

_TOLD = frozenset({"world", "world split", "data", "data_sha256", "panel", "panel_sha256", "repeats", "max_steps"})
"""Parts of a run's identity whose differences are refused, or told in a sentence of their own."""

Pairing = tuple[str, int]
"""Task and repeat: what two runs must have in common to be compared episode by episode."""


@dataclass(frozen=True)
class CompareSettings:
    """Compare runs on the tasks that they share.

    $ sad-eval compare runs/student runs/teacher
    $ sad-eval compare runs/a runs/b runs/c --flips 50
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Two or more run folders; differences are of the later from the earlier."""
    reference: str = ""
    """Run folder whose reasoning CoT match compares with; several with commas between them."""
    flips: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """Tasks to list that one run solved and the other did not."""
    json: bool = False
    """Print JSON instead of a report."""


@dataclass(frozen=True)
class RunColumn:
    """One run in a comparison.

    Attributes:
        name: of the folder.
        agent: of the run.
        success_rate: over the shared episodes.
        low: of its interval.
        high: of its interval.
        rank: place by the pairs that are told apart, e.g. "1-2".
        tied: names of the runs that it cannot be told from.
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
        first: name of the one.
        second: name of the other.
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
        panel: of all runs, "part of NAME" where they share a part only.
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
    names = _names(runs)
    teacher = references(reference, manifests[0]) if reference else {}
    columns = [_Column(run, teacher) for run in runs]
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


class _Column:
    """The episodes of one run by task and repeat."""

    def __init__(self, run: RunFolder, teacher: Mapping[str, Sequence[Reasoning]]) -> None:
        limit = run.manifest.limits.get("max_steps")
        self.tally = Tally(int(limit or 0), tokenizer=WORDS, references=teacher)
        for line in run.episodes():
            self.tally.add(line)
        if not len(self.tally):
            raise IncompleteError(f"{one_line(str(run.path))!r} has no scored episode yet")
        self.agent = run.manifest.agent
        self.rows = {(key.task_id, key.repeat): row for row, key in enumerate(self.tally.keys)}

    def ratios(self, shared: Sequence[Pairing], metrics: Sequence[str]) -> Ratios:
        return self.tally.ratios([self.rows[pair] for pair in shared], metrics)


def _names(runs: Sequence[RunFolder]) -> list[str]:
    """Folder names, with a number where two are the same."""
    names: list[str] = []
    for run in runs:
        name = run.path.resolve().name
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return names


def _pair(first: str, second: str, one: _Column, other: _Column, shared: Sequence[Pairing]) -> Pair:
    tasks = [task for task, _ in shared]
    metrics = [name for name in METRICS if one.tally.applies(name) and other.tally.applies(name)]
    ours, theirs = one.ratios(shared, metrics), other.ratios(shared, metrics)
    common = (ours.wholes.sum(axis=0) > 0) & (theirs.wholes.sum(axis=0) > 0)
    names = [name for name, used in zip(metrics, common, strict=True) if used]
    found = paired_bootstrap(
        Ratios(ours.parts[:, common], ours.wholes[:, common]),
        Ratios(theirs.parts[:, common], theirs.wholes[:, common]),
        tasks,
    )
    differences = dict(zip(names, found, strict=True))
    won, lost = (ratios.parts[:, 0] > 0 for ratios in (ours, theirs))  # success_rate stands first
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
    names: Sequence[str], columns: Sequence[_Column], shared: Sequence[Pairing], pairs: Sequence[Pair]
) -> list[RunColumn]:
    estimates = [column.tally.estimates([column.rows[pair] for pair in shared]) for column in columns]
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
    runs: Sequence[RunFolder], columns: Sequence[_Column], shared: Sequence[Pairing], *, same: bool, whole: bool
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
        if name not in _TOLD and known and len(values) > 1:
            found.append(f"{one_line(name, 40)} {', '.join(values)}")
    return found


def _unmatched(
    names: Sequence[str], columns: Sequence[_Column], teacher: Mapping[str, Sequence[Reasoning]]
) -> list[str]:
    """What a reader who asked for CoT match must know when there is none."""
    without = [
        name for name, column in zip(names, columns, strict=True) if teacher and not column.tally.applies("cot_match")
    ]
    return [f"The reference has no reasoning on the tasks of {', '.join(without)}: no CoT match."] if without else []


def run_compare(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval compare`."""
    settings = cli.parse(CompareSettings, arguments, prog="sad-eval compare")
    if settings.flips < 0:
        raise ConfigError(f"--flips is 0 or more, not {settings.flips}")
    comparison = compare([RunFolder.open(path) for path in settings.runs], settings.reference)
    if settings.json:
        print(json.dumps(_plain(comparison), indent=2, allow_nan=False))
    else:
        print_comparison(comparison, console(), flips=settings.flips)
    return 0


def _plain(comparison: Comparison) -> dict[str, object]:
    value = dataclasses.asdict(comparison)
    for pair in value["pairs"]:
        pair["differences"] = {name: one._asdict() for name, one in pair["differences"].items()}
    return value

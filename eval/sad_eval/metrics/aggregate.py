"""From episodes to results: metrics as sums over episodes. Numbers are kept, never trajectories: memory stays flat."""

from __future__ import annotations

import collections
import functools
from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from sad_env.records import Status
from sad_env.safe_text import one_line
from sad_eval.metrics.cot_match import Reasoning, Similarity
from sad_eval.metrics.episode_metrics import (
    METRICS,
    SAMPLED,
    WORDS,
    CountReasoning,
    EpisodeView,
    countable,
    load_plugins,
    reasoning_counter,
    shares,
    token_splitter,
)
from sad_eval.metrics.statistics import Interval, Ratios, cluster_bootstrap, pass_hat, resolution, wilson
from sad_eval.records import EpisodeKey, EpisodeLine, Estimate, Manifest, Results

_COLUMNS = 64
"""Values of k that are resampled together: one at a time is slow, all at once take memory for 10,000 draws of each."""

_CHANGES = 8
"""Packages whose versions changed that a remark names; the manifest holds all."""


class MetricSums:
    """The sums of which the metrics of one run are ratios.

    Args:
        max_steps: the run's step limit.
        tokenizer: what reasoning is counted in: "auto", "words", "sampled" or a tokenizer file. "auto" is "sampled"
            when the first episode that has a step was sampled by a model, else "words".
        references: reasoning of the reference runs by task.
        similarity: semantic match of two reasonings.

    Raises:
        DataError: the tokenizer file cannot be read.
    """

    def __init__(
        self,
        max_steps: int,
        *,
        tokenizer: str = "auto",
        references: Mapping[str, Sequence[Reasoning]] | None = None,
        similarity: Similarity | None = None,
    ) -> None:
        load_plugins()
        self.max_steps = max_steps
        self.tokenizer = "" if tokenizer == "auto" else tokenizer
        self._count: CountReasoning | None = reasoning_counter(self.tokenizer) if self.tokenizer else None
        self._split = token_splitter(self.tokenizer or WORDS)
        self._references = references or {}
        self._similarity = similarity
        self.keys: list[EpisodeKey] = []
        self.types: list[str] = []
        self.counts: collections.Counter[Status] = collections.Counter()
        self.retried = array("b")
        self._parts = {name: array("d") for name in METRICS}
        self._wholes = {name: array("d") for name in METRICS}

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def successes(self) -> int:
        """Episodes that the world calls a success."""
        return round(sum(self._parts["success_rate"]))

    def add(self, line: EpisodeLine) -> None:
        """Count a scored episode."""
        trajectory = line.trajectory
        if self._count is None and trajectory.steps:
            self.tokenizer = SAMPLED if trajectory.steps[0].token_ids else WORDS
            self._count = reasoning_counter(self.tokenizer)
        count = self._count or (lambda step: 0)
        episode = EpisodeView(
            trajectory,
            tuple(count(step) for step in trajectory.steps) if countable(self.tokenizer, trajectory) else None,
            self.max_steps,
            self._references.get(trajectory.task_id, ()),
            self._similarity,
            self._split,
        )
        found = shares(episode)
        for name in METRICS:
            share = found.get(name)
            self._parts[name].append(share.part if share else 0.0)
            self._wholes[name].append(share.whole if share else 0.0)
        self.keys.append(line.id)
        self.types.append(trajectory.task_type)
        self.counts[trajectory.status] += 1
        self.retried.append(len(line.attempts) > 1)

    def last(self) -> dict[str, float | None]:
        """The metrics of the episode that was added last, by name; None where one does not apply to it.

        Raises:
            IndexError: no episode.
        """
        lasts = {name: (self._parts[name][-1], self._wholes[name][-1]) for name in METRICS}
        return {name: part / whole if whole else None for name, (part, whole) in lasts.items()}

    def mean(self, name: str) -> float | None:
        """A metric so far, None while it applies to no episode."""
        whole = sum(self._wholes[name])
        return sum(self._parts[name]) / whole if whole else None

    def applies(self, name: str) -> bool:
        """Whether a metric applies to any episode so far."""
        return any(self._wholes[name])

    def _covered(self, name: str) -> int:
        """Episodes that a metric applies to."""
        return sum(whole > 0 for whole in self._wholes[name])

    def ratios(self, rows: Sequence[int], metrics: Sequence[str]) -> Ratios:
        """The chosen episodes and metrics as arrays [episodes, metrics]."""
        chosen = np.asarray(rows, dtype=np.int64)
        parts, wholes = (
            np.column_stack([np.frombuffer(columns[name])[chosen] for name in metrics])
            for columns in (self._parts, self._wholes)
        )
        return Ratios(parts, wholes)

    def estimates(self, rows: Sequence[int] | None = None) -> dict[str, Estimate]:
        """All metrics that apply, with 95 % intervals.

        Args:
            rows: which episodes; all when left out.

        Raises:
            ValueError: no episode.
        """
        # By key and not by the time of their ends: not even the rounding of a sum may hang on what came first.
        chosen = sorted(range(len(self)) if rows is None else rows, key=self.keys.__getitem__)
        if not chosen:
            raise ValueError("an empty list has no mean")
        parts, wholes = self.ratios(chosen, list(METRICS))
        applies = wholes.sum(axis=0) > 0
        names = [name for name, one in zip(METRICS, applies, strict=True) if one]
        parts, wholes = parts[:, applies], wholes[:, applies]
        tasks = [self.keys[row].task_id for row in chosen]
        intervals = cluster_bootstrap(parts, wholes, tasks)
        return {
            name: _estimate(name, parts[:, column], wholes[:, column], tasks, intervals[column])
            for column, name in enumerate(names)
        }

    def pass_hat(self) -> dict[str, Estimate]:
        """pass^k for every k up to the number of tries that each task has; nothing when tasks were tried once."""
        tries: dict[str, list[float]] = {}
        for key, success in sorted(zip(self.keys, self._parts["success_rate"], strict=True)):
            tries.setdefault(key.task_id, []).append(success)
        fewest = min(map(len, tries.values()), default=0)
        found: dict[str, Estimate] = {}
        if fewest < 2:
            return found
        chances = functools.cache(pass_hat)
        table = np.array([chances(int(sum(one)), len(one))[:fewest] for one in tries.values()])
        for start in range(0, fewest, _COLUMNS):
            block = table[:, start : start + _COLUMNS]
            intervals = cluster_bootstrap(block, np.ones_like(block), list(tries))
            for k, column, boot in zip(range(start + 1, fewest + 1), block.T, intervals, strict=False):
                value = float(np.ascontiguousarray(column).mean())
                interval, how = _over_tasks(value, boot, len(tries))
                found[f"pass_hat_{k}"] = Estimate.around(value, interval, len(tries), how, "share")
        return found

    def results(self, manifest: Manifest, owed: Mapping[EpisodeKey, Status], reference: str = "") -> Results:
        """The results of a run of which these are the scored episodes.

        Args:
            manifest: of the run.
            owed: how the last attempt of each owed episode ended; one that was never begun counts as cancelled.
            reference: name of the reference run.
        """
        done = set(self.keys)
        missing = [key for key in manifest.planned() if key not in done]
        counts = {status.value: self.counts[status] for status in Status}
        for key in missing:
            counts[owed.get(key, Status.CANCELLED).value] += 1
        planned, scored = len(missing) + len(self), len(self)
        return Results(
            status="incomplete" if missing else "complete",
            world=manifest.world,
            data=manifest.data,
            panel=manifest.panel.name,
            panel_sha256=manifest.panel.sha256,
            agent=manifest.agent,
            planned=planned,
            scored=scored,
            owed=len(missing),
            counts=counts,
            metrics=self.estimates() | self.pass_hat() if scored else {},
            by_task_type=self._by_type(),
            bounds=(self.successes / planned, (self.successes + len(missing)) / planned) if missing else None,
            tokenizer=self.tokenizer,
            reference=reference,
            remarks=tuple(self._remarks(manifest, reference)),
        )

    def _by_type(self) -> dict[str, dict[str, Estimate]]:
        rows: dict[str, list[int]] = {}
        for row, kind in enumerate(self.types):
            rows.setdefault(kind, []).append(row)
        return {kind: self.estimates(rows[kind]) for kind in sorted(rows)} if len(rows) > 1 else {}

    def _remarks(self, manifest: Manifest, reference: str) -> list[str]:
        remarks = [resolution(len({key.task_id for key in self.keys}))] if len(self) else []
        if changes := manifest.changes():
            listed = "; ".join(changes[:_CHANGES]) + ("; ..." if len(changes) > _CHANGES else "")
            remarks.append(f"The episodes were played with different versions: {one_line(listed, 400)}.")
        success = np.frombuffer(self._parts["success_rate"]) if len(self) else np.zeros(0)
        retried = np.frombuffer(self.retried, dtype=np.int8).astype(bool) if len(self) else np.zeros(0, dtype=bool)
        if retried.any() and not retried.all():
            again, first = success[retried], success[~retried]
            remarks.append(
                f"{len(again)} episodes were tried more than once: {again.mean():.0%} of them succeeded,"
                f" of the others {first.mean():.0%}."
            )
        if reference:
            matched, several = (self._covered(name) for name in ("cot_match", "cot_match_best"))
            if matched < len(self):
                remarks.append(f"CoT match covers {matched} of {len(self)} episodes: the reference lacks the others.")
            if 0 < several < matched:
                remarks.append(
                    f"The best and the mean of several references cover {several} of {matched} episodes:"
                    " the others have one reference."
                )
        return remarks


def _estimate(name: str, parts: np.ndarray, wholes: np.ndarray, tasks: list[str], boot: Interval) -> Estimate:
    metric, used = METRICS[name], wholes > 0
    distinct = len({task for task, one in zip(tasks, used, strict=True) if one})
    interval, how = boot, "bootstrap over tasks"
    value, n = float(parts.sum() / wholes.sum()), int(used.sum())
    if metric.binary and distinct == n:
        interval, how = wilson(int(parts.sum()), n), "Wilson"
    elif metric.binary:
        interval, how = _over_tasks(value, boot, distinct)
    return Estimate.around(value, interval, n, how, metric.unit)


def _over_tasks(value: float, boot: Interval, tasks: int) -> tuple[Interval, str]:
    """The interval of a share of successes, and how it was found."""
    if not boot.has_no_width():
        return boot, "bootstrap over tasks"
    # All tasks alike: resampling sees no spread. The tasks still are only so many.
    return wilson(min(1.0, value) * tasks, tasks), "Wilson over tasks"

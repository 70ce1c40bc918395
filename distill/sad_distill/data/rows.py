"""Rows that a model is trained on: an episode cut into windows in which every supervised token occurs exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from sad_agents.windowing import Windowing
from transformers import PreTrainedTokenizerBase

from sad_distill.data.labels import Labelled, label_trajectory
from sad_env.records import SpanKind, Trajectory


@dataclass(frozen=True)
class Unit:
    """One step inside a row.

    Attributes:
        step: its index in the episode.
        start: where its completion begins in the row.
        end: where its completion ends.
        admissible: actions that were admissible, where the world lists them.
        offset: ids of its completion that come before `start`, where a step is too long for one row.
    """

    step: int
    start: int
    end: int
    admissible: tuple[str, ...] | None
    offset: int = 0


@dataclass(frozen=True)
class Branch:
    """Another continuation of a row: ids that see the row up to a position, and themselves.

    Attributes:
        after: the last position of the row that they see.
        ids: the continuation.
        labels: one letter an id.
        admissible: actions that were admissible, where the world lists them and the branch is a whole turn.
    """

    after: int
    ids: tuple[int, ...]
    labels: str
    admissible: tuple[str, ...] | None = None

    def offered(self, row: Row, supports: Callable[[Row], dict[int, list[int]]]) -> dict[int, list[int]]:
        """Token sets of the branch by position in it, `supports` being asked for the branch as a row of its own."""
        if self.admissible is None:
            return {}
        start = self.after + 1
        unit = Unit(0, start, start + len(self.ids), self.admissible)
        labels = SpanKind.NONE.value * start + self.labels
        alone = replace(row, ids=(*row.ids[:start], *self.ids), labels=labels, units=(unit,), branches=(), unmasked="")
        return {position - start: ids for position, ids in supports(alone).items()}


@dataclass(frozen=True)
class Row:
    """A window of an episode.

    Attributes:
        ids: task header, then the newest history that fits, then the steps that this row supervises.
        labels: one letter an id; what only serves as context here is N.
        units: the steps that this row supervises.
        task: name of the task.
        episode: name of the episode: a task may have been recorded several times.
        branches: continuations that are not part of the episode, such as what an expert would have written.
        number: its place among the rows of an iteration, where something is kept about each of them.
        unmasked: the labels before an ablation changed them; empty where none did.
        first: the oldest step that it shows.
        source: the episode that it was cut from.
    """

    ids: tuple[int, ...]
    labels: str
    units: tuple[Unit, ...]
    task: str = ""
    episode: str = ""
    branches: tuple[Branch, ...] = ()
    number: int = field(default=-1, compare=False)
    unmasked: str = ""
    first: int = 0
    source: Episode | None = field(default=None, compare=False, repr=False)

    @property
    def span_labels(self) -> str:
        """Where reasoning and actions are in the text; `labels` says what the loss takes each id for."""
        return self.unmasked or self.labels


@dataclass(frozen=True)
class Episode:
    """An episode in ids: a header, then what each step added.

    Attributes:
        record: the episode as it was recorded.
    """

    header: Labelled
    completions: tuple[Labelled, ...]
    observations: tuple[Labelled, ...]
    admissible: tuple[tuple[str, ...] | None, ...]
    task: str = ""
    name: str = ""
    record: Trajectory | None = None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, trajectory: Trajectory) -> Episode:
        """Encode and label a recorded episode."""
        prompt, first, *rest = label_trajectory(tokenizer, trajectory)
        task = f"{trajectory.world}/{trajectory.split}/{trajectory.task_id}"
        return cls(
            header=Labelled(prompt.ids + first.ids, prompt.labels + first.labels),
            completions=tuple(rest[0::2]),
            observations=tuple(rest[1::2]),
            admissible=tuple(step.admissible for step in trajectory.steps),
            task=task,
            name=episode_name(trajectory),
            record=trajectory,
        )


def episode_name(trajectory: Trajectory) -> str:
    """Name of a recorded episode, as its rows have it."""
    task = f"{trajectory.world}/{trajectory.split}/{trajectory.task_id}"
    return f"{task} {trajectory.agent} {trajectory.seed} {trajectory.repeat}"


def rows_of(episode: Episode, windowing: Windowing) -> Iterator[Row]:
    """Cut an episode into rows.

    Steps that share a window share a row: under causal attention each of them sees what it would see alone.

    Yields:
        Rows of at most `windowing.budget` ids; every R and A token of the episode is labelled in exactly one of them.
    """
    half = windowing.budget // 2
    header = Labelled(episode.header.ids[-half:], episode.header.labels[-half:])
    lengths: list[int] = []
    first, group = 0, list[int]()
    for step, completion in enumerate(episode.completions):
        start = windowing.first_step(len(episode.header.ids), lengths, first)
        context = len(header.ids) + sum(lengths[start:])
        holds = context + max(windowing.room, len(completion.ids)) <= windowing.budget
        if group and (start != first or not holds):
            yield _row(episode, header, first, group)
            group = []
        first = start
        if holds:
            group.append(step)
        else:
            yield from _pieces(episode, header, first, step, windowing)
        lengths.append(len(completion.ids) + len(episode.observations[step].ids))
    if group:
        yield _row(episode, header, first, group)


def _row(episode: Episode, header: Labelled, first: int, steps: list[int]) -> Row:
    """Header, the steps from `first` on as context, then `steps` with their labels and the observations between."""
    ids = list(header.ids)
    labels = header.labels if steps[0] == 0 else SpanKind.NONE.value * len(ids)
    units = []
    for step in range(first, steps[-1] + 1):
        completion = episode.completions[step]
        if step >= steps[0]:
            units.append(Unit(step, len(ids), len(ids) + len(completion.ids), episode.admissible[step]))
            labels += completion.labels
        else:
            labels += SpanKind.NONE.value * len(completion.ids)
        ids += completion.ids
        if step < steps[-1]:
            observation = episode.observations[step]
            # An observation is supervised where the step that it leads to is.
            labels += observation.labels if step + 1 >= steps[0] else SpanKind.NONE.value * len(observation.ids)
            ids += observation.ids
    return Row(tuple(ids), labels, tuple(units), episode.task, episode.name, first=first, source=episode)


def _pieces(episode: Episode, header: Labelled, first: int, step: int, windowing: Windowing) -> Iterator[Row]:
    """A step that no window holds, in pieces: each sees the header and the newest ids before it, as in acting."""
    context: list[int] = []
    for earlier in range(first, step):
        context += episode.completions[earlier].ids + episode.observations[earlier].ids
    completion = episode.completions[step]
    for start in range(0, len(completion.ids), windowing.room):
        piece = completion.ids[start : start + windowing.room]
        before = windowing.cut(header.ids, [*context, *completion.ids[:start]])
        labels = SpanKind.NONE.value * len(before) + completion.labels[start : start + windowing.room]
        # A piece is no whole action, so it offers no actions to compare with.
        unit = Unit(step, len(before), len(before) + len(piece), None, start)
        ids = (*before, *piece)
        yield Row(ids, labels, (unit,), episode.task, episode.name, first=first, source=episode)


def rows_from(
    trajectories: Iterable[Trajectory], tokenizer: PreTrainedTokenizerBase, windowing: Windowing
) -> list[Row]:
    """All rows of these episodes, in order."""
    return [row for one in trajectories for row in rows_of(Episode.of(tokenizer, one), windowing)]

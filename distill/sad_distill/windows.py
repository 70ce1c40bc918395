"""Rows that a model is trained on: an episode cut into windows in which every supervised token stands exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from sad_distill.labels import Labelled, label_trajectory
from sad_env.errors import ConfigError
from sad_env.records import SpanKind, Trajectory


@dataclass(frozen=True)
class Unit:
    """One step inside a row.

    Attributes:
        step: its index in the episode.
        start: where its completion begins in the row.
        end: where its completion ends.
        admissible: actions that were admissible, where the world lists them.
    """

    step: int
    start: int
    end: int
    admissible: tuple[str, ...] | None


@dataclass(frozen=True)
class Row:
    """A window of an episode.

    Attributes:
        ids: task header, then the newest history that fits, then the steps that this row supervises.
        labels: one letter an id; what only serves as context here is N.
        units: the steps that this row supervises.
        task: name of the episode, for the curriculum and for messages.
    """

    ids: tuple[int, ...]
    labels: str
    units: tuple[Unit, ...]
    task: str = ""


@dataclass(frozen=True)
class Episode:
    """An episode in ids: a header, then what each step added."""

    header: Labelled
    completions: tuple[Labelled, ...]
    observations: tuple[Labelled, ...]
    admissible: tuple[tuple[str, ...] | None, ...]
    task: str = ""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, trajectory: Trajectory) -> Episode:
        """Encode and label a recorded episode."""
        prompt, first, *rest = label_trajectory(tokenizer, trajectory)
        return cls(
            header=Labelled(prompt.ids + first.ids, prompt.labels + first.labels),
            completions=tuple(rest[0::2]),
            observations=tuple(rest[1::2]),
            admissible=tuple(step.admissible for step in trajectory.steps),
            task=f"{trajectory.world}/{trajectory.split}/{trajectory.task_id}",
        )


@dataclass(frozen=True)
class Windowing:
    """How much of an episode the model sees; the same numbers hold in training and in acting.

    Attributes:
        budget: tokens of a row at most.
        room: tokens kept free for the next completion.
        keep: when the history outgrows the budget, its oldest steps go until at most this share of the budget is
            taken; dropping several at once lets an acting agent keep its cache for the steps that follow.
    """

    budget: int = 512
    room: int = 96
    keep: float = 0.75

    def __post_init__(self) -> None:
        if not 8 <= 2 * self.room <= self.budget:
            raise ConfigError(f"a window of {self.budget} tokens cannot keep {self.room} free: it takes at least twice")

    def first_step(self, header: int, lengths: list[int], before: int) -> int:
        """The oldest step that is still in the history when step `len(lengths)` is decided.

        Args:
            header: tokens of the task header.
            lengths: tokens that each step so far added.
            before: what this function returned for the step before.
        """
        used = header + sum(lengths[before:]) + self.room
        if used <= self.budget:
            return before
        first = before
        while first < len(lengths) - 1 and used > self.keep * self.budget:
            used -= lengths[first]
            first += 1
        return first


def rows_of(episode: Episode, windowing: Windowing) -> Iterator[Row]:
    """Cut an episode into rows.

    Steps that share a window share a row: under causal attention each of them sees what it would see alone.

    Yields:
        Rows of at most `windowing.budget` ids; every R and A token of the episode is labelled in exactly one of them.
    """
    header = episode.header
    half = windowing.budget // 2
    if len(header.ids) > half:
        header = Labelled(header.ids[-half:], header.labels[-half:])
    lengths: list[int] = []
    first, group = 0, list[int]()
    for step, completion in enumerate(episode.completions):
        start = windowing.first_step(len(header.ids), lengths, first)
        span = len(header.ids) + sum(lengths[start:]) + len(completion.ids)
        if group and (start != first or span > windowing.budget):
            yield _row(episode, header, first, group)
            group = []
        first = start
        if span > windowing.budget:
            yield from _pieces(episode, header, first, step, windowing.budget)
        else:
            group.append(step)
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
    return Row(tuple(ids), labels, tuple(units), episode.task)


def _pieces(episode: Episode, header: Labelled, first: int, step: int, budget: int) -> Iterator[Row]:
    """A step that no window holds, in pieces: each sees the header and the newest tokens before it."""
    context: list[int] = []
    for earlier in range(first, step):
        context += episode.completions[earlier].ids + episode.observations[earlier].ids
    completion = episode.completions[step]
    size = budget // 4
    for start in range(0, len(completion.ids), size):
        piece = completion.ids[start : start + size]
        before = (*context, *completion.ids[:start])[-(budget - len(header.ids) - len(piece)) :]
        ids = (*header.ids, *before, *piece)
        head = len(ids) - len(piece)
        labels = SpanKind.NONE.value * head + completion.labels[start : start + size]
        # A piece is no whole action, so it offers no actions to compare with.
        yield Row(ids, labels, (Unit(step, head, len(ids), None),), episode.task)


def rows_from(
    trajectories: Iterable[Trajectory], tokenizer: PreTrainedTokenizerBase, windowing: Windowing
) -> list[Row]:
    """All rows of these episodes, in order."""
    return [row for one in trajectories for row in rows_of(Episode.of(tokenizer, one), windowing)]

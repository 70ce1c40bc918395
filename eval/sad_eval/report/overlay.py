"""Span overlays: an episode cut where its recorded spans say, ready to be coloured."""

from __future__ import annotations

from typing import NamedTuple

from sad_env.records import SpanKind, Step, Trajectory
from sad_env.safe_text import visible


class Piece(NamedTuple):
    """A stretch of a completion: its kind, the header it opens with, the body."""

    kind: SpanKind
    header: str
    body: str


class ShownStep(NamedTuple):
    """One turn as it is shown; all text has its controls made visible."""

    number: int
    pieces: tuple[Piece, ...]
    observation: str
    valid: bool
    parsed: bool
    reward: float
    progress: float | None
    admissible: tuple[str, ...]
    tokens: int


def pieces(step: Step) -> tuple[Piece, ...]:
    r"""The completion of a step as its spans tile it.

    >>> from sad_env.transcript import compose
    >>> text, spans = compose("I see it.", "take it").text, compose("I see it.", "take it").spans
    >>> step = Step(completion=text, spans=spans, reasoning="I see it.", action="take it", observation="ok")
    >>> [(piece.kind.value, piece.header, piece.body) for piece in pieces(step)]
    [('R', 'Reasoning: ', 'I see it.\n'), ('A', 'Action: ', 'take it\n')]
    """
    text = step.completion
    return tuple(
        Piece(span.kind, visible(text[span.start : span.body]), visible(text[span.body : span.end]))
        for span in step.spans
    )


def shown_steps(trajectory: Trajectory) -> list[ShownStep]:
    """The turns of an episode, numbered from 1."""
    return [
        ShownStep(
            number=number,
            pieces=pieces(step),
            observation=visible(step.observation),
            valid=step.valid,
            parsed=step.parsed,
            reward=step.reward,
            progress=step.progress,
            admissible=tuple(visible(action) for action in step.admissible or ()),
            tokens=step.generated_tokens,
        )
        for number, step in enumerate(trajectory.steps, start=1)
    ]

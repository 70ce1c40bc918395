"""Span overlays: a completion cut where its recorded spans say, ready to be coloured."""

from __future__ import annotations

from typing import NamedTuple

from sad_env.records import SpanKind, Step
from sad_env.safe_text import visible


class SpanText(NamedTuple):
    """The text of one span, controls made visible: its kind, the header it opens with, the body."""

    kind: SpanKind
    header: str
    body: str


def span_texts(step: Step) -> tuple[SpanText, ...]:
    r"""The completion of a step as its spans tile it.

    >>> from sad_env.transcript import compose
    >>> text, spans = compose("I see it.", "take it").text, compose("I see it.", "take it").spans
    >>> step = Step(completion=text, spans=spans, reasoning="I see it.", action="take it", observation="ok")
    >>> [(span.kind.value, span.header, span.body) for span in span_texts(step)]
    [('R', 'Reasoning: ', 'I see it.\n'), ('A', 'Action: ', 'take it\n')]
    """
    text = step.completion
    return tuple(
        SpanText(span.kind, visible(text[span.start : span.body]), visible(text[span.body : span.end]))
        for span in step.spans
    )

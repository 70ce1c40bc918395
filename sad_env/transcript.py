"""The only place that knows the ReAct template: records to text with spans, completions to records."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sad_env.records import Span, SpanKind, Step, Trajectory

HEADERS = {SpanKind.REASON: "Reasoning: ", SpanKind.ACT: "Action: ", SpanKind.OBS: "Observation: "}
"""Each span of a transcript opens with one of these and ends with a newline."""

TAGS = {SpanKind.REASON: "[REASON] ", SpanKind.ACT: "[ACT] ", SpanKind.OBS: "[OBS] "}
"""The same records rendered with the span names of the paper."""

Style = Literal["lines", "tags"]

_LINE_KIND = re.compile(r"\s*(?:(reasoning|thought)|(action))(?:\s+\d+)?\s*:[ \t]*", re.IGNORECASE)


@dataclass(frozen=True)
class Rendering:
    """Text and the spans that tile it."""

    text: str
    spans: tuple[Span, ...]


class Parsed(NamedTuple):
    """What a completion says. `complaint` is empty when it holds an action."""

    reasoning: str
    action: str
    spans: tuple[Span, ...]
    complaint: str


class _Builder:
    """Joins pieces; spans are the running lengths, so they tile the text by construction."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.spans: list[Span] = []
        self.length = 0

    def add(self, kind: SpanKind, header: str, body: str) -> None:
        text = header + body
        if text:
            start, self.length = self.length, self.length + len(text)
            self.pieces.append(text)
            self.spans.append(Span(kind=kind, start=start, end=self.length, body=start + len(header)))

    def add_completion(self, step: Step) -> None:
        at = self.length
        self.spans += [Span(kind=s.kind, start=at + s.start, end=at + s.end, body=at + s.body) for s in step.spans]
        self.pieces.append(step.completion)
        self.length += len(step.completion)

    def rendering(self) -> Rendering:
        return Rendering("".join(self.pieces), tuple(self.spans))


def observation_text(observation: str) -> str:
    """An observation as the agent reads it, header and newline included."""
    return f"{HEADERS[SpanKind.OBS]}{observation}\n"


def compose(reasoning: str, action: str) -> Rendering:
    r"""The completion that states `reasoning` and `action`: what experts and scripted models write.

    Newlines inside either become blanks, so that one line is one span.

    >>> compose("I see it.", "take it").text
    'Reasoning: I see it.\nAction: take it\n'
    """
    builder = _Builder()
    if reasoning:
        builder.add(SpanKind.REASON, HEADERS[SpanKind.REASON], " ".join(reasoning.split()) + "\n")
    builder.add(SpanKind.ACT, HEADERS[SpanKind.ACT], " ".join(action.splitlines()).strip() + "\n")
    return builder.rendering()


def segment(completion: str) -> tuple[Span, ...]:
    r"""Spans of a sampled completion, line by line: a header opens its kind, any other line continues.

    Text before the first header is reasoning: the agent was asked to think first. Consecutive lines of one kind
    are one span only when no header is between them.

    >>> [(s.kind.value, s.start, s.end) for s in segment("Reasoning: a\nstill a\nAction: b\n")]
    [('R', 0, 21), ('A', 21, 31)]
    """
    spans: list[Span] = []
    position = 0
    for line in completion.split("\n"):
        end = min(position + len(line) + 1, len(completion))
        if end == position:
            break
        match = _LINE_KIND.match(line)
        if match:
            kind = SpanKind.ACT if match.group(2) else SpanKind.REASON
            spans.append(Span(kind=kind, start=position, end=end, body=position + match.end()))
        elif spans:
            last = spans.pop()
            spans.append(Span(kind=last.kind, start=last.start, end=end, body=last.body))
        else:
            spans.append(Span(kind=SpanKind.REASON, start=position, end=end, body=position))
        position = end
    return tuple(spans)


def parse(completion: str) -> Parsed:
    """Reasoning and action of a completion; never raises.

    The first action span decides; its first line that is not blank is the action.
    """
    spans = segment(completion)
    reasoning = " ".join(
        completion[span.body : span.end].strip() for span in spans if span.kind is SpanKind.REASON
    ).strip()
    for span in spans:
        if span.kind is SpanKind.ACT:
            lines = completion[span.body : span.end].strip().splitlines()
            if lines:
                return Parsed(reasoning, lines[0].strip(), spans, "")
            return Parsed(reasoning, "", spans, "the action was empty")
    return Parsed(reasoning, "", spans, "there was no line that starts with 'Action:'")


def action_end(completion: str) -> int | None:
    """Where the first whole action line ends, its newline included; None while there is none.

    The line is the first of an action span that is not blank, as in `parse`; no span is made to find it.
    """
    position, in_action = 0, False
    while (newline := completion.find("\n", position)) >= 0:
        line = completion[position:newline]
        header = _LINE_KIND.match(line)
        if header:
            in_action = header.group(2) is not None
            line = line[header.end() :]
        position = newline + 1
        if in_action and line.strip():
            return position
    return None


def is_complete(completion: str) -> bool:
    """True once the completion holds a whole action line: the moment to stop sampling."""
    return action_end(completion) is not None


def render(trajectory: Trajectory, style: Style = "lines") -> Rendering:
    """The whole episode as text, and the spans that tile it.

    Args:
        trajectory: the episode.
        style: "lines" gives what the agent saw and wrote, to the character; "tags" gives the same records with
            [REASON], [ACT] and [OBS].
    """
    builder = _Builder()
    builder.add(SpanKind.NONE, "", trajectory.prompt)
    headers = HEADERS if style == "lines" else TAGS
    builder.add(SpanKind.OBS, headers[SpanKind.OBS], trajectory.observation + "\n")
    for step in trajectory.steps:
        if style == "lines":
            builder.add_completion(step)
        else:
            if step.reasoning:
                builder.add(SpanKind.REASON, headers[SpanKind.REASON], step.reasoning + "\n")
            if step.action:
                builder.add(SpanKind.ACT, headers[SpanKind.ACT], step.action + "\n")
        builder.add(SpanKind.OBS, headers[SpanKind.OBS], step.observation + "\n")
    return builder.rendering()

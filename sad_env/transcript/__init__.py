"""The only place that knows how transcripts are written: records to text with spans, completions to records.

There are several forms, one module each: `lines` is the default form, `tags` the paper's, `think` that of verl-agent.
The functions here are those of the default form, and `render`, which writes a whole episode in any.
"""

from __future__ import annotations

import re

from sad_env.errors import UnknownNameError
from sad_env.records import Span, SpanKind, Trajectory
from sad_env.transcript.form import Builder, Form, Parsed, Rendering, in_thoughts, reasoning_text
from sad_env.transcript.lines import HEADERS, LINES
from sad_env.transcript.tags import TAGS, TAGS_FORM
from sad_env.transcript.think import THINK_FORM

__all__ = [
    "FORMS", "HEADERS", "LINES", "TAGS", "Form", "Parsed", "Rendering", "action_end", "compose", "form_of",
    "in_form", "in_thoughts", "is_complete", "observation_text", "parse", "reasoning_text", "render", "restated",
    "segment",
]  # fmt: skip

FORMS: dict[str, Form] = {form.name: form for form in (LINES, TAGS_FORM, THINK_FORM)}
"""All forms by name."""

_TURN = re.compile(r"^(Observation|Reasoning|Action):[ \t]*", re.MULTILINE)


def form_of(name: str) -> Form:
    """The form of this name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FORMS:
        raise UnknownNameError("form", name, FORMS)
    return FORMS[name]


def observation_text(observation: str) -> str:
    """`Form.observation` of the default form."""
    return LINES.observation(observation)


def compose(reasoning: str, action: str) -> Rendering:
    r"""`Form.render` of the default form.

    >>> compose("I see it.", "take it").text
    'Reasoning: I see it.\nAction: take it\n'
    """
    return LINES.render(reasoning, action)


def segment(completion: str) -> tuple[Span, ...]:
    r"""`Form.spans` of the default form.

    >>> [(s.kind.value, s.start, s.end) for s in segment("Reasoning: a\nstill a\nAction: b\n")]
    [('R', 0, 21), ('A', 21, 31)]
    """
    return LINES.spans(completion)


def parse(completion: str) -> Parsed:
    """`Form.parse` of the default form."""
    return LINES.parse(completion)


def action_end(completion: str) -> int | None:
    """`Form.action_end` of the default form."""
    return LINES.action_end(completion)


def is_complete(completion: str) -> bool:
    """`Form.is_complete` of the default form."""
    return LINES.is_complete(completion)


def render(trajectory: Trajectory, form: str = "") -> Rendering:
    """The whole episode as text, and the spans that tile it.

    Args:
        trajectory: the episode.
        form: name of a form. The episode's own, which is the default, gives what the agent saw and wrote, to the
            character, without what a chat template put between; another one gives the same records in that form.
    """
    own = form in ("", trajectory.form)
    writing = form_of(form or trajectory.form)
    builder = Builder()
    builder.add(SpanKind.NONE, "", trajectory.prompt)
    builder.add(SpanKind.OBS, writing.headers[SpanKind.OBS], trajectory.observation + "\n")
    for step in trajectory.steps:
        if own:
            builder.add_all(step.completion, step.spans)
        elif step.action:
            written = writing.render(step.reasoning, step.action)
            builder.add_all(written.text, written.spans)
        elif step.reasoning:
            header = writing.headers[SpanKind.REASON]
            builder.add(SpanKind.REASON, header, writing.thought(step.reasoning, header=False))
        builder.add(SpanKind.OBS, writing.headers[SpanKind.OBS], step.observation + "\n")
    return builder.rendering()


def in_form(trajectory: Trajectory, form: str) -> Trajectory:
    """The same episode as if its agent had written in another form; sampled ids are those of the old text and go.

    Steps that hold no action, and those whose spans are not the agent's (slips), keep their kinds.
    """
    if form == trajectory.form:
        return trajectory
    writing, steps = form_of(form), []
    for step in trajectory.steps:
        text, spans = step.completion, writing.spans(step.completion)
        if step.action:
            rendering = writing.render(step.reasoning, step.action)
            text, spans = rendering.text, rendering.spans
        if all(span.kind is SpanKind.NONE for span in step.spans):
            spans = tuple(span.model_copy(update={"kind": SpanKind.NONE}) for span in spans)
        steps.append(step.without_ids().model_copy(update={"completion": text, "spans": spans}))
    return trajectory.model_copy(update={"form": form, "steps": tuple(steps)})


def restated(transcript: str, form: Form) -> str:
    """A transcript in the default form, such as a prompt's exemplar, in another form."""
    if form is LINES:
        return transcript
    turns = list(_TURN.finditer(transcript))
    text, reasoning = transcript[: turns[0].start() if turns else len(transcript)], ""
    for turn, end in zip(turns, [*(turn.start() for turn in turns[1:]), len(transcript)], strict=True):
        body = transcript[turn.end() : end].rstrip("\n")
        if turn[1] == "Observation":
            text += form.observation(body)
        elif turn[1] == "Reasoning":
            reasoning = body
        else:
            text += form.render(reasoning, body).text
            reasoning = ""
    return text

"""What a prompt's variation does to the two things that training needs: segmentation, and the loss on actions.

For steps of a recorded run, by kind of variation (`sad_agents.prompts.variations`):

    segmentation   share of steps whose varied completion is segmented as it was meant: the same kinds of spans, and
                   the reasoning and the action that were written; by this project's parser, and by the regular
                   expressions of the paper's appendix D (one line of reasoning, one of action)
    loss change    mean |loss after the varied prompt - loss after the plain one| of the recorded action, nats a token
    stable         share of steps whose loss changes by at most `STABLE` nats a token

(Appendix K: the loss stays stable for more than 92 % of the samples; what stable means is not said. Definitions ours.)
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from sad_agents.model import Model
from sad_agents.prompts import Prompt
from sad_agents.prompts.variations import KINDS, nested, renamed_action, varied
from sad_agents.react import recorded_request, up_to_action
from sad_agents.sampling.action_scores import can_score, score_actions

from sad_env.errors import DataError
from sad_env.records import Trajectory
from sad_env.transcript import Form, form_of
from sad_eval.runs.run_folder import RunFolder

STABLE = 0.1
"""Nats a token."""

_REASONING = re.compile(r"^Reasoning:\s*(.+)", re.MULTILINE)
_ACTION = re.compile(r"^Action:\s*(.+)", re.MULTILINE)


class RecordedStep(NamedTuple):
    """A step of a recorded episode that has reasoning and an action."""

    trajectory: Trajectory
    number: int


class PromptStability(NamedTuple):
    """What one kind of variation does.

    Attributes:
        kind: of the variation.
        steps: looked at.
        parsed: share that this project's parser segments as meant.
        by_expressions: share that appendix D's expressions do; only defined for the default form.
        loss_change: nats a token; None for models that give no log-probabilities.
        stable: share; None likewise.
    """

    kind: str
    steps: int
    parsed: float
    by_expressions: float | None
    loss_change: float | None
    stable: float | None


def recorded_steps(run: RunFolder, count: int, seed: int) -> list[RecordedStep]:
    """Up to `count` steps of a run, drawn at random.

    Raises:
        DataError: none has reasoning and an action.
    """
    found = [
        RecordedStep(line.trajectory, number)
        for line in run.episodes()
        for number, step in enumerate(line.trajectory.steps)
        if step.reasoning and step.action
    ]
    if not found:
        raise DataError(f"{str(run.path)!r}: no step has both reasoning and an action")
    random.Random(f"prompt stability {seed}").shuffle(found)
    return found[:count]


def prompt_stability(
    steps: Sequence[RecordedStep], model: Model, prompt: Prompt, shots: int, report: Callable[[str, int, int], object]
) -> list[PromptStability]:
    """Each kind of variation over these steps.

    Args:
        steps: of a run of the model with the plain prompt.
        model: whose loss is looked at.
        prompt: the plain one.
        shots: exemplars that are shown.
        report: of progress.
    """
    texts = {kind: varied(prompt, kind).text(shots, model.form) for kind in KINDS}
    plain = prompt.text(shots, model.form)
    changes: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number, step in enumerate(steps, 1):
        before = _loss(step, model, plain)
        for kind, text in texts.items():
            if before is not None and (after := _loss(step, model, text)) is not None:
                changes[kind].append(abs(after - before))
        report("steps of varied prompts", number, len(steps))
    return [_summary(kind, steps, changes[kind]) for kind in KINDS]


def _loss(step: RecordedStep, model: Model, prompt: str) -> float | None:
    """Loss of the recorded action after its recorded reasoning, nats a token."""
    if not can_score(model):
        return None
    recorded = step.trajectory.steps[step.number]
    shown = step.trajectory.model_copy(update={"prompt": prompt})
    request = replace(recorded_request(shown, step.number, model), forced=up_to_action(model, recorded.reasoning))
    _, ids = model.ids_with(request, f" {recorded.action}{model.form.closing}")
    return -score_actions(model, request, [f" {recorded.action}"])[0] / len(ids)


def _summary(kind: str, steps: Sequence[RecordedStep], changes: Sequence[float]) -> PromptStability:
    parsed, by_expressions = [], []
    for step in steps:
        recorded, form = step.trajectory.steps[step.number], form_of(step.trajectory.form)
        text, reasoning, action = varied_completion(recorded.reasoning, recorded.action, kind, form)
        read = form.parse(text)
        kinds = [span.kind for span in form.render(reasoning, action).spans]
        parsed.append((read.reasoning, read.action, [span.kind for span in read.spans]) == (reasoning, action, kinds))
        by_expressions.append((_REASONING.findall(text), _ACTION.findall(text)) == ([reasoning], [action]))
    lines = steps[0].trajectory.form == "lines"
    return PromptStability(
        kind,
        len(steps),
        fmean(parsed),
        fmean(by_expressions) if lines else None,
        fmean(changes) if changes else None,
        fmean(change <= STABLE for change in changes) if changes else None,
    )


def varied_completion(reasoning: str, action: str, kind: str, form: Form) -> tuple[str, str, str]:
    """A completion as a model would write it that follows a varied prompt: text, and the reasoning and action meant."""
    reasoning, action = " ".join(reasoning.split()), " ".join(action.split())
    if kind == "nested":
        reasoning = nested(reasoning)
    elif kind == "actions":
        action = renamed_action(action)
    text = form.render(reasoning, action).text
    if kind == "style":
        text = text.replace("Reasoning:", "Thought:", 1)
    written = form.parse(form.render(reasoning, action).text)
    return text, written.reasoning, written.action

"""DAgger: what an expert or a teacher would have written at each state that the student reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sad_agents.windowing import Windowing
from transformers import PreTrainedTokenizerBase

from sad_distill.data.labels import Labelled, glue_of, label_completion
from sad_distill.data.rows import Branch, Episode, Row, rows_of
from sad_distill.teachers.base import WritingPrompt, WritingTeacher
from sad_distill.teachers.context import TeacherView
from sad_env import registry
from sad_env.records import SpanKind, Trajectory
from sad_env.transcript import form_of


def expert_completions(trajectory: Trajectory, expert: str = "expert", seed: int = 0) -> list[str]:
    """What the world's expert would have written at each step in the student's place.

    The expert sees what the student saw: observations and admissible actions.
    """
    policy = registry.make_expert(trajectory.world, expert, seed=seed)
    infos = infos_of(trajectory)
    completions = []
    for index, step in enumerate(trajectory.steps):
        if index == 0:
            policy.begin(trajectory.observation, infos[0])
        completions.append(form_of(trajectory.form).render(*policy.decide()).text)
        if index + 1 < len(trajectory.steps):
            policy.observe(step.action, step.observation, infos[index + 1])
    return completions


def infos_of(trajectory: Trajectory) -> list[dict[str, Any]]:
    """What the world told a player at first and after each step, as far as it was recorded."""
    base = {"task_type": trajectory.task_type, "task_id": trajectory.task_id, "split": trajectory.split}
    valid = [True, *(step.valid for step in trajectory.steps)]
    offered = [*(step.admissible for step in trajectory.steps), None]
    return [
        {**base, "valid_action": taken, **({} if actions is None else {"admissible_actions": list(actions)})}
        for taken, actions in zip(valid, offered, strict=True)
    ]


def teacher_completions(
    trajectories: Sequence[Trajectory], teacher: WritingTeacher, seed: int = 0, view: TeacherView | None = None
) -> list[list[str]]:
    """What a text-only teacher writes at each state of each episode, given the episode so far, or in its own context.

    It is asked once for all of them, so that a server can answer many at once.
    """
    prompts = [view.writing_prompts(one, seed) if view else _writing_prompts(one, seed) for one in trajectories]
    written = iter(teacher.generate([prompt for ones in prompts for prompt in ones]))
    return [[next(written) for _ in ones] for ones in prompts]


def _writing_prompts(trajectory: Trajectory, seed: int) -> list[WritingPrompt]:
    form = form_of(trajectory.form)
    text = trajectory.prompt + form.observation(trajectory.observation)
    prompts = []
    for index, step in enumerate(trajectory.steps):
        prompts.append(WritingPrompt(text, seed + index, trajectory.form))
        text += step.completion + form.observation(step.observation)
    return prompts


def relabelled_rows(
    trajectory: Trajectory,
    completions: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    windowing: Windowing,
    sampled: Sequence[Labelled | None] = (),
) -> list[Row]:
    """Rows in which the student's text is context only, and each step's right completion is a branch of it.

    Args:
        trajectory: the student's episode.
        completions: one for each step; an empty one is left out.
        tokenizer: of the student.
        windowing: of the student.
        sampled: the ids of completions that a model of the student's tokenizer sampled, None for the others.
    """
    rows, form = [], form_of(trajectory.form)
    glue = glue_of(tokenizer) if trajectory.chat else None
    for row in rows_of(Episode.of(tokenizer, trajectory), windowing):
        branches = []
        for unit in row.units:
            text = completions[unit.step]
            known = sampled[unit.step] if sampled else None
            labelled = known or label_completion(tokenizer, text, form.spans(text), glue)
            ids, labels = labelled.ids[: windowing.room], labelled.labels[: windowing.room]
            if ids:
                branches.append(Branch(unit.start - 1, ids, labels, unit.admissible))
        if branches:
            end = row.units[-1].start
            nothing = SpanKind.NONE.value * end
            rows.append(replace(row, ids=row.ids[:end], labels=nothing, units=(), branches=tuple(branches)))
    return rows

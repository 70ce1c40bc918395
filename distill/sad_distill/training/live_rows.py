"""From episodes that were just played to rows: what is learned of them, and from whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sad_agents.agent import Agent

from sad_distill.config import TrainConfig
from sad_distill.data.rows import Row, episode_name
from sad_distill.teachers.registry import Teacher
from sad_distill.teachers.relabel import expert_completions, relabelled_rows, teacher_completions
from sad_distill.teachers.relabel_agent import agent_turns, branches_as_rows, turn_rows
from sad_distill.training.build import Parts
from sad_distill.training.guided_agent import GUIDE
from sad_distill.training.methods import objective_of
from sad_distill.training.replay import REPLAY
from sad_env.records import SpanKind, Trajectory


def relabelled(parts: Parts, teacher: Teacher, episodes: Sequence[Trajectory], guide: Agent | None) -> list[Row]:
    """Mode dagger: at each of the student's states, the turn that the teacher would have written.

    Args:
        parts: of the run.
        teacher: an expert of the world, a model that writes, or one that acts.
        episodes: the student's.
        guide: the teacher as an agent, where it is a model in this process.
    """
    seed, tokenizer, windowing = parts.config.data.seed, parts.student.tokenizer, parts.windowing
    rows: list[Row] = []
    if guide is not None:
        assert teacher.language is not None
        same = teacher.language.tokenizer.get_vocab() == tokenizer.get_vocab()
        for episode, turns in zip(episodes, agent_turns(guide, episodes, seed), strict=True):
            rows += turn_rows(episode, turns, tokenizer, windowing, sampled=same)
    else:
        if teacher.expert:
            written = [expert_completions(episode, teacher.expert, seed) for episode in episodes]
        else:
            assert teacher.writes is not None
            written = teacher_completions(episodes, teacher.writes, seed, teacher.view)
        for episode, completions in zip(episodes, written, strict=True):
            rows += relabelled_rows(episode, completions, tokenizer, windowing)
    if _as_plain_rows(parts.config, teacher):
        return [plain for row in rows for plain in branches_as_rows(row)]
    return rows


def _as_plain_rows(config: TrainConfig, teacher: Teacher) -> bool:
    """Whether branches say nothing to whom they are shown: a teacher behind a wire, or of text, or terms of actions."""
    by_ids_here = teacher.language is not None and not teacher.comparison
    compared = objective_of(config).divergence > 0
    return (compared and not by_ids_here) or bool({"atomic", "atomic_local", "pointer"} & config.terms.weights.keys())


def without_replayed(rows: Sequence[Row], episodes: Sequence[Trajectory]) -> list[Row]:
    """The rows with the turns that were played again as context only; rows of nothing else are left out."""
    replayed = steps_by(episodes, REPLAY)
    found = []
    for row in rows:
        steps = replayed.get(row.episode, frozenset())
        if not any(unit.step in steps for unit in row.units):
            found.append(row)
            continue
        labels, unmasked = row.labels, row.unmasked
        for unit in row.units:
            if unit.step in steps:
                nothing = SpanKind.NONE.value * (unit.end - unit.start)
                labels = labels[: unit.start] + nothing + labels[unit.end :]
                unmasked = unmasked and unmasked[: unit.start] + nothing + unmasked[unit.end :]
        units = tuple(unit for unit in row.units if unit.step not in steps)
        if units:
            found.append(replace(row, labels=labels, unmasked=unmasked, units=units))
    return found


def guided_steps(episodes: Sequence[Trajectory]) -> Mapping[str, frozenset[int]]:
    """By name of episode, the steps that the teacher took."""
    return steps_by(episodes, GUIDE)


def steps_by(episodes: Sequence[Trajectory], author: str) -> dict[str, frozenset[int]]:
    """By name of episode, the steps of this author."""
    return {
        episode_name(one): frozenset(number for number, step in enumerate(one.steps) if step.author == author)
        for one in episodes
    }

"""Turn-level relabelling: an agent writes its own turn at each state of episodes that another one played."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sad_agents.agent import Agent, Decision, EpisodeStart
from sad_agents.recorded_ids import with_own_ids
from sad_agents.windowing import Windowing
from transformers import PreTrainedTokenizerBase

from sad_distill.data.labels import Labelled
from sad_distill.data.rows import Row, Unit, episode_name
from sad_distill.teachers.relabel import infos_of, relabelled_rows
from sad_env.records import SpanKind, Step, Trajectory

_COMPLAINT = ("No action was taken: ", ".")


def decision_of(step: Step, author: str = "") -> Decision:
    """A recorded step as the decision that it was, in words: ids of other tokenizers are left out."""
    before, after = _COMPLAINT
    complaint = "" if step.parsed else step.observation.removeprefix(before).removesuffix(after) or "no action"
    return Decision(
        step.completion, step.spans, step.reasoning, "" if complaint else step.action, complaint, author=author
    )


def agent_turns(agent: Agent, episodes: Sequence[Trajectory], seed: int = 0) -> list[list[Decision]]:
    """What an agent would do at each step of these episodes, given what happened until then.

    All episodes go on together, so that a model serves each step's states in one batch.

    Args:
        agent: sees each episode as if it had played it.
        episodes: of any player.
        seed: first part of the seeds of its draws.
    """
    turns: list[list[Decision]] = [[] for _ in episodes]
    tokenizer = getattr(getattr(agent, "model", None), "tokenizer", None)
    infos = [infos_of(one) for one in episodes]
    for number, one in enumerate(episodes):
        text = f"relabel {seed} {episode_name(one)}"
        drawn = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big")
        agent.begin(number, EpisodeStart(one.world, one.task_id, one.observation, infos[number][0], drawn, one.seed))
    for place in range(max((len(one.steps) for one in episodes), default=0)):
        live = [number for number, one in enumerate(episodes) if len(one.steps) > place]
        for number, turn in zip(live, agent.act(live), strict=True):
            turns[number].append(turn)
            step = with_own_ids(episodes[number].steps[place], tokenizer)
            played = replace(decision_of(step), token_ids=step.token_ids, token_labels=step.token_labels)
            agent.observe(number, played, step.observation, infos[number][place + 1])
    for number in range(len(episodes)):
        agent.end(number)
    return turns


def turn_rows(
    episode: Trajectory,
    turns: Sequence[Decision],
    tokenizer: PreTrainedTokenizerBase,
    windowing: Windowing,
    *,
    sampled: bool,
) -> list[Row]:
    """Rows in which what happened is context only, and at each step the other agent's turn is a branch.

    Args:
        episode: as it was played.
        turns: one for each step; a turn without a word is left out.
        tokenizer: of the student.
        windowing: of the student.
        sampled: take the ids that the other agent sampled; they are the student's tokenizer's.
    """
    known = [Labelled(turn.token_ids, turn.token_labels) if sampled and turn.token_ids else None for turn in turns]
    return relabelled_rows(episode, [turn.completion for turn in turns], tokenizer, windowing, known)


def branches_as_rows(row: Row) -> list[Row]:
    """Each branch as a plain row, for teachers that score no branches."""
    rows = []
    for branch in row.branches:
        before = row.ids[: branch.after + 1]
        unit = Unit(0, len(before), len(before) + len(branch.ids), branch.admissible)
        labels = SpanKind.NONE.value * len(before) + branch.labels
        rows.append(replace(row, ids=(*before, *branch.ids), labels=labels, units=(unit,), branches=()))
    return rows

"""The level "replayed": the recorded actions, played again in the world, must give what was recorded.

All worlds are deterministic given task and seed, so one invented observation, one changed action or one borrowed
verdict shows; and what counts as reasoning and what as action is read off the completion again. What a replay cannot
show is that the named agent wrote the completions: that is the level "rerun".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sad_eval.records import EpisodeLine

from sad_env import registry
from sad_env.core import TextEnv
from sad_env.errors import ConfigError, SadEnvError
from sad_env.records import Span, SpanKind, Status, Step, Trajectory
from sad_env.safe_text import one_line
from sad_env.transcript import parse
from sad_leaderboard.entries import Submission
from sad_leaderboard.recompute import Findings, step_limit
from sad_leaderboard.worlds import open_world, panel_fault

NOT_TAKEN = "No action was taken: "
"""How the rollout answers a completion that holds no action; the world is not asked."""


class MismatchError(Exception):
    """The world says otherwise; the message is one line."""


def replay(submission: Submission, *, data: str = "") -> Findings:
    """Play all episodes of an entry again.

    Args:
        submission: the entry; it should have passed `recompute`.
        data: the world's data where the entry's are a folder ("given") or lie elsewhere; the entry's kind when empty.

    Returns:
        What differs, at most one finding an episode.
    """
    findings = Findings()
    manifest = submission.manifest
    max_steps = step_limit(manifest)
    try:
        world, registered = open_world(manifest, data)
    except ConfigError as error:
        findings.report(str(error))
        return findings
    try:
        if world.panel.data != manifest.data:
            findings.report(f"the entry is of {manifest.data} data, these are {world.panel.data}: see --data")
            return findings
        if fault := panel_fault(manifest, registered):
            findings.report(fault)
            return findings
        for line in submission.episodes():
            try:
                replay_episode(world, line, max_steps)
            except MismatchError as mismatch:
                findings.report(f"{one_line(line.key.task_id, 80)!r}, {mismatch}")
            except SadEnvError as error:
                findings.report(f"{one_line(line.key.task_id, 80)!r} cannot be played: {error}")
    finally:
        world.close()
    return findings


def replay_episode(world: TextEnv, line: EpisodeLine, max_steps: int) -> None:
    """Play one episode again.

    Args:
        world: any world of the entry's kind and split.
        line: the record.
        max_steps: the step limit; an episode that the world did not end has to have reached it.

    Raises:
        MismatchError: with the first step at which world and record differ.
    """
    recorded = line.trajectory
    observation, info = world.reset(seed=line.key.seed, options={"task_id": line.key.task_id})
    _same("first observation", observation, recorded.observation)
    _same("task type", str(info.get("task_type", "")), recorded.task_type)
    spelled = registry.canonical_action(recorded.world) or str
    terminated = False
    for number, step in enumerate(recorded.steps, start=1):
        where = f"step {number}: "
        if terminated:
            raise MismatchError(f"{where}the episode was over before it")
        _check_listed(where, step, info)
        _check_read(where, step)
        if not step.parsed:
            _check_unparsed(where, step)
            continue
        _check_written(where, step, spelled)
        observation, reward, terminated, _, info = world.step(step.action)
        _same(f"{where}observation", observation, step.observation)
        _same(f"{where}reward", float(reward), step.reward)
        _same(f"{where}valid", info["valid_action"], step.valid)
    _check_verdict(recorded, terminated, info)
    _check_ending(recorded, terminated, len(recorded.steps) == max_steps)


def _check_listed(where: str, step: Step, info: Mapping[str, Any]) -> None:
    if step.admissible is not None:
        _same(f"{where}admissible actions", tuple(info.get("admissible_actions") or ()), step.admissible)


def _check_unparsed(where: str, step: Step) -> None:
    if step.action or step.valid or step.reward or not step.observation.startswith(NOT_TAKEN):
        raise MismatchError(
            f"{where}marked as without action, yet it has an action, a reward or an answer of the world"
        )


def _check_read(where: str, step: Step) -> None:
    """Spans and reasoning are those that the completion gives to whoever reads it."""
    read = parse(step.completion)
    # A slip is an action alone that belongs to nobody; with reasoning in it, the label would hide the reasoning.
    slipped = () if read.reasoning else tuple(_nobodys(span) for span in read.spans)
    if step.spans not in (read.spans, slipped):
        raise MismatchError(f"{where}its spans are not where the completion's headers put them")
    if _words(step.reasoning) != _words(read.reasoning):
        raise MismatchError(f"{where}the reasoning {_short(step.reasoning)} is not what the completion says")


def _nobodys(span: Span) -> Span:
    return span.model_copy(update={"kind": SpanKind.NONE})


def _check_written(where: str, step: Step, spelled: Callable[[str], str]) -> None:
    """The action that was played is the one that stands in the completion, as it stands or as the world spells it."""
    written = parse(step.completion).action
    if _words(step.action) not in (_words(written), _words(spelled(written))):
        raise MismatchError(f"{where}the action {one_line(step.action, 60)!r} is not what the completion says")


def _words(text: str) -> list[str]:
    """Experts are recorded as they speak, their completions on one line: blanks do not count."""
    return text.split()


def _check_verdict(recorded: Trajectory, terminated: bool, info: Mapping[str, Any]) -> None:
    _same("verdict", bool(info["success"]), recorded.success)
    _same("score", float(info["score"]), recorded.score)


def _check_ending(recorded: Trajectory, terminated: bool, at_limit: bool) -> None:
    ending = recorded.status
    by_world = (Status.SUCCESS, Status.FAILURE, Status.FORCED_FINISH)
    if terminated and ending not in by_world:
        raise MismatchError(f"recorded as {ending.value}, but the world's episode is over")
    # A world may be won without being over: then the limit ends the episode.
    if not terminated and ending in by_world and not (ending is Status.SUCCESS and at_limit):
        raise MismatchError(f"recorded as {ending.value}, but the world's episode is not over")
    if ending is Status.MAX_STEPS and not at_limit:
        raise MismatchError(f"recorded as {ending.value} after {len(recorded.steps)} steps, which is not the limit")


def _same(what: str, world: object, entry: object) -> None:
    if world != entry:
        raise MismatchError(f"{what}: the world says {_short(world)}, the entry {_short(entry)}")


def _short(value: object) -> str:
    return repr(one_line(str(value), 90))

"""The level "replayed": the recorded actions, played again in the world, must give what was recorded.

All worlds are deterministic given task and seed, so a replay shows every invented observation, changed action or
borrowed verdict. What counts as reasoning and what as action is read off the completion again. Whether the named agent
wrote the completions is the level "rerun".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sad_agents.openai_answers import COMPLAINTS
from sad_agents.tool_calls import CALLS, complains_of
from sad_eval.records import EpisodeLine, Manifest

from sad_env import registry
from sad_env.core import TextEnv
from sad_env.data import Progress, silent
from sad_env.errors import ConfigError, SadEnvError
from sad_env.records import SpanKind, Status, Step, Trajectory
from sad_env.safe_text import one_line
from sad_env.tools import ActionTool
from sad_env.transcript import LINES, Form, Parsed, form_of
from sad_leaderboard.conditions import world_options
from sad_leaderboard.endings import Bounds, ending_fault
from sad_leaderboard.entries import Submission
from sad_leaderboard.recompute import Findings
from sad_leaderboard.worlds import open_world, panel_fault


class MismatchError(Exception):
    """An episode is not what the world or its own completions give; the message is one line."""


def replay(submission: Submission, *, data: str = "", progress: Progress = silent) -> Findings:
    """Play all episodes of an entry again.

    Args:
        submission: the entry; it should have passed `recompute`.
        data: see `data_of`.
        progress: called before every episode.

    Returns:
        What differs. A world that cannot be made here and an agent error, which a replay cannot repeat, keep an entry
        from the level without refuting it.
    """
    findings, manifest = Findings(), submission.manifest
    try:
        world, registered = open_world(manifest, data)
    except ConfigError as error:
        findings.report(str(error), refutes=False)
        return findings
    try:
        if fault := panel_fault(manifest, registered):
            findings.report(fault)
        else:
            _replay_all(submission, world, findings, progress)
    finally:
        world.close()
    return findings


def _replay_all(submission: Submission, world: TextEnv, findings: Findings, progress: Progress) -> None:
    bounds = Bounds.of(submission.manifest)
    form = one_line(str(submission.manifest.identity.get("agent form", LINES.name)), 40)
    tools = _tools(submission.manifest)
    planned = submission.manifest.repeats * len(submission.manifest.panel.task_ids)
    for number, line in enumerate(submission.episodes(), start=1):
        progress(f"replay {submission.name}", number, planned)
        task = repr(one_line(line.key.task_id, 80))
        if line.trajectory.form != form:
            findings.report(f"{task} is written in the form {line.trajectory.form!r}, the identity says {form!r}")
        try:
            replay_episode(world, line, bounds, tools)
        except MismatchError as mismatch:
            findings.report(f"{task}, {mismatch}")
        except SadEnvError as error:
            findings.report(f"{task} cannot be played: {error}")
        else:
            if line.trajectory.status is Status.AGENT_ERROR:
                findings.report(f"{task} ended as agent_error, which a replay cannot repeat", refutes=False)


def _tools(manifest: Manifest) -> tuple[ActionTool, ...]:
    """The functions whose calls an entry's actions are; none for one whose agent wrote its actions."""
    calls = manifest.identity.get("agent api") == "tools"
    return registry.action_tools(manifest.world, world_options(manifest)) if calls else ()


def replay_episode(world: TextEnv, line: EpisodeLine, bounds: Bounds, tools: Sequence[ActionTool] = ()) -> None:
    """Play one episode again.

    Args:
        world: any world of the entry's kind and split.
        line: the record.
        bounds: limits of the run; an episode that the world did not end has to have reached one of them.
        tools: functions whose calls its actions are; none where the agent wrote its actions.

    Raises:
        MismatchError: with the first step at which world and record differ.
    """
    recorded = line.trajectory
    observation, info = world.reset(seed=line.key.seed, options={"task_id": line.key.task_id})
    _same("first observation", observation, recorded.observation)
    _same("split", str(info.get("split", "")), recorded.split)
    _same("task type", str(info.get("task_type", "")), recorded.task_type)
    spelled, form = registry.canonical_action(recorded.world) or str, form_of(recorded.form)
    form = CALLS if tools and form is LINES else form
    terminated = False
    for number, step in enumerate(recorded.steps, start=1):
        where = f"step {number}: "
        if terminated:
            raise MismatchError(f"{where}the episode was over before it")
        if limit := bounds.reached(recorded.steps[: number - 1]):
            raise MismatchError(f"{where}{limit} had ended the episode before it")
        listed, read = info.get("admissible_actions"), form.parse(step.completion)
        _same(f"{where}admissible actions", None if listed is None else tuple(listed), step.admissible)
        _check_read(where, step, read)
        if step.parsed:
            _check_written(where, step, read, form, spelled)
            observation, reward, terminated, _, info = world.step(step.action)
            _same(f"{where}observation", observation, step.observation)
            _same(f"{where}reward", float(reward), step.reward)
            _same(f"{where}valid", info["valid_action"], step.valid)
        else:
            _check_unparsed(where, step, read, tools)
        if step.progress is not None:
            _same(f"{where}progress", info.get("progress"), step.progress)
    _check_verdict(recorded, info)
    if fault := ending_fault(recorded, bounds, terminated, info):
        raise MismatchError(fault)


def _check_unparsed(where: str, step: Step, read: Parsed, tools: Sequence[ActionTool]) -> None:
    """The completion holds no action, the world was not asked, and the answer is the rollout's.

    A served model's answer may say itself why it holds no action: it was cut, withheld, or a call where text was asked
    for. These complaints are made of completions without an action only (`ReActAgent`): what a text that was cut holds
    as its action is played. So it does not matter whose entry says so: nothing was played either way. Where actions are
    calls, one that could not be played stands in the place of the action, and what is wrong with it is found out again.
    """
    if step.action or step.valid or step.reward:
        raise MismatchError(f"{where}marked as without action, yet it has an action or a reward")
    if not read.complaint:
        complaint = step.observation.removeprefix("No action was taken: ").removesuffix(".")
        if step.observation != _answer(complaint) or not complains_of(complaint, read.action, tools):
            raise MismatchError(f"{where}marked as without action, yet the completion says {_short(read.action)}")
    elif step.observation not in map(_answer, COMPLAINTS.values()):
        _same(f"{where}answer to a completion without action", _answer(read.complaint), step.observation)


def _answer(complaint: str) -> str:
    return f"No action was taken: {complaint}."


def _check_read(where: str, step: Step, read: Parsed) -> None:
    """Spans and reasoning are those that the completion gives."""
    # A slip is an action alone, labelled as not the agent's. With reasoning in it the label would hide the reasoning.
    slipped = () if read.reasoning else tuple(span.model_copy(update={"kind": SpanKind.NONE}) for span in read.spans)
    if step.spans not in (read.spans, slipped):
        raise MismatchError(f"{where}its spans are not where the completion's headers put them")
    if _words(step.reasoning) != _words(read.reasoning):
        raise MismatchError(f"{where}the reasoning {_short(step.reasoning)} is not what the completion says")


def _check_written(where: str, step: Step, read: Parsed, form: Form, spelled: Callable[[str], str]) -> None:
    """The action that was played is the one in the completion, as written or as the world spells it, and its end.

    Completions are cut behind their first action line when they are sampled. Text behind it would be neither played
    nor counted as reasoning.
    """
    if read.complaint or _words(step.action) not in (_words(read.action), _words(spelled(read.action))):
        raise MismatchError(f"{where}the action {one_line(step.action, 60)!r} is not what the completion says")
    act = next(span for span in read.spans if span.kind is SpanKind.ACT)
    if _words(step.completion[act.body :].strip().removesuffix(form.closing.strip())) != _words(read.action):
        raise MismatchError(f"{where}the completion goes on behind its action line")


def _words(text: str) -> list[str]:
    """The words of a text: an expert's completion is on one line where its reasoning may hold line breaks."""
    return text.split()


def _check_verdict(recorded: Trajectory, info: Mapping[str, Any]) -> None:
    _same("verdict", bool(info["success"]), recorded.success)
    _same("score", float(info["score"]), recorded.score)
    for name, figure in recorded.extra.items():
        _same(one_line(name, 40), info.get(name), figure)


def _same(what: str, world: object, entry: object) -> None:
    if world != entry:
        raise MismatchError(f"{what}: the world says {_short(world)}, the entry {_short(entry)}")


def _short(value: object) -> str:
    return repr(one_line(str(value), 90))

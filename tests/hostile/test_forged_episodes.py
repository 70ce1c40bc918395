"""Episodes that were changed and sealed again, figures and hash chains included, do not reach the level "replayed"."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_eval.runs.run_folder import EpisodeLine, RunFolder
from sad_leaderboard.add import add
from sad_leaderboard.command import main
from sad_leaderboard.endings import Bounds
from sad_leaderboard.entries import read_submission
from sad_leaderboard.recompute import recompute
from sad_leaderboard.replay import MismatchError, replay_episode
from sad_leaderboard.schema import EPISODES, Level
from sad_leaderboard.verify import verify

from sad_env import registry
from sad_env.records import observation_chain
from sad_env.transcript import segment

Document = dict[str, Any]
Forgery = Callable[[Document], object]
"""Changes the trajectory of the first episode, one that the expert won."""

NO_ACTION = "No action was taken: there was no line that starts with 'Action:'."
CUT = "No action was taken: the completion was cut at its greatest length."
NO_CALL = "No action was taken: no function was called."
NO_FLY = "No action was taken: there is no function 'fly'; the functions are look, go_to, take."
NO_JSON = "No action was taken: the arguments of the call are no JSON object."
TWO_CALLS = "No action was taken: 2 functions were called at once: call one."


@pytest.fixture(scope="module")
def honest(toy_run: Callable[..., RunFolder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = tmp_path_factory.mktemp("board")
    return add(toy_run(episodes=6), board, "honest", title="Expert", submitter="tests", submitted="2026-01-01")


@pytest.fixture
def entry(honest: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "entries" / "entry"
    shutil.copytree(honest, folder)
    return folder


def forge(folder: Path, forgery: Forgery, *, limits: Document | None = None) -> None:
    """Apply a forgery and make chains, results and hashes those of the forged episodes."""
    with gzip.open(folder / EPISODES) as packed:
        lines = [json.loads(line) for line in packed]
    forgery(lines[0]["trajectory"])
    for line in lines:
        trajectory = EpisodeLine.model_validate({**line, "attempts": [_attempt(line)]}).trajectory
        line.update(chain=observation_chain(trajectory), attempts=[_attempt(line)])
    with gzip.open(folder / EPISODES, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    seal(folder)
    computed = recompute(read_submission(folder)).results
    assert computed is not None
    (folder / "results.json").write_text(json.dumps(computed.model_dump(mode="json")))
    seal(folder)


def _attempt(line: Document) -> Document:
    return {"status": line["trajectory"]["status"]}


def seal(folder: Path) -> None:
    document = json.loads((folder / "entry.json").read_text())
    for name in document["files"]:
        document["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "entry.json").write_text(json.dumps(document))


def ended(status: str, steps: int = 0) -> Forgery:
    """The episode lost, and cut after some steps."""
    return lambda trajectory: trajectory.update(
        status=status, success=False, score=0.0, steps=trajectory["steps"][:steps], seconds=100.0
    )


def written(change: Callable[[str], str]) -> Forgery:
    """The first completion in other words, with the spans that its headers give."""

    def forgery(trajectory: Document) -> None:
        step = trajectory["steps"][0]
        step["completion"] = change(step["completion"])
        step["spans"] = [span.model_dump(mode="json") for span in segment(step["completion"])]

    return forgery


def stepped(**changes: object) -> Forgery:
    return lambda trajectory: trajectory["steps"][0].update(changes)


def unasked(completion: str, answer: str = NO_ACTION) -> Forgery:
    """A step before the first that says that the world was not asked."""

    def forgery(trajectory: Document) -> None:
        step = {
            **trajectory["steps"][0],
            "completion": completion,
            "spans": [span.model_dump(mode="json") for span in segment(completion)],
            "reasoning": "",
            "action": "",
            "observation": answer,
            "parsed": False,
            "valid": False,
        }
        trajectory["steps"].insert(0, step)

    return forgery


def many_invalid(trajectory: Document) -> None:
    """Nineteen invalid steps, which is less than the limit, before an ending by invalid actions."""
    unasked("")(trajectory)
    step = {**trajectory["steps"][0], "observation": NO_ACTION}
    trajectory.update(steps=[step] * 19, status="invalid_actions", success=False, score=0.0)


FORGED: dict[str, tuple[Forgery, str]] = {
    "lost without a step by budget": (ended("budget"), "no limit of tokens, time or context explains"),
    "lost without a step by an agent error": (ended("agent_error"), "which no limit explains"),
    "lost without a step by invalid actions": (ended("invalid_actions"), "is not the limit"),
    "lost without a step by the step limit": (ended("max_steps"), "is not the limit"),
    "lost without a step": (ended("failure"), "the world's episode is not over"),
    "lost without a step by a forced finish": (ended("forced_finish"), "the world's episode is not over"),
    "lost after a step by budget": (ended("budget", 1), "no limit of tokens, time or context explains"),
    "lost after a step by invalid actions": (ended("invalid_actions", 1), "is not the limit"),
    "invalid actions short of the limit": (many_invalid, "is not the limit"),
    "thoughts behind the action line": (
        written(lambda text: text + "I go there because it is near.\n"), "goes on behind its action line"),
    "thoughts in a second action": (
        written(lambda text: text + "Action: think of the lamp\n"), "goes on behind its action line"),
    "thoughts behind a line separator": (
        written(lambda text: text[:-1] + "\u2028because it is near\n"), "goes on behind its action line"),
    "thoughts behind a carriage return": (
        written(lambda text: text[:-1] + "\rbecause it is near\n"), "goes on behind its action line"),
    "thoughts behind a form feed": (
        written(lambda text: text[:-1] + "\x0cbecause it is near\n"), "goes on behind its action line"),
    "thoughts after the action": (
        written(lambda text: text + "Thought: and now I plan\n"), "is not what the completion says"),
    "an unparsed step that holds an action": (unasked("Action: look\n"), "yet the completion says 'look'"),
    "an unparsed step that holds a late action": (unasked("\n\n thought 3: \nACTION 4: look"), "says 'look'"),
    "an unparsed step with an answer of its own": (
        unasked("", "No action was taken: the lamp is in the attic."), "answer to a completion without action"),
    "a cut that holds an action": (unasked("Action: look\n", CUT), "yet the completion says 'look'"),
    "a cut that goes on": (unasked("", f"{CUT} The lamp is in the attic."), "answer to a completion without action"),
    "a withheld completion that holds an action": (
        unasked("Action: look\n", "No action was taken: the server's content filter withheld the completion."),
        "yet the completion says 'look'"),
    "a missing call where actions are text": (unasked("", NO_CALL), "answer to a completion without action"),
    "a bad call where actions are text": (unasked("Action: call fly({})\n", NO_FLY), "says 'call fly({})'"),
    "an unparsed step with another complaint": (
        unasked("Action:\n", NO_ACTION), "answer to a completion without action"),
    "a played step without a completion": (stepped(completion="", spans=[], reasoning=""), "is not what"),
    "a played step without an action": (
        written(lambda text: text.replace("Action", "Deed")), "is not what the completion says"),
    "admissible actions left out": (stepped(admissible=None), "admissible actions"),
    "progress that the world does not report": (stepped(progress=1.0), "progress"),
    "a figure that the world does not report": (lambda episode: episode.update(extra={"f1": 1.0}), "f1"),
    "another split": (lambda episode: episode.update(split="train"), "split"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_episode_is_refused_and_its_entry_not_shown(
    name: str, entry: Path, tmp_path: Path, one_clear_line: Callable[[str], None]
) -> None:
    forgery, reason = FORGED[name]
    forge(entry, forgery)
    found = verify(entry, Level.REPLAYED)
    assert found.level is Level.RECOMPUTED
    assert found.refuted
    assert len(found.findings) == 1
    assert reason in found.findings[0]
    one_clear_line(found.findings[0])
    assert main(["build", "--root", str(entry.parent), "--out", str(tmp_path / "out"), "--level", "replayed"]) == 5
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    assert board["tables"] == []
    assert board["remarks"][0].startswith("entry (recomputed only) is left out: ")


FORGED_CALLS: dict[str, tuple[str, str]] = {
    "an action": ("Action: look\n", NO_CALL),
    "an action that was cut": ("Action: look\n", CUT),
    "an action as a bad call": ("Action: look\n", NO_JSON),
    "a good call": ("Action: call look({})\n", NO_CALL),
    "a good call that was cut": ("Action: call look({})\n", CUT),
    "a good call as an unknown one": ("Action: call look({})\n", NO_FLY),
    "a good call as no JSON": ('Action: call take({"thing": "a (red) lamp"})\n', NO_JSON),
    "a good call as two": ('Action: call take({"thing": "x({}); y({})"})\n', TWO_CALLS),
    "a bad call as another bad one": ("Action: call fly({})\n", NO_JSON),
    "a bad call as two": ("Action: call fly({})\n", TWO_CALLS),
    "two calls as three": ("Action: call fly({}); fly({})\n", TWO_CALLS.replace("2", "3")),
    "two calls, written otherwise": ("Action: call fly({}); fly({})\n", TWO_CALLS.replace("2", "02")),
    "two calls as a number": ("Action: call fly({}); fly({})\n", TWO_CALLS.replace("2", "2 lamps, 2")),
    "a bad call with a hint": ("Action: call fly({})\n", NO_FLY + " The lamp is in the attic."),
    "a bad call with other functions": ("Action: call fly({})\n", NO_FLY.replace("look", "the lamp is in the attic")),
    "a bad call without an answer": ("Action: call fly({})\n", "No action was taken: ."),
    "a bad call answered by the world": ("Action: call fly({})\n", "You see: a lamp."),
    "a call without brackets": ("Action: call fly\n", NO_FLY),
    "a call of nothing": ("Action: call \n", NO_CALL),
    "no call, with an answer to text": ("\n", NO_ACTION),
    "no call, with a hint": ("\n", "No action was taken: the lamp is in the attic."),
}


@pytest.mark.parametrize("name", FORGED_CALLS)
def test_a_forged_step_without_a_call_is_refused(name: str, entry: Path) -> None:
    completion, answer = FORGED_CALLS[name]
    with pytest.raises(MismatchError, match=r"step 1: (marked as without action, yet the|answer to a)"):
        _replay_calls(entry, unasked(completion, answer))


HONEST_CALLS = {
    "Action: call fly({})\n": NO_FLY,
    "Action: call fly({}); fly({})\n": TWO_CALLS,
    "Reasoning: x\n": NO_CALL,
}


@pytest.mark.parametrize("completion", HONEST_CALLS)
def test_a_step_without_a_call_has_neither_an_action_nor_a_reward(completion: str, entry: Path) -> None:
    def wondering(**changes: object) -> Forgery:
        def forgery(trajectory: Document) -> None:
            unasked(completion, HONEST_CALLS[completion])(trajectory)
            stepped(reasoning="x" if completion.startswith("Reasoning") else "", **changes)(trajectory)

        return forgery

    _replay_calls(entry, wondering())
    for changes in ({"action": "look"}, {"reward": 1.0}, {"valid": True}, {"progress": 1.0}):
        with pytest.raises(MismatchError, match="step 1: "):
            _replay_calls(entry, wondering(**changes))


def _replay_calls(entry: Path, forgery: Forgery) -> None:
    """Plays the first episode, forged, as one whose actions are calls."""
    line = json.loads(next(read_submission(entry).episodes()).to_json())
    forgery(line["trajectory"])
    world, tools = registry.make("toy"), registry.action_tools("toy", {})
    replay_episode(world, EpisodeLine.model_validate(line), Bounds(20), tools)


def test_steps_after_the_last_token_or_the_last_invalid_action_are_refused(entry: Path) -> None:
    line = next(read_submission(entry).episodes())
    with_tokens, without = (
        tuple(step.model_copy(update={"generated_tokens": tokens}) for step in line.trajectory.steps)
        for tokens in (5, 0)
    )
    world = registry.make("toy")
    for steps, bounds, refused in (
        (with_tokens, Bounds(20, max_tokens=5), "step 2: 5 generated tokens had ended the episode"),
        (without, Bounds(20, invalid_actions=0), "step 1: 0 invalid actions in a row had ended the episode"),
    ):
        forged = line.model_copy(update={"trajectory": line.trajectory.model_copy(update={"steps": steps})})
        replay_episode(world, forged, Bounds(20))
        with pytest.raises(MismatchError, match=refused):
            replay_episode(world, forged, bounds)


def test_the_honest_entry_is_shown(entry: Path) -> None:
    forge(entry, lambda trajectory: None)
    assert verify(entry, Level.REPLAYED).level is Level.REPLAYED


def test_an_agent_error_after_a_step_keeps_an_entry_from_replayed_without_refuting_it(
    entry: Path, tmp_path: Path
) -> None:
    forge(entry, ended("agent_error", 1))
    found = verify(entry, Level.REPLAYED)
    assert found.level is Level.RECOMPUTED
    assert not found.refuted
    assert "which a replay cannot repeat" in found.findings[0]
    assert main(["build", "--root", str(entry.parent), "--out", str(tmp_path / "out"), "--level", "replayed"]) == 5
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    assert [row["level"] for row in board["tables"][0]["rows"]] == ["recomputed"]

"""Whatever is changed in a recorded episode, a replay sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sad_eval.records import EpisodeLine
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.endings import Bounds
from sad_leaderboard.entries import entry_folders
from sad_leaderboard.replay import MismatchError, replay_episode
from sad_leaderboard.schema import Level
from sad_leaderboard.verify import verify

from sad_env import registry
from sad_env.core import TextEnv
from sad_env.records import SpanKind, Status, Step, Trajectory

LIMIT = Bounds(20)
"""Steps of an episode of the toy world."""

OWN = Path(__file__).resolve().parents[2] / "leaderboard" / "entries"


@pytest.fixture(scope="module")
def world() -> Iterator[TextEnv]:
    env = registry.make("toy")
    yield env
    env.close()


@pytest.fixture(scope="module")
def lines(toy_run: Callable[..., RunFolder]) -> list[EpisodeLine]:
    return list(toy_run("random", repeats=2).episodes())


def _last(text: str) -> str:
    return text + "."


STEP_CHANGES: dict[str, Callable[[Step], dict[str, Any]]] = {
    "observation": lambda step: {"observation": _last(step.observation)},
    "blank in observation": lambda step: {"observation": step.observation.replace(" ", "  ", 1)},
    "reward": lambda step: {"reward": step.reward + 0.5},
    "valid": lambda step: {"valid": not step.valid},
    "parsed": lambda step: {"parsed": not step.parsed},
    "an action less to choose": lambda step: {"admissible": (step.admissible or ())[1:]},
    "an action more to choose": lambda step: {"admissible": (*(step.admissible or ()), "win")},
    "unwritten action": lambda step: {"action": "win"},
}

EPISODE_CHANGES: dict[str, Callable[[Trajectory], dict[str, Any]]] = {
    "first observation": lambda episode: {"observation": _last(episode.observation)},
    "verdict": lambda episode: {"success": not episode.success},
    "score": lambda episode: {"score": episode.score + 0.5},
    "task type": lambda episode: {"task_type": "easy"},
    "a step less": lambda episode: {"steps": episode.steps[:-1]},
    "the last step twice": lambda episode: {"steps": (*episode.steps, episode.steps[-1])},
    "another ending": lambda episode: {
        "status": Status.MAX_STEPS if episode.status is not Status.MAX_STEPS else Status.FAILURE
    },
}


def _relabelled(step: Step) -> dict[str, Any]:
    return {"spans": tuple(span.model_copy(update={"kind": SpanKind.ACT}) for span in step.spans)}


def _hidden(step: Step) -> dict[str, Any]:
    """As a slip is labelled, which is never reasoned about."""
    return {"spans": tuple(span.model_copy(update={"kind": SpanKind.NONE}) for span in step.spans)}


REASONING_CHANGES: dict[str, Callable[[Step], dict[str, Any]]] = {
    "reasoning labelled as action": _relabelled,
    "reasoning labelled as nobody's": _hidden,
    "a shorter reasoning beside the text": lambda step: {"reasoning": "ok"},
    "a shorter span": lambda step: {
        "spans": (step.spans[0].model_copy(update={"body": step.spans[0].end}), *step.spans[1:])
    },
}


def _changed(line: EpisodeLine, change: dict[str, Any]) -> EpisodeLine:
    return line.model_copy(update={"trajectory": line.trajectory.model_copy(update=change)})


def test_honest_episodes_replay(world: TextEnv, lines: list[EpisodeLine]) -> None:
    for line in lines:
        replay_episode(world, line, LIMIT)


@given(draw=st.data())
def test_no_change_of_a_step_goes_unseen(world: TextEnv, lines: list[EpisodeLine], draw: st.DataObject) -> None:
    line = lines[draw.draw(st.integers(0, len(lines) - 1))]
    number = draw.draw(st.integers(0, len(line.trajectory.steps) - 1))
    name = draw.draw(st.sampled_from(sorted(STEP_CHANGES)))
    steps = list(line.trajectory.steps)
    steps[number] = steps[number].model_copy(update=STEP_CHANGES[name](steps[number]))
    with pytest.raises(MismatchError, match=f"step {number + 1}: "):
        replay_episode(world, _changed(line, {"steps": tuple(steps)}), LIMIT)


@pytest.mark.parametrize("name", REASONING_CHANGES)
def test_no_change_of_what_counts_as_reasoning_goes_unseen(
    world: TextEnv, toy_run: Callable[..., RunFolder], name: str
) -> None:
    line = next(toy_run("expert", episodes=1).episodes())
    replay_episode(world, line, LIMIT)
    first, *others = line.trajectory.steps
    forged = first.model_copy(update=REASONING_CHANGES[name](first))
    with pytest.raises(MismatchError, match=r"step 1: "):
        replay_episode(world, _changed(line, {"steps": (forged, *others)}), LIMIT)


def test_a_slip_replays(world: TextEnv, lines: list[EpisodeLine]) -> None:
    line = lines[0]
    steps = tuple(step.model_copy(update=_hidden(step)) for step in line.trajectory.steps)
    replay_episode(world, _changed(line, {"steps": steps}), LIMIT)


def test_an_action_may_be_spelled_as_its_world_spells_it() -> None:
    spelled = registry.canonical_action("hotpotqa") or str
    assert (spelled("Search[Ed Wood]"), spelled("Answer[yes]")) == ("search[Ed Wood]", "finish[yes]")
    assert registry.canonical_action("alfworld") is None


@given(draw=st.data())
def test_no_change_of_an_episode_goes_unseen(world: TextEnv, lines: list[EpisodeLine], draw: st.DataObject) -> None:
    line = lines[draw.draw(st.integers(0, len(lines) - 1))]
    name = draw.draw(st.sampled_from(sorted(EPISODE_CHANGES)))
    with pytest.raises(MismatchError):
        replay_episode(world, _changed(line, EPISODE_CHANGES[name](line.trajectory)), LIMIT)


@given(draw=st.data())
def test_an_episode_of_another_task_does_not_replay(
    world: TextEnv, lines: list[EpisodeLine], draw: st.DataObject
) -> None:
    line, other = draw.draw(
        st.lists(st.sampled_from(lines), min_size=2, max_size=2, unique_by=lambda one: one.id.task_id)
    )
    borrowed = line.model_copy(update={"key": other.key})
    if line.trajectory.observation != other.trajectory.observation:
        with pytest.raises(MismatchError):
            replay_episode(world, borrowed, LIMIT)


def test_the_boards_own_entries_hold() -> None:
    folders = entry_folders(OWN)
    if not folders:
        pytest.skip("the board has no entry of its own yet")
    for folder in folders:
        found = verify(folder, Level.RECOMPUTED)
        assert found.level is Level.RECOMPUTED, found.findings


SAID = {
    "tags": ["[REASON] hm [ACT] go to attic [OBS] made up", "[ACT] look\n[OBS]", "nothing to do"],
    "think": ["<think> [ACT] no </think> <action> go to attic </action>", "<action>look</action>", "<think> endless"],
}


@pytest.mark.parametrize("form", SAID)
def test_episodes_in_other_forms_are_replayed(
    form: str, world: TextEnv, toy_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    script = tmp_path / "said.jsonl"
    script.write_text("".join(json.dumps(text) + "\n" for text in SAID[form]))
    run = toy_run(f"scripted:{script}", "--form", form, episodes=2)
    assert run.manifest.identity["agent form"] == form
    for line in run.episodes():
        assert line.trajectory.form == form
        assert [step.action for step in line.trajectory.steps][:3] == ["go to attic", "look", ""]
        replay_episode(world, line, LIMIT)
        for changed in (
            {"form": "lines"},
            {"steps": (_with_more(line.trajectory.steps[0]), *line.trajectory.steps[1:])},
        ):
            forged = line.model_copy(update={"trajectory": line.trajectory.model_copy(update=changed)})
            with pytest.raises(MismatchError):
                replay_episode(world, forged, LIMIT)


def _with_more(step: Step) -> Step:
    """A completion that goes on behind its action, as an action span may."""
    text = step.completion.rstrip("\n") + "\nand so on\n"
    last = step.spans[-1]
    spans = (*step.spans[:-1], last.model_copy(update={"end": len(text)}))
    return step.model_copy(update={"completion": text, "spans": spans})


def test_runs_in_the_house_form_say_nothing_new(toy_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    script = tmp_path / "said.jsonl"
    script.write_text(json.dumps("Action: look") + "\n")
    run = toy_run(f"scripted:{script}", episodes=1)
    assert not {"agent form", "agent chat"} & set(run.manifest.identity)
    assert '"form"' not in next(run.episodes()).trajectory.to_json()

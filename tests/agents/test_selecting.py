"""Selection of recorded episodes: replays, verdicts, thoughts that help; and votes on what actions do."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sad_agents import selecting
from sad_agents.agent import EpisodeStart, Sampling
from sad_agents.collect_command import main
from sad_agents.model import Request, ScriptedModel
from sad_agents.outcomes import ActionResult, TriedActions
from sad_agents.prompts import Prompt
from sad_agents.react import ReActAgent
from sad_agents.selecting import UsefulThoughts, thoughts

from sad_env import registry
from sad_env.records import Trajectory, read_trajectories


@pytest.fixture
def expert(tmp_path: Path) -> Path:
    out = tmp_path / "expert.jsonl"
    flags = ["--env", "toy", "--episodes", "8", "--workers", "0", "--quiet", "--out", str(out)]
    assert main(flags) == 0
    return out


def rewritten(path: Path, name: str, **changes: Any) -> Path:
    lines = [{**json.loads(line), **changes} for line in path.read_text().splitlines()]
    other = path.with_name(name)
    other.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return other


def select(tmp_path: Path, *words: str, code: int = 0) -> list[Trajectory]:
    out = tmp_path / "selected.jsonl"
    out.unlink(missing_ok=True)
    assert main(["select", *words, "--out", str(out)]) == code
    return list(read_trajectories(out)) if out.exists() else []


def test_files_are_mixed_in_their_order(expert: Path, tmp_path: Path) -> None:
    other = rewritten(expert, "other.jsonl", prompt="Another prompt.\n\n", agent="other")
    found = select(tmp_path, str(expert), str(other))
    assert [one.agent for one in found] == ["expert"] * 8 + ["other"] * 8
    assert found[8].prompt == "Another prompt.\n\n"


def test_a_replay_gives_the_verdict_that_was_not_said(
    expert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unsaid = rewritten(expert, "unsaid.jsonl", success=False, status="failure", unknown=["success", "status", "score"])
    assert select(tmp_path, str(unsaid), "--only-success", code=5) == []
    found = select(tmp_path, str(unsaid), "--only-success", "--verified")
    assert found == list(read_trajectories(expert))
    false = rewritten(expert, "false.jsonl", success=False, status="failure")
    capsys.readouterr()
    assert select(tmp_path, str(false), "--verified", code=5) == []
    assert "the world's verdict is True" in capsys.readouterr().err


def test_a_replay_refuses_invented_answers(expert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in expert.read_text().splitlines()]
    lines[3]["steps"][0]["observation"] = "You find a treasure."
    lines[5]["observation"] = "You are on the moon."
    expert.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(select(tmp_path, str(expert), "--verified")) == 6
    said = capsys.readouterr()
    assert "2 not verified" in said.out
    assert "step 1 is answered with" in said.err


@pytest.mark.parametrize("words", [("--data", "generated"), ("--gain", "0.5")])
def test_settings_without_their_filter_are_refused(words: tuple[str, str], expert: Path, tmp_path: Path) -> None:
    assert select(tmp_path, str(expert), *words, code=2) == []


def test_thoughts_stay_that_lower_the_loss_of_their_action(expert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Scored(ScriptedModel):
        def ids_with(self, request: Request, continuation: str) -> tuple[list[int], tuple[int, ...]]:
            return [], (1, 2)

    agent = ReActAgent(Scored("x"), Prompt("Play."))

    def score(model: Any, request: Request, actions: list[str]) -> list[float]:
        """A thought that speaks of a room helps; any other makes it worse."""
        if request.forced == "Action:":
            return [-3.0]
        return [-1.0 if re.search("attic|cellar|kitchen", request.forced) else -4.0]

    monkeypatch.setattr(selecting, "resolve", lambda *_: agent)
    monkeypatch.setattr(selecting, "score_actions", score)
    episode = next(iter(read_trajectories(expert)))
    kept = UsefulThoughts("model", 0.0)(episode)
    spoken = [bool(re.search("attic|cellar|kitchen", step.reasoning)) for step in episode.steps]
    assert [bool(step.reasoning) for step in kept.steps] == spoken
    assert {True, False} == set(spoken)
    for before, after in zip(episode.steps, kept.steps, strict=True):
        assert after.action == before.action
        assert after.completion == (before.completion if after.reasoning else f"Action: {before.action}\n")
    assert thoughts(UsefulThoughts("model", 1.0)(episode)) == 0  # two nats over two tokens are no more than one each


def voting(answers: list[str], tried: TriedActions | None) -> tuple[ReActAgent, EpisodeStart, Mapping[str, Any]]:
    draws = iter(answers)
    model = ScriptedModel(lambda request: next(draws))
    agent = ReActAgent(model, Prompt("Play."), sampling=Sampling(temperature=1.0), votes=len(answers), tried=tried)
    world = registry.make("toy", split="test")
    task = world.panel.task_ids[0]
    observation, info = world.reset(seed=0, options={"task_id": task})
    return agent, EpisodeStart("toy", task, observation, info), info


def test_votes_on_results_drop_actions_that_do_nothing() -> None:
    answers = [
        "Action: look\n",
        "Action: dance\n",
        "Action: go to attic\n",
        "Action: dance\n",
        "Action: go to cellar\n",
    ]
    agent, start, _ = voting(answers, None)
    agent.begin(0, start)
    assert agent.act([0])[0].action == "dance"
    agent, start, _ = voting(answers, TriedActions("toy", {"split": "test"}))
    agent.begin(0, start)
    assert agent.act([0])[0].action == "look"
    assert agent.provenance["votes on"] == "results"


def test_votes_on_results_join_actions_that_do_the_same() -> None:
    class Synonyms(TriedActions):
        def result(self, start: EpisodeStart, played: list[str], action: str) -> ActionResult:
            return ActionResult(True, action.removeprefix("please "))

    answers = ["Action: look\n", "Action: look\n", "Action: please go\n", "Action: go\n", "Action: please go\n"]
    for tried, elected in ((None, "look"), (Synonyms("toy", {}), "please go")):
        agent, start, _ = voting(answers, tried)
        agent.begin(0, start)
        assert agent.act([0])[0].action == elected


def test_results_are_those_of_the_episodes_state() -> None:
    _, start, info = voting(["x"], None)
    tried = TriedActions("toy", {"split": "test"})
    world = registry.make("toy", split="test")
    world.reset(seed=0, options={"task_id": start.task_id})
    world.step("go to cellar")
    seen, *_ = world.step("look")
    assert tried.result(start, ["go to cellar"], "look").observation == seen
    assert not tried.result(start, [], "dance").valid
    assert info["task_id"] == start.task_id


def test_results_are_those_of_the_state_where_episodes_ask_side_by_side() -> None:
    _, start, _ = voting(["x"], None)
    rooms = ["attic", "cellar", "kitchen", "garden"] * 40
    tried = TriedActions("toy", {"split": "test"})
    wanted = [tried.result(start, [f"go to {room}"], "look") for room in rooms]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda room: tried.result(start, [f"go to {room}"], "look"), rooms))
    finally:
        sys.setswitchinterval(before)
    assert found == wanted


def test_vote_on_needs_votes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "toy", "--agent", "x.pt", "--vote-on", "results", "--out", str(tmp_path / "x.jsonl")]
    assert main(words) == 2
    assert "--vote-on results has no effect: one completion has no vote" in capsys.readouterr().err

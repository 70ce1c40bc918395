"""Entries of served models: whatever a server answered, an honest run is replayed and can be run again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import resolve
from sad_agents.openai_requests import Api
from sad_agents.rollout.rollout import Job, Limits, WorldRecipe, rollout
from sad_eval.records import EpisodeLine
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.add import add
from sad_leaderboard.endings import Bounds
from sad_leaderboard.replay import replay_episode
from sad_leaderboard.rerun import rerunner
from sad_leaderboard.schema import Level
from sad_leaderboard.verify import verify

from sad_env import registry

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))
from served import Answer, ModelServer, calls, says, serving

SAID = {"title": "x", "submitter": "tests", "submitted": "2026-01-01"}

TEXTS: dict[str, tuple[Answer, str]] = {
    "cut in its thoughts": (says("Reasoning: I wonder", "length"), "the completion was cut at its greatest length"),
    "cut within tags": (says("<think> I wonder", "length"), "the completion was cut at its greatest length"),
    "cut behind the header": (says("Action:", "length"), "the completion was cut at its greatest length"),
    "withheld": (says("", "content_filter"), "the server's content filter withheld the completion"),
    "a call": (calls(("look", {})), "the server answered with a tool call, not with text"),
    "thoughts without an end": (says("<think> I wonder"), "the thoughts had no end, '</think>'"),
    "nothing": (says(""), "there was no line that starts with 'Action:'"),
    "null": (says(None), "there was no line that starts with 'Action:'"),
    "no parts": (says([]), "there was no line that starts with 'Action:'"),
    "a refusal": (says(None, refusal="I can't help\nwith \x1b[2J."), "the model refused"),
    "a part that is a refusal": (says([{"type": "refusal", "refusal": "I can't."}]), "the model refused"),
}
"""What a server answers that is asked for text, and what the agent is told."""

CALLS: dict[str, tuple[Answer, str]] = {
    "no call": (says("Action: look"), "no function was called"),
    "nothing": (says(""), "no function was called"),
    "neither text nor calls": (says(None), "no function was called"),
    "a refusal": (says(None, refusal="I can't help\nwith \x1b[2J."), "the model refused"),
    "cut": (says("I wonder", "length"), "the completion was cut at its greatest length"),
    "withheld": (says(None, "content_filter"), "the server's content filter withheld the completion"),
    "an ending by calls without a call": (says("x", "tool_calls"), "the server answered with a tool call"),
    "an unknown function": (calls(("fly", {})), "there is no function 'fly'"),
    "an unknown function, cut": (calls(("fly" * 20, {})), "there is no function 'flyfly"),
    "a name with brackets": (calls(("go_to(attic)", {})), "there is no function 'go_to(attic)'"),
    "a name of two lines": (calls(("go\nto", {})), "there is no function 'go to'"),
    "controls": (calls(("\x1b[2J", {}), said="\x1b[2J"), "there is no function"),
    "no name": (says(None, "tool_calls", tool_calls=["look"]), "there is no function 'None'"),
    "no JSON": (calls(("go_to", "{room: attic")), "the arguments of the call are no JSON object"),
    "cut JSON": (says(None, "length", tool_calls=calls(("go_to", '{"room": "at'))[1]["choices"][0]["message"][
        "tool_calls"]), "the arguments of the call are no JSON object"),
    "no object": (calls(("go_to", "[1]")), "the arguments of go_to are no JSON object"),
    "a missing argument": (calls(("go_to", {})), "the call of go_to lacks the argument 'room'"),
    "no arguments at all": (calls(("go_to", "")), "the call of go_to lacks the argument 'room'"),
    "null": (says(None, tool_calls=[{"function": {"name": "go_to", "arguments": None}}]),
        "the call of go_to lacks the argument 'room'"),
    "the text null": (calls(("look", "null")), "the arguments of look are no JSON object"),
    "an argument too many": (calls(("look", {"at": "the (red) attic"})), "look has no argument 'at'"),
    "an object in place of its text": (
        says(None, tool_calls=[{"function": {"name": "look", "arguments": {"at": "é"}}}]), "look has no argument 'at'"),
    "no text": (calls(("go_to", '{\n "room": 3\n}'), said="There."), "the argument 'room' of go_to is no text"),
    "several at once": (calls(("look", {}), ("go_to", {"room": "attic"})), "2 functions were called at once: call one"),
    "several bad ones at once": (calls(*[("fly", "; (")] * 12), "12 functions were called at once: call one"),
}  # fmt: skip
"""What a server answers that is asked for calls, and what the agent is told."""


LOOKS = {"chat": says("Action: look"), "tools": calls(("look", {}))}
CASES = {"chat": TEXTS, "tools": CALLS}


@pytest.mark.parametrize(("api", "name"), [(api, name) for api, cases in CASES.items() for name in cases])
def test_an_answer_without_an_action_is_replayed(api: Api, name: str) -> None:
    answer, told = CASES[api][name]
    tools = registry.action_tools("toy", {}) if api == "tools" else ()
    with serving(ModelServer(_saying([answer], LOOKS[api]))) as server:
        agent = resolve(f"openai:{server.url}#m", "toy", AgentOptions(api=api, patience=1))
        job = Job(registry.make("toy").panel.task_ids[0])
        (one,) = rollout(agent, [job], WorldRecipe("toy"), limits=Limits(max_steps=2))
    first, second = one.trajectory.steps
    assert (first.parsed, first.action, second.action) == (False, "", "look")
    assert first.observation.startswith(f"No action was taken: {told}")
    replay_episode(registry.make("toy"), EpisodeLine.of(one.trajectory), Bounds(2), tools)


def _saying(answers: Sequence[Answer], usual: Answer) -> Callable[[str, dict[str, Any]], Answer]:
    """Gives these answers, which hold no action, to an episode's first requests, and the usual one to all others."""

    def answer(path: str, body: dict[str, Any]) -> Answer:
        return [*answers, usual][min(str(body["messages"]).count("No action was taken"), len(answers))]

    return answer


@pytest.mark.parametrize("api", LOOKS)
@pytest.mark.slow
def test_an_entry_of_a_served_model_reaches_rerun(api: str, toy_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    answers = [answer for answer, _ in CASES[api].values()]
    with serving(ModelServer(_saying(answers[:12], LOOKS[api]))) as server:
        agent = f"openai:{server.url}#m"
        entry = add(toy_run(agent, "--api", api, episodes=2), tmp_path, "entry", **SAID)
        found = verify(entry, Level.RERUN, rerun=rerunner(agent, workers=0))
    assert (found.level, found.findings) == (Level.RERUN, ())

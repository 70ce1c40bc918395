"""Served models that act by calls: what they are asked, what a call is in the records, and calls that are no action."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import resolve
from sad_agents.model import Piece, Request
from sad_agents.openai_model import OpenAIModel
from sad_agents.react import head_pieces, step_pieces
from sad_agents.rollout.rollout import Job, Limits, WorldRecipe, rollout
from sad_agents.tool_calls import CALLS, call_messages

from sad_env import registry
from sad_env.errors import ConfigError
from sad_env.http import Patience
from sad_env.records import SpanKind, Trajectory
from sad_env.toy import toy_panel

sys.path.insert(0, str(Path(__file__).parent))
from served import Answer, ModelServer, calls, says, serving

TASKS = toy_panel("test").task_ids
TOOLS = registry.action_tools("toy", {})
PATIENCE = Patience(seconds=0, attempts=2, pause=0.01, connect=1, answer=5)


def playing(messages: list[dict[str, Any]]) -> Answer:
    """Plays the toy world by calls, from the messages alone; answers have to follow their calls."""
    begun = max(number for number, one in enumerate(messages) if "Bring the" in (one["content"] or ""))
    wanted = messages[begun]["content"].rsplit(" ", 1)[1].rstrip(".")
    seen: list[str] = []
    for call, answer in zip(messages[begun + 1 :: 2], messages[begun + 2 :: 2], strict=True):
        (made,) = call["tool_calls"]
        assert (answer["role"], answer["tool_call_id"]) == ("tool", made["id"])
        seen.append(json.loads(made["function"]["arguments"])["room"])
        if wanted in answer["content"].partition("You see: ")[2].rstrip(".").split(", "):
            return calls(("take", {"thing": wanted}), said="It is here.", reasoning_content="Let me see.")
    room = next(room for room in ("attic", "cellar", "kitchen") if room not in seen)
    return calls(("go_to", {"room": room}), said=f"I try the {room}.")


def play(
    answer: Callable[[list[dict[str, Any]]], Answer], shots: int = 1, **limits: int
) -> tuple[ModelServer, Trajectory]:
    with serving(ModelServer(lambda path, body: answer(body["messages"]))) as server:
        options = AgentOptions(api="tools", shots=shots, patience=1)
        agent = resolve(f"openai:{server.url}#m", "toy", options)
        (one,) = rollout(agent, [Job(TASKS[0])], WorldRecipe("toy"), limits=Limits(**limits))
        return server, one.trajectory


@pytest.mark.parametrize("shots", [0, 1])
def test_an_episode_by_calls(shots: int) -> None:
    server, episode = play(playing, shots)
    assert episode.success
    assert (episode.form, episode.chat) == ("lines", True)
    last = episode.steps[-1]
    assert last.completion == f"Reasoning: Let me see. It is here.\nAction: {last.action}\n"
    assert last.reasoning == "Let me see. It is here."
    assert [(span.kind, last.completion[span.body : span.end]) for span in last.spans] == [
        (SpanKind.REASON, "Let me see. It is here.\n"),
        (SpanKind.ACT, f"{last.action}\n"),
    ]
    for body in server.bodies:
        assert body["tools"] == [tool.schema for tool in TOOLS]
        assert "stop" not in body


def test_exemplars_are_turns_with_calls_and_nothing_asks_for_lines() -> None:
    server, _ = play(playing)
    messages = server.bodies[0]["messages"]
    roles = [message["role"] for message in messages]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool", "user"]
    assert CALLS.request in messages[0]["content"]
    assert not any(header in json.dumps(messages) for header in ("Action:", "Reasoning:", "Observation:"))
    taken = messages[6]
    assert taken["content"] == "The lamp is here, so I take it."
    assert taken["tool_calls"][0]["function"] == {"name": "take", "arguments": '{"thing": "lamp"}'}
    names = [message["tool_calls"][0]["id"] for message in messages if "tool_calls" in message]
    assert len(set(names)) == len(names)
    assert all(name.isalnum() and len(name) == 9 for name in names)


def test_the_record_alone_gives_the_same_messages_again() -> None:
    server, episode = play(playing)
    for number, body in enumerate(server.bodies):
        tail = [
            piece
            for step in episode.steps[:number]
            for piece in step_pieces(CALLS, step.completion, step.token_ids, step.observation)
        ]
        request = Request("x", head_pieces(CALLS, episode.prompt, episode.observation), tail, "")
        assert call_messages(request, TOOLS) == body["messages"]


BAD = {
    "an unknown function": (calls(("fly", {"room": "attic"})), "there is no function 'fly'"),
    "no JSON": (calls(("go_to", "{room: attic")), "the arguments of the call are no JSON"),
    "no object": (calls(("go_to", "[1]")), "the arguments of go_to are no JSON object"),
    "a missing argument": (calls(("go_to", {})), "lacks the argument 'room'"),
    "an argument too many": (calls(("look", {"at": "attic"})), "look has no argument 'at'"),
    "no text": (calls(("go_to", {"room": 3})), "is no text"),
    "several at once": (calls(("look", {}), ("go_to", {"room": "attic"})), "2 functions were called at once"),
    "a call of another kind": (says(None, "tool_calls", tool_calls=["look"]), "there is no function 'None'"),
    "controls": (calls(("\x1b[2J", {}), said="\x1b[2J"), "there is no function"),
    "no call": (says("Action: look"), "no function was called"),
    "cut": (says("I wonder", "length"), "the completion was cut at its greatest length"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_call_that_is_no_action_is_the_agents_bad_action(name: str) -> None:
    bad, complaint = BAD[name]
    answers = [bad, calls(("look", {}))]
    server, episode = play(lambda messages: answers.pop(0) if len(answers) > 1 else answers[0], max_steps=2)
    first, second = episode.steps
    assert (first.action, first.parsed, first.valid) == ("", False, False)
    assert complaint in first.observation
    assert "\x1b" not in first.observation
    assert second.action == "look"
    kinds = [span.kind for span in first.spans]
    called = "tool_calls" in bad[1]["choices"][0]["message"]
    assert kinds[-1] is (SpanKind.ACT if called else SpanKind.REASON)
    # It is told as what was said, since a server's template may not be able to write it as a call.
    *_, said, answer = server.bodies[1]["messages"]
    assert (said["role"], answer["role"]) == ("assistant", "user")
    assert "tool_calls" not in said
    assert complaint in answer["content"]


@pytest.mark.parametrize("arguments", [{}, "", "{}", None])
def test_a_function_without_arguments(arguments: Any) -> None:
    function = {"name": "look", "arguments": arguments}
    answer = says(None, "stop", tool_calls=[{"id": "1", "type": "function", "function": function}])
    _, episode = play(lambda messages: answer, max_steps=1)
    assert episode.steps[0].action == "look"


def test_a_server_that_calls_no_function_is_told_about_once(capsys: pytest.CaptureFixture[str]) -> None:
    request = Request("1.0", (Piece("Play.\n", role="system"), Piece("Observation: x\n", role="user")), (), "7")
    silent = [says("I go to the attic.")] * 20
    for answers, told in ((silent, 1), ([calls(("look", {})), *silent], 0)):
        script = iter(answers)
        with serving(ModelServer(lambda path, body, script=script: next(script))) as server:
            model = OpenAIModel(server.url, "m", patience=PATIENCE, api="tools", tools=TOOLS, concurrency=1)
            model.complete([request] * len(answers), Sampling())
        assert capsys.readouterr().err.count("none of the first 8 answers") == told


def test_the_schemas_count_as_part_of_the_context() -> None:
    with serving(ModelServer(lambda path, body: says("x"))) as server:
        plain, calling = (
            OpenAIModel(server.url, "m", patience=PATIENCE, api=api, tools=TOOLS, context=2000).windowing.budget
            for api in ("chat", "tools")
        )
    assert plain == 2000
    assert calling < plain - 100


def test_what_does_not_go_with_calls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a world that tells its actions"):
        OpenAIModel("http://localhost:9", "m", api="tools")
    with pytest.raises(ConfigError, match="leave out --form tags"):
        resolve("openai:http://localhost:9#m", "toy", AgentOptions(api="tools", form="tags"))
    with pytest.raises(ConfigError, match="--first-thoughts"):
        resolve("openai:http://localhost:9#m", "toy", AgentOptions(api="tools", first_thoughts=tmp_path))


def test_an_agent_without_calls_is_told_of_one() -> None:
    with serving(ModelServer(lambda path, body: calls(("look", {})))) as server:
        served = OpenAIModel(server.url, "m", patience=PATIENCE, api="chat")
        request = Request("1.0", (Piece("Play.\n", role="system"), Piece("Observation: x\n", role="user")), (), "7")
        (answer,) = served.complete([request], Sampling())
    assert "tool call" in answer.complaint

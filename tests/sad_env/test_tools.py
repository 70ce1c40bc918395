"""Actions as functions: a call is its action, and every action that worlds understand is a call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sad_env
from sad_env import registry
from sad_env.tools import ActionTool, CallError, call_of, called_action

Golden = Callable[[str], Iterator[Any]]


def same_again(tools: tuple[ActionTool, ...], action: str) -> bool:
    """Whether an action is a call; it then has to be the same action again, by way of JSON."""
    call = call_of(tools, action)
    if call is None:
        return False
    name, arguments = json.loads(json.dumps(call))
    assert called_action(tools, name, arguments) == action
    return True


def test_alfworlds_goldens(golden: Golden) -> None:
    """Every command that the original lists, and every one that it understood."""
    tools = registry.action_tools("alfworld", {})
    seen, used = set(), set()
    for episode in golden("alfworld_golden.jsonl.gz"):
        seen |= {*episode["reset_admissible"]}
        for step in episode["steps"]:
            seen |= {*step["admissible"]}
            if step["obs"] != "Nothing happens.":
                seen.add(step["command"].strip())
    assert len(seen) > 2000
    for action in seen:
        assert same_again(tools, action), action
        call = call_of(tools, action)
        assert call is not None
        used.add(call[0])
    assert used == {tool.name for tool in tools}


def test_hotpotqas_goldens(golden: Golden) -> None:
    """Every action that ReAct's environment understood but think[...], which is no act."""
    tools = registry.action_tools("hotpotqa", {})
    kinds: dict[str, int] = {}
    for episode in golden("hotpotqa_react.jsonl.gz"):
        for step in episode["steps"]:
            action = step["action"].strip()
            kind = action.partition("[")[0] if action.endswith("]") else ""
            if kind in ("search", "lookup", "finish"):
                assert same_again(tools, action), action
                kinds[kind] = kinds.get(kind, 0) + 1
    assert min(kinds[kind] for kind in ("search", "lookup", "finish")) > 20


def test_webshops_goldens(golden: Golden) -> None:
    """Every well-formed action of the recordings of either view; think[...] is no act."""
    tools = registry.action_tools("webshop", {})
    count = 0
    for name in ("webshop_golden.jsonl.gz", "webshop_react.jsonl.gz"):
        for episode in golden(name):
            for step in episode["steps"]:
                action = step["action"] or ""  # none is the original's reset
                if action.startswith(("search[", "click[")) and action.endswith("]"):
                    assert same_again(tools, action), action
                    count += 1
    assert count > 1000


@pytest.mark.parametrize(
    ("world", "options"),
    [("toy", {}), ("alfworld", {}), ("alfworld", {"dialect": "react"}), ("hotpotqa", {}), ("webshop", {})],
)
def test_what_experts_do_and_worlds_list(world: str, options: dict[str, Any]) -> None:
    tools = registry.action_tools(world, options)
    env = sad_env.make(world, **options)
    expert = registry.make_expert(world)
    count = 0
    for seed in range(3):
        observation, info = env.reset(seed=seed)
        expert.begin(observation, info)
        over = False
        while not over and count < 200:
            action = expert.decide().action
            for one in (action, *info.get("admissible_actions", ())):
                assert same_again(tools, one), one
            observation, _, over, _, info = env.step(action)
            expert.observe(action, observation, info)
            count += 1
    assert count > 5


def test_a_call_is_written_to_the_letter() -> None:
    tools = registry.action_tools("alfworld", {})
    arguments = {"object": "apple 1", "receptacle": "countertop 2"}
    assert called_action(tools, "take", arguments) == "take apple 1 from countertop 2"
    assert called_action(tools, "move", arguments) == "move apple 1 to countertop 2"
    react = registry.action_tools("alfworld", {"dialect": "react"})
    assert called_action(react, "move", arguments) == "put apple 1 in/on countertop 2"
    assert called_action(registry.action_tools("webshop", {}), "click", {"name": "a [b] {c}"}) == "click[a [b] {c}]"


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("fly", {}, "no function 'fly'; the functions are look, go_to, take"),
        (None, {}, "no function 'None'"),
        ("take", {}, "take lacks the argument 'thing'"),
        ("take", {"thing": 3}, "the argument 'thing' of take is no text"),
        ("take", {"thing": "key", "from": "attic"}, "take has no argument 'from'"),
        ("take", ["key"], "the arguments of take are no JSON object"),
        ("look", {"\x1b[2J": ""}, "look has no argument"),
    ],
)
def test_what_is_no_action_is_said_in_one_line(name: object, arguments: object, why: str) -> None:
    with pytest.raises(CallError, match=why) as caught:
        called_action(registry.action_tools("toy", {}), name, arguments)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_schemas_are_those_of_functions() -> None:
    for world in ("toy", "alfworld", "webshop", "hotpotqa"):
        tools = registry.action_tools(world, {})
        assert len({tool.name for tool in tools}) == len(tools)
        for tool in tools:
            function = tool.schema["function"]
            assert tool.schema["type"] == "function"
            assert function["description"]
            assert function["parameters"]["required"] == list(function["parameters"]["properties"])
            assert set(tool.parameters) == {name for name in tool.parameters if f"{{{name}}}" in tool.pattern}


def test_worlds_that_tell_nothing_have_no_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setitem(registry._worlds, "toy", replace(registry.world("toy"), tools=""))
    assert registry.action_tools("toy", {}) == ()

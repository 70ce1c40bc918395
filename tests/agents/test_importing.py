"""Logs of other programs as trajectories: what is read, what stays unknown, what is refused with its number."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sad_agents.collect_command import main

from sad_env.records import SpanKind, Trajectory, read_trajectories
from sad_env.transcript import form_of

REACT = """Question: Where was X born?
Thought 1: I look for X.
Action 1: Search[X]
Observation 1: X is a painter.
X was born in Y.
Thought 2: It is Y.
Action 2: Finish[Y]
Observation 2: Episode finished, reward = 1
"""

ALFWORLD = """You are in the middle of a room.
Your task is to: put some pen on desk.
> think: First I find a pen.
OK.
> go to shelf 1
On the shelf 1, you see a pen 1.
> take pen 1 from shelf 1
You pick up the pen 1.
"""

# Section 3.5 and appendix M of arXiv 2505.13820v3 print this episode.
PAPER = """[REASON] I will first check the table. [ACT] search[tray] [OBS] You see a tray.
[REASON] Now I will pick it up. [ACT] pickup[tray] [OBS] Tray in inventory.
"""

MESSAGES = [
    {
        "id": "t1",
        "success": True,
        "reward": 1.0,
        "model": "big",
        "messages": [
            {"role": "system", "content": "You act in a shop."},
            {"role": "user", "content": "Buy a bag."},
            {"role": "assistant", "content": "<think> I search. </think><action>search[bag]</action>"},
            {"role": "user", "content": "Page 1"},
            {"role": "assistant", "content": "<think>The first.</think>\n<action>click[B01]</action>"},
        ],
    },
    {
        "conversations": [
            {"from": "human", "value": "These are the rules."},
            {"from": "gpt", "value": "OK"},
            {"from": "human", "value": "Buy a hat."},
            {"from": "gpt", "value": "Thought: A hat.\nAction: search[hat]"},
            {"from": "human", "value": "Page 1"},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Buy a cap."}]},
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "A cap.",
                "tool_calls": [{"function": {"name": "search", "arguments": '{"query": "cap"}'}}],
            },
            {"role": "tool", "content": "Page 1"},
        ]
    },
]

ATIF = {
    "schema_version": "ATIF-v1.7",
    "session_id": "run-7",
    "agent": {"name": "shopper", "version": "1", "model_name": "big"},
    "steps": [
        {"step_id": 1, "source": "system", "message": "You act in a shop."},
        {"step_id": 2, "source": "user", "message": "Buy a bag."},
        {
            "step_id": 3,
            "source": "agent",
            "message": "I search first.",
            "reasoning_content": "A bag is wanted.",
            "tool_calls": [{"tool_call_id": "c1", "function_name": "search", "arguments": {"query": "bag"}}],
            "observation": {"results": [{"source_call_id": "c1", "content": "Page 1"}]},
            "metrics": {"completion_tokens": 40},
        },
        {"step_id": 4, "source": "agent", "message": "copied", "is_copied_context": True},
        {
            "step_id": 5,
            "source": "agent",
            "message": "",
            "tool_calls": [
                {"tool_call_id": "c2", "function_name": "click", "arguments": {"name": "B01"}},
                {"tool_call_id": "c3", "function_name": "click", "arguments": {"name": "Buy Now"}},
            ],
            "observation": {
                "results": [{"source_call_id": "c3", "content": "Bought."}, {"source_call_id": "c2", "content": "B01"}]
            },
        },
    ],
    "extra": {"success": False, "task_id": "bag"},
}


def imported(file: Path, layout: str, world: str, *flags: str, code: int = 0) -> list[Trajectory]:
    out = file.with_suffix(".out.jsonl")
    assert main(["import", str(file), "--from", layout, "--env", world, "--out", str(out), *flags]) == code
    return list(read_trajectories(out)) if out.exists() else []


def turns(one: Trajectory) -> list[tuple[str, str, str]]:
    return [(step.reasoning, step.action, step.observation) for step in one.steps]


def test_react_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log.txt"
    file.write_text(REACT + REACT.replace("X", "Z"))
    first, second = imported(file, "react", "hotpotqa")
    assert turns(first) == [
        ("I look for X.", "Search[X]", "X is a painter.\nX was born in Y."),
        ("It is Y.", "Finish[Y]", "Episode finished, reward = 1"),
    ]
    assert first.observation == "Question: Where was X born?"
    assert (first.task_id, second.task_id) == ("log:1", "log:9")
    assert first.unknown == ("success", "status", "score")
    assert "whether 2 of them succeeded is not said" in capsys.readouterr().out


def test_react_logs_of_alfworld_and_thoughts_that_are_actions(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text(
        ALFWORLD
        + "---\nTask: buy\nAction: think[Hm.]\nObservation: OK.\nAction: search[a]\nObservation: b\n"
        + "---\n> look\nA hall.\n"
    )
    first, second, third = imported(file, "react", "alfworld")
    assert first.observation.endswith("put some pen on desk.")
    assert turns(first) == [
        ("First I find a pen.", "go to shelf 1", "On the shelf 1, you see a pen 1."),
        ("", "take pen 1 from shelf 1", "You pick up the pen 1."),
    ]
    assert turns(second) == [("Hm.", "search[a]", "b")]
    assert (third.observation, turns(third)) == ("", [("", "look", "A hall.")])


def test_the_papers_two_step_episode_and_its_masks(tmp_path: Path) -> None:
    file = tmp_path / "paper.txt"
    file.write_text(PAPER)
    (one,) = imported(file, "paper", "alfworld")
    assert turns(one) == [
        ("I will first check the table.", "search[tray]", "You see a tray."),
        ("Now I will pick it up.", "pickup[tray]", "Tray in inventory."),
    ]
    assert one.form == "tags"
    assert [[span.kind.value for span in step.spans] for step in one.steps] == [["R", "A"], ["R", "A"]]
    # The text itself, on one line a step as it is printed, has the same spans with what came back.
    spans = form_of("tags").spans(PAPER)
    assert [span.kind for span in spans] == [SpanKind.REASON, SpanKind.ACT, SpanKind.OBS] * 2
    assert PAPER[spans[3].body : spans[3].end].strip() == "Now I will pick it up."


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("paper", "[OBS] A hall. [OBS] Your task is: soap. [REASON] Find it. [ACT] look [OBS] Soap."),
        ("paper", "Observation: A hall.\nYour task is: soap.\nReasoning: Find it.\nAction: look\nObservation: Soap."),
        ("react", "A hall.\nObs: Your task is: soap.\nAction: think[Find it.]\nAction: look\nObservation: Soap."),
    ],
)
def test_what_is_observed_before_the_first_turn_is_the_task(layout: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_bytes(f"{text}\n---\n{text}\n".replace("\n", "\r\n").encode())  # as Windows ends lines
    both = imported(file, layout, "alfworld")
    assert [one.observation for one in both] == ["A hall.\nYour task is: soap."] * 2
    assert [turns(one) for one in both] == [[("Find it.", "look", "Soap.")]] * 2


def test_prompts_as_the_paper_prints_them_on_one_line_and_its_answer(tmp_path: Path) -> None:
    file = tmp_path / "paper.txt"
    file.write_text(
        "You act. Goal: soap. Reasoning: Find it. Action: go to shelf 1. Reasoning: Take it. Action: take soap\n"
        "===\nQ: Where? Reasoning: A wrote it. Reasoning: A is of B.\nAnswer: B\n"
    )
    first, second = imported(file, "paper", "hotpotqa", "--form", "lines")
    assert [turn[:2] for turn in turns(first)] == [("Find it.", "go to shelf 1."), ("Take it.", "take soap")]
    assert turns(second) == [("A wrote it. A is of B.", "finish[B]", "")]
    assert second.steps[0].completion == "Reasoning: A wrote it. A is of B.\nAction: finish[B]\n"


def test_chats(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in MESSAGES))
    first, second, third = imported(file, "messages", "webshop")
    assert turns(first) == [("I search.", "search[bag]", "Page 1"), ("The first.", "click[B01]", "")]
    assert (first.prompt, first.observation, first.agent) == ("You act in a shop.", "Buy a bag.", "big")
    assert (first.success, first.score, first.unknown, first.form) == (True, 1.0, (), "think")
    assert first.steps[0].completion == "<think> I search. </think>\n<action> search[bag] </action>\n"
    assert (second.prompt, second.observation) == ("These are the rules.\n\nOK", "Buy a hat.")
    assert turns(second) == [("A hat.", "search[hat]", "Page 1")]
    assert turns(third) == [("A cap.", "search[cap]", "Page 1")]
    assert "success" in third.unknown


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_atif(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"runs{suffix}"
    file.write_text(json.dumps(ATIF))  # many programs end no file with a newline
    (one,) = imported(file, "atif", "webshop")
    assert turns(one) == [
        ("A bag is wanted. I search first.", "search[bag]", "Page 1"),
        ("", "click[B01]", "B01"),
        ("", "click[Buy Now]", "Bought."),
    ]
    assert (one.task_id, one.agent, one.prompt) == ("bag", "big", "You act in a shop.")
    assert (one.success, one.unknown) == (False, ("score",))
    assert [step.generated_tokens for step in one.steps] == [40, 0, 0]


def test_lines_that_cannot_be_read_are_told_by_number_and_the_others_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}
    odd = [
        "not json",
        json.dumps({"messages": 3}),
        json.dumps(picture),
        json.dumps({"messages": [{"role": "wizard", "content": "x"}]}),
        json.dumps({**MESSAGES[0], "success": "perhaps"}),
        json.dumps({**MESSAGES[0], "id": "two\nlines"}),
        json.dumps({"messages": [{"role": "user", "content": "\x1b[2J"}, {"role": "assistant", "content": "no"}]}),
    ]
    file = tmp_path / "chats.jsonl"
    file.write_text("\n".join([json.dumps(MESSAGES[0]), *odd]) + "\n")
    assert len(imported(file, "messages", "webshop", code=5)) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{file}:").partition(":")[0] for line in told] == ["2", "3", "4", "5", "6", "7", "8"]
    for line, reason in zip(
        told,
        ("not JSON", "a list messages", "'image_url'", "'wizard'", "success is true or false", "newline", "action"),
        strict=True,
    ):
        assert reason in line
    assert "\x1b" not in "".join(told)


def test_a_last_line_that_was_cut_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text("\n".join(map(json.dumps, MESSAGES))[:-9])
    assert len(imported(file, "messages", "webshop", code=5)) == 2
    assert f"{file}:3: not JSON" in capsys.readouterr().err


def test_nothing_readable_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text('{"steps": []}\n')
    assert imported(file, "atif", "webshop", code=5) == []
    assert "schema_version is ATIF-v1.0 to ATIF-v1.8" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("key", ["tool_call_id", "source_call_id"])
def test_the_id_of_a_call_that_is_no_text_is_told(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "runs.jsonl"
    text = json.dumps(ATIF)
    assert f'"{key}": "' in text
    file.write_text(re.sub(f'"{key}": "[^"]*"', f'"{key}": ["x"]', text) + "\n")
    assert imported(file, "atif", "webshop", code=5) == []
    assert "the id of a call is a text" in capsys.readouterr().err


def test_what_a_version_of_before_wrote_says_nothing_of_unknowns(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text(REACT)
    (one,) = imported(file, "react", "hotpotqa")
    assert Trajectory.from_json(one.to_json()) == one
    known = one.model_copy(update={"unknown": ()})
    assert "unknown" not in known.to_json()
    assert Trajectory.from_json(known.to_json()).unknown == ()

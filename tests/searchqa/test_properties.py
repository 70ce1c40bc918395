"""What holds for any text whatever: nothing that an agent or a passage says makes the world or its expert fall over."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sad_env.searchqa.actions import canonical_action, parse_action
from sad_env.searchqa.env import SearchQAEnv
from sad_env.searchqa.notebook import Notebook
from sad_env.searchqa.passages import shown

TEXT = st.text(st.characters(), max_size=60)
PIECES = (
    "search", "answer", "[", "]", "<search>", "</search>", "<answer>", "</answer>", "<think>", "\n", " ", "\x00",
    "\ud800", "\u202e", "💥", "the", "born", "River", "Doc 1(Title: ", '"', "é", "İ", "\\", "a" * 3000, "%s", "19",
)  # fmt: skip
"""What fuzzed actions are put together of."""


def fuzz(count: int) -> None:
    """Play `count` random actions; half of them are well-formed around random words."""
    draw = random.Random(0)
    env = SearchQAEnv()
    env.reset(seed=0)
    for _ in range(count):
        inner = "".join(draw.choices(PIECES, k=draw.randrange(6)))
        form = draw.choice(("{}", "{}", "search[{}]", "<search>{}</search>", "answer[{}]", "x<answer>{}</answer>"))
        action = form.replace("{}", inner)
        observation, reward, terminated, truncated, info = env.step(action)
        assert isinstance(observation, str)
        assert observation
        assert reward in (0.0, 1.0)
        assert not truncated
        assert info["valid_action"] == (parse_action(action).verb is not None)
        json.dumps(info, allow_nan=False)
        if terminated:
            env.reset()


def test_five_thousand_fuzzed_actions_are_answered() -> None:
    fuzz(5_000)


@pytest.mark.slow
def test_a_hundred_thousand_fuzzed_actions_are_answered() -> None:
    fuzz(100_000)


@given(st.lists(TEXT, max_size=3), TEXT)
@settings(deadline=None, max_examples=100)
def test_any_passages_are_shown_and_read(contents: list[str], action: str) -> None:
    text = shown(contents)
    notebook = Notebook()
    notebook.observe(f"search[{action}]", text)
    notebook.observe(action, text)
    assert all(part.partition("\n")[2].strip() in text for part in contents)


@given(TEXT)
@settings(deadline=None, max_examples=100)
def test_a_canonical_action_stays_what_it_is(text: str) -> None:
    once = canonical_action(text)
    assert parse_action(canonical_action(once)) == parse_action(once)

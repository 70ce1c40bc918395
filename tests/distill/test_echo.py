"""Answers of a server that does not echo as it should are told, whatever they hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sad_distill.teachers.echo import echoes_of

from sad_env.errors import ConfigError, DataError
from sad_env.http import Answer

GOOD: dict[str, Any] = {"tokens": ["a", "b", "c"], "token_logprobs": [None, -1.0, -2.0]}


def answer(*choices: Any) -> Answer:
    return Answer(200, "OK", json.dumps({"choices": choices}).encode(), None, 0.0)


def test_echoes_come_in_the_order_of_their_prompts() -> None:
    one, two = echoes_of(
        answer({"index": 1, "logprobs": {**GOOD, "tokens": ["x", "y", "z"]}}, {"logprobs": GOOD}), "ab"
    )
    assert (one.tokens, two.tokens) == (("a", "b"), ("x", "y"))
    assert one.log_p[1:] == (-1.0,)


@pytest.mark.parametrize(
    "choices",
    [
        ({"logprobs": GOOD}, "no choice"),
        ({"index": "last", "logprobs": GOOD}, {"logprobs": GOOD}),
        ({"logprobs": GOOD}, {"logprobs": {**GOOD, "token_logprobs": [None, "much", 0]}}),
        ({"logprobs": GOOD}, {"logprobs": {**GOOD, "tokens": ["a", 1, "c"]}}),
        ({"logprobs": GOOD}, {"logprobs": {**GOOD, "token_logprobs": {"0": 1, "1": 2, "2": 3}}}),
        ({"logprobs": GOOD},),
    ],
)
def test_another_form_is_told(choices: tuple[Any, ...]) -> None:
    with pytest.raises(DataError):
        echoes_of(answer(*choices), ["abc", "abd"])


def test_a_server_without_echoes_is_told_so() -> None:
    with pytest.raises(ConfigError, match="does not repeat a prompt"):
        echoes_of(answer({"text": "c"}, {"text": "d"}), ["abc", "abd"])

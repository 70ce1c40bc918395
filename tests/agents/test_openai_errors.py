"""Errors that a gateway passes on with status 200, as what they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sad_agents.openai_answers import ContextError, choice_of

from sad_env.http import Answer, RequestError


def answer(error: Any) -> Answer:
    return Answer(200, "OK", json.dumps({"error": error}).encode(), None, 0.0)


LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."


@pytest.mark.parametrize("code", ["context_length_exceeded", "400", 400, None, 413])
def test_a_prompt_that_is_too_long_is_told_whatever_code_it_has(code: object) -> None:
    with pytest.raises(ContextError):
        choice_of(answer({"message": LONG, "type": "invalid_request_error", "code": code}))


@pytest.mark.parametrize(
    ("code", "passing", "overloaded"),
    [("401", False, False), (404, False, False), ("429", True, True), (503, True, True), ("server_error", True, False)],
)
def test_what_passes_is_told_by_a_status_as_number_or_text(code: object, passing: bool, overloaded: bool) -> None:
    with pytest.raises(RequestError) as found:
        choice_of(answer({"message": "no", "code": code}))
    assert (found.value.passing, found.value.overloaded) == (passing, overloaded)

"""Likelihoods of text from a completions server that repeats the prompt with its tokens (OpenAI's `echo`, vLLM).

A server spells a whole text in its own way, so that a token may cross from one segment into the next; the chunk that
begins there is then left out. Where a token is no text of its own (a part of a character), what follows it is not
compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from sad_agents.openai_answers import choice_of

from sad_distill.losses.targets import check_log_probs
from sad_distill.teachers.reading import Passage, TextReading
from sad_env.errors import ConfigError, DataError
from sad_env.http import Answer


class Echo(NamedTuple):
    """A prompt as the server spells it.

    Attributes:
        tokens: their texts.
        log_p: their log-probabilities; NaN for the first, which has none.
    """

    tokens: tuple[str, ...]
    log_p: tuple[float, ...]


def prompts_of(passage: Passage) -> list[str]:
    """The prompts that a passage takes: itself, and before and with each continuation of its offers."""
    texts = ["".join(passage.segments)]
    for offer in passage.offers:
        before = "".join(passage.segments[: offer.after])
        texts += [before, *(before + text for text in offer.texts)]
    return texts


def echo_request(texts: Sequence[str]) -> dict[str, Any]:
    """Asks for these prompts, each with one more token, which not all servers can be asked to leave out."""
    return {"prompt": list(texts), "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}


def echoes_of(answer: Answer, texts: Sequence[str]) -> list[Echo]:
    """The prompts of an answer.

    Raises:
        ConfigError: the server does not repeat prompts with log-probabilities.
        DataError: the answer has another form.
    """
    _, value = choice_of(answer, minus_infinity=True)
    try:
        choices = sorted(value["choices"], key=lambda one: int(one.get("index", 0)))
        told = [choice.get("logprobs") for choice in choices]
        if len(told) != len(texts):
            raise DataError(f"{len(told)} answers to {len(texts)} prompts")
        return [_echo(one) for one in told]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DataError("the answer has another form than echoes of prompts") from None


def _echo(told: Any) -> Echo:
    tokens = told.get("tokens") if isinstance(told, dict) else None
    values = told.get("token_logprobs") if isinstance(told, dict) else None
    if not tokens or not values or len(tokens) != len(values) or values[0] is not None:
        # Permanent: a ConfigError, never retried.
        raise ConfigError(
            "the server does not repeat a prompt with its log-probabilities (echo), so it can teach no student with"
            " another tokenizer by scores: use vLLM, or --method seqkd"
        )
    if not all(isinstance(one, str) for one in tokens):
        raise DataError("the answer's tokens are no texts")
    # The last one is sampled; it is there also where it ends the text.
    kept = len(tokens) - 1
    log_p = tuple(math.nan if one is None else max(float(one), -1e4) for one in values[:kept])
    check_log_probs(max((one for one in log_p if one == one), default=0.0), 0.0)
    return Echo(tuple(tokens[:kept]), log_p)


def reading_of(passage: Passage, echoes: Sequence[Echo]) -> TextReading:
    """A passage's reading, from the echoes of its `prompts_of`."""
    whole, *others = echoes
    ends = _ends("".join(passage.segments), whole.tokens)
    sums, rest = [], iter(others)
    for offer in passage.offers:
        before = _sum(next(rest))
        # By the chain rule, also where the last token before and the first of the continuation are one.
        sums.append(tuple(min(0.0, _sum(next(rest)) - before) for _ in offer.texts))
    return TextReading(tuple(ends), whole.log_p[: len(ends)], tuple(sums))


def _sum(echo: Echo) -> float:
    return math.fsum(one for one in echo.log_p if one == one)


def _ends(text: str, tokens: Sequence[str]) -> list[int]:
    """Where each token ends, as far as the tokens spell the text; a begin token spells nothing."""
    ends, place = list[int](), 0
    for number, token in enumerate(tokens):
        if text.startswith(token, place):
            place += len(token)
        elif number:
            break
        ends.append(place)
    return ends

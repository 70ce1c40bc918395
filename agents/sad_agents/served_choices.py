"""Served models whose actions are among the admissible ones: what a request says to that end, for each kind of server.

The thought is free. Then the action is asked for once more, behind its header, under a constraint on what follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sad_agents.sampling.action_trie import before_slot
from sad_env.addresses import endpoint, public_address
from sad_env.errors import ConfigError
from sad_env.http import Answer, Client, RequestError
from sad_env.records import SpanKind
from sad_env.transcript import Form

Constraint = Callable[[Sequence[str]], dict[str, Any]]
"""Gives, for the admissible actions, the fields of a request whose answer is one of them as it is spelled."""

_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}/]")
_RENAMED = (0, 11)
"""From this release on vLLM takes structured_outputs in the place of guided_regex and others."""


def expression(actions: Sequence[str]) -> str:
    r"""A regular expression of what may stand behind an action's header: an action, and the newline that ends it.

    >>> expression(["look", "search[<query>]"])
    '( look| search\\[[^\\n]*\\])\\n'
    """
    return f"({'|'.join(map(_alternative, actions))})\\n"


def _alternative(action: str) -> str:
    before = before_slot(action)
    if before is None:
        return _SPECIAL.sub(r"\\\g<0>", f" {action}")
    return _SPECIAL.sub(r"\\\g<0>", f" {before}") + r"[^\n]*\]"


def grammar(actions: Sequence[str]) -> str:
    r"""The same as a grammar of llama.cpp.

    >>> grammar(["look", "search[<query>]"])
    'root ::= (" look" | " search[" [^\\n]* "]") "\\n"'
    """
    alternatives = []
    for action in actions:
        before = before_slot(action)
        quoted = (f" {action}" if before is None else f" {before}").replace("\\", "\\\\").replace('"', '\\"')
        alternatives.append(f'"{quoted}"' + ("" if before is None else r' [^\n]* "]"'))
    return f'root ::= ({" | ".join(alternatives)}) "\\n"'


def _structured(actions: Sequence[str]) -> dict[str, Any]:
    return {"structured_outputs": {"regex": expression(actions)}}


def _guided(actions: Sequence[str]) -> dict[str, Any]:
    return {"guided_regex": expression(actions)}


def _llama_cpp(actions: Sequence[str]) -> dict[str, Any]:
    return {"grammar": grammar(actions)}


def constraint_of(entry: Mapping[str, Any], client: Client, root: str) -> Constraint:
    """How a server is told to choose among actions.

    Args:
        entry: what its list of models says of the model.
        client: asks.
        root: the server's address, without /v1.

    Raises:
        ConfigError: a server that is neither vLLM nor llama.cpp, or does not say so.
    """
    owner = entry.get("owned_by")
    if owner == "llamacpp":
        return _llama_cpp
    if owner != "vllm":
        raise ConfigError(
            f"--constrained on: {public_address(root)} says neither that it is vLLM nor that it is llama.cpp, whose"
            " answers can be kept among the admissible actions: leave it out"
        )
    numbers = re.match(r"(\d+)\.(\d+)", _version(client, root))
    older = numbers is not None and (int(numbers[1]), int(numbers[2])) < _RENAMED
    return _guided if older else _structured


def _version(client: Client, root: str) -> str:
    def read(answer: Answer) -> str:
        return str(answer.json().get("version")) if answer.status == 200 else ""

    try:
        return client.ask("GET", endpoint(root, "version"), read)
    except RequestError:
        return ""


def up_to_header(text: str, form: Form) -> str | None:
    r"""A completion up to the header of its action; None where it has none.

    >>> from sad_env.transcript import LINES
    >>> up_to_header("Reasoning: I see.\nAction: fly", LINES)
    'Reasoning: I see.\nAction:'
    """
    span = next((one for one in form.spans(text) if one.kind is SpanKind.ACT), None)
    if span is None:
        return None
    header = form.headers[SpanKind.ACT].rstrip()
    place = text.find(header, span.start)
    return text[: place + len(header)] if place >= 0 else None


def kept_to(action: str, admissible: Sequence[str]) -> bool:
    """Whether an action is one of the admissible ones, or fills the slot of one.

    >>> kept_to("search[a ring]", ["search[<query>]", "look"]), kept_to("fly", ["look"])
    (True, False)
    """
    if action in admissible:
        return True
    begun = [before for one in admissible if (before := before_slot(one)) is not None]
    return action.endswith("]") and any(action.startswith(before) for before in begun)

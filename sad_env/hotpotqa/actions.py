"""The action language of ReAct's HotPotQA: how an action is read, and which spellings are corrected."""

from __future__ import annotations

from typing import Literal, NamedTuple

Verb = Literal["search", "lookup", "finish", "think"]

VERBS: tuple[Verb, ...] = ("search", "lookup", "finish", "think")


class Action(NamedTuple):
    """What an action asks for; `verb` is None when it is none of ReAct's four."""

    verb: Verb | None
    argument: str


def parse_action(text: str) -> Action:
    """Read an action as ReAct's environment does: blanks around it fall away, case counts, nothing may follow the `]`.

    >>> parse_action(" search[Ed Wood] ")
    Action(verb='search', argument='Ed Wood')
    >>> parse_action("Search[Ed Wood]").verb is None
    True
    """
    text = text.strip()
    verb, bracket, rest = text.partition("[")
    if bracket and verb in VERBS and rest.endswith("]"):
        return Action(verb, rest[:-1])
    return Action(None, text)


def canonical_action(text: str) -> str:
    """An action as models write it, turned into what the world takes; the agent layer calls it.

    ReAct's loop lowers the first letter and no other; `Answer[...]` is how appendix L of the Structured Agent
    Distillation paper (arXiv 2505.13820) says `finish[...]`. Everything else stays as it is, and the world answers it.

    >>> canonical_action("Search[Ed Wood]"), canonical_action("Answer[yes]")
    ('search[Ed Wood]', 'finish[yes]')
    """
    text = text.strip()
    text = text[:1].lower() + text[1:]
    return "finish" + text[len("answer") :] if text.startswith("answer[") else text

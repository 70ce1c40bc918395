"""The action language of Search-QA, in both of its spellings."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast

SearchVerb = Literal["search", "answer"]

_BRACKETS = re.compile(r"(search|answer)\[(.*)\]", re.DOTALL)
_TAGS = re.compile(r"<(search|answer)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)


class SearchAction(NamedTuple):
    """What an action asks for; `verb` is None when it asks for nothing that there is."""

    verb: SearchVerb | None
    argument: str


def parse_action(text: str) -> SearchAction:
    """Read an action: ``search[query]`` and nothing else, or the first pair of tags as Search-R1 reads it.

    Text around tags is let pass, as in the original; blanks around the argument fall away. A search needs words.

    >>> parse_action("search[Ed Wood]")
    SearchAction(verb='search', argument='Ed Wood')
    >>> parse_action("<think>Tim Burton made it.</think> <answer> Tim Burton </answer>")
    SearchAction(verb='answer', argument='Tim Burton')
    >>> parse_action("search[ ]").verb is None
    True
    """
    match = _BRACKETS.fullmatch(text.strip()) or _TAGS.search(text)
    if match is None:
        return SearchAction(None, "")
    argument = match[2].strip()
    verb = cast(SearchVerb, match[1].lower())
    return SearchAction(verb if argument or verb == "answer" else None, argument)


def canonical_action(text: str) -> str:
    """An action as models write it, turned into what the world takes; the agent layer calls it.

    The first letter is lowered, and `finish[...]`, as other worlds say it, is `answer[...]`.

    >>> canonical_action("Search[Ed Wood]"), canonical_action("Finish[yes]"), canonical_action("<search>x</search>")
    ('search[Ed Wood]', 'answer[yes]', '<search>x</search>')
    """
    text = text.strip()
    text = text[:1].lower() + text[1:]
    return "answer" + text[len("finish") :] if text.startswith("finish[") else text

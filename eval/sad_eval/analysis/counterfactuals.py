"""Reasoning that says something else, and reasoning that says the same in other words: edits by rule.

Definitions are ours, in the manner of SCOTT (Wang et al. 2023) as the paper's appendix O asks for it.

counterfactual   the recorded action is exchanged for another action of the same verb that was possible, and the words
                 in which the two differ are exchanged in the reasoning ("drawer 1" becomes "shelf 2"). An action whose
                 words the reasoning does not speak of has no counterfactual.
paraphrase       set phrases are exchanged for others of the same meaning; where none occurs, the reasoning is begun
                 with "As I see it, ".
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

_WORD = re.compile(r"\w+|[^\w\s]")

_PHRASES = (
    ("I need to", "I have to"),
    ("I need", "I am after"),
    ("I should", "I ought to"),
    ("I will", "I am going to"),
    ("I'll", "I am going to"),
    ("I have not", "I've not"),
    ("Next,", "After that,"),
    ("Now ", "At this point "),
    ("is right here", "is in this very place"),
    ("First,", "To begin with,"),
    ("so I", "and therefore I"),
    ("I try", "I am trying"),
    ("I look", "I have a look"),
)


class Counterfactual(NamedTuple):
    """Edited reasoning and the action that it now speaks for."""

    reasoning: str
    action: str


def counterfactual(reasoning: str, action: str, possible: Sequence[str], draw: random.Random) -> Counterfactual | None:
    """Reasoning that speaks for another possible action; None when no action of the same verb can be exchanged.

    Args:
        reasoning: as it was recorded.
        action: that followed it.
        possible: the actions to choose from.
        draw: chooses among those that can be exchanged.

    >>> counterfactual("The key may be in the attic.", "go to attic", ["go to cellar", "look"], random.Random(0))
    Counterfactual(reasoning='The key may be in the cellar.', action='go to cellar')
    """
    found = []
    for other in sorted(set(possible) - {action}):
        difference = _difference(action, other)
        if difference is None:
            continue
        pattern = re.compile(rf"(?<!\w){re.escape(difference[0])}(?!\w)", re.IGNORECASE)
        if pattern.search(reasoning):
            # Backslashes in a replacement would be read as references to groups.
            replacement = difference[1].replace("\\", r"\\")
            found.append(Counterfactual(pattern.sub(replacement, reasoning), other))
    return draw.choice(found) if found else None


def _difference(action: str, other: str) -> tuple[str, str] | None:
    """The words in which two actions of one verb differ; None when the verb differs or one says only more."""
    ours, theirs = _spans(action), _spans(other)
    if not ours or not theirs or ours[0][0] != theirs[0][0]:
        return None
    start = 0
    while start < min(len(ours), len(theirs)) and ours[start][0] == theirs[start][0]:
        start += 1
    end = 0
    while end < min(len(ours), len(theirs)) - start and ours[-1 - end][0] == theirs[-1 - end][0]:
        end += 1
    mine, its = ours[start : len(ours) - end], theirs[start : len(theirs) - end]
    if not mine or not its:
        return None
    # "drawer 1" and "drawer 2" differ in a digit that means nothing by itself: the word before belongs to it.
    while start > 1 and mine[0][0].isdigit():
        start -= 1
        mine, its = ours[start : len(ours) - end], theirs[start : len(theirs) - end]
    return action[mine[0][1] : mine[-1][2]], other[its[0][1] : its[-1][2]]


def _spans(text: str) -> list[tuple[str, int, int]]:
    return [(match.group(), match.start(), match.end()) for match in _WORD.finditer(text)]


def paraphrase(reasoning: str) -> str:
    """The same reasoning in other words.

    >>> paraphrase("I need the key; I have not tried the attic yet.")
    "I am after the key; I've not tried the attic yet."
    >>> paraphrase("The attic it is.")
    'As I see it, the attic it is.'
    """
    text = reasoning
    for phrase, other in _PHRASES:
        text = text.replace(phrase, other)
    if text != reasoning or not reasoning:
        return text
    first = reasoning if reasoning.startswith(("I ", "I'")) else reasoning[0].lower() + reasoning[1:]
    return f"As I see it, {first}"

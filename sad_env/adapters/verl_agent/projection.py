"""What verl-agent takes for the action in a model's answer, and which answers it calls valid."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CHINESE = re.compile("[\u4e00-\u9fff]")


def alfworld_projection(actions: Sequence[str], action_pools: object = None) -> tuple[list[str], list[int]]:
    """The actions in a model's answers; `action_pools`, the admissible commands, are not looked at, as there.

    Returns:
        Actions, and for each 1 where the answer was of the due form, else 0; an invalid one is played all the same.

    >>> alfworld_projection(["<think>On I go.</think> <action>Go to desk 1</action>", "look"])
    (['go to desk 1', 'look'], [1, 0])
    """
    return _project(actions, 30)


def webshop_projection(actions: Sequence[str]) -> tuple[list[str], list[int]]:
    """As `alfworld_projection`, for WebShop, where answers without an action are cut shorter.

    >>> webshop_projection(["<action>Search[red shoes]</action>"])
    (['search[red shoes]'], [0])
    """
    return _project(actions, 20)


def _project(answers: Sequence[str], rest: int) -> tuple[list[str], list[int]]:
    """Lower-cased actions and marks; an answer that lacks a tag of the action is cut to its last `rest` characters."""
    actions, marks = [], []
    for answer in answers:
        text = answer.lower()
        start, end = text.find("<action>"), text.find("</action>")
        tagged = start >= 0 and end >= 0
        actions.append(text[start + len("<action>") : end].strip() if tagged else text[-rest:])
        thinks = "<think>" in answer and "</think>" in answer
        marks.append(int(tagged and thinks and not _CHINESE.search(answer)))
    return actions, marks

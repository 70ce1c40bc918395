"""Whether a model plays, or episodes are used, in the world that they are of."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from sad_env.safe_text import one_line


def same_world(one: str, other: str) -> bool:
    """Whether two names are of one world: a class in a file goes without its folder, which others have elsewhere.

    >>> same_world("toy", "toy"), same_world("/there/mine.py:Garden", "mine.py:Garden"), same_world("toy", "alfworld")
    (True, True, False)
    """
    return PurePath(one).name == PurePath(other).name


def trained_in(record: Mapping[str, Any]) -> str:
    """The world that a training record names; empty where it names none.

    >>> trained_in({"settings": {"env": "toy"}}), trained_in({})
    ('toy', '')
    """
    settings = record.get("settings")
    # Earlier versions wrote `world`.
    found = (settings.get("env") or settings.get("world")) if isinstance(settings, Mapping) else None
    return found if isinstance(found, str) else ""


def of_another_world(name: str, trained: str, world: str) -> str:
    """One line on a model that was trained in another world than this one; empty where it was not, as far as is known.

    Args:
        name: of the model.
        trained: the world it was trained in; empty where that is not known.
        world: where it is to play or teach.

    >>> of_another_world("student.pt", "webshop", "alfworld")
    "'student.pt' was trained in webshop, not in alfworld"
    >>> of_another_world("student.pt", "", "alfworld")
    ''
    """
    if not trained or same_world(trained, world):
        return ""
    was, is_now = one_line(trained, 80), one_line(world, 80)
    return f"{one_line(name, 80)!r} was trained in {was}, not in {is_now}"


@functools.cache
def warn_of_another_world(name: str, trained: str, world: str) -> None:
    """Say so on standard error, once a process."""
    if line := of_another_world(name, trained, world):
        print(f"warning: {line}", file=sys.stderr)

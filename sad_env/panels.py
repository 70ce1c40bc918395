"""Task panels: named, sorted, hashed lists of tasks, so that two results can be shown to be on the same tasks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sad_env.errors import ConfigError
from sad_env.safe_text import one_line

_SURROGATE = re.compile("[\ud800-\udfff]")


def name_fault(name: str) -> str:
    """Why a panel's hash cannot hold this world or task id, in one line; empty when it can."""
    if "\n" in name:
        return f"the name {one_line(name, 60)!r} holds a newline, which separates the names in the panel's hash"
    if _SURROGATE.search(name):
        return f"the name {one_line(name, 60)!r} holds a lone surrogate, which has no UTF-8 encoding"
    return ""


@dataclass(frozen=True)
class Panel:
    """The tasks of one world and split.

    Panels of equal hashes hold equal tasks. The hash is over world and ids joined by newlines, as in every result that
    has been published; that encoding is unambiguous because a panel whose world or ids hold a newline cannot be made.

    Attributes:
        world: the world's name.
        data: "generated", "official" or "given".
        name: the panel's name: the split, or "SPLIT-N" for a part of it.
        task_ids: sorted and unique.
        description: what a reader of results must know, e.g. the attainable ceiling.

    Raises:
        ConfigError: no task, a task named twice, or a name with a newline or a lone surrogate.
    """

    world: str
    data: str
    name: str
    task_ids: tuple[str, ...]
    description: str = ""

    def __post_init__(self) -> None:
        names = (self.world, *self.task_ids)
        # One look at all of them: a rollout makes a panel of thousands of tasks for each of its worlds.
        for name in names if name_fault(" ".join(names)) else ():
            if fault := name_fault(name):
                raise ConfigError(f"the panel {one_line(self.name, 60)!r} of {one_line(self.world, 60)}: {fault}")
        if not self.task_ids:
            raise ConfigError(f"the panel {self.name!r} of {self.world} has no task")
        if len(set(self.task_ids)) != len(self.task_ids):
            raise ConfigError(f"the panel {self.name!r} of {self.world} names a task twice")

    @classmethod
    def of(cls, world: str, data: str, name: str, task_ids: Iterable[str], description: str = "") -> Panel:
        """A panel of these tasks, in sorted order."""
        return cls(world, data, name, tuple(sorted(task_ids)), description)

    @cached_property
    def sha256(self) -> str:
        """Hex sha256 of world and task ids, joined by newlines; none of them holds one."""
        return hashlib.sha256("\n".join((self.world, *self.task_ids)).encode()).hexdigest()

    def head(self, count: int) -> Panel:
        """The `count` tasks whose ids hash lowest: a sample that does not change when tasks are added elsewhere.

        Raises:
            ConfigError: more tasks than the panel has, or none.
        """
        if not 1 <= count <= len(self.task_ids):
            raise ConfigError(f"{count} tasks asked of {self.name!r}, which has {len(self.task_ids)}")
        if count == len(self.task_ids):
            return self
        chosen = sorted(self.task_ids, key=lambda task: hashlib.sha256(task.encode()).digest())[:count]
        return Panel.of(self.world, self.data, f"{self.name}-{count}", chosen, self.description)

"""Task panels: named, sorted, hashed lists of tasks, so that two results are known to speak of the same tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sad_env.errors import ConfigError


@dataclass(frozen=True)
class Panel:
    """The tasks of one world and split.

    Attributes:
        world: the world's name.
        data: "generated", "official" or "given".
        name: the panel's name: the split, or "SPLIT-N" for a part of it.
        task_ids: sorted and unique.
        description: what a reader of results must know, e.g. the attainable ceiling.
    """

    world: str
    data: str
    name: str
    task_ids: tuple[str, ...]
    description: str = ""

    def __post_init__(self) -> None:
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
        """Hash of world and task ids; equal hashes mean equal tasks."""
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

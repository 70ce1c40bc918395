"""A student as its own teacher: a copy of it that stays as it was, or that follows it as a moving average (OPSD)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from sad_agents.sampling.kv_cache import context_of
from torch import Tensor, nn

from sad_distill.models.heads import unwrap
from sad_distill.models.language import Language
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.registry import ReadingHabits, Teacher
from sad_env.errors import ConfigError

WORD = "self"


class SelfTeacher(LocalTeacher):
    """A copy of a student.

    Args:
        student: as it is when training begins.
        name: see `ScoringTeacher`.
        top: see `LocalTeacher`.
        decay: share of itself that the copy keeps at each update; 1 keeps it as it was.
    """

    def __init__(self, student: nn.Module, name: str, top: int = 0, decay: float = 1.0) -> None:
        super().__init__(copy.deepcopy(student), name, top)
        self.decay = decay

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Move towards the student, after an update of it."""
        if self.decay == 1:
            return
        for mine, theirs in zip(self.model.parameters(), student.parameters(), strict=True):
            mine.lerp_(theirs.to(mine), 1 - self.decay)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What a resumed run needs of it: nothing, where it stays as it was."""
        return {} if self.decay == 1 else {f"average.{name}": one for name, one in self.model.named_parameters()}

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        for name, mine in self.tensors.items():
            mine.copy_(tensors[name])


def decay_of(spec: str) -> float | None:
    """What `self` or `self:DECAY` keeps at each update; None for another word.

    >>> decay_of("self"), decay_of("self:0.99"), decay_of("selfish.pt")
    (1.0, 0.99, None)

    Raises:
        ConfigError: a decay that is none.
    """
    word, colon, number = spec.partition(":")
    if word != WORD:
        return None
    try:
        decay = float(number) if colon else 1.0
    except ValueError:
        decay = -1.0
    if not 0 <= decay <= 1:
        raise ConfigError(f"--teacher {spec[:40]}: give self, or self:0.99 with a decay between 0 and 1")
    return decay


def self_teacher(spec: str, student: Language, top: int = 0) -> Teacher | None:
    """The teacher that `self` names; None for another word."""
    decay = decay_of(spec)
    if decay is None:
        return None
    teacher = SelfTeacher(student.model, f"{spec} of {student.identity}", top, decay)
    copied: Any = teacher.model
    language = replace(student, model=copied)
    return Teacher(
        teacher.name,
        scores=teacher,
        language=language,
        context=context_of(unwrap(copied)),
        reading=ReadingHabits.of(language),
    )

"""What a model with a bounded context sees of a long episode: the task header and the newest history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sad_env.errors import ConfigError

COMPLETION_TOKENS = 192
"""Tokens of one completion where nothing else is said."""


@dataclass(frozen=True)
class Windowing:
    """How much of an episode a model sees; the same numbers hold in training and in acting.

    Attributes:
        budget: tokens at most, the completion that is being written included.
        room: tokens kept free for that completion.
        keep: when the history outgrows the budget, its oldest steps go until at most this share of the budget is
            taken; dropping several at once lets an acting agent keep its cache for the steps that follow.
    """

    budget: int = 512
    room: int = COMPLETION_TOKENS
    keep: float = 0.75

    def __post_init__(self) -> None:
        if not 8 <= 2 * self.room <= self.budget:
            raise ConfigError(f"a window of {self.budget} tokens cannot keep {self.room} free: it takes at least twice")

    def first_step(self, header: int, lengths: Sequence[int], before: int) -> int:
        """The oldest step that is still in the history when step `len(lengths)` is decided.

        Args:
            header: tokens of the task header.
            lengths: tokens that each step so far added.
            before: what this function returned for the step before.
        """
        used = header + sum(lengths[before:]) + self.room
        if used <= self.budget:
            return before
        first = before
        while first < len(lengths) - 1 and used > self.keep * self.budget:
            used -= lengths[first]
            first += 1
        return first

    def cut(self, header: Sequence[int], rest: Sequence[int]) -> list[int]:
        """Header and rest as one list that fits: of each, when need be, only the newest ids.

        The header gives way first, down to half the budget; then a single step that no window holds loses its oldest
        ids.
        """
        head = list(header[-(self.budget // 2) :])
        space = self.budget - self.room - len(head)
        return head + list(rest[max(0, len(rest) - space) :])

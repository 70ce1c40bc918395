"""A Gymnasium space that holds any string, for observations and actions alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Space

_SAMPLE_CHARACTERS = np.array(list("abcdefghijklmnopqrstuvwxyz 0123456789[]"))


class AnyText(Space[str]):
    """Every `str` of at most `max_length` characters, the empty one and any Unicode included.

    `gymnasium.spaces.Text` needs a finite character set (its default lacks the blank) and, in an asynchronous
    vector environment with shared memory, returns its first buffer for ever; this space is refused there instead.
    """

    def __init__(self, max_length: int = 1_000_000, seed: int | np.random.Generator | None = None) -> None:
        if max_length < 1:
            raise ValueError(f"max_length must be at least 1, not {max_length}")
        self.max_length = max_length
        super().__init__(shape=(), dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: text has no array form."""
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """A short printable string; masks are not supported.

        Raises:
            ValueError: a mask or probabilities were given.
        """
        if mask is not None or probability is not None:
            raise ValueError("AnyText draws without mask or probability")
        length = int(self.np_random.integers(0, min(self.max_length, 24) + 1))
        return "".join(self.np_random.choice(_SAMPLE_CHARACTERS, size=length))

    def contains(self, x: Any) -> bool:
        """True for a `str` that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText) and other.max_length == self.max_length

    def __hash__(self) -> int:
        return hash((AnyText, self.max_length))

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"

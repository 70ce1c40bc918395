"""Numbers that change over a run, as the settings write them: a number, linear:FROM:TO:OVER or cosine:FROM:TO:OVER."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sad_env.errors import ConfigError

_SHAPES = ("linear", "cosine")


@dataclass(frozen=True)
class Schedule:
    """A number at each update.

    Attributes:
        start: at the first update.
        end: from the end of the way on; a floor, where it is below `start`.
        over: how long the way is: up to 1 a share of the run, above 1 updates.
        shape: linear, or cosine for half a period.
    """

    start: float
    end: float
    over: float = 1.0
    shape: str = "linear"

    def at(self, step: int, steps: int) -> float:
        """The number at update `step`, counted from 0, of a run of `steps`; nothing else decides it.

        >>> [Schedule(1, 0.1, 80).at(step, 150) for step in (0, 40, 80, 120)]
        [1.0, 0.55, 0.1, 0.1]
        """
        updates = self.over * steps if self.over <= 1 else self.over
        way = min(1.0, step / updates) if updates else 1.0
        if way == 1:
            return float(self.end)
        if self.shape == "cosine":
            way = (1 - math.cos(math.pi * way)) / 2
        return self.start + (self.end - self.start) * way

    @property
    def greatest(self) -> float:
        """Of all its values."""
        return max(self.start, self.end)

    @classmethod
    def of(cls, text: str) -> Schedule:
        """Read a schedule.

        >>> Schedule.of("0.5")
        Schedule(start=0.5, end=0.5, over=1.0, shape='linear')
        >>> Schedule.of("cosine:1:0:0.8").at(40, 100)
        0.5

        Raises:
            ConfigError: not of a known form, or no numbers of at least 0.
        """
        shape, *parts = text.split(":")
        try:
            if not parts:
                numbers = [float(text)] * 2
            elif shape in _SHAPES and 2 <= len(parts) <= 3:
                numbers = [float(part) for part in parts]
            else:
                raise ValueError
        except ValueError:
            numbers = [-1.0]
        if not all(0 <= number < math.inf for number in numbers) or numbers[2:] == [0.0]:
            raise ConfigError(
                f"{text[:60]!r} is no schedule: give a number of at least 0, linear:FROM:TO:OVER or"
                " cosine:FROM:TO:OVER, with OVER in updates, or up to 1 as a share of the run"
            )
        start, end, *over = numbers
        return cls(start, end, over[0] if over else 1.0, shape if parts else "linear")


ALWAYS = Schedule(1.0, 1.0)
"""Weight 1 in all updates."""

"""How far a run is: by its updates, or by the processor seconds that it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sad_distill.config import TrainConfig


class Pace:
    """What schedules go by, and when a run is over.

    With a budget of processor seconds a run makes as many updates as it has time for, and `--steps` is the length of
    its schedules: they are as far along as the budget is used.

    Args:
        config: of the run.

    Attributes:
        used: processor seconds of acting, scoring and updating so far.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.used = 0.0
        self._steps, self._updates = config.optimisation.steps, config.online.updates
        self._budget = config.optimisation.processor_seconds
        self._last = self._begun = 0.0

    def share(self, step: int) -> float:
        """The share of the run that is over after `step` updates."""
        return min(1.0, self.used / self._budget if self._budget else step / self._steps)

    def at(self, step: int) -> float:
        """Where schedules over `--steps` are at update `step`, counted from 0."""
        return self._steps * self.share(step) if self._budget else step

    def iteration(self, iteration: int) -> int:
        """Where schedules that count iterations are."""
        return int(self._steps * self.share(0) / self._updates) if self._budget else iteration

    def next_begins(self) -> None:
        """An iteration, or offline an update, is over: what it took is what the next will take."""
        self._last, self._begun = self.used - self._begun, self.used

    def over(self, step: int) -> bool:
        """Whether the run ends here. A last iteration is left out where more than half of it would be too much."""
        return self._spent(step, self._last)

    def ends(self, step: int) -> bool:
        """Whether the run will be over at `step`, where an iteration has just ended, unless that took longer still."""
        return self._spent(step, self.used - self._begun)

    def _spent(self, step: int, last: float) -> bool:
        return self.used + last / 2 >= self._budget if self._budget else step >= self._steps

    def left(self, step: int) -> int:
        """Updates that may still be made."""
        return self._updates if self._budget else self._steps - step

    @property
    def position(self) -> dict[str, float]:
        """What a state on disk keeps."""
        return {"processor_seconds": self.used, "last_iteration_seconds": self._last}

    def resume(self, record: Mapping[str, Any]) -> None:
        """Go on from a state's record; states of earlier releases do not count."""
        self.used = self._begun = float(record.get("processor_seconds", 0.0))
        self._last = float(record.get("last_iteration_seconds", 0.0))

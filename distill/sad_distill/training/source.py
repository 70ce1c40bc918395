"""Where the rows of a run come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from sad_distill.data.rows import Row
from sad_distill.training.learner import Metrics


class UpdateRows(NamedTuple):
    """The rows of one update.

    Attributes:
        rows: learned by the run's objective.
        metrics: what is known of them, shown with the update's numbers.
        recorded: further rows, learned by the learner's objective for recorded text.
    """

    rows: Sequence[Row]
    metrics: Metrics
    recorded: Sequence[Row] = ()


class RowSource(Protocol):
    """Gives a run the rows of its updates, and knows from where to go on.

    Attributes:
        step: updates that are done.
    """

    step: int

    @property
    def position(self) -> dict[str, int]:
        """What a state on disk keeps, so that a resumed run goes on with the same rows: "step" and "iteration"."""
        ...

    def resume(self, position: Mapping[str, int]) -> None:
        """Go on from a `position` of an earlier source of the same settings."""
        ...

    def updates(self, save: Callable[[], None]) -> Iterator[UpdateRows]:
        """The rows of each update that is left; an update is done when the next is asked for.

        Args:
            save: called between two updates, where a resumed run could go on exactly and a state is due.
        """
        ...

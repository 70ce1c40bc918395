"""What a teacher is told of a task that somebody has won before: the actions that did it (OPSD)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sad_env.records import Trajectory


@dataclass
class WonEpisodes:
    """Actions of won episodes by task, a `Known` of `TeacherView`; "" where none was won."""

    _texts: dict[tuple[str, str, str], str] = field(default_factory=dict, repr=False)

    def replace(self, episodes: Iterable[Trajectory]) -> None:
        """Know these episodes alone; of several on a task the shortest won one, the first among equals."""
        shortest: dict[tuple[str, str, str], Trajectory] = {}
        for one in episodes:
            key = one.world, one.split, one.task_id
            if one.success and one.steps and (key not in shortest or len(one.steps) < len(shortest[key].steps)):
                shortest[key] = one
        self._texts = {key: _told(one) for key, one in shortest.items()}

    def __call__(self, world: str, split: str, task_id: str, seed: int) -> str:
        """What is known of a task."""
        return self._texts.get((world, split, task_id), "")


def _told(episode: Trajectory) -> str:
    actions = "; ".join(" ".join(step.action.split()) for step in episode.steps if step.action)
    return f"These actions solved it: {actions}"

"""What every layout says of an episode besides its texts."""

from __future__ import annotations

from typing import Any

from sad_env.records import Trajectory


def facts_of(trajectory: Trajectory) -> dict[str, Any]:
    """The entries of a record that are no text of the episode; None where an imported episode's source does not say."""
    unknown = trajectory.unknown
    return {
        "task_id": trajectory.task_id,
        "world": trajectory.world,
        "data": trajectory.data,
        "split": trajectory.split,
        "task_type": trajectory.task_type,
        "seed": trajectory.seed,
        "repeat": trajectory.repeat,
        "agent": trajectory.agent,
        "success": None if "success" in unknown else trajectory.success,
        "score": None if "score" in unknown else trajectory.score,
        "status": None if "status" in unknown else trajectory.status.value,
        "form": trajectory.form,
    }

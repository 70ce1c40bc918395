"""Where a command's episodes are played: in this process, or by the workers of a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

from sad_agents.agent import Agent
from sad_agents.rollout.rollout import Finished, Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_env.errors import ConfigError
from sad_env.safe_text import one_line

Play = Callable[[Sequence[Job]], Iterator[Finished]]
"""Plays jobs and yields them as they end: `rollout` with all but the jobs bound, or the same over a cluster."""

LOCAL = "local"
_RAY = "ray"


def check_backend(name: str) -> None:
    """Refuse what is no backend.

    Raises:
        ConfigError: naming those that there are.
    """
    if name not in (LOCAL, _RAY) and not name.startswith(f"{_RAY}:"):
        raise ConfigError(f"--backend is local, ray or ray:ADDRESS, not {one_line(name, 40)!r}")


def join(name: str) -> None:
    """Join the cluster that the backend names, or begin one; nothing to do where episodes are played here.

    Raises:
        ConfigError: no such backend, or its extra is not installed.
        InfrastructureError: the cluster does not answer.
    """
    check_backend(name)
    if name != LOCAL:
        from sad_agents.rollout.ray_cluster import join_cluster

        join_cluster(name.partition(":")[2])


def player(
    backend: str,
    agent: Agent,
    make: Callable[[], Agent],
    world: WorldRecipe,
    *,
    live: int,
    workers: int,
    limits: Limits,
) -> Play:
    """What plays jobs on a backend; the episodes are the same on each.

    Args:
        backend: local, ray or ray:ADDRESS.
        agent: who acts in this process, or whose name a lost episode bears.
        make: makes the same agent in a worker of a cluster; it and what it holds are sent there at the first job.
        world: how to make the world.
        live: episodes at once, in each worker.
        workers: processes that hold worlds, of each worker.
        limits: what ends an episode.

    Raises:
        ConfigError: see `join`.
        InfrastructureError: see `join`.
    """
    join(backend)
    if backend == LOCAL:
        return functools.partial(rollout, agent, world=world, live=live, workers=workers, limits=limits)
    from sad_agents.rollout.parts import Part
    from sad_agents.rollout.ray_cluster import play_over_cluster

    return functools.partial(play_over_cluster, agent.name, make, Part(world, live, workers, limits))

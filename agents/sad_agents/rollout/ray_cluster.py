"""Episodes over a Ray cluster: each task of the cluster plays a few jobs, and this process gathers the episodes."""

from __future__ import annotations

import functools
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sad_agents.agent import Agent
from sad_agents.rollout.parts import Part, PlayedLines, finished_of, lost, play_lines
from sad_agents.rollout.rollout import Finished, Job
from sad_env.errors import ConfigError, InfrastructureError, SadEnvError
from sad_env.safe_text import one_line

_QUEUED = 2
"""Tasks submitted for every core, so that no worker of the cluster waits for the next one."""

_SECONDS_TO_ANSWER = 10.0


def join_cluster(address: str) -> None:
    """Join the cluster at an address, or begin one here without one; one that is joined already stays.

    Raises:
        ConfigError: the extra is not installed.
        InfrastructureError: the cluster does not answer.
    """
    try:
        import ray
        from ray._private import worker
    except ImportError:
        raise ConfigError("--backend ray needs Ray: pip install 'sad-env-core[ray]'") from None
    if ray.is_initialized():
        return
    # Where a worker dies it would print paragraphs of its own, some on standard output; there is no public switch.
    worker._worker_logs_enabled = False
    logging.getLogger("ray").setLevel(logging.ERROR)
    # One error ends a command, and is told; what the other workers raised at the same time is not printed beside it.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    if address:
        _refuse_silent(address)
    else:
        # At Ray's 15 a worker of our own cluster waits for minutes where another program keeps the cores busy.
        os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        # With no address at all, Ray would join whatever cluster was begun on this machine last.
        ray.init(address=address or "local", log_to_driver=False, configure_logging=False, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = one_line(address, 80) or "this machine"
        raise InfrastructureError(f"no Ray cluster at {where}: {one_line(str(error), 160)}") from None


def _refuse_silent(address: str) -> None:
    """Refuse HOST:PORT at which nothing listens, which Ray itself would go on asking for minutes.

    Raises:
        InfrastructureError: nothing listens there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()
        except (OSError, OverflowError) as error:
            raise InfrastructureError(
                f"no Ray cluster at {one_line(address, 80)}: {one_line(str(error), 160)}"
            ) from None


def play_over_cluster(agent: str, make: Callable[[], Agent], how: Part, jobs: Sequence[Job]) -> Iterator[Finished]:
    """Play jobs over the cluster that was joined, and yield each as its part ends.

    The maker goes into the cluster's object store once, where each machine fetches it from; a worker makes its agent at
    its first part. What the maker names by path (checkpoints, data) has to lie at that path on all machines. A worker
    that dies takes its jobs with it: they end as INFRA_ERROR, which is owed.

    Args:
        agent: its name, for the episodes that are lost.
        make: makes the agent in a worker.
        how: a worker plays.
        jobs: what is played.

    Raises:
        SadEnvError: a worker raised it, e.g. for a setting that does not fit; what had ended has been yielded before.
        InfrastructureError: a worker raised anything else.
    """
    import ray

    remote = ray.remote(num_cpus=1, max_retries=0)(play_part)
    maker = ray.put(make)
    size = max(1, min(how.live, len(jobs) // (2 * _cores(ray)) or 1))
    waiting = [list(jobs[start : start + size]) for start in range(0, len(jobs), size)]
    running: dict[Any, list[Job]] = {}
    # What runs where this ends early is not cancelled: Ray ends it with this process, and Ray (2.60) aborts the process
    # where a cancellation and the task's answer cross.
    while waiting or running:
        slots = _QUEUED * _cores(ray)
        while waiting and len(running) < slots:
            part = waiting.pop(0)
            running[remote.remote([maker], how, part)] = part
        done, _ = ray.wait(list(running), num_returns=1)
        yield from _collected(ray, agent, how.world.name, done[0], running.pop(done[0]))


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _collected(ray: Any, agent: str, world: str, reference: Any, part: Sequence[Job]) -> Iterator[Finished]:
    try:
        lines: PlayedLines = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SadEnvError):
            error.cause.args = (f"in a worker of the cluster: {error.cause}",)
            raise error.cause from None
        said = str(error.as_instanceof_cause()).strip().splitlines()
        raise InfrastructureError(
            f"a worker of the cluster failed: {one_line(said[-1] if said else '', 200)}"
        ) from None
    except ray.exceptions.RayError as error:
        reason = f"a worker of the cluster was lost ({type(error).__name__})"
        yield from lost(agent, world, part, reason)
        return
    yield from finished_of(lines)


def play_part(maker: Sequence[Any], how: Part, jobs: Sequence[Job]) -> PlayedLines:
    """What a worker of the cluster does: play jobs, and send every attempt back as a line of JSON.

    Args:
        maker: one reference to what makes the agent, in a list, so that Ray does not fetch it where it is known.
        how: they are played.
        jobs: all that this task plays.
    """
    return play_lines(_agent(maker[0]), how, jobs)


@functools.lru_cache(maxsize=1)
def _agent(maker: Any) -> Agent:
    """The agent of this process: it stays until another maker comes, e.g. one with the weights of the next update."""
    import ray

    make: Callable[[], Agent] = ray.get(maker)
    return make()

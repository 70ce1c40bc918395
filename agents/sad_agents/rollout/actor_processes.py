"""Episodes in processes of this machine, each with an agent of its own; this process gathers them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from sad_agents.agent import Agent
from sad_agents.rollout.parts import Part, PlayedLines, finished_of, lost, play_lines
from sad_agents.rollout.rollout import Finished, Job
from sad_agents.rollout.world_worker import exit_with_parent
from sad_env.errors import InfrastructureError


class ActorProcesses:
    """Processes that stay, so that imports are paid once; they end with this one, however it ends.

    Args:
        count: of them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._closed = False
        self._pool: ProcessPoolExecutor | None = None

    def play(self, agent: str, make: Callable[[], Agent], how: Part, jobs: Sequence[Job]) -> Iterator[Finished]:
        """Play jobs, and yield each as its part ends; those of a process that dies end as INFRA_ERROR.

        Args:
            agent: its name, for the episodes that are lost.
            make: makes the agent in each process, where it is sent.
            how: a process plays.
            jobs: what is played, shared out evenly.

        Raises:
            InfrastructureError: the processes have been ended.
        """
        if self._closed:  # whoever waits in another thread does not begin anew
            raise InfrastructureError("the processes that play have been ended")
        self._pool = self._pool or ProcessPoolExecutor(
            self._count, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
        )
        parts = [part for number in range(self._count) if (part := list(jobs[number :: self._count]))]
        futures = {self._pool.submit(_play, make, how, part): part for part in parts}
        for future in as_completed(futures):
            try:
                yield from finished_of(future.result())
            except BrokenProcessPool:
                self._pool = None
                yield from lost(agent, how.world.name, futures[future], "a process that plays has died")

    def close(self) -> None:
        """End the processes, whatever they do, for good."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is None:
            return
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _begin(parent: int) -> None:
    import torch

    os.setpgid(0, 0)  # Ctrl-C reaches the first process alone
    exit_with_parent(parent)
    torch.set_num_threads(1)  # there are as many processes as cores are to work


def _play(make: Callable[[], Agent], how: Part, jobs: Sequence[Job]) -> PlayedLines:
    return play_lines(make(), how, jobs)

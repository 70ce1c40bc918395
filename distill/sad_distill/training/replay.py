"""Episodes that begin where a recorded one was nearly won: its first turns are played again (TCOD backward to forward).

The world is reset with the recorded seed and given the recorded actions, so that it is in the exact state; that it
answers as it did is checked to the character.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sad_agents.agent import Agent, Decision, EpisodeStart, writes
from sad_agents.rollout.rollout import Job

from sad_distill.teachers.relabel_agent import decision_of
from sad_env.errors import ConfigError, DataError
from sad_env.records import FormName, Trajectory

REPLAY = "replay"
"""Author of the steps that were played again, in the records."""


@dataclass(frozen=True)
class Prefixes:
    """Recorded won episodes, and how much of each is played again.

    Attributes:
        episodes: at least one, each another task or seed.
        every: iterations after which one more action is left to the student.
        group: successive episodes from one state.
    """

    episodes: tuple[Trajectory, ...]
    every: int
    group: int = 1

    @classmethod
    def of(cls, episodes: Sequence[Trajectory], every: int, group: int = 1, tasks: Sequence[str] = ()) -> Prefixes:
        """From recorded episodes; of several of one task and seed, the first that was won.

        Args:
            episodes: won ones are taken; they are written as the student writes.
            every: see `Prefixes`.
            group: see `Prefixes`.
            tasks: of these tasks only.

        Raises:
            ConfigError: none was won.
        """
        known = set(tasks)
        won: dict[tuple[str, int], Trajectory] = {}
        for one in episodes:
            if one.success and one.steps and one.task_id in known:
                won.setdefault((one.task_id, one.seed), one)
        if not won:
            raise ConfigError(
                "--replay-every begins in recorded won episodes of the split's tasks: give --trajectories with some"
            )
        return cls(tuple(won.values()), every, group)

    def jobs(self, iteration: int, count: int, seed: int) -> list[Job]:
        """The episodes of an iteration, by its number alone; every recorded one comes once before any comes again."""
        each = count // self.group
        jobs = []
        for place in range(iteration * each, (iteration + 1) * each):
            epoch, index = divmod(place, len(self.episodes))
            order = list(self.episodes)
            random.Random(f"replay {seed} {epoch}").shuffle(order)
            one = order[index]
            jobs += [Job(one.task_id, one.seed, epoch * self.group + member) for member in range(self.group)]
        return jobs

    def check(self, limit: int) -> None:
        """Refuse a limit of steps that ends an episode before the student acts.

        Raises:
            ConfigError: more is played again at first than `limit` leaves.
        """
        longest = max(self.turns(one, 0) for one in self.episodes)
        if longest >= limit:
            raise ConfigError(
                f"--replay-every plays up to {longest} recorded steps again, and episodes end after {limit}, by"
                f" --max-steps, --horizon-start or the world: give --trajectories of at most {limit} steps, or other"
                " limits"
            )

    def turns(self, episode: Trajectory, iteration: int) -> int:
        """How many turns of an episode are played again: all but 1 + iteration // every, and none in the end."""
        return max(0, len(episode.steps) - 1 - iteration // self.every)

    def agent(self, student: Agent, iteration: int) -> ReplayAgent:
        """The student, which takes over where this iteration's prefixes end."""
        known = {(one.task_id, one.seed): (one, self.turns(one, iteration)) for one in self.episodes}
        return ReplayAgent(student, known)


@dataclass
class ReplayAgent:
    """Plays the first turns of recorded episodes again; then an agent acts.

    Attributes:
        student: watches, and takes over.
        known: the recorded episode of a task and seed, and how many of its turns are played.
    """

    student: Agent
    known: Mapping[tuple[str, int], tuple[Trajectory, int]]
    name: str = "student"
    _live: dict[int, tuple[Trajectory, int, int]] = field(default_factory=dict)
    """The recorded episode, its turns to play, and the turns so far."""

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Check that it is the recorded task."""
        recorded, turns = self.known[start.task_id, start.world_seed]
        _check(recorded, -1, recorded.observation, start.observation)
        self._live[episode] = recorded, turns, 0
        return self.student.begin(episode, start)

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """The recorded turn, or the student's own."""
        own = [episode for episode in episodes if not self._replays(episode)]
        decisions = dict(zip(own, self.student.act(own), strict=True)) if own else {}
        for episode in episodes:
            if self._replays(episode):
                recorded, _, turn = self._live[episode]
                decisions[episode] = decision_of(recorded.steps[turn], REPLAY)
        return [decisions[episode] for episode in episodes]

    @property
    def form(self) -> FormName:
        """The student's."""
        return writes(self.student)[0]

    @property
    def chat(self) -> bool:
        """The student's."""
        return writes(self.student)[1]

    def _replays(self, episode: int) -> bool:
        _, turns, turn = self._live[episode]
        return turn < turns

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Check that the world answered as it did."""
        recorded, turns, turn = self._live[episode]
        if turn < turns:
            _check(recorded, turn, recorded.steps[turn].observation, observation)
        self._live[episode] = recorded, turns, turn + 1
        self.student.observe(episode, decision, observation, info)

    def end(self, episode: int) -> None:
        """Forget it."""
        self._live.pop(episode, None)
        self.student.end(episode)


def _check(recorded: Trajectory, turn: int, before: str, now: str) -> None:
    if before != now:
        raise DataError(
            f"task {recorded.task_id!r} does not answer as it was recorded (turn {turn + 1}): give --trajectories of"
            " these --data and --split, or leave --replay-every out"
        )

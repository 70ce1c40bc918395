"""What the world said of an episode, and how the episodes of a group compare."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sad_distill.data.rows import episode_name
from sad_env.records import Trajectory

_TINY = 1e-6
"""Added to a standard deviation before it divides (GRPO)."""


@dataclass(frozen=True)
class Outcome:
    """What the world said of an episode.

    Attributes:
        group: name of the episodes that it is compared with, which are on the same task.
        rewards: of each step; that of the whole episode comes with its last one.
        states: what the agent had last seen before each step.
        won: the world's own verdict.
    """

    group: str
    rewards: tuple[float, ...]
    states: tuple[str, ...]
    won: bool

    @property
    def total(self) -> float:
        """Sum of the rewards."""
        return sum(self.rewards)

    def returns(self, gamma: float) -> list[float]:
        """Discounted sum of the rewards from each step on."""
        found, running = [], 0.0
        for reward in reversed(self.rewards):
            running = reward + gamma * running
            found.append(running)
        return found[::-1]


def outcomes_of(
    episodes: Sequence[Trajectory], group: int = 1, reward: str = "auto", penalty: float = 0.0
) -> dict[str, Outcome]:
    """Outcomes by name of episode; call it with whole episodes, before anything of them is cut.

    Args:
        episodes: of an iteration.
        group: so many successive repeats of a task are one group.
        reward: success, score, progress, or auto: WebShop's score, elsewhere success.
        penalty: taken off for each invalid action, at its step.
    """
    return {episode_name(one): _outcome(one, group, reward, penalty) for one in episodes}


def _outcome(episode: Trajectory, group: int, reward: str, penalty: float) -> Outcome:
    rewards = [0.0 if step.valid else -penalty for step in episode.steps] or [0.0]
    rewards[-1] += reward_of(episode, reward)
    states = [episode.observation, *(step.observation for step in episode.steps)][: len(rewards)]
    name = f"{episode.split}/{episode.task_id} {episode.seed} {episode.repeat // group}"
    return Outcome(name, tuple(rewards), tuple(states), episode.success)


def reward_of(episode: Trajectory, reward: str = "auto") -> float:
    """The reward of a whole episode, in [0, 1]."""
    if reward == "score" or (reward == "auto" and episode.world == "webshop"):
        return episode.score
    if reward == "progress":
        return max((step.progress or 0.0 for step in episode.steps), default=0.0)
    return float(episode.success)


def groups_of(outcomes: Mapping[str, Outcome]) -> list[list[str]]:
    """Names of the episodes of each group."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, outcome in outcomes.items():
        found[outcome.group].append(name)
    return list(found.values())


def alike(outcomes: Sequence[Outcome]) -> bool:
    """Whether these episodes have one total, so that comparing them says nothing."""
    totals = [outcome.total for outcome in outcomes]
    return max(totals) == min(totals)


def centred(values: Sequence[float], *, divide: bool) -> list[float]:
    """Values less their mean, divided by their standard deviation (of a sample, n - 1) plus 1e-6 where `divide`.

    Equal values give exact zeros, whatever their mean rounds to.
    """
    if max(values) == min(values):
        return [0.0] * len(values)
    mean = statistics.fmean(values)
    scale = statistics.stdev(values) + _TINY if divide else 1.0
    return [(value - mean) / scale for value in values]


def group_advantages(outcomes: Mapping[str, Outcome], *, divide: bool) -> dict[str, float]:
    """GRPO: each episode's total, centred in its group; without `divide` as in Dr. GRPO."""
    found: dict[str, float] = {}
    for names in groups_of(outcomes):
        totals = [outcomes[name].total for name in names]
        found |= zip(names, centred(totals, divide=divide), strict=True)
    return found


def leave_one_out(outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """RLOO: each episode's total less the mean of the others of its group; 0 where it is alone."""
    found: dict[str, float] = {}
    for names in groups_of(outcomes):
        totals = [outcomes[name].total for name in names]
        others = max(1, len(names) - 1)
        scaled = [value * len(names) / others for value in centred(totals, divide=False)]
        found |= zip(names, scaled, strict=True)
    return found


def step_advantages(outcomes: Mapping[str, Outcome], gamma: float, *, divide: bool) -> dict[str, list[float]]:
    """GiGPO's step level: each step's discounted return, centred among the group's steps at the same state.

    Steps are at the same state where the observation before them, the anchor, is the same to the character.
    """
    found = {name: [0.0] * len(outcome.rewards) for name, outcome in outcomes.items()}
    for names in groups_of(outcomes):
        places: dict[str, list[tuple[str, int, float]]] = defaultdict(list)
        for name in names:
            outcome = outcomes[name]
            for step, (state, value) in enumerate(zip(outcome.states, outcome.returns(gamma), strict=True)):
                places[state].append((name, step, value))
        for met in places.values():
            values = centred([value for _, _, value in met], divide=divide)
            for (name, step, _), advantage in zip(met, values, strict=True):
                found[name][step] = advantage
    return found

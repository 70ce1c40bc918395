"""What the environments of verl-agent have in common: groups of episodes that are stepped together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from sad_env.errors import ConfigError, ResetNeededError

WON = 10.0
"""The reward of an episode that is won."""

Episode = TypeVar("Episode")


class Groups(Generic[Episode]):
    """Groups of episodes on one task each, all in this process.

    Args:
        env_num: groups.
        group_n: episodes of a group.

    Raises:
        ConfigError: there would be no episode.
    """

    multi_modal = False

    def __init__(self, env_num: int, group_n: int) -> None:
        if env_num < 1 or group_n < 1:
            raise ConfigError(f"env_num and group_n are 1 or more, not {env_num} and {group_n}")
        self.env_num, self.group_n, self.num_processes = env_num, group_n, env_num * group_n
        self._episodes: list[Episode] = []

    def _paired(self, actions: Sequence[str]) -> Iterator[tuple[Episode, str]]:
        """Each episode with its action.

        Raises:
            ResetNeededError: before the first reset.
            ConfigError: not one action for each episode.
        """
        if not self._episodes:
            raise ResetNeededError("no episode has begun: call reset() before step()")
        if len(actions) != self.num_processes:
            raise ConfigError(f"{self.num_processes} episodes take as many actions, not {len(actions)}")
        return zip(self._episodes, actions, strict=True)

    def close(self) -> None:
        """Forget the episodes."""
        self._episodes = []

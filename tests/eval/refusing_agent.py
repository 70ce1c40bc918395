"""Agents of the toy world that raise when they are first asked, in whatever process they play."""

from __future__ import annotations

from collections.abc import Sequence

from sad_agents.agent import Decision
from sad_agents.policies import ExpertAgent

from sad_env.errors import ConfigError, DataError, SadEnvError, UnknownNameError


class _Refusing(ExpertAgent):
    fault: SadEnvError

    def __init__(self, world: str, _: object) -> None:
        super().__init__(world)

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        raise self.fault


class Misset(_Refusing):
    fault = ConfigError("--chat on needs a chat template")


class Misnamed(_Refusing):
    fault = UnknownNameError("form", "line", ["lines", "tags"])


class Damaged(_Refusing):
    fault = DataError("the games are damaged")

"""The toy world's expert, slowed down so that a run can be disturbed; named on the command line by its class."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from sad_agents.agent import Decision
from sad_agents.agent_options import AgentOptions
from sad_agents.policies import ExpertAgent


class SlowExpert(ExpertAgent):
    def __init__(self, world: str, options: AgentOptions) -> None:
        super().__init__(world)
        self._seconds = float(os.environ.get("SLOW_AGENT_SECONDS", "0.05"))

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        time.sleep(self._seconds)
        return super().act(episodes)

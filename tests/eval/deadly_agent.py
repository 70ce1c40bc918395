"""The toy world's expert, which takes its process down with it the first time that it is asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sad_agents.agent import Decision
from sad_agents.agent_options import AgentOptions
from sad_agents.policies import ExpertAgent


class DeadlyOnce(ExpertAgent):
    def __init__(self, world: str, options: AgentOptions) -> None:
        super().__init__(world)

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        marker = Path(os.environ["DEADLY_MARKER"])
        if not marker.exists():
            marker.touch()
            os._exit(9)
        return super().act(episodes)

"""Who acts: ReAct agents over language models, experts, and the rollouts that drive them through worlds.

The names below are imported when they are first used.
"""

from typing import TYPE_CHECKING

from sad_env.lazy import lazy_names

if TYPE_CHECKING:
    from sad_agents.agent import Agent, Decision, EpisodeStart, Sampling
    from sad_agents.agent_options import AgentOptions
    from sad_agents.api import collect
    from sad_agents.catalogue import known_agents, resolve
    from sad_agents.collect_command import CollectSettings
    from sad_agents.prompts import load_prompt
    from sad_agents.react import ReActAgent
    from sad_agents.rollout.rollout import Finished, Job, Limits
    from sad_agents.rollout.world_recipe import WorldRecipe
    from sad_agents.sampling.local_model import LocalModel
    from sad_agents.windowing import Windowing

__all__ = [
    "Agent",
    "AgentOptions",
    "CollectSettings",
    "Decision",
    "EpisodeStart",
    "Finished",
    "Job",
    "Limits",
    "LocalModel",
    "ReActAgent",
    "Sampling",
    "Windowing",
    "WorldRecipe",
    "collect",
    "known_agents",
    "load_prompt",
    "resolve",
]

__getattr__ = lazy_names(
    __name__,
    {
        "sad_agents.agent": "Agent Decision EpisodeStart Sampling",
        "sad_agents.api": "collect",
        "sad_agents.catalogue": "known_agents resolve",
        "sad_agents.collect_command": "CollectSettings",
        "sad_agents.loading": "AgentOptions",
        "sad_agents.prompts": "load_prompt",
        "sad_agents.react": "ReActAgent",
        "sad_agents.rollout.rollout": "Finished Job Limits",
        "sad_agents.rollout.world_recipe": "WorldRecipe",
        "sad_agents.sampling.local_model": "LocalModel",
        "sad_agents.windowing": "Windowing",
    },
)

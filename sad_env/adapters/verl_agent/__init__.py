"""Drop-in for the environments of verl-agent and its forks: the same builders and projections, without Ray and Java."""

from sad_env.adapters.verl_agent.alfworld import build_alfworld_envs
from sad_env.adapters.verl_agent.projection import alfworld_projection, webshop_projection
from sad_env.adapters.verl_agent.webshop import build_webshop_envs

__all__ = ["alfworld_projection", "build_alfworld_envs", "build_webshop_envs", "webshop_projection"]

"""Collecting in one call from Python; `sad_agents.collect` is this one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from sad_agents import collect_command
from sad_agents.collect_command import CollectSettings
from sad_env.calls import called_with
from sad_env.errors import ConfigError, IncompleteError, InfrastructureError
from sad_env.records import Trajectory, read_trajectories


def collect(*, agent: str | type, env: str, out: str | os.PathLike[str] = "", **settings: Any) -> list[Trajectory]:
    """Trajectories of an agent in a world, as `sad-collect` collects them.

    Args:
        agent: who acts: expert, nano, FILE.pt, ... (see `sad_agents.resolve`), or a class that makes an `Agent`.
        env: the world's name.
        out: file that they are written to, as JSON lines; the same call goes on with it. Without one nothing is kept.
        settings: of `CollectSettings`, under the names of the flags: episodes, seed, slip, only_success, ...;
            `quiet=False` shows progress.

    Returns:
        All trajectories of the file, those of earlier calls included.

    Raises:
        UnknownNameError: no such agent, world or setting.
        ConfigError: a setting of a wrong kind or without effect, or `out` was made with other settings.
        InfrastructureError: a model does not answer.
        IncompleteError: episodes are still owed; with `out`, the same call goes on.

    >>> [episode.success for episode in collect(agent="expert", env="toy", episodes=2, workers=0)]
    [True, True]
    """
    with tempfile.TemporaryDirectory(prefix="sad-collect-") as scratch:
        target = Path(out) if out else Path(scratch) / "trajectories.jsonl"
        values = {"agent": named(agent), "env": env, "out": target, "quiet": True, **settings}
        outcome = collect_command.collect(collect_command.effective(called_with(CollectSettings, values)))
        if outcome.fault:
            raise InfrastructureError(outcome.fault)
        if outcome.owed:
            raise IncompleteError(f"{outcome.owed:,} episodes are owed: with out=FILE the same call goes on")
        return list(read_trajectories(target)) if target.exists() else []


def named(agent: str | type) -> str:
    """The word for `--agent`: a class is named by its module, `__main__` in a notebook.

    Raises:
        ConfigError: neither a word nor a class.
    """
    if isinstance(agent, str):
        return agent
    if isinstance(agent, type):
        return f"{agent.__module__}:{agent.__qualname__}"
    raise ConfigError(f"agent is a name or a class that makes an Agent, not a {type(agent).__name__}: pass its class")

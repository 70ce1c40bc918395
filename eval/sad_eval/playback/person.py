"""A person plays a world: admissible actions are offered by number, and the episode is recorded like an agent's."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from sad_agents.policies import HELP, HumanAgent
from sad_agents.prompts import load_prompt
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe

from sad_env import registry
from sad_env.errors import INTERRUPTED
from sad_env.json_lines import JsonLinesWriter, check_appendable
from sad_env.records import Trajectory
from sad_env.safe_text import console, one_line, safe_text
from sad_eval.playback.plain import headline


def play_world(
    world: str,
    *,
    data: str,
    panel: str,
    task_id: str,
    seed: int,
    out: Path,
    inbox: IO[str] | None = None,
    outbox: IO[str] | None = None,
) -> int:
    """Play one task and add the episode to a file of trajectories.

    Args:
        world: the world's name.
        data: generated, official or a folder.
        panel: the split; the world's usual one when empty.
        task_id: which task; `seed` picks one when empty.
        seed: also the world's seed.
        out: JSON lines to add to; an episode that was left half-way is not recorded.
        inbox: where the person's lines come from; standard input when None.
        outbox: where the game is shown; standard output when None.

    Returns:
        The exit code: 130 when the person left before the end.
    """
    check_appendable(out)
    options: dict[str, Any] = {"data": data, "split": panel or registry.world(world).default_panel(data)}
    with_tasks = registry.make(world, **options)
    task_ids = with_tasks.panel.task_ids
    with_tasks.close()
    chosen = task_id or random.Random(seed).choice(task_ids)
    screen = console(outbox or sys.stdout)
    _greet(world, chosen, screen)
    agent = HumanAgent(inbox or sys.stdin, outbox or sys.stdout)
    played = rollout(agent, [Job(chosen, seed)], WorldRecipe(world, options), live=1, limits=Limits(attempts=1))
    episode = next(played).trajectory
    screen.print()
    if episode.status.owed:
        screen.print(safe_text(f"Not recorded: {episode.error or episode.status.value}.", "yellow"))
        return INTERRUPTED
    _record(episode, out)
    screen.print(headline(episode, 1, 1), soft_wrap=True)
    screen.print(safe_text(f"added to {out}; watch it with `sad-play {out}`", "dim"), soft_wrap=True)
    return 0


def _greet(world: str, task_id: str, screen: Console) -> None:
    """The task, and what the world's prompt tells an agent of its actions."""
    screen.print(safe_text(one_line(task_id), "dim"), soft_wrap=True)
    for line in load_prompt(world).instruction.splitlines():
        if line.startswith("Actions:"):
            screen.print(safe_text(line, "dim"))
    screen.print(safe_text(f"{HELP}\n", "dim"))


def _record(episode: Trajectory, out: Path) -> None:
    with JsonLinesWriter(out) as writer:
        writer.append(episode.to_json())

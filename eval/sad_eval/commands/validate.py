"""`sad-eval validate`: checks that a world's tasks can be solved, and not by doing nothing."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import resolve
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe

from sad_env import cli, registry
from sad_env.checks import ConformanceError, check_world
from sad_env.progress import shown
from sad_env.safe_text import console, one_line, safe_text


@dataclass(frozen=True)
class ValidateSettings:
    """Check a world: its contract, that its oracle wins every task, and that an agent that does nothing wins none.

    $ sad-eval validate alfworld --episodes 20
    $ sad-eval validate webshop --data FOLDER
    """

    env: Annotated[str, tyro.conf.Positional]
    """World: toy, alfworld, webshop, hotpotqa, searchqa, or a plug-in's."""
    data: str = "generated"
    """generated, official, official:PACK, or a folder in the official layout."""
    panel: str = ""
    """Panel of tasks, the world's own when left out."""
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """Episodes of the panel: N tasks, always the same; all where there are no more, and with 0."""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    """Processes that hold worlds; 0 runs them in this process."""
    quiet: bool = False
    """Show no progress."""


def run_validate(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval validate`; the exit code is 5 when the world fails."""
    settings = cli.parse(ValidateSettings, arguments, prog="sad-eval validate")
    for name in ("episodes", "workers"):
        cli.at_least(name, getattr(settings, name), 0)
    spec = registry.world(settings.env)
    recipe = WorldRecipe.of(spec.name, settings.data, settings.panel or spec.default_panel(settings.data))
    panel = recipe.panel()
    if 0 < settings.episodes < len(panel.task_ids):
        panel = panel.head(settings.episodes)
    out = console()
    try:
        check_world(lambda: registry.make(spec.name, **recipe.options), tasks=min(3, len(panel.task_ids)), oracle=False)
    except ConformanceError as error:
        out.print(safe_text(f"✗ does not keep the contract of a world: {one_line(str(error), 200)}", "red"))
        return 5
    except Exception as error:  # the world's own
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = one_line(f"{type(error).__name__}: {error}", 200)
        out.print(
            safe_text(f"✗ raises: {what} ({one_line(place.filename, 120)}:{place.lineno})", "red"), soft_wrap=True
        )
        return 5
    out.print(safe_text("✓ keeps the contract of a world", "green"))
    wins = {name: _wins(name, recipe, panel.task_ids, settings) for name in ("oracle", "null")}
    count = len(panel.task_ids)
    unsolved = [task for task in panel.task_ids if task not in wins["oracle"]]
    out.print(_line(not unsolved, f"the oracle wins {count - len(unsolved):,} of {count:,} tasks", unsolved))
    gifts = sorted(wins["null"])
    out.print(_line(not gifts, f"an agent that does nothing wins {len(gifts):,} of {count:,} tasks", gifts))
    return 5 if unsolved or gifts else 0


def _wins(agent: str, recipe: WorldRecipe, tasks: Sequence[str], settings: ValidateSettings) -> set[str]:
    player = resolve(agent, recipe.name, AgentOptions(world=recipe.options))
    won, done = set(), 0
    # The oracle's plan is fixed: a second attempt would end like the first.
    limits = Limits(
        attempts=1, max_steps=max(200, registry.world(recipe.name).max_steps) if agent == "oracle" else None
    )
    with shown(quiet=settings.quiet) as progress:
        for finished in rollout(player, map(Job, tasks), recipe, workers=settings.workers, limits=limits):
            done += 1
            progress(agent, done, len(tasks))
            if finished.trajectory.success:
                won.add(finished.job.task_id)
    return won


def _line(good: bool, text: str, tasks: Sequence[str]) -> object:
    if good:
        return safe_text(f"✓ {text}", "green")
    listed = ", ".join(one_line(task, 60) for task in tasks[:5]) + (", ..." if len(tasks) > 5 else "")
    return safe_text(f"✗ {text}: {listed}", "red")

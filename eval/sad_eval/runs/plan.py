"""From settings to an evaluation plan: tasks, agent, folder, and the manifest that records them."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sad_agents import catalogue
from sad_agents.agent import Agent
from sad_agents.model_settings import DTYPES, ignored_by
from sad_agents.perturbed_agent import PerturbedAgent
from sad_agents.rollout.rollout import Limits
from sad_agents.rollout.world_recipe import WorldRecipe

from sad_env import data, registry
from sad_env.errors import ConfigError
from sad_env.files import sha256_file
from sad_env.panels import Panel
from sad_env.safe_text import one_line
from sad_eval.records import Manifest, PanelRecord
from sad_eval.runs import provenance
from sad_eval.runs.merge import part_name
from sad_eval.runs.run_folder import MANIFEST, SETTINGS, RunFolder
from sad_eval.runs.settings import EvalSettings, resolved, shard_of, to_toml

RUNS = Path("runs")
"""Where runs without a folder of their own are put."""

_FLEETING = frozenset({"server"})
"""What an agent says of itself that may change when a run is resumed, e.g. the port of its server."""


@dataclass(frozen=True)
class EvaluationPlan:
    """One run that is to be made.

    Attributes:
        settings: of the command.
        recipe: how to make the world.
        panel: its tasks.
        agent: who acts.
        limits: what ends an episode.
        folder: where the run lies or will lie.
        manifest: what the run is.
    """

    settings: EvalSettings
    recipe: WorldRecipe
    panel: Panel
    agent: Agent
    limits: Limits
    folder: Path
    manifest: Manifest


def panels_of(settings: EvalSettings) -> list[str]:
    """Names of the panels that the settings ask for.

    Raises:
        ConfigError: one is named twice.
    """
    names = [name.strip() for name in settings.panel.split(",") if name.strip()]
    names = names or [registry.world(settings.env).default_panel(settings.data)]
    if len(set(names)) < len(names):
        raise ConfigError(f"a panel is named twice: {settings.panel!r}")
    return names


def make_plan(settings: EvalSettings, panel_name: str, *, command: str, alone: bool = True) -> EvaluationPlan:
    """The plan for one panel.

    Args:
        settings: of the command.
        panel_name: a split of the world.
        command: as it was typed, for the manifest.
        alone: False when the command runs several panels, which then need a folder each.

    Raises:
        SadEnvError: an unknown world, agent or panel, missing data, an unusable checkpoint.
    """
    if settings.semantic and not settings.reference:
        raise ConfigError("--semantic matches reasoning with a reference: name its run with --reference")
    recipe = world_recipe(settings, panel_name)
    panel = recipe.panel(settings.episodes)
    agent = make_agent(settings, recipe)
    limits = Limits(
        max_steps=settings.max_steps or registry.world(settings.env).limit(recipe.options),
        max_tokens=settings.max_episode_tokens or None,
        seconds=settings.max_seconds or None,
        step_seconds=settings.step_seconds,
    )
    manifest = _manifest(settings, recipe, panel, agent, limits, command)
    return EvaluationPlan(settings, recipe, panel, agent, limits, _folder(settings, manifest, alone=alone), manifest)


def world_recipe(settings: EvalSettings, panel_name: str) -> WorldRecipe:
    """How to make the world that the settings name.

    Raises:
        ConfigError: an option that is not NAME=VALUE.
    """
    return WorldRecipe.of(settings.env, settings.data, panel_name, settings.options)


def make_agent(settings: EvalSettings, recipe: WorldRecipe) -> Agent:
    """The agent that the settings name.

    Raises:
        SadEnvError: there is no such agent, or it cannot be used.
    """
    options = settings.agent_options(seed=settings.seed, concurrency=settings.concurrency, world=recipe.options)
    agent = catalogue.resolve(settings.agent, recipe.name, options)
    return agent if settings.perturb == "none" else PerturbedAgent(agent, settings.perturb)


def _manifest(
    settings: EvalSettings, recipe: WorldRecipe, panel: Panel, agent: Agent, limits: Limits, command: str
) -> Manifest:
    facts = catalogue.provenance(agent)
    digest = provenance.data_sha256(_data_path(settings))
    bounds: dict[str, float | int | None] = {
        "max_steps": limits.max_steps,
        "max_tokens": limits.max_tokens,
        "max_seconds": limits.seconds,
        "max_new_tokens": settings.max_new_tokens,
        "invalid_actions": limits.invalid_actions,
    }
    identity = {**_who_and_where(recipe, panel, agent, digest), **_how(settings), **bounds}
    commit, dirty = provenance.checkout()
    return Manifest(
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        command=command,
        world=recipe.name,
        data=panel.data,
        data_sha256=digest,
        panel=PanelRecord(name=panel.name, sha256=panel.sha256, task_ids=panel.task_ids, description=panel.description),
        agent=agent.name,
        agent_sha256=facts.get("checkpoint_sha256", ""),
        prompt_sha256=facts.get("prompt_sha256", ""),
        seed=settings.seed,
        repeats=settings.repeats,
        limits=bounds,
        shard=shard_of(settings.shard),
        identity=identity,
        identity_sha256=identity_sha256(identity),
        settings=resolved(settings),
        versions=provenance.versions(),
        commit=commit,
        dirty=dirty,
        platform=provenance.machine(),
    )


def _who_and_where(recipe: WorldRecipe, panel: Panel, agent: Agent, data_sha256: str) -> dict[str, Any]:
    """The part of a run's identity that its agent, world and panel decide."""
    facts = {name: value for name, value in sorted(catalogue.provenance(agent).items()) if name not in _FLEETING}
    return {
        "agent": agent.name,
        **{f"agent {name}": value for name, value in facts.items()},
        "world": recipe.name,
        "data": panel.data,
        "data_sha256": data_sha256,
        **{f"world {name}": value for name, value in sorted(recipe.options.items()) if name != "data"},
        "panel": panel.name,
        "panel_sha256": panel.sha256,
    }


def _how(settings: EvalSettings) -> dict[str, Any]:
    """The part of a run's identity that its settings decide."""
    return {
        "seed": settings.seed,
        "repeats": settings.repeats,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "context": settings.context,
        "dtype": DTYPES[settings.precision],
        "first_thoughts_sha256": sha256_file(settings.first_thoughts) if settings.first_thoughts else "",
        "perturb": settings.perturb,
    }


def identity_sha256(identity: dict[str, Any]) -> str:
    """Hex sha256 of what decides a run's episodes."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()


def _data_path(settings: EvalSettings) -> Path | None:
    """The files that the data argument names, None for generated data."""
    spec = registry.world(settings.env)
    if settings.data == "generated" or not spec.data:
        return None
    if Path(settings.data).exists():
        return Path(settings.data)
    return data.resolve(settings.env, settings.data, registry.load(spec.data).packs)[1]


def _folder(settings: EvalSettings, manifest: Manifest, *, alone: bool) -> Path:
    if settings.out:
        folder = Path(settings.out) if alone else Path(settings.out) / manifest.panel.name
    else:
        words = (manifest.world, manifest.panel.name, manifest.agent)
        slug = "-".join(re.sub(r"[^A-Za-z0-9._+]+", "-", word).strip("-.")[:32] for word in words)
        folder = RUNS / f"{slug}-{manifest.identity_sha256[:8]}"
    return folder if manifest.shard[1] == 1 else folder / part_name(manifest.shard)


def open_or_create(plan: EvaluationPlan) -> RunFolder:
    """The plan's run folder: an existing folder of the same run, or a new one.

    Raises:
        ConfigError: another run lies there or is being played there, or the folder cannot be written.
    """
    folder = plan.folder
    try:
        if (folder / MANIFEST).exists() and plan.settings.new:
            with RunFolder(folder).lock():  # a process that is playing it would go on in the new folder
                folder.rename(_free_name(folder))
        if not (folder / MANIFEST).exists():
            folder.mkdir(parents=True, exist_ok=True)
            to_toml(plan.settings, folder / SETTINGS)
            return RunFolder.create(folder, plan.manifest)
    except OSError as error:
        raise ConfigError(f"cannot write the run {one_line(str(folder), 120)!r}: {error.strerror}") from None
    run = RunFolder.open(folder)
    _same_run(run, plan.manifest)
    return run


def _same_run(run: RunFolder, wanted: Manifest) -> None:
    old, new = dict(run.manifest.identity), dict(wanted.identity)
    old["shard"], new["shard"] = ("/".join(map(str, one.shard)) for one in (run.manifest, wanted))
    # The most telling difference first: another world has other limits, too.
    first = ("world", "data", "panel", "agent")
    # Earlier versions took settings of models for agents that are none, where they change nothing.
    unused = {"dtype" if name == "precision" else name for name in ignored_by(wanted.agent, wanted.world)}
    for name in (*first, *sorted({*old, *new} - {*first} - unused)):
        if name.startswith(("agent served", "agent begin_ids")) and not (name in old and name in new):
            continue  # a server that began to say so, or a run that was begun before this was recorded
        if old.get(name) != new.get(name):
            was, now = (one_line(str(one.get(name)), 40) for one in (old, new))
            raise ConfigError(
                f"{one_line(str(run.path), 80)!r} was run with {name} {was!r}, not {now!r}: "
                "take another --out, or begin anew with --new"
            )


def _free_name(folder: Path) -> Path:
    number = 1
    while (taken := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    return taken

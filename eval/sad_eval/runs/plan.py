"""From settings to an evaluation plan: tasks, agent, folder, and the manifest that records them."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sad_agents import catalogue
from sad_agents.agent import Agent
from sad_agents.model_settings import DTYPES, ignored_by
from sad_agents.openai_answers import served_changes
from sad_agents.perturbed_agent import PerturbedAgent
from sad_agents.rollout.rollout import Limits
from sad_agents.rollout.world_recipe import WorldRecipe

from sad_env import registry
from sad_env.errors import ConfigError
from sad_env.files import sha256_file
from sad_env.panels import Panel
from sad_env.safe_text import one_line
from sad_eval.records import Manifest, PanelRecord, identity_sha256
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
    source = registry.world(settings.env).entry.rpartition(":")[0]
    # The tasks of a world that is a file alone are in its code.
    in_code = settings.data == "generated" and source.endswith(".py")
    digest = (
        sha256_file(source) if in_code else provenance.data_sha256(provenance.data_path(settings.env, settings.data))
    )
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


def _folder(settings: EvalSettings, manifest: Manifest, *, alone: bool) -> Path:
    if settings.out:
        folder = Path(settings.out) if alone else Path(settings.out) / manifest.panel.name
    else:
        words = (manifest.world, manifest.panel.name, manifest.agent)
        slug = "-".join(re.sub(r"[^A-Za-z0-9._+]+", "-", word).strip("-.")[:32] for word in words)
        folder = RUNS / f"{slug}-{manifest.identity_sha256[:8]}"
    return folder if manifest.shard[1] == 1 else folder / part_name(manifest.shard)


@contextlib.contextmanager
def claimed(plan: EvaluationPlan) -> Iterator[RunFolder]:
    """The plan's run folder, locked while the context lasts: an existing folder of the same run, or a new one.

    A run of fewer tasks or repeats is extended. A new folder in which nothing was played when the context ends by an
    exception is removed.

    Raises:
        ConfigError: another run lies there or is being played there, or the folder cannot be written.
    """
    run = RunFolder(plan.folder)
    with contextlib.ExitStack() as held:
        try:
            if plan.settings.new:
                _move_away(run)
            held.enter_context(run.lock())
            new = not (run.path / MANIFEST).exists()
            if new:
                held.push(lambda kind, *_: run.discard() if kind else None)
                to_toml(plan.settings, run.path / SETTINGS)
                RunFolder.create(run.path, plan.manifest)
        except OSError as error:
            shown = one_line(str(run.path), 120)
            raise ConfigError(f"cannot write the run {shown!r}: {error.strerror}") from None
        if not new:
            _adopt(run, plan)
        yield run


def _move_away(run: RunFolder) -> None:
    if (run.path / MANIFEST).exists():
        with run.lock():  # a process that is playing it would go on in the new folder
            if (run.path / MANIFEST).exists():
                run.path.rename(_free_name(run.path))


def _adopt(run: RunFolder, plan: EvaluationPlan) -> None:
    """Make sure that a run that is there is the plan's, or one that the plan extends.

    Raises:
        ConfigError: it is another run, or a larger one.
    """
    old, new = run.manifest, plan.manifest
    changes = identity_changes(old, new)
    shown = one_line(str(run.path), 80)
    if changes and not {name for name, _, _ in changes} - {"panel", "panel_sha256", "repeats"}:
        before, now = set(old.panel.task_ids), set(new.panel.task_ids)
        if before <= now and old.repeats <= new.repeats and old.shard[1] == 1:
            to_toml(plan.settings, run.path / SETTINGS)
            run.extend(new)
            return
        if before >= now and old.repeats >= new.repeats:
            raise ConfigError(
                f"{shown!r} is a run of {len(before):,} tasks, {old.repeats:,} times each, not of {len(now):,},"
                f" {new.repeats:,} times each: a run may grow but not shrink; take another --out, or begin anew with"
                " --new"
            )
    for name, *values in changes:
        was, is_now = ("nothing" if value is None else repr(one_line(str(value), 40)) for value in values)
        remark = " (the server has other weights under this name)" if name.startswith(_SERVED) else ""
        raise ConfigError(
            f"{shown!r} was run with {name} {was}, not {is_now}{remark}: take another --out, or begin anew with --new"
        )


def identity_changes(old: Manifest, new: Manifest) -> list[tuple[str, object, object]]:
    """What decides the episodes and is not the same in two manifests, the most telling first: name, old and new."""
    before, now = dict(old.identity), dict(new.identity)
    before["shard"], now["shard"] = ("/".join(map(str, one.shard)) for one in (old, new))
    # Another world has other limits, too.
    first = ("world", "data", "panel", "agent")
    # Earlier versions took settings of models for agents that are none, where they change nothing.
    unused = {"dtype" if name == "precision" else name for name in ignored_by(new.agent, new.world)}
    served = served_changes(_served(before), _served(now), datetime.datetime.fromisoformat(old.created).timestamp())
    names = [*first, *sorted({*before, *now} - {*first} - unused)]
    return [
        (name, before.get(name), now.get(name))
        for name in names
        if before.get(name) != now.get(name)
        and (not name.startswith(_SERVED) or name.removeprefix(_SERVED) in served)
        and (not name.startswith(RECORDED_LATER) or (name in before and name in now))
    ]


_SERVED = "agent served "
RECORDED_LATER = ("agent begin_ids", "agent code_sha256")
"""Facts of an identity that earlier versions did not record."""


def _served(identity: dict[str, Any]) -> dict[str, str]:
    return {name.removeprefix(_SERVED): str(value) for name, value in identity.items() if name.startswith(_SERVED)}


def _free_name(folder: Path) -> Path:
    number = 1
    while (taken := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    return taken

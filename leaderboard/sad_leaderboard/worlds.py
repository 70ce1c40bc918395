"""The world an entry was made in, and the registered panel that its tasks have to be."""

from __future__ import annotations

import re

from sad_eval.records import Manifest
from sad_eval.runs.provenance import data_path, data_sha256, packs_of

from sad_env import registry
from sad_env.core import TextEnv
from sad_env.data import pack_folder
from sad_env.errors import ConfigError, SadEnvError
from sad_env.panels import Panel
from sad_env.safe_text import one_line
from sad_leaderboard.conditions import world_options

KINDS = ("generated", "official", "given")
"""Kinds of data; only the first is on every machine."""


def split_of(manifest: Manifest) -> tuple[str, int]:
    """The split that a panel is taken from, and how many of its tasks: ("test", 20) for "test-20", 0 for all.

    `Panel.head` names parts of a split so; no split of ours has a name that ends in a dash and digits.
    """
    name = manifest.panel.name
    split, _, count = name.rpartition("-")
    return (split, int(count)) if split and re.fullmatch("[0-9]{1,7}", count) else (name, 0)


def data_of(manifest: Manifest, data: str = "") -> str:
    """The world's `data` argument for an entry: that by which the files here are those that the entry's hash names.

    Args:
        manifest: of the entry.
        data: as a command names it. It says where given data lie, and which official pack is taken; without a pack,
            all that are here are tried.

    Raises:
        SadEnvError: the entry's data are not here, with the reason.
    """
    if manifest.data == "generated":
        return manifest.data
    named = data.startswith("official:")
    choices = [data]
    if manifest.data == "given" and (named or data in ("", "generated", "official")):
        raise ConfigError("the entry is of given data: name the folder with --data")
    if manifest.data == "official" and not named:
        packs = [pack.name for pack in packs_of(manifest.world)]
        choices = [f"official:{name}" for name in packs if pack_folder(manifest.world, name).is_dir()] or ["official"]
    for choice in choices:
        if data_sha256(data_path(manifest.world, choice)) == manifest.data_sha256:
            return choice
    raise ConfigError(f"{one_line(' and '.join(choices), 120)!r}: not the entry's data: the sha256 differ; see --data")


def open_world(manifest: Manifest, data: str = "") -> tuple[TextEnv, Panel]:
    """The world of an entry, and the panel of the entry's name as the world itself has it.

    Args:
        manifest: of the entry.
        data: see `data_of`.

    Returns:
        The world, made with the world options of the entry, and its panel. The panel's name is the registered one:
        "test" where the entry says "test-1000" and that is all of it.

    Raises:
        ConfigError: the world cannot be made here on the entry's data, with the reason.
    """
    split, count = split_of(manifest)
    try:
        world = registry.make(manifest.world, data=data_of(manifest, data), split=split, **world_options(manifest))
        return world, world.panel.head(count) if count else world.panel
    except (SadEnvError, ImportError, TypeError, OSError) as error:
        raise ConfigError(f"{manifest.world} {manifest.panel.name!r} cannot be made here: {error}") from None


def panel_fault(manifest: Manifest, panel: Panel) -> str:
    """One line when the entry's tasks or their description are not the registered panel's; empty when they are."""
    if panel.task_ids == manifest.panel.task_ids:
        same = panel.description == manifest.panel.description
        return "" if same else f"the description of the panel {manifest.panel.name!r} is not the registered one"
    strange = len(set(manifest.panel.task_ids) - set(panel.task_ids))
    missing = len(set(panel.task_ids) - set(manifest.panel.task_ids))
    return f"not the tasks of the registered panel {manifest.panel.name!r}: {missing} are missing, {strange} are others"

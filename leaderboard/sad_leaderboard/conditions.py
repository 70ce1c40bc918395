"""Conditions that set a run apart from plain ones: world options, reworded instructions, given first thoughts."""

from __future__ import annotations

import inspect
import re
from typing import Any

from sad_agents.perturbed_agent import KINDS
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_eval.records import Manifest

from sad_env import registry
from sad_env.errors import ConfigError
from sad_env.safe_text import one_line

LARGEST_OPTION = 1000
"""Larger numbers are not passed to a world: an entry could ask for more work than a check may cost."""

_PLAIN = "none"
"""What `perturb` says of a run whose instructions were not reworded."""

_ITS_OWN = frozenset({"data", "split"})
"""Arguments of every world; the panel and the kind of data name them."""


def world_options(manifest: Manifest) -> dict[str, Any]:
    """The world options that a run's identity names; empty for the benchmark as it is."""
    prefix = "world "
    named = {name.removeprefix(prefix): value for name, value in manifest.identity.items() if name.startswith(prefix)}
    return {name: value for name, value in sorted(named.items()) if name not in _ITS_OWN}


def conditions(manifest: Manifest) -> list[str]:
    """What was not as in a plain run, e.g. ["reveal=True", "perturb typos"]. Other conditions are another track."""
    usual = _usual_options(manifest.world)
    named = [
        f"{name}={bool(value) if isinstance(usual.get(name), bool) else value}"
        for name, value in world_options(manifest).items()
        if value != usual.get(name)
    ]
    if _perturbed(manifest) != _PLAIN:
        named.append(f"perturb {_perturbed(manifest)}")
    if thoughts := manifest.identity.get("first_thoughts_sha256"):
        named.append(f"first thoughts {str(thoughts)[:12]}")
    return named


def condition_faults(manifest: Manifest) -> list[str]:
    """What is wrong with a run's conditions: values that no check can use, or settings that contradict the identity."""
    faults = [
        f"the world option {one_line(f'{name}={value}', 80)}: only true, false and numbers from 0 to {LARGEST_OPTION}"
        " are taken from an entry"
        for name, value in world_options(manifest).items()
        if not name.isidentifier() or not isinstance(value, int) or not 0 <= value <= LARGEST_OPTION
    ]
    perturbed, thoughts = _perturbed(manifest), manifest.identity.get("first_thoughts_sha256", "")
    if perturbed not in (_PLAIN, *KINDS):
        faults.append(f"no perturbation {one_line(str(perturbed), 40)!r}; known: {', '.join((_PLAIN, *KINDS))}")
    if not isinstance(thoughts, str) or not re.fullmatch("([0-9a-f]{64})?", thoughts):
        faults.append("first_thoughts_sha256 is no sha256")
    suffix = manifest.agent.rpartition("+")[2]
    if suffix != perturbed and (suffix in KINDS or perturbed in KINDS):
        faults.append(f"the agent {one_line(manifest.agent, 60)!r} was not run with the perturbation {perturbed!r}")
    return faults + [
        f"the settings say {name} {one_line(str(said), 60)!r}, the identity {one_line(str(is_so), 60)!r}"
        for name, said, is_so in (
            ("perturb", manifest.settings.get("perturb", perturbed), perturbed),
            ("first_thoughts", bool(manifest.settings.get("first_thoughts", thoughts)), bool(thoughts)),
            ("options", _typed_options(manifest), world_options(manifest)),
        )
        if said != is_so
    ]


def _usual_options(world: str) -> dict[str, Any]:
    """What a world's options are when none is given: naming them changes nothing."""
    parameters = inspect.signature(registry.load(registry.world(world).entry)).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def _perturbed(manifest: Manifest) -> object:
    return manifest.identity.get("perturb", _PLAIN)


def _typed_options(manifest: Manifest) -> object:
    """The settings' world options, read as `sad-eval --options` reads them."""
    typed = manifest.settings.get("options", [])
    if not isinstance(typed, list) or not all(isinstance(option, str) for option in typed):
        return typed
    try:
        read = WorldRecipe.of(manifest.world, "", "", typed).options
    except ConfigError:
        return typed
    return {name: value for name, value in sorted(read.items()) if name not in _ITS_OWN}

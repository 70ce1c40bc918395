"""What the worlds know of the tasks that runs played: the gold answer, or actions that solve it."""

from __future__ import annotations

import contextlib

from sad_env import registry
from sad_env.core import TextEnv
from sad_env.errors import SadEnvError
from sad_env.safe_text import visible
from sad_eval.records import Manifest


def known_texts(manifest: Manifest) -> dict[str, str]:
    """`TextEnv.privileged` of every task of a run, by task; nothing where its world or data are not here.

    A manifest may be anybody's: a world is made by its registered name alone, never from a module or file that the
    manifest names; given data, whose path it names, are not opened; of a world's options only switches and numbers are
    taken.
    """
    options = {name[6:]: value for name, value in manifest.identity.items() if name.startswith("world ")}
    split = options.pop("split", "")
    if manifest.world not in {spec.name for spec in registry.known()}:
        return {}
    if manifest.data == "given" or not isinstance(split, str):
        return {}
    if any(not name.isidentifier() or not isinstance(value, int) for name, value in options.items()):
        return {}
    try:
        world = registry.make(manifest.world, data=manifest.data, split=split, **options)
    except (SadEnvError, ImportError, TypeError, OSError):
        return {}
    with contextlib.closing(world):
        return {task: text for task in manifest.panel.task_ids if (text := _known(world, task, manifest.seed))}


def _known(world: TextEnv, task: str, seed: int) -> str:
    try:
        world.reset(seed=seed, options={"task_id": task})
        return visible(world.privileged())
    except SadEnvError:
        return ""

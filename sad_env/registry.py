"""Which worlds exist: names, Gymnasium ids, experts. Those of this distribution are in worlds.toml."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit

from sad_env.core import TextEnv
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.expert import Expert
from sad_env.safe_text import one_line
from sad_env.sources import load_source
from sad_env.tables import read_table
from sad_env.tools import ActionTool


@dataclass(frozen=True)
class WorldSpec:
    """What is known of a world before it is imported.

    Attributes:
        name: short name of the command line, e.g. "alfworld".
        gym_id: id for `gymnasium.make`; empty where the world is not registered.
        entry: "module:Class" of the `TextEnv`.
        max_steps: the benchmark's own step limit.
        panel: the split that an evaluation takes when none is named.
        experts: name to "module:Class" of an `Expert`.
        summary: one line for listings.
        data: "module:NAME" of the world's `WorldData`, empty where there is none.
        renaming: "module:function" that tells an episode under exchanged names, empty where there is none.
        tools: "module:function" that tells the actions as functions which a model calls, for a world that is made with
            given options; empty where there is none.
        turns: option of the world that says how many turns an episode has, empty where there is none.
        splits: of its generated data; where none is named, `panel` is the only one that is known.
        task_types: of its generated data.
    """

    name: str
    gym_id: str
    entry: str
    max_steps: int
    panel: str
    summary: str
    experts: dict[str, str] = field(default_factory=dict)
    data: str = ""
    renaming: str = ""
    tools: str = ""
    turns: str = ""
    splits: tuple[str, ...] = ()
    task_types: tuple[str, ...] = ()

    def limit(self, options: Mapping[str, Any]) -> int:
        """The step limit of a world that is made with these options: one that plays longer must reach its end.

        >>> world("hotpotqa").limit({}), world("hotpotqa").limit({"turns": 20})
        (8, 21)
        """
        turns = options.get(self.turns, 0) if self.turns else 0
        return max(self.max_steps, turns + 1) if isinstance(turns, int) else self.max_steps

    def default_panel(self, data: str) -> str:
        """The split that an evaluation takes when none is named: of data that was given, the one the world chooses.

        Args:
            data: the world's `data` argument.
        """
        return self.panel if self.panel and data == "generated" else make(self.name, data=data).panel.name


PLUGIN_GROUP = "sad_env.worlds"
"""Entry-point group of other distributions; each entry names a `WorldSpec`."""

_worlds: dict[str, WorldSpec] = {}


@functools.cache
def load_plugins() -> dict[str, str]:
    """Register the worlds that other installed distributions offer; returns what `load_entries` does."""
    return load_entries(PLUGIN_GROUP, lambda name, spec: register(spec))


def load_entries(group: str, register: Callable[[str, Any], None]) -> dict[str, str]:
    """Register what other installed distributions offer in an entry-point group, by name.

    Returns:
        Entry-point name to error, empty where it is registered. A broken plug-in is reported, never fatal.
    """
    outcome = {}
    for entry in importlib.metadata.entry_points(group=group):
        try:
            register(entry.name, entry.load())
            outcome[entry.name] = ""
        except Exception as error:  # whatever the code of a plug-in may raise
            outcome[entry.name] = f"{type(error).__name__}: {error}"
    return outcome


def register(spec: WorldSpec) -> None:
    """Make a world known by its short name and to Gymnasium.

    Raises:
        ConfigError: another world holds the name or the id.
    """
    if _worlds.get(spec.name, spec) != spec:
        raise ConfigError(f"the world {spec.name!r} is already registered as {_worlds[spec.name].entry}")
    there = gymnasium.registry.get(spec.gym_id)
    if there is not None and there.entry_point != spec.entry:
        raise ConfigError(f"the id {spec.gym_id!r} is already registered as {there.entry_point}: choose another")
    _worlds[spec.name] = spec
    if there is None:
        # A string entry point keeps the spec serialisable and lets spawned workers import it by themselves.
        gymnasium.register(id=spec.gym_id, entry_point=spec.entry, max_episode_steps=spec.max_steps)


def known() -> list[WorldSpec]:
    """All registered worlds, by name, those of plug-ins included."""
    load_plugins()
    return [_worlds[name] for name in sorted(_worlds)]


def world(name: str) -> WorldSpec:
    """The world of this name, or the class that "module:Class" or "file.py:Class" names (see `addressed`).

    Raises:
        UnknownNameError: with the closest name there is.
        ConfigError: an address that no world is found at.
    """
    if ":" in name:
        return addressed(name)
    if name not in _worlds:
        load_plugins()
    if name not in _worlds:
        raise UnknownNameError("world", name, _worlds)
    return _worlds[name]


def load(entry: str) -> Any:
    """The object that "module:name" or "file.py:name" names."""
    source, _, name = entry.rpartition(":")
    return getattr(load_source(source), name)


@functools.cache
def addressed(address: str) -> WorldSpec:
    """A world that nobody has registered, from its class.

    Its name is the address. The class says the rest: `max_steps`, `experts`, and the split that is its default.

    Args:
        address: "module:Class", or "file.py:Class" of a file anywhere.

    Raises:
        ConfigError: nothing of this name, code that cannot be imported, or no `TextEnv`.
    """
    source, _, name = address.rpartition(":")
    shown = one_line(address, 80)
    if is_file := source.endswith(".py"):
        source = str(Path(source).resolve())
    try:
        found = load(f"{source}:{name}")
        split = inspect.signature(found).parameters["split"].default
    except Exception as error:  # whatever the code of somebody else's may raise
        raise ConfigError(
            f"no world at {shown!r} ({one_line(f'{type(error).__name__}: {error}', 120)}): give module:Class or"
            " file.py:Class of a TextEnv that takes data and split, see `sad-eval new-world`"
        ) from error
    if not (isinstance(found, type) and issubclass(found, TextEnv)):
        raise ConfigError(f"{shown!r} is no TextEnv: a world is a subclass of sad_env.TextEnv")
    here = load_source(source).__name__
    experts = {
        word: f"{source if is_file and expert.__module__ == here else expert.__module__}:{expert.__name__}"
        for word, expert in found.experts.items()
    }
    summary = one_line((inspect.getdoc(found) or "").partition("\n")[0], 80)
    return WorldSpec(address, "", f"{source}:{name}", found.max_steps, str(split or ""), summary, experts)


def canonical_action(name: str) -> Callable[[str], str] | None:
    """How a world spells an action that a model wrote, where its package or module has a function of this name.

    Raises:
        UnknownNameError: no such world.
    """
    module = world(name).entry.rpartition(":")[0]
    package = module if module.endswith(".py") else module.rpartition(".")[0] or module
    found = (getattr(load_source(place), "canonical_action", None) for place in (package, module))
    return cast("Callable[[str], str] | None", next(filter(None, found), None))


def action_tools(name: str, options: Mapping[str, Any]) -> tuple[ActionTool, ...]:
    """A world's actions as functions that a model calls; none where the world does not say.

    Args:
        name: e.g. "alfworld".
        options: keyword arguments that the world is made with.

    Raises:
        UnknownNameError: no such world.
    """
    entry = world(name).tools
    return cast("tuple[ActionTool, ...]", load(entry)(options)) if entry else ()


def make(name: str, **options: Any) -> TextEnv:
    """A world by its short name, without any wrapper.

    Args:
        name: e.g. "alfworld".
        options: the world's own keyword arguments; all worlds take `data`, `split` and `render_mode`.

    Raises:
        UnknownNameError: no such world.
    """
    return cast(TextEnv, load(world(name).entry)(**options))


def make_expert(name: str, expert: str = "expert", seed: int = 0) -> Expert:
    """The expert policy of a world.

    Raises:
        UnknownNameError: no such world, or no such expert in it.
    """
    experts = world(name).experts
    if expert not in experts:
        raise UnknownNameError(f"expert of {name}", expert, experts)
    return cast(Expert, load(experts[expert])(seed=seed))


def make_vec(name: str, count: int, *, asynchronous: bool = False, **options: Any) -> VectorEnv[Any, Any, Any]:
    """`count` copies of a world as a Gymnasium vector environment, each with the world's step limit.

    `max_episode_steps` among the options sets another limit, as in `gymnasium.make`.

    Observations are tuples of str. The step that ends an episode begins the next (`final_obs`, `final_info`): in
    Gymnasium 1.4 the asynchronous vector environment throws away an action after a manual reset in the other mode.
    Shared memory is off, since it cannot carry text.
    """
    spec = world(name)
    limited = {"max_episode_steps": spec.limit(options), **options}
    options.pop("max_episode_steps", None)

    def make_limited() -> gymnasium.Env[str, str]:
        if not spec.gym_id:
            return TimeLimit(make(name, **options), limited["max_episode_steps"])
        return gymnasium.make(spec.gym_id, **limited)

    if asynchronous:
        return AsyncVectorEnv([make_limited] * count, shared_memory=False, autoreset_mode=AutoresetMode.SAME_STEP)
    return SyncVectorEnv([make_limited] * count, autoreset_mode=AutoresetMode.SAME_STEP)


for _row in read_table("sad_env", "worlds.toml")["worlds"]:
    register(WorldSpec(**_row))

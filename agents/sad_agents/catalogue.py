"""Which agents exist, and what the word after --agent means."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from sad_agents.agent import Agent
from sad_agents.agent_options import AgentOptions
from sad_agents.loading import model_agent, nano_agent, scripted_agent, server_agent
from sad_agents.model_words import ships_student
from sad_agents.policies import ExpertAgent, HumanAgent, NullAgent, OracleAgent, RandomAgent
from sad_env import registry
from sad_env.errors import ConfigError, SadEnvError, UnknownNameError
from sad_env.files import sha256_file
from sad_env.safe_text import one_line
from sad_env.sources import load_source

__all__ = ["AgentOptions", "Plugin", "known_agents", "plugins", "provenance", "resolve", "ships_student"]

ENTRY_POINT_GROUP = "sad_env.agents"
"""Plug-ins: a name to a callable that takes the world's name and `AgentOptions` and returns an `Agent`."""

_MAKERS = (
    (r"gpt-\d[\w.-]*$|chatgpt-[\w.-]+$|o\d[\w.-]*$", "https://api.openai.com/v1"),
    (r"claude-[\w.-]+$", "https://api.anthropic.com/v1"),
    (r"gemini-[\w.-]+$", "https://generativelanguage.googleapis.com/v1beta/openai"),
    (r"(?:mistral|ministral|codestral)-[\w.-]+$", "https://api.mistral.ai/v1"),
    (r"deepseek-[\w.-]+$", "https://api.deepseek.com/v1"),
    (r"(?:qwen|llama|gemma|phi|smollm)-?\d[\w.-]*$", "http://localhost:8000/v1"),
)
"""Beginnings of models' names and the OpenAI-compatible address of who serves them: for a hint."""

_CALLS = ("begin", "act", "observe", "end")
"""What an agent must answer to besides having a name."""


@dataclass(frozen=True)
class Plugin:
    """An agent of another distribution: its name, where it comes from, and why it cannot be loaded, if so."""

    name: str
    source: str
    error: str = ""


DEFAULTS = AgentOptions()


def resolve(spec: str, world: str, options: AgentOptions = DEFAULTS) -> Agent:
    """The agent that a word names.

    Args:
        spec: an expert of the world, `random`, `human`, `oracle`, `null`, `nano`, `nano:WORLD`, `scripted:FILE`, a
            `*.pt` file, a folder of a training run or a model, `smollm2`, `hf:ID`, `openai:URL[#model]`,
            `vllm:URL[#model]`, `package.module:Class`, `file.py:Class`, or the name of a plug-in.
        world: the world's name.
        options: everything else.

    Raises:
        UnknownNameError: no such agent, with the closest name there is.
        CheckpointError: a checkpoint that cannot be used.
        InfrastructureError: a server or hub that does not answer.
        ConfigError: options that do not fit, or code of somebody else's that cannot be imported or makes no agent.
    """
    kind, colon, rest = spec.partition(":")
    named = _named(world, options)
    if spec in named:
        return named[spec]()
    if colon and kind in _PREFIXES:
        return _PREFIXES[kind](rest, world, options)
    in_file = spec.rpartition(":")[0].endswith(".py")
    if not in_file and (spec == "smollm2" or spec.endswith(".pt") or "/" in spec or Path(spec).is_dir()):
        return model_agent(spec, world, options)
    if colon:
        return _imported(spec, world, options)
    for plugin in _plugins():
        if plugin.name == spec:
            return _foreign(spec, plugin.load, world, options)
    if (address := _address_of(spec)) is not None:
        raise ConfigError(
            f"no agent {one_line(spec, 80)!r}; a served model is named with its server, e.g. openai:{address}#{spec}"
        )
    raise UnknownNameError("agent", one_line(spec, 80), known_agents(world))


def _address_of(name: str) -> str | None:
    """Where a model of this name is served, by the beginning that its maker gives to names; None for others."""
    return next((address for pattern, address in _MAKERS if re.match(pattern, name, re.IGNORECASE)), None)


def known_agents(world: str) -> list[str]:
    """Names that `resolve` takes for a world, plug-ins included."""
    missing = set() if ships_student(world) else {"nano"}
    return sorted({*_named(world, DEFAULTS), *(plugin.name for plugin in _plugins())} - missing)


def plugins() -> list[Plugin]:
    """The installed plug-ins, with the error of each that cannot be loaded."""
    installed = []
    for entry in _plugins():
        error = ""
        try:
            entry.load()
        except Exception as fault:
            error = _said(fault)
        installed.append(Plugin(entry.name, entry.value, error))
    return installed


def provenance(agent: Agent) -> dict[str, str]:
    """What a manifest has to say of an agent: checkpoint and prompt hashes, model, sampling; empty for policies."""
    return dict(getattr(agent, "provenance", {}))


def _plugins() -> list[EntryPoint]:
    return sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name)


def _named(world: str, options: AgentOptions) -> dict[str, Callable[[], Agent]]:
    experts = registry.world(world).experts

    def expert(name: str) -> Callable[[], Agent]:
        return lambda: ExpertAgent(world, name)

    return {
        "random": lambda: RandomAgent(world),
        "null": NullAgent,
        "oracle": lambda: OracleAgent(world, options.world),
        "human": lambda: HumanAgent(sys.stdin, sys.stdout),
        "nano": lambda: nano_agent(world, options),
        **{name: expert(name) for name in experts},
    }


def _imported(spec: str, world: str, options: AgentOptions) -> Agent:
    source, _, name = spec.rpartition(":")
    return _foreign(spec, lambda: _attribute(source, name), world, options)


class _Absent(Exception):  # noqa: N818  (never leaves this module)
    """There is nothing of the name that was given, as against something that cannot be imported."""


def _attribute(source: str, name: str) -> Any:
    if not source:
        raise _Absent("it names no module")
    try:
        module = load_source(source)
    except ModuleNotFoundError as error:
        if not f"{source}.".startswith(f"{error.name}."):  # something that the module imports
            raise
        raise _Absent(str(error)) from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise _Absent(str(error)) from error


def _foreign(spec: str, load: Callable[[], Any], world: str, options: AgentOptions) -> Agent:
    """An agent of another package. Whatever its code raises becomes one line, with the traceback as the cause."""
    shown = one_line(spec, 80)
    try:
        factory = load()
    except _Absent as error:
        known = ", ".join([*known_agents(world), *(f"{prefix}:…" for prefix in _PREFIXES), "FILE.pt"])
        raise ConfigError(
            f"no agent {shown!r}: {one_line(str(error), 120)}; known: {known}, package.module:Class, file.py:Class"
        ) from error
    except Exception as error:
        raise ConfigError(f"the agent {shown!r} cannot be imported: {_said(error)}") from error
    try:
        agent = factory(world, options)
    except SadEnvError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the agent {shown!r} cannot be made: {_said(error)}; it is called with the world's name and AgentOptions"
        ) from error
    missing = [name for name in _CALLS if not callable(getattr(agent, name, None))]
    if missing or not isinstance(getattr(agent, "name", None), str):
        raise ConfigError(
            f"the agent {shown!r} made a {type(agent).__name__} without {', '.join(missing or ['a name'])}: "
            f"an Agent has a name (a str) and the calls {', '.join(_CALLS)}"
        )
    with suppress(TypeError, AttributeError):  # code that is in no file, or an agent that takes no attributes
        facts = {**provenance(agent), "code_sha256": _code_sha256(factory)}
        object.__setattr__(agent, "provenance", facts)  # a dataclass may be frozen
    return cast(Agent, agent)


@functools.cache  # a file that is edited later is not what runs in this process
def _code_sha256(factory: Any) -> str:
    """Hash of the file that a class or function is defined in.

    Raises:
        TypeError: it is in none, or neither of the two.
    """
    try:
        return sha256_file(inspect.getfile(factory))
    except OSError as error:  # a notebook's
        raise TypeError(str(error)) from error


def _said(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}", 160)


def _vllm_agent(rest: str, world: str, options: AgentOptions) -> Agent:
    from sad_agents.vllm_model import vllm_agent  # its tokenizer is one of transformers

    return vllm_agent(rest, world, options)


_PREFIXES: dict[str, Callable[[str, str, AgentOptions], Agent]] = {
    "scripted": scripted_agent,
    "hf": lambda rest, world, options: model_agent(f"hf:{rest}", world, options),
    "nano": lambda rest, world, options: model_agent(f"nano:{rest}", world, options, name=f"nano:{rest}"),
    "openai": server_agent,
    "vllm": _vllm_agent,
}

"""Which agents exist, and what the word after --agent means."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sad_agents.agent import GREEDY, Agent, EpisodeStart, Sampling
from sad_agents.model import Model, ScriptedModel, read_script
from sad_agents.policies import ExpertAgent, HumanAgent, NullAgent, OracleAgent, RandomAgent
from sad_agents.prompts import Prompt, load_prompt, read_prompt
from sad_agents.react import ReActAgent
from sad_agents.windowing import Windowing
from sad_env import registry
from sad_env.errors import CheckpointError, ConfigError, InfrastructureError, SadEnvError, UnknownNameError
from sad_env.files import sha256_file
from sad_env.http import PATIENCE, public_address
from sad_env.records import read_trajectories
from sad_env.safe_text import one_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ENTRY_POINT_GROUP = "sad_env.agents"
"""Plug-ins: a name to a callable that takes the world's name and `AgentOptions` and returns an `Agent`."""

_CALLS = ("begin", "act", "observe", "end")
"""What an agent must answer to besides having a name."""

STUDENTS = "students"
"""Folder of this package with the shipped students, WORLD.pt each."""


@dataclass(frozen=True)
class AgentOptions:
    """What may be said of an agent besides its name.

    Attributes:
        sampling: temperature, nucleus, tokens of a completion, seed.
        shots: exemplars in the prompt; None takes 0 for students and 1 for models that were not trained on the task.
        votes: completions sampled for each step, the majority's action is taken.
        prompt: a prompt file instead of the one that ships with the world.
        first_thoughts: trajectories whose first reasoning line opens the first step on the same task.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: "float32", "bfloat16", "float16", or "auto": a checkpoint's own, for student.pt on a processor float32.
        concurrency: requests to a server at once.
        context: tokens that a model is shown at most, its completion included: a local one's where its record names
            no window (its memory for an episode grows with them), a server's where the server does not say.
        window: False ends an episode that outgrows the model's window.
        patience: seconds that a server which is overloaded is waited for.
        omit: fields of a server's requests to leave out (NAME) or to rename (NAME=OTHER).
        world: keyword arguments of the world, for agents that make a copy of it.
    """

    sampling: Sampling = GREEDY
    shots: int | None = None
    votes: int = 1
    prompt: Path | None = None
    first_thoughts: Path | None = None
    device: str = "auto"
    dtype: str = "auto"
    concurrency: int = 16
    context: int = 4096
    window: bool = True
    patience: float = PATIENCE.seconds
    omit: tuple[str, ...] = ()
    world: Mapping[str, Any] = field(default_factory=dict)


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
        spec: an expert of the world, `random`, `human`, `oracle`, `null`, `nano`, `scripted:FILE`, a `*.pt` file or a
            model folder, `hf:ID`, `openai:URL[#model]`, `package.module:Class`, or a plug-in's name.
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
    if spec.endswith(".pt") or "/" in spec or Path(spec).is_dir():
        return _student_agent(Path(spec), world, options)
    if colon:
        return _imported(spec, world, options)
    for plugin in _plugins():
        if plugin.name == spec:
            return _foreign(spec, plugin.load, world, options)
    raise UnknownNameError("agent", one_line(spec, 80), known_agents(world))


def known_agents(world: str) -> list[str]:
    """Names that `resolve` takes for a world, plug-ins included."""
    missing = set() if ships_student(world) else {"nano"}
    return sorted({*_named(world, DEFAULTS), *(plugin.name for plugin in _plugins())} - missing)


def plugins() -> list[Plugin]:
    """The installed plug-ins, with the error of each that cannot be loaded."""
    found = []
    for entry in _plugins():
        error = ""
        try:
            entry.load()
        except Exception as fault:
            error = _said(fault)
        found.append(Plugin(entry.name, entry.value, error))
    return found


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
        "nano": lambda: _nano(world, options),
        **{name: expert(name) for name in experts},
    }


def _imported(spec: str, world: str, options: AgentOptions) -> Agent:
    module, _, name = spec.partition(":")
    return _foreign(spec, lambda: _attribute(module, name), world, options)


class _Absent(Exception):  # noqa: N818  (never leaves this module)
    """There is nothing of the name that was given, as against something that cannot be imported."""


def _attribute(module: str, name: str) -> Any:
    if not module:
        raise _Absent("it names no module")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError as error:
        if sys.modules.get(module) is None:  # the module's own code raised it
            raise
        raise _Absent(str(error)) from error
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):  # something that the module imports
            raise
        raise _Absent(str(error)) from error


def _foreign(spec: str, load: Callable[[], Any], world: str, options: AgentOptions) -> Agent:
    """An agent of somebody else's code. Whatever that code raises is told in one line, its traceback kept as cause."""
    shown = one_line(spec, 80)
    try:
        factory = load()
    except _Absent as error:
        known = ", ".join([*known_agents(world), *(f"{prefix}:…" for prefix in _PREFIXES), "FILE.pt"])
        raise ConfigError(
            f"no agent {shown!r}: {one_line(str(error), 120)}; known: {known}, package.module:Class"
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
    return cast(Agent, agent)


def _said(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}", 160)


# --- ReAct agents over models ---------------------------------------------------------------------------------


def react_agent(
    backend: Model, world: str, options: AgentOptions, *, prompt: Prompt | None = None, shots: int = 0, **facts: str
) -> ReActAgent:
    """A ReAct agent for a world, as the options say.

    Args:
        backend: the model.
        world: decides prompt and spelling of actions.
        options: as in `resolve`; they go before the other arguments.
        prompt: instead of the world's.
        shots: exemplars where the options leave them open.
        facts: what the manifest is to say besides.
    """
    sampling = options.sampling
    if backend.windowing is not None:
        sampling = replace(sampling, max_tokens=min(sampling.max_tokens, backend.windowing.room))
    prompt = read_prompt(options.prompt) if options.prompt else prompt or load_prompt(world)
    shots = shots if options.shots is None else options.shots
    agent = ReActAgent(
        backend,
        prompt,
        shots=shots,
        sampling=sampling,
        canonical=registry.canonical_action(world),
        votes=options.votes,
        first_thought=_first_thoughts(options.first_thoughts) if options.first_thoughts else None,
        window=options.window,
    )
    agent.provenance.update(facts)
    return agent


def _first_thoughts(path: Path) -> Callable[[EpisodeStart], str]:
    thoughts = {
        trajectory.task_id: trajectory.steps[0].reasoning for trajectory in read_trajectories(path) if trajectory.steps
    }
    return lambda start: thoughts.get(start.task_id, "")


def _scripted(rest: str, world: str, options: AgentOptions) -> Agent:
    path = Path(rest)
    return react_agent(ScriptedModel(read_script(path)), world, options, script_sha256=sha256_file(path))


def ships_student(world: str) -> bool:
    """Whether the package holds a student of this world, for `--agent nano`."""
    return (resources.files("sad_agents") / STUDENTS / f"{world}.pt").is_file()


def _nano(world: str, options: AgentOptions) -> Agent:
    with resources.as_file(resources.files("sad_agents") / STUDENTS / f"{world}.pt") as path:
        if not path.is_file():
            raise CheckpointError(
                f"this release ships no student for {world!r}: train one with `sad-distill`, or take --agent expert"
            )
        return _student_agent(path, world, options, name="nano")


def _student_agent(path: Path, world: str, options: AgentOptions, name: str = "") -> Agent:
    from sad_agents.checkpoints import load_student

    if not path.exists():
        raise CheckpointError(f"{one_line(str(path), 120)}: no such file or folder")
    device, dtype = _placement(options)
    student = load_student(path, device=device, dtype=dtype or _own_dtype(device))
    prompt, window = _acting(path, student.record)
    digest = sha256_file(path) if path.is_file() else _folder_sha256(path)
    return react_agent(
        _local_model(student.model, student.tokenizer, name or path.stem, options, window),
        world,
        options,
        prompt=prompt,
        shots=0 if student.record else 1,
        checkpoint=path.name,
        checkpoint_sha256=digest,
        parameters=_count(student.model),
    )


def _acting(path: Path, record: Mapping[str, Any]) -> tuple[Prompt | None, Windowing | None]:
    """The prompt and the window that a student was trained with, where its record says so."""
    acting = record.get("acting", {})
    try:
        prompt, window = acting.get("prompt"), acting.get("window")
        if prompt is not None and type(prompt) is not str:
            raise TypeError
        return None if prompt is None else Prompt(prompt), None if window is None else Windowing(**window)
    except (TypeError, AttributeError, ConfigError):
        raise CheckpointError(
            f"{one_line(str(path), 120)}: its record's 'acting' holds a prompt (text) and a window (budget, room, keep)"
        ) from None


def _local_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    options: AgentOptions,
    window: Windowing | None,
    start_ids: tuple[int, ...] = (),
) -> Model:
    from sad_agents.sampling.kv_cache import context_of
    from sad_agents.sampling.local_model import LocalModel

    if window is None:
        context = min(context_of(model), options.context)
        window = Windowing(budget=context, room=min(options.sampling.max_tokens, context // 2))
    return LocalModel(model, tokenizer, name=name, windowing=window, start_ids=start_ids)


def _hub(rest: str, world: str, options: AgentOptions) -> Agent:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device, dtype = _placement(options)
    try:
        tokenizer = AutoTokenizer.from_pretrained(rest, trust_remote_code=False)
        auto: Any = AutoModelForCausalLM
        model = auto.from_pretrained(rest, trust_remote_code=False, use_safetensors=True, dtype=dtype or "auto")
    except Exception as error:
        raise InfrastructureError(
            f"{one_line(rest, 80)!r} could not be had from the hub or its cache: {one_line(str(error), 160)}"
        ) from None
    model.to(device)
    start = tuple(tokenizer("")["input_ids"])
    start = start[:1] if start and start[0] == tokenizer.bos_token_id else ()
    return react_agent(
        _local_model(model, tokenizer, rest, options, None, start),
        world,
        options,
        shots=1,
        model=one_line(rest, 120),
        parameters=_count(model),
    )


def _openai(rest: str, world: str, options: AgentOptions) -> Agent:
    from sad_agents.openai_model import OpenAIModel

    url, _, name = rest.partition("#")
    model = OpenAIModel(
        url,
        name,
        concurrency=options.concurrency,
        context=options.context,
        room=options.sampling.max_tokens,
        patience=replace(PATIENCE, seconds=options.patience),
        omit=options.omit,
    )
    facts = {"omit": " ".join(options.omit)} if options.omit else {}
    facts |= {f"served {name}": value for name, value in model.identity.items()}
    if not model.identity.keys() - {"owned_by"}:
        print(
            f"warning: {one_line(public_address(url), 120)} tells nothing of the weights behind"
            f" {one_line(model.name, 60)!r}: other weights under that name would not be noticed",
            file=sys.stderr,
        )
    agent = react_agent(
        model, world, options, shots=1, model=one_line(model.name, 120), server=one_line(public_address(url), 120)
    )
    agent.provenance.update(facts)
    return agent


def _own_dtype(device: str) -> Any:
    """On a processor a student computes in float32 whatever its file holds: no slower, and batches agree better."""
    import torch

    return torch.float32 if device == "cpu" else None


def _placement(options: AgentOptions) -> tuple[str, Any]:
    import torch

    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    names = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if options.dtype not in names:
        raise UnknownNameError("dtype", options.dtype, names)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {one_line(device, 40)!r} cannot be used: {one_line(str(error), 120)}") from None
    return device, names[options.dtype]


def _count(model: Any) -> str:
    """Number of a model's parameters, tied ones once."""
    return str(sum(parameter.numel() for parameter in model.parameters()))


def _folder_sha256(path: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            digest.update(f"{file.name}\0{sha256_file(file)}\n".encode())
    return digest.hexdigest()


_PREFIXES: dict[str, Callable[[str, str, AgentOptions], Agent]] = {
    "scripted": _scripted,
    "hf": _hub,
    "openai": _openai,
}

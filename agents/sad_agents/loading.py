"""Agents over models: the one place that decides a model's device, precision, tokenizer and first tokens."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sad_agents.acting import acting_of, constrained_by, head_by, writing_of
from sad_agents.agent import Agent, EpisodeStart
from sad_agents.agent_options import SHOTS, AgentOptions
from sad_agents.model import Model, ScriptedModel, read_script
from sad_agents.model_words import model_path, shipped_student
from sad_agents.outcomes import TriedActions
from sad_agents.prompts import Prompt, load_prompt, prompt_of
from sad_agents.react import ReActAgent
from sad_agents.trained_world import trained_in, warn_of_another_world
from sad_agents.windowing import Windowing
from sad_env import registry
from sad_env.addresses import public_address
from sad_env.errors import CheckpointError, ConfigError, UnknownNameError
from sad_env.files import sha256_file
from sad_env.http import PATIENCE
from sad_env.records import read_trajectories
from sad_env.safe_text import one_line
from sad_env.transcript import LINES, Form, form_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from sad_agents.sampling.action_head import ActionHead

DTYPES = ("auto", "float32", "bfloat16", "float16")
_WEIGHTS = ("*.safetensors", "*.st", "config.json", "tokenizer.json")
"""The files of a model's folder that decide what it answers."""


# --- language models ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadedModel:
    """A language model, ready to be used.

    Attributes:
        model: on its device, in evaluation mode.
        tokenizer: its tokenizer.
        record: how it was trained; empty where it is no student of this project.
        start_ids: ids before everything, wherever the model was read from: students of this project were trained
            without; other models take the begin token that their tokenizer adds. In the turns of a chat template these
            are left out: the template writes a begin token, or none.
        identity: a name for keys and records: a file's or folder's name and hash, a hub id with its commit, or the
            package's name.
        path: the file or folder that it was read from; None where a package carries it.
        head: chooses its actions; None for models that write them.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    record: Mapping[str, Any]
    start_ids: tuple[int, ...]
    identity: str
    path: Path | None
    head: ActionHead | None = None


def load_language_model(spec: str, *, device: str = "cpu", dtype: str = "auto") -> LoadedModel:
    """The language model that a word names.

    Args:
        spec: a student.pt, the folder of a training run or a model, `nano:WORLD` (a student that ships), `smollm2` (a
            package that carries the model), or an id of the hub, with or without `hf:` before it.
        device: as `device_of` takes it.
        dtype: one of `DTYPES`; "auto" is float32 on a processor, where it is no slower and batches of other sizes
            agree better, and the checkpoint's own precision elsewhere. "checkpoint" is its own everywhere.

    Raises:
        CheckpointError: a file or folder that is not sound.
        InfrastructureError: a hub id that cannot be fetched.
        ConfigError: a device that is not there, or a package that is not installed.
        UnknownNameError: no such dtype, or no student ships for the world.
    """
    from sad_agents.hub_models import folder_offline, hub_folder

    path, name, identity = model_path(spec), spec.removeprefix("hf:"), ""
    of_hub = path is None and spec != "smollm2"
    # What cannot be had is said before torch takes its seconds.
    if path is not None and not path.exists():
        raise CheckpointError(f"{one_line(spec, 120)}: no such file or folder")
    if of_hub:
        path = folder_offline(name)
    import torch

    from sad_agents.checkpoints import load_head, load_student
    from sad_agents.model_folder import RECORD_FILE
    from sad_agents.sampling.action_head import input_embedding

    place = device_of(device)
    if dtype not in (*DTYPES, "checkpoint"):
        raise UnknownNameError("dtype", dtype, DTYPES)
    own = None if dtype == "checkpoint" or place.type != "cpu" else torch.float32
    precision = own if dtype in ("auto", "checkpoint") else getattr(torch, dtype)
    if spec == "smollm2":
        from sad_agents.smollm2 import load_smollm2

        model, tokenizer = load_smollm2()
        torch.nn.Module.to(model, device=place, dtype=precision)
        return LoadedModel(model, tokenizer, {}, begin_ids(tokenizer), spec, None)
    path = path or hub_folder(name)
    if of_hub:
        identity = f"{name}@{path.name[:12]}"
    student = load_student(path, device=str(place), dtype=precision)
    ours = path.is_file() or (path / RECORD_FILE).is_file()
    start = () if ours else begin_ids(student.tokenizer)
    head = None
    if head_by(spec, student.record):
        head = load_head(path, input_embedding(student.model).shape[1]).to(place)
    return LoadedModel(*student, start_ids=start, identity=identity or file_identity(path), path=path, head=head)


def device_of(name: str) -> torch.device:
    """The device that the settings name.

    Args:
        name: cpu, cuda, cuda:1, mps, or auto: a GPU where there is one. Where a launcher gives each of its processes a
            GPU, "cuda" is that one.

    Raises:
        ConfigError: another word, or a device that is not there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    count = torch.cuda.device_count()
    if kind == "cuda" and (number or "0").isdecimal() and int(number or 0) >= count:
        raise ConfigError(f"--device {name}: no such GPU here ({count} found): give cpu or auto")
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" else name
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"--device {one_line(name, 40)!r}: give cpu, cuda or auto; it cannot be used: {one_line(str(error), 120)}"
        ) from None
    return torch.device(device)


def begin_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The begin token, where the tokenizer puts it before every text."""
    ids = tuple(tokenizer("")["input_ids"])
    return ids[:1] if ids and ids[0] == tokenizer.bos_token_id else ()


def file_identity(path: Path) -> str:
    """Name and hash of a file, or of what decides a model folder's answers."""
    if path.is_file():
        return f"{path.stem}-{sha256_file(path)[:12]}"
    files = sorted(file for pattern in _WEIGHTS for file in path.glob(pattern))
    content = "".join(f"{file.name} {sha256_file(file)}\n" for file in files)
    return f"{path.resolve().name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _sha256(path: Path) -> str:
    """Hash of a file, or of all files of a folder."""
    if path.is_file():
        return sha256_file(path)
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            digest.update(f"{file.name}\0{sha256_file(file)}\n".encode())
    return digest.hexdigest()


# --- ReAct agents over models ---------------------------------------------------------------------------------


def react_agent(
    backend: Model, world: str, options: AgentOptions, *, prompt: Prompt | None = None, shots: int = 0, **facts: str
) -> ReActAgent:
    """A ReAct agent for a world, as the options say.

    Args:
        backend: the model.
        world: decides prompt and spelling of actions.
        options: where they differ from the other arguments, they hold.
        prompt: instead of the world's.
        shots: exemplars at most, where the options leave them open.
        facts: further entries of its `provenance`.
    """
    if options.constrained == "on" and not getattr(backend, "constrained", False):
        raise ConfigError(
            "--constrained on: only a local model's actions, or those of one on vLLM or llama.cpp, can be sampled among"
            " the admissible ones"
        )
    sampling = options.sampling
    if backend.windowing is not None:
        sampling = replace(sampling, max_tokens=min(sampling.max_tokens, backend.windowing.room))
    prompt = prompt_of(str(options.prompt), world) if options.prompt else prompt or load_prompt(world)
    shots = min(shots, len(prompt.exemplars)) if options.shots is None else options.shots
    agent = ReActAgent(
        backend,
        prompt,
        shots=shots,
        sampling=sampling,
        canonical=registry.canonical_action(world),
        votes=options.votes,
        first_thought=_first_thoughts(options.first_thoughts) if options.first_thoughts else None,
        window=options.window,
        tried=TriedActions(world, options.world) if options.vote_on == "results" else None,
    )
    agent.provenance.update(facts)
    return agent


def _first_thoughts(path: Path) -> Callable[[EpisodeStart], str]:
    thoughts = {
        trajectory.task_id: trajectory.steps[0].reasoning for trajectory in read_trajectories(path) if trajectory.steps
    }
    return lambda start: thoughts.get(start.task_id, "")


def scripted_agent(rest: str, world: str, options: AgentOptions) -> Agent:
    """`scripted:FILE`: completions from a file."""
    path = Path(rest)
    model = ScriptedModel(read_script(path), form=_form(options), chat=options.chat == "on")
    return react_agent(model, world, options, script_sha256=sha256_file(path))


def _form(options: AgentOptions) -> Form:
    return LINES if options.form == "auto" else form_of(options.form)


def nano_agent(world: str, options: AgentOptions) -> Agent:
    """`nano`: the student of the world that ships with the package."""
    path = shipped_student(world)
    if not path.is_file():
        raise CheckpointError(
            f"this release ships no student for {world!r}: train one with `sad-distill`, or take --agent expert"
        )
    return model_agent(str(path), world, options, name="nano")


def model_agent(spec: str, world: str, options: AgentOptions, name: str = "") -> Agent:
    """`FILE.pt`, a model folder, or `hf:ID`: a language model in this process."""
    from sad_agents.sampling.headed_model import HeadedModel
    from sad_agents.sampling.local_model import LocalModel

    loaded = load_language_model(spec, device=options.device, dtype=options.dtype)
    warn_of_another_world(name or spec, trained_in(loaded.record), world)
    prompt, window = acting_of(spec, loaded.record)
    form, chat = writing_of(spec, loaded.record, loaded.tokenizer, options.form, options.chat)
    local = model_path(spec)
    facts = {"parameters": str(sum(parameter.numel() for parameter in loaded.model.parameters()))}
    if local is None:
        facts |= {"model": one_line(spec.removeprefix("hf:"), 120), "identity": one_line(loaded.identity, 160)}
    else:
        facts |= {"checkpoint": local.name, "checkpoint_sha256": _sha256(local)}
    if loaded.head is not None and options.constrained == "off":
        raise ConfigError("--constrained off: this student chooses by its action head among admissible actions")
    make = LocalModel if loaded.head is None else functools.partial(HeadedModel, loaded.head)
    model = make(
        loaded.model,
        loaded.tokenizer,
        name=name or (local.stem if local else spec.removeprefix("hf:")),
        windowing=window or _window(loaded.model, options),
        start_ids=loaded.start_ids,
        form=form,
        chat=chat,
        constrained=constrained_by(spec, loaded.record, options.constrained),
    )
    if model.constrained:
        facts["decoding"] = "constrained" if loaded.head is None else f"action head, {loaded.head.kind}"
    if model.glue is not None:
        facts["chat_sha256"] = model.glue.sha256
    elif loaded.start_ids:
        facts["begin_ids"] = " ".join(map(str, loaded.start_ids))
    return react_agent(model, world, options, prompt=prompt, shots=0 if loaded.record else SHOTS, **facts)


def _window(model: PreTrainedModel, options: AgentOptions) -> Windowing:
    from sad_agents.sampling.kv_cache import context_of

    context = min(context_of(model), options.context)
    return Windowing(budget=context, room=min(options.sampling.max_tokens, context // 2))


def server_agent(rest: str, world: str, options: AgentOptions) -> Agent:
    """`openai:URL[#model]`: a model on a server."""
    from sad_agents.openai_model import OpenAIModel

    url, _, name = rest.partition("#")
    if options.api == "tools" and options.first_thoughts:
        raise ConfigError("--first-thoughts begins a text, which calls are not: leave it out, or --api tools")
    model = OpenAIModel(
        url,
        name,
        concurrency=options.concurrency,
        context=options.context,
        room=options.sampling.max_tokens,
        patience=replace(PATIENCE, seconds=options.patience),
        omit=options.omit,
        further=options.request,
        form=_form(options),
        chat=options.chat,
        api=options.api,
        tools=registry.action_tools(world, options.world),
        constrained=options.constrained == "on",
    )
    shown = one_line(public_address(url), 120)
    if not model.identity.keys() - {"owned_by"}:
        print(
            f"warning: {shown} tells nothing of the weights behind {one_line(model.name, 60)!r}: other weights under"
            " that name would not be noticed",
            file=sys.stderr,
        )
    agent = react_agent(model, world, options, shots=SHOTS, model=one_line(model.name, 120), server=shown)
    if options.omit:
        agent.provenance["omit"] = " ".join(options.omit)
    if options.request:
        agent.provenance["request"] = one_line(" ".join(options.request), 400)
    if model.constrained:
        agent.provenance["decoding"] = "constrained"
    if options.api == "tools":
        agent.provenance["api"] = "tools"
    agent.provenance.update({f"served {name}": value for name, value in model.identity.items()})
    return agent

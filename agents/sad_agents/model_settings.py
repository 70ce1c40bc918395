"""Settings of an agent that is a language model: the same flags in every command in which agents act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.openai_requests import Api
from sad_agents.windowing import COMPLETION_TOKENS
from sad_env import registry
from sad_env.cli import at_least
from sad_env.errors import ConfigError, DataError
from sad_env.http import PATIENCE
from sad_env.safe_text import one_line
from sad_env.settings import RARE, formerly

Precision = Literal["auto", "fp32", "bf16", "fp16"]

FORMER_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}

DTYPES = {"auto": "auto", **{short: long for long, short in FORMER_PRECISIONS.items()}}
"""What torch, and run folders, call each precision."""

_POLICIES = ("random", "null", "oracle", "human")
_NOT_LOCAL = ("openai:", "scripted:")


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Agents that are models."""

    temperature: float = 0.0
    """Sampling temperature; 0 is greedy."""
    top_p: float = 1.0
    """Nucleus of sampling."""
    max_new_tokens: int = COMPLETION_TOKENS
    """Tokens of one completion at most."""
    context: int = 4096
    """Tokens a model is shown at once at most, where neither its record nor its server says so."""
    shots: int = -1
    """Exemplars in the prompt; -1 takes 0 for students, for other models two or as many as there are."""
    votes: int = 1
    """Completions of a step; the action most of them agree on is taken."""
    prompt: str = ""
    """Prompt file (TOML) instead of the world's own; paper is one in the style of the paper's appendix E."""
    first_thoughts: str = ""
    """Trajectories whose first thought opens the first step on the same task."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    precision: Annotated[Precision, formerly("dtype", values=FORMER_PRECISIONS)] = "auto"
    """Of a local model's numbers; auto: fp32 on a processor, elsewhere a checkpoint's own."""
    patience: Annotated[float, tyro.conf.arg(metavar="S")] = PATIENCE.seconds
    """Wall time that an overloaded model server (429, 503) is waited for, at each request."""
    form: Literal["auto", "lines", "tags", "think"] = "auto"
    """How a model writes: lines (Reasoning:, Action:), tags ([REASON], [ACT]), think (<think>, <action>);
    auto: as a student was trained, lines for others."""
    chat: Literal["auto", "on", "off"] = "auto"
    """Episodes as turns of a chat; auto: where a local model has a chat template, where a served one's name says
    instruct or its server has no completions, and as a student was trained."""
    constrained: Annotated[Literal["auto", "on", "off"], RARE] = "auto"
    """Actions of a local model, or of one on vLLM or llama.cpp, are sampled among those that the world lists; auto: as
    a student was trained."""
    api: Api = "auto"
    """How a model server is asked; tools: by chat, its actions as calls of functions; auto: as --chat says."""
    request: Annotated[tuple[str, ...], RARE] = ()
    """Further fields of a model server's requests, KEY=VALUE (JSON or text, dots nest): reasoning_effort=low."""
    omit: Annotated[tuple[str, ...], RARE] = ()
    """Request fields a model server does not take: NAME is left out, NAME=OTHER renamed."""
    record_logprobs: Annotated[bool, RARE] = False
    """Record the log-probability of each token that a local model samples, as it was sampled."""

    def check_model(self) -> None:
        """Refuse numbers out of range.

        Raises:
            ConfigError: naming the setting and its range.
        """
        for name in ("max_new_tokens", "context", "votes"):
            at_least(name, getattr(self, name), 1)
        at_least("patience", self.patience, 0)
        if not 0 <= self.temperature < 100:
            raise ConfigError(f"--temperature is 0 to 100, not {self.temperature}; 0 is greedy")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"--top-p is above 0 and at most 1, not {self.top_p}")

    def agent_options(self, *, seed: int, concurrency: int, world: Mapping[str, Any]) -> AgentOptions:
        """What the catalogue makes an agent with.

        Args:
            seed: of all draws.
            concurrency: requests to a server at once.
            world: keyword arguments of the world.

        Raises:
            DataError: there is no file of first thoughts.
        """
        thoughts = Path(self.first_thoughts) if self.first_thoughts else None
        if thoughts is not None and not thoughts.is_file():
            raise DataError(f"no file {one_line(self.first_thoughts, 120)!r}")
        return AgentOptions(
            sampling=Sampling(self.temperature, self.top_p, self.max_new_tokens, seed, self.record_logprobs),
            shots=None if self.shots < 0 else self.shots,
            votes=self.votes,
            prompt=Path(self.prompt) if self.prompt else None,
            first_thoughts=thoughts,
            device=self.device,
            dtype=DTYPES[self.precision],
            concurrency=concurrency,
            context=self.context,
            patience=self.patience,
            omit=self.omit,
            request=self.request,
            api=self.api,
            form=self.form,
            chat=self.chat,
            constrained=self.constrained,
            world=world,
        )


_UNSEEN = tuple(field.name for field in fields(ModelSettings) if field.name != "device")
_SERVED = ("api", "request", "omit")
"""Settings of served models alone."""


def ignored_by(agent: str, world: str) -> dict[str, str]:
    """Settings of models that an agent does not look at, each with the reason.

    Raises:
        UnknownNameError: no such world.
    """
    if agent.startswith("vllm:"):
        return dict.fromkeys(_SERVED, f"agent {agent!r} is asked by ids: leave it out, or name openai:URL#MODEL")
    local = agent in ("nano", "smollm2") or agent.startswith(("hf:", "nano:", "scripted:")) or agent.endswith(".pt")
    if local or Path(agent).is_dir():
        unserved = dict.fromkeys(_SERVED, f"agent {agent!r} is no served model: leave it out, or name openai:URL#MODEL")
        return unserved | _unsampled(agent)
    if agent not in _POLICIES and agent not in registry.world(world).experts:
        return _unsampled(agent)
    return dict.fromkeys(_UNSEEN, f"agent {agent!r} is no model: leave it out, or name a model with --agent")


def _unsampled(agent: str) -> dict[str, str]:
    if not agent.startswith(_NOT_LOCAL):
        return {}
    return {"record_logprobs": "only a model in this process, or vllm:URL, tells the ids that it samples"}

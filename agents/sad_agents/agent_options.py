"""The settings of an agent, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sad_agents.agent import GREEDY, Sampling
from sad_agents.openai_requests import Api
from sad_env.http import PATIENCE

SHOTS = 2
"""Exemplars for models that were not trained on the task: a small one won more by two than by one in a chat."""


@dataclass(frozen=True)
class AgentOptions:
    """The settings of an agent.

    Attributes:
        sampling: temperature, nucleus, tokens of a completion, seed.
        shots: exemplars in the prompt; None takes 0 for students, and `SHOTS`, or as many as there are, for models that
            were not trained on the task.
        votes: completions sampled for each step, the majority's action is taken.
        vote_on: "actions", or "results": what they do in a copy of the world.
        prompt: a prompt file, or `paper` for the one in the paper's style, instead of the world's own.
        first_thoughts: trajectories whose first reasoning line opens the first step on the same task.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: "float32", "bfloat16", "float16", or "auto": float32 on a processor, the checkpoint's own elsewhere.
        concurrency: requests to a server at once.
        context: tokens that a model is shown at most, its completion included: a local one's where its record names
            no window (its memory for an episode grows with them), a server's where the server does not say.
        window: False ends an episode that outgrows the model's window.
        patience: seconds that a server which is overloaded is waited for.
        omit: fields of a server's requests to leave out (NAME) or to rename (NAME=OTHER).
        request: further fields of a server's requests, KEY=VALUE.
        api: by what a server is asked, see `OpenAIModel`.
        form: a form of `sad_env.transcript`, or "auto": what a student's record names, "lines" for other models.
        constrained: "on" samples actions among the admissible ones (a local model's, or those of a model on vLLM or
            llama.cpp), "off" does not, "auto" does what a student's record says.
        chat: "on", "off", or "auto": what a student's record says; for other local models whether their tokenizer has a
            chat template; for served ones see `OpenAIModel`.
        world: keyword arguments of the world, for agents that make a copy of it.
    """

    sampling: Sampling = GREEDY
    shots: int | None = None
    votes: int = 1
    vote_on: Literal["actions", "results"] = "actions"
    prompt: Path | None = None
    first_thoughts: Path | None = None
    device: str = "auto"
    dtype: str = "auto"
    concurrency: int = 16
    context: int = 4096
    window: bool = True
    patience: float = PATIENCE.seconds
    omit: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    api: Api = "auto"
    form: str = "auto"
    chat: Literal["auto", "on", "off"] = "auto"
    constrained: Literal["auto", "on", "off"] = "auto"
    world: Mapping[str, Any] = field(default_factory=dict)

"""A model with its tokenizer: loaded from a file, a folder or the hub, or begun from scratch."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from sad_agents.checkpoints import load_student
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from sad_distill.models.tokenizer import texts_of, train_tokenizer
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import Trajectory
from sad_env.safe_text import one_line

_TOKENIZER_EPISODES = 2000
"""Episodes that a tokenizer is trained on at most."""


@dataclass(frozen=True)
class Language:
    """A model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def device_of(name: str) -> torch.device:
    """The device that a setting names.

    Args:
        name: cpu, cuda, or auto.

    Raises:
        ConfigError: another word, or a GPU that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise ConfigError(f"--device {one_line(name, 40)!r}: give cpu, cuda or auto")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(f"--device {name}: no such GPU here ({torch.cuda.device_count()} found): give cpu or auto")
    # A launcher gives each of its processes a GPU.
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)


def load_language(spec: str) -> Language:
    """A model and its tokenizer from a student.pt, a folder, "smollm2", or a hub id.

    Raises:
        CheckpointError: a file or folder that is not sound.
        InfrastructureError: a hub id that cannot be fetched.
    """
    if spec == "smollm2":
        from sad_distill.models.smollm2 import load_smollm2

        return Language(*load_smollm2())
    if Path(spec).exists() or spec.endswith(".pt"):
        student = load_student(spec)
        torch.nn.Module.to(student.model, dtype=torch.float32)
        return Language(student.model, student.tokenizer)
    try:
        tokenizer = AutoTokenizer.from_pretrained(spec)
        model = AutoModelForCausalLM.from_pretrained(spec, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"no model {spec!r} here or on the hub: {one_line(str(error), 120)}") from None
    return Language(cast(PreTrainedModel, model), tokenizer)


def own_tokenizer(student: str, episodes: Sequence[Trajectory], vocabulary: int) -> PreTrainedTokenizerBase:
    """A tokenizer for a student that begins from scratch and has no teacher to take one from.

    Args:
        student: its name, for the message.
        episodes: the text that it is trained on.
        vocabulary: tokens at most.

    Raises:
        ConfigError: there are no episodes.
    """
    if not episodes:
        raise ConfigError(
            f"{student} begins from scratch and needs text for its tokenizer: give --episodes or --teacher"
        )
    # A seeded sample of many: more of them hardly change a token, and each takes time.
    part = random.Random(0).sample(list(episodes), min(len(episodes), _TOKENIZER_EPISODES))
    return train_tokenizer(texts_of(part), vocabulary)

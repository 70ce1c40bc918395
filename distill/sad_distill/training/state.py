"""A run's state on disk: tensors and plain JSON in one safetensors file, replaced in one rename."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from sad_distill.training.optimiser import load_optimisers, optimiser_tensors
from sad_distill.training.sharding import part_of
from sad_env.errors import CheckpointError
from sad_env.files import write_bytes
from sad_env.json_lines import parse_json

VERSION = 1


def save_state(path: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write tensors and a JSON record; a kill at any moment leaves the old file or the new one."""
    metadata = {"record": json.dumps({"version": VERSION, **record}, allow_nan=False)}
    data = safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    write_bytes(path, data)


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_state` wrote.

    Raises:
        CheckpointError: the file is damaged or of another kind.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            record = parse_json((file.metadata() or {})["record"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is no training state: {error}; delete it to begin again") from None
    if record.get("version") != VERSION:
        raise CheckpointError(f"{path} has version {record.get('version')}; this release reads {VERSION}")
    return tensors, record


def learner_tensors(modules: dict[str, nn.Module], optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """All that an exact continuation needs: trainable parameters, optimisers, torch's random state.

    Parts of what is cut over processes are whole after `sharding.gathered`: a state is the same file however many wrote
    it.
    """
    tensors = {
        f"{prefix}.{name}": parameter.detach()
        for prefix, module in modules.items()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
    return {**tensors, **optimiser_tensors(optimisers), "random": torch.get_rng_state()}


@torch.no_grad()
def load_learner(
    modules: dict[str, nn.Module], optimisers: Sequence[torch.optim.Optimizer], tensors: dict[str, Tensor]
) -> None:
    """The inverse of `learner_tensors`.

    Raises:
        CheckpointError: the state is of another model.
    """
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            found = tensors.get(f"{prefix}.{name}")
            if found is None or found.shape != parameter.shape:
                raise CheckpointError(f"the training state is of another model: {prefix}.{name} does not fit")
            parameter.copy_(part_of(found, parameter))
    load_optimisers(optimisers, tensors)
    torch.set_rng_state(tensors["random"])

"""Students: from scratch, from a folder or hub id, from a teacher's own layers, whole or with adapters."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from sad_distill.models.heads import outcomes_of, restrict, unwrap
from sad_distill.models.nano import layers_of
from sad_env.errors import ConfigError


def chosen_layers(layers: int, count: int) -> list[int]:
    """Indices of `count` of `layers` layers, evenly spread, first and last among them.

    >>> chosen_layers(30, 5)
    [0, 7, 14, 22, 29]

    Raises:
        ConfigError: more layers than there are, or none.
    """
    if not 1 <= count <= layers:
        raise ConfigError(f"{count} layers asked of a model that has {layers}")
    if count == 1:
        return [0]
    return [round(index * (layers - 1) / (count - 1)) for index in range(count)]


@torch.no_grad()
def every_kth_layer(teacher: nn.Module, count: int) -> PreTrainedModel:
    """A student of `count` of the teacher's layers; embeddings, final norm and head are copied.

    Args:
        teacher: a causal LM of transformers.
        count: layers to keep, evenly spread.

    Raises:
        ConfigError: more layers than there are.
    """
    source = unwrap(teacher)
    layers = chosen_layers(len(layers_of(source)), count)
    config = copy.deepcopy(source.config)
    config.num_hidden_layers = count
    if types := getattr(config, "layer_types", None):
        config.layer_types = [types[index] for index in layers]
    with torch.random.fork_rng(devices=[]):
        student: Any = type(source)(config)
    stacks = (layers_of(student), layers_of(source))
    inside = {id(module) for stack in stacks for module in stack.modules()}
    for (name, module), (_, original) in zip(_outside(student, inside), _outside(source, inside), strict=True):
        _copy_own(module, original, name)
    for block, index in zip(stacks[0], layers, strict=True):
        block.load_state_dict(stacks[1][index].state_dict())
    thinned: PreTrainedModel = student.to(dtype=source.dtype)
    restrict(thinned, outcomes_of(source))
    return thinned


def _outside(model: nn.Module, inside: set[int]) -> list[tuple[str, nn.Module]]:
    return [(name, module) for name, module in model.named_modules() if id(module) not in inside]


def _copy_own(module: nn.Module, original: nn.Module, name: str) -> None:
    for own, (key, other) in zip(
        module.parameters(recurse=False), original.named_parameters(recurse=False), strict=True
    ):
        if own.shape != other.shape:
            raise ConfigError(f"{name}.{key} does not fit: this architecture cannot be thinned out layer by layer")
        own.copy_(other)


def with_adapters(model: PreTrainedModel, rank: int = 16) -> Any:
    """LoRA on all linear layers (alpha twice the rank, dropout 0.05); the rest is frozen.

    Raises:
        ConfigError: peft is not installed.
    """
    try:
        import peft
    except ImportError:
        raise ConfigError("LoRA needs the package peft: pip install 'sad-env[train]'") from None
    config = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return peft.get_peft_model(model, config)


def merged(model: nn.Module) -> nn.Module:
    """The student to be saved: adapters, where there are any, folded into a copy of the weights."""
    while hasattr(model, "module"):
        model = model.module  # type: ignore[assignment]
    if hasattr(model, "merge_and_unload"):
        return copy.deepcopy(model).merge_and_unload()  # type: ignore[operator, no-any-return]
    return model


def parameter_count(model: nn.Module) -> int:
    """Parameters of the whole model, tied ones once."""
    return sum(parameter.numel() for parameter in unwrap(model).parameters())

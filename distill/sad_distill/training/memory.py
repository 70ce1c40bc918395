"""What a run takes in memory, from configurations alone: models are laid out without weights, and counted."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from sad_agents.architecture import quiet_transformers
from sad_agents.model_words import model_path
from torch import Tensor, nn
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM, PretrainedConfig

from sad_distill.config import TrainConfig
from sad_distill.config_words import in_its_world
from sad_distill.models.heads import hidden_states, unwrap, vocabulary_of
from sad_distill.models.nano import SIZES, layers_of, scratch_config
from sad_distill.models.students import with_adapters
from sad_distill.teachers.registry import BASE
from sad_distill.teachers.self_teacher import decay_of
from sad_distill.training.optimiser import optimiser_bytes
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.safe_text import one_line

_AutoConfig: Any = AutoConfig
_AutoModel: Any = AutoModelForCausalLM

_ITEM = {"fp32": 4, "bf16": 2}
_LOGITS = 2**25
"""Logits that exist at one time at most: from there on they are computed again, chunk by chunk (`losses.scoring`)."""
_COPIES = 6
"""Tensors of the size of the logits that a comparison holds: both models' logits and distributions, terms, gradient."""
_WORKING = 4
"""Tensors of a layer's widest size that a model's forward pass holds where nothing is kept."""


@dataclass(frozen=True)
class MemoryPart:
    """A part of what a run takes.

    Attributes:
        name: of the part.
        total: bytes on one device.
        shared: divided among the devices; other parts are on each.
        exact: counted, not estimated.
    """

    name: str
    total: int
    shared: bool = False
    exact: bool = False

    def on(self, devices: int) -> int:
        """Bytes on each of so many devices."""
        return -(-self.total // devices) if self.shared else self.total


def needs_of(config: TrainConfig) -> list[MemoryPart]:
    """What a run with these settings takes on each device, part by part.

    Weights, gradients and the optimiser's state are counted exactly; activations are what the backward pass keeps of
    `--micro-batch` rows of `--context` tokens; the rest is estimated from shapes.

    Raises:
        ConfigError: a configuration that cannot be read.
        InfrastructureError: a hub id whose configuration is not at hand.
    """
    config = in_its_world(config)
    word, itself = config.model.teacher, decay_of(config.model.teacher) is not None
    absent = not word or itself or word == BASE or word.startswith(("expert", "openai:")) or "://" in word
    teacher = None if absent else laid_out(config_of(word, config))
    student: Any = laid_out(_student_config(config, teacher))
    if config.model.student_precision == "bf16":
        student = student.to(torch.bfloat16)
    if config.model.adapters:
        student = with_adapters(student, config.model.adapters)
    needs = _student_needs(student, config)
    if itself:
        needs.append(MemoryPart("teacher: weights", _bytes(student.parameters()), exact=True))
    if teacher is not None:
        item = _ITEM["fp32" if config.model.teacher_precision == "fp32" else "bf16"]
        weights = sum(item * one.numel() for one in teacher.parameters())
        needs.append(MemoryPart("teacher: weights", weights, exact=True))
        needs.append(MemoryPart("teacher: one pass", _WORKING * item * _tokens(config) * _widest(teacher.config)))
    needs.append(MemoryPart("logits", 4 * _COPIES * min(_tokens(config) * vocabulary_of(student), _LOGITS)))
    if config.mode != "offline" and not config.online.sampler:
        item = _ITEM[config.model.student_precision]
        live = config.online.rollouts * config.model.context
        needs.append(
            MemoryPart("episodes: key/value cache", live * item * cache_width(unwrap(student).config), shared=True)
        )
    return needs


def _student_needs(student: Any, config: TrainConfig) -> list[MemoryPart]:
    trained = [one for one in student.parameters() if one.requires_grad]
    cut = config.hardware.shard_learner
    needs = [
        MemoryPart("student: weights", _bytes(student.parameters()), shared=cut, exact=True),
        MemoryPart("student: gradients", _bytes(trained), shared=cut, exact=True),
        MemoryPart("student: optimiser", optimiser_bytes(config.optimisation, [student]), shared=cut, exact=True),
        MemoryPart("student: activations", activation_bytes(student, config)),
    ]
    if cut:
        layers = layers_of(unwrap(student))
        outside = _bytes(student.parameters()) - _bytes(layers.parameters())
        # With their gradients: embeddings and head for the time of a pass, a layer and the next one.
        needs.append(MemoryPart("student: whole at a time", 2 * outside + 4 * _bytes(layers[0].parameters())))
    if config.hardware.precision == "bf16":
        copies = sum(2 * one.numel() for one in trained if one.dtype is torch.float32)
        needs.append(MemoryPart("student: bf16 copies", copies))
    return needs


def config_of(word: str, config: TrainConfig) -> PretrainedConfig:
    """The configuration of the model that a word names; no weights are read but those of a FILE.pt.

    Raises:
        ConfigError: a file or folder without a configuration that can be read.
        InfrastructureError: a hub id whose configuration is not at hand.
    """
    if word in SIZES:
        return scratch_config(word, config.model.vocabulary, max(config.model.context, 1024))
    path = model_path(word)
    try:
        if word == "smollm2" or (path is not None and path.suffix == ".pt"):
            from sad_distill.models.language import load_language

            return load_language(word).model.config
        with quiet_transformers():
            found: PretrainedConfig = _AutoConfig.from_pretrained(str(path or word.removeprefix("hf:")))
            return found
    except (OSError, ValueError, KeyError) as error:
        said = f"{one_line(word, 80)!r}: its configuration cannot be read: {one_line(str(error), 160)}"
        raise (ConfigError(said) if path is not None else InfrastructureError(said)) from None


def _student_config(config: TrainConfig, teacher: Any) -> PretrainedConfig:
    word = config.model.student
    if word in SIZES and teacher is not None:
        return scratch_config(word, vocabulary_of(teacher), max(config.model.context, 1024))
    if not word.startswith("layers:"):
        return config_of(word, config)
    if teacher is None or not word[7:].isdecimal():
        raise ConfigError(f"student {one_line(word, 40)!r} takes its layers from a local teacher: give --teacher")
    thinned = copy.deepcopy(teacher.config)
    thinned.num_hidden_layers = int(word[7:])
    if types := getattr(thinned, "layer_types", None):
        thinned.layer_types = types[: thinned.num_hidden_layers]
    found: PretrainedConfig = thinned
    return found


def laid_out(config: PretrainedConfig) -> Any:
    """The model of a configuration in float32 on the meta device: shapes without numbers."""
    try:
        with torch.device("meta"), quiet_transformers():
            model: nn.Module = _AutoModel.from_config(config, dtype=torch.float32, attn_implementation=_COUNTED)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"no causal language model can be made of this configuration: {one_line(str(error), 160)}"
        ) from None
    return model


_COUNTED = "sad_counted"
"""The attention of transformers under which activations are counted."""


class _CountedAttention(torch.autograd.Function):
    """Keeps what a fused kernel of attention keeps: queries, keys, values, output and a number for each row of them."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output


def _attend(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
    counted: Any = _CountedAttention.apply(query, key, value)  # type: ignore[no-untyped-call]
    return counted.transpose(1, 2).contiguous(), None


AttentionInterface.register(_COUNTED, _attend)


def activation_bytes(model: Any, config: TrainConfig) -> int:
    """What the backward pass keeps of one micro-batch, counted while the model runs on the meta device.

    With `--recompute` these are the inputs of the layers, and all of the one layer that is computed again.
    """
    causal = unwrap(model)
    computing = copy.deepcopy(causal).to(torch.bfloat16 if config.hardware.precision == "bf16" else causal.dtype)
    whole = _kept_bytes(computing, config)
    if not config.hardware.recompute:
        return whole
    enable = getattr(computing, "activation_checkpointing_enable", None) or computing.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    return _kept_bytes(computing, config) + whole // int(computing.config.get_text_config().num_hidden_layers)


def _kept_bytes(model: Any, config: TrainConfig) -> int:
    own = {one.untyped_storage()._cdata for one in model.parameters()}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if (place := tensor.untyped_storage()._cdata) not in own:
            kept[place] = tensor  # held, so that its place is not given to another
        return tensor

    shape = (config.hardware.micro_batch, config.model.context)
    ids = torch.zeros(shape, dtype=torch.long, device="meta")
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        states = hidden_states(model, ids)
    return sum(one.untyped_storage().nbytes() for one in kept.values()) + states.untyped_storage().nbytes()


def cache_width(config: PretrainedConfig) -> int:
    """Numbers that keys and values of one token take, all layers together."""
    text = config.get_text_config()
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    return int(2 * text.num_hidden_layers * (getattr(text, "num_key_value_heads", None) or heads) * size)


def _tokens(config: TrainConfig) -> int:
    return config.hardware.micro_batch * config.model.context


def _widest(config: PretrainedConfig) -> int:
    text = config.get_text_config()
    return int(max(text.hidden_size, getattr(text, "intermediate_size", 0) or 4 * text.hidden_size))


def _bytes(parameters: Any) -> int:
    return sum(one.numel() * one.itemsize for one in parameters)


def totals(needs: list[MemoryPart], devices: int) -> int:
    """Bytes on each of so many devices."""
    return sum(need.on(devices) for need in needs)

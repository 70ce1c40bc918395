"""Sampling from a mixture of teacher and student (MiniLLM's teacher-mixed sampling), token by token."""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import torch
from sad_agents.sampling.attention import attention_implementation
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from sad_distill.models.heads import outcomes_of
from sad_distill.models.nano import layers_of
from sad_env.errors import ConfigError


class MixtureModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A causal LM whose distribution is (1 - share) student + share teacher. Only for sampling.

    Both models' caches lie in one: the teacher's layers are numbered behind the student's.

    Args:
        student: its weights are used as they are at each call.
        teacher: of the same vocabulary.
        share: of the teacher.
        temperature: what will be sampled at. Both are mixed as they are at it: a sampler that divides these logits by
            it samples the mixture of the two softened distributions, not a softened mixture.

    Raises:
        ConfigError: the two do not have the same outcomes.
    """

    base_model_prefix = "mixture"
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, student: Any, teacher: Any, share: float, temperature: float = 1.0) -> None:
        config = copy.deepcopy(student.config)
        depth = config.num_hidden_layers
        config.num_hidden_layers = depth + teacher.config.num_hidden_layers
        if types := getattr(config, "layer_types", None):
            config.layer_types = [*types, *(["full_attention"] * teacher.config.num_hidden_layers)]
        super().__init__(config)
        if outcomes_of(student) != outcomes_of(teacher):
            raise ConfigError("a mixture needs two models of one vocabulary")
        # Kept out of the module tree: saving or moving the mixture must not touch them.
        self._parts = (student, _renumbered(teacher, depth))
        self._share, self._temperature = share, temperature
        self.generation_config = student.generation_config

    @property
    def device(self) -> torch.device:
        """The student's."""
        return cast(torch.device, self._parts[0].device)

    @property
    def dtype(self) -> torch.dtype:
        """The student's."""
        return cast(torch.dtype, self._parts[0].dtype)

    @property
    def base_model(self) -> nn.Module:
        """Prefill wants no logits, but both caches."""
        return self

    def forward(self, **inputs: Any) -> CausalLMOutputWithPast:
        """Log-probabilities of the mixture, times the temperature, as logits."""
        student, teacher = (self._log_probs(part, inputs) for part in self._parts)
        mixed = torch.logaddexp(student + math.log1p(-self._share), teacher + math.log(self._share))
        return CausalLMOutputWithPast(logits=cast(Any, mixed * self._temperature))

    def _log_probs(self, part: Any, inputs: dict[str, Any]) -> Tensor:
        # A sampler chooses the attention of the model that it knows, which is this one.
        with attention_implementation(part.config, self.config._attn_implementation):
            logits = outcomes_of(part).cut(part(**inputs).logits.float())
            return (logits / self._temperature).log_softmax(-1)

    def train(self, mode: bool = True) -> MixtureModel:
        """Both halves."""
        super().train(mode)
        for part in getattr(self, "_parts", ()):
            part.eval()
        return self


def _renumbered(teacher: Any, offset: int) -> Any:
    """A copy of the teacher's modules on the same weights, whose layers name later places of a cache."""
    memo: dict[int, Tensor] = {id(tensor): tensor for tensor in (*teacher.parameters(), *teacher.buffers())}
    twin = copy.deepcopy(teacher, memo)
    for layer in layers_of(twin):
        for module in layer.modules():
            index = getattr(module, "layer_idx", None)
            if isinstance(index, int):
                cast(Any, module).layer_idx = index + offset
    return twin

"""Forward passes of small Llamas on a processor in few, large operations, where calls cost more than arithmetic.

In float32 the numbers are those of transformers' own modules up to rounding: queries, keys and values come from one
matrix, as do gate and up; rotary embeddings are products of complex numbers, for which the dimensions of queries and
keys are reordered so that pairs are neighbours (their products do not change). In bfloat16 the matrices and what they
multiply are rounded, as under autocast; the stream between them stays in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, rms_norm, silu
from transformers import LlamaForCausalLM, PreTrainedModel

LARGEST = 32_000_000
"""Parameters of a model that is copied into this form at most."""

Attend = Callable[[int, Tensor, Tensor, Tensor, "float | None"], Tensor]
"""Layer, queries [tokens, heads, d], keys and values [tokens, key-value heads, d] and scaling to [tokens, heads, d]."""


@dataclass(frozen=True)
class _Layer:
    """One layer's weights; each matrix has a bias or None."""

    before_attention: Tensor
    qkv: tuple[Tensor, Tensor | None]
    out: tuple[Tensor, Tensor | None]
    before_mlp: Tensor
    gate_up: tuple[Tensor, Tensor | None]
    down: tuple[Tensor, Tensor | None]


def can_fuse(model: PreTrainedModel) -> bool:
    """Whether a model has this form: a small plain Llama in float32 on a processor."""
    if type(model) is not LlamaForCausalLM or model.device.type != "cpu" or model.dtype != torch.float32:
        return False
    config: Any = model.config
    matrices = [module for module in model.modules() if hasattr(module, "in_features")]
    return (
        config.hidden_act == "silu"
        and getattr(model.model.rotary_emb, "rope_type", "") == "default"
        and all(type(module) is nn.Linear for module in matrices)
        and model.num_parameters() <= LARGEST
    )


class LlamaPass:
    """A copy of a model's weights as they are now, in the form in which its passes are quick.

    Args:
        model: one that `can_fuse`.
        precision: of the matrices.
    """

    def __init__(self, model: LlamaForCausalLM, precision: torch.dtype = torch.float32) -> None:
        config: Any = model.config
        self._precision = precision
        self._heads, self._shared = config.num_attention_heads, config.num_key_value_heads
        self._d = model.model.layers[0].self_attn.head_dim
        self._eps = config.rms_norm_eps
        self._width = config.hidden_size
        self._embedding = model.model.embed_tokens.weight
        self._norm = model.model.norm.weight
        self._head = model.lm_head.weight.to(precision)
        frequencies = cast(Tensor, model.model.rotary_emb.inv_freq).float()
        angles = torch.arange(config.max_position_embeddings)[:, None] * frequencies
        self._turns = torch.polar(torch.ones_like(angles), angles)[:, None]
        self._layers = [self._fused(layer) for layer in model.model.layers]

    def _fused(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        queries, keys = (self._paired(part) for part in (attention.q_proj, attention.k_proj))
        value = attention.v_proj.weight, attention.v_proj.bias
        return _Layer(
            layer.input_layernorm.weight,
            self._joined(queries, keys, value),
            self._joined((attention.o_proj.weight, attention.o_proj.bias)),
            layer.post_attention_layernorm.weight,
            self._joined(*((part.weight, part.bias) for part in (mlp.gate_proj, mlp.up_proj))),
            self._joined((mlp.down_proj.weight, mlp.down_proj.bias)),
        )

    def _paired(self, part: nn.Linear) -> tuple[Tensor, Tensor | None]:
        """A projection whose outputs i and i + d / 2 of each head, which a rotation mixes, are neighbours."""

        def paired(rows: Tensor) -> Tensor:
            return rows.view(-1, 2, self._d // 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)

        return paired(part.weight), None if part.bias is None else paired(part.bias)

    def _joined(self, *parts: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
        weight = torch.cat([weight.to(self._precision) for weight, _ in parts])
        biases = [bias.to(self._precision) for _, bias in parts if bias is not None]
        return weight, torch.cat(biases) if biases else None

    def __call__(self, ids: Tensor, columns: Tensor, keep: Tensor, attend: Attend, *, states: bool = False) -> Tensor:
        """Logits after some of the packed ids.

        Args:
            ids: [tokens].
            columns: [tokens], their positions.
            keep: indices of the ids that logits are wanted after.
            attend: stores keys and values, and attends.
            states: what the head reads is wanted instead.
        """
        read = self._normed(self._body(ids, columns, attend)[keep])
        return read if states else linear(read.to(self._precision), self._head).float()

    def states(self, ids: Tensor, columns: Tensor, attend: Attend, last: Tensor | None = None) -> Tensor:
        """What the head reads after the packed ids, [tokens, D]; gradients flow to the model's own weights.

        Args:
            ids: see `__call__`.
            columns: the same.
            attend: the same; in the last layer it gets the queries of `last` only.
            last: indices of the ids that states are wanted after; None wants all.
        """
        return self._normed(self._body(ids, columns, attend, last))

    def _normed(self, x: Tensor) -> Tensor:
        return rms_norm(x, (self._width,), self._norm, self._eps)

    def _body(self, ids: Tensor, columns: Tensor, attend: Attend, last: Tensor | None = None) -> Tensor:
        x = embedding(ids, self._embedding)
        turns, size = self._turns[columns], (self._width,)
        both = self._heads + self._shared
        for number, layer in enumerate(self._layers):
            normed = rms_norm(x, size, layer.before_attention, self._eps).to(self._precision)
            qkv = linear(normed, *layer.qkv).view(len(x), both + self._shared, self._d)
            paired = torch.view_as_complex(qkv[:, :both].float().view(len(x), both, -1, 2))
            rotated = torch.view_as_real(paired * turns).flatten(2).to(self._precision)
            queries = rotated[:, : self._heads]
            if last is not None and number == len(self._layers) - 1:
                queries, x = queries.index_select(0, last), x.index_select(0, last)
            seen = attend(number, queries, rotated[:, self._heads :], qkv[:, both:], None)
            x = x + linear(seen.flatten(1), *layer.out)
            normed = rms_norm(x, size, layer.before_mlp, self._eps).to(self._precision)
            gate, up = linear(normed, *layer.gate_up).chunk(2, -1)
            x = x + linear(silu(gate) * up, *layer.down)
        return x

"""Attention over training rows on a processor in bfloat16: heads that share keys as one matrix.

There, the fused attention of torch takes a third of an update of a small model; plain matrix products of whole blocks
take a third of that (3 rows of 320 tokens, 3 heads of 64 that share keys: 3.1 ms instead of 9.5, forward and backward).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from sad_agents.sampling.attention import attention_implementation
from sad_agents.sampling.kv_cache import UNSERVED, check_cacheable, rounded
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from sad_env.errors import ConfigError

_NAME = "sad_folded"
"""Our attention function among those of transformers."""
_LONGEST = 1024
"""Tokens of a row at most: the scores of all pairs exist at one time."""
_BLOCKS, _BLOCK = 3, 64
"""Blocks of queries at most, and what their sizes are a multiple of."""


def _folded_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Causal attention in the form that transformers calls.

    Args:
        module: the attention layer.
        query: [B, heads, T, d].
        key: [B, key-value heads, T, d].
        value: the same.
        attention_mask: None here.
        dropout: of the weights.
        scaling: of the scores.
        kwargs: further demands of a model; torch's attention takes over for those in `UNSERVED`.

    Returns:
        [B, T, heads, d], and no weights.
    """
    if attention_mask is not None or any(kwargs.get(name) is not None for name in UNSERVED):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    return causal(query, key, value, scaling, dropout).transpose(1, 2), None


def causal(query: Tensor, key: Tensor, value: Tensor, scaling: float | None = None, dropout: float = 0.0) -> Tensor:
    """Causal attention in plain products, with queries of a row's last positions or of all.

    Args:
        query: [B, heads, Q, d].
        key: [B, key-value heads, T, d], of at least as many positions.
        value: the same.
        scaling: of the scores.
        dropout: of the weights.

    Returns:
        [B, heads, Q, d].
    """
    (rows, heads, count, d), (shared, length) = query.shape, key.shape[1:3]
    group, before = heads // shared, length - count
    folded = query.reshape(rows * shared, group, count, d)
    keys, values = (states.reshape(rows * shared, length, d) for states in (key, value))
    outs = []
    # Early positions are not compared with late ones; blocks of round sizes, since kernels are made for each size.
    for start in range(0, count, block := max(_BLOCK, rounded(-(-count // _BLOCKS), _BLOCK))):
        end = min(start + block, count)
        seen = before + end
        hidden = torch.full((end - start, seen), -torch.inf, dtype=query.dtype, device=query.device)
        scores = torch.baddbmm(
            hidden.triu_(before + start + 1).repeat(group, 1).expand(rows * shared, -1, -1),
            folded[:, :, start:end].reshape(rows * shared, -1, d),
            keys[:, :seen].transpose(1, 2),
            alpha=d**-0.5 if scaling is None else scaling,
        )
        weights = nn.functional.dropout(scores.softmax(-1), dropout)
        outs.append(torch.bmm(weights, values[:, :seen]).view(rows, shared, group, end - start, d))
    return (outs[0] if len(outs) == 1 else torch.cat(outs, 3)).reshape(rows, heads, count, d)


AttentionInterface.register(_NAME, _folded_attention)


@contextmanager
def folded_where_faster(model: PreTrainedModel, ids_BT: Tensor) -> Iterator[None]:
    """Within, the model attends by `_folded_attention` where that is faster: unmasked rows, a processor, bfloat16."""
    config = model.config.get_text_config()
    faster = is_faster(model, ids_BT)
    with attention_implementation(config, _NAME) if faster else nullcontext():
        yield


def is_faster(model: PreTrainedModel, ids_BT: Tensor) -> bool:
    """Whether plain products are: unmasked rows that are not too long, a processor, bfloat16."""
    implementation, cpu = model.config.get_text_config()._attn_implementation, ids_BT.device.type == "cpu"
    if not (cpu and implementation == "sdpa" and ids_BT.shape[1] <= _LONGEST):
        return False
    if not (torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16):
        return False
    # What is computed again in the backward pass would be computed there by other means.
    recomputes = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    try:
        check_cacheable(model)
    except ConfigError:
        return False
    return not recomputes

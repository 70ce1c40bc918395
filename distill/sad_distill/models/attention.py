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
from sad_agents.sampling.kv_cache import UNSERVED, check_cacheable
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from sad_env.errors import ConfigError

_NAME = "sad_folded"
"""Our attention function among those of transformers."""
_LONGEST = 1024
"""Tokens of a row at most: the scores of all pairs exist at one time."""


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
    rows, heads, length, d = query.shape
    shared = key.shape[1]
    if attention_mask is not None or any(kwargs.get(name) is not None for name in UNSERVED):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    group = heads // shared
    hidden = torch.full((length, length), -torch.inf, dtype=query.dtype, device=query.device).triu_(1)
    scores = torch.baddbmm(
        hidden.repeat(group, 1).expand(rows * shared, -1, -1),
        query.reshape(rows * shared, group * length, d),
        key.reshape(rows * shared, length, d).transpose(1, 2),
        alpha=d**-0.5 if scaling is None else scaling,
    )
    weights = nn.functional.dropout(scores.softmax(-1), dropout)
    out = torch.bmm(weights, value.reshape(rows * shared, length, d))
    return out.view(rows, heads, length, d).transpose(1, 2), None


AttentionInterface.register(_NAME, _folded_attention)


@contextmanager
def folded_where_faster(model: PreTrainedModel, ids_BT: Tensor) -> Iterator[None]:
    """Within, the model attends by `_folded_attention` where that is faster: unmasked rows, a processor, bfloat16."""
    config = model.config.get_text_config()
    faster = _faster(model, config._attn_implementation, ids_BT)
    with attention_implementation(config, _NAME) if faster else nullcontext():
        yield


def _faster(model: PreTrainedModel, implementation: str, ids_BT: Tensor) -> bool:
    cpu = ids_BT.device.type == "cpu"
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

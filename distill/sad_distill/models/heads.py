"""The two halves of a causal language model: hidden states, and the head that turns some of them into logits."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from sad_distill.models.attention import folded_where_faster
from sad_distill.models.fused import fused_states, fuses
from sad_distill.models.token_ids import TokenIds
from sad_env.errors import ConfigError

_OUTCOMES = "sad_outcomes"
"""Attribute of a model; it travels with copies of it, and is no part of its weights or its configuration."""


def unwrap(model: nn.Module) -> Any:
    """The causal LM itself, inside whatever wraps it (DDP, accelerate, peft)."""
    causal: Any = model
    while hasattr(causal, "module"):
        causal = causal.module
    return causal.get_base_model() if hasattr(causal, "get_base_model") else causal


def vocabulary_of(model: nn.Module) -> int:
    """Logits of a position, see `head_logits`."""
    return outcomes_of(model).end


def outcomes_of(model: nn.Module) -> TokenIds:
    """The ids that the model's next token may be: those that `restrict` has set, or all rows of its head."""
    causal = unwrap(model)
    known = getattr(causal, _OUTCOMES, None)
    return known if isinstance(known, TokenIds) else TokenIds(rows_of_head(causal))


def restrict(model: nn.Module, ids: TokenIds) -> None:
    """From now on the model's distributions are over these ids only; its weights stay as they are.

    Heads are padded to round sizes (Qwen2.5-7B: 152,064 rows, 0.5B: 151,936; their tokenizer has 151,665 ids). What a
    padded row says has no meaning, differs from model to model, and is no outcome of any comparison.
    """
    causal = unwrap(model)
    setattr(causal, _OUTCOMES, ids.below(rows_of_head(causal)))


def rows_of_head(model: nn.Module) -> int:
    """Rows of the head, padded ones included."""
    return int(unwrap(model).get_output_embeddings().weight.shape[0])


def hidden_states(
    model: nn.Module, ids_BT: Tensor, mask: Tensor | None = None, *, since: int = 0, **options: Any
) -> Tensor:
    """What the head reads: [B, T, D].

    Args:
        model: a causal LM of transformers.
        ids_BT: token ids, padded on the right: no token looks to its right, so padding needs no mask, and without
            one attention skips what lies there.
        mask: a mask that transformers takes as it is, where tokens do not see all earlier tokens.
        since: states before this position are not wanted, and may be zeros.
        options: passed on, e.g. `position_ids`.
    """
    causal = unwrap(model)
    if mask is None and not options and fuses(causal, ids_BT):
        return fused_states(causal, ids_BT, since)
    body = getattr(causal, causal.base_model_prefix)
    with folded_where_faster(causal, ids_BT) if mask is None else nullcontext():
        output = body(input_ids=ids_BT, attention_mask=mask, use_cache=False, **options)
    states: Tensor = output.last_hidden_state
    return states


def head_logits(model: nn.Module, hidden_ND: Tensor, ids: TokenIds | None = None) -> Tensor:
    """Logits [N, V] in float32 (float64 stays float64) for some positions only.

    Args:
        model: a causal LM of transformers.
        hidden_ND: its states.
        ids: the outcomes, see `outcomes_of`; V is one more than the highest. Ids below that are no outcomes get a logit
            that is a probability of 0, and no gradient.
    """
    causal = unwrap(model)
    ids = ids or outcomes_of(causal)
    count = len(hidden_ND)
    # Matrix kernels are generated for each size, which takes longer than some of them run: sizes are rounded up.
    padded = nn.functional.pad(hidden_ND, (0, 0, 0, -count % 64))
    logits: Tensor = causal.get_output_embeddings()(padded)[:count]
    if logits.dtype != torch.float64:
        logits = logits.float()
    config = causal.config
    if cap := getattr(config, "final_logit_softcapping", None):  # Gemma
        logits = torch.tanh(logits / cap) * cap
    if scaling := getattr(config, "logits_scaling", None):  # Granite
        logits = logits / scaling
    if scale := getattr(config, "logit_scale", None):  # Cohere
        logits = logits * scale
    return ids.cut(logits)


@torch.no_grad()
def check_head(model: nn.Module) -> None:
    """Make sure that the two halves give what the whole gives.

    Raises:
        ConfigError: this architecture does more between its hidden states and its logits than is known here.
    """
    causal = unwrap(model)
    was_training = causal.training
    causal.eval()
    ids = torch.arange(4, device=next(causal.parameters()).device)[None] % causal.config.get_text_config().vocab_size
    whole = outcomes_of(causal).cut(causal(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].double())
    halves = head_logits(causal, hidden_states(causal, ids)[0]).double()
    causal.train(was_training)
    # What is not finite is the business of those who use the logits.
    finite = whole.isfinite()
    scale = float(whole[finite].abs().max()) if finite.any() else 0.0
    if not torch.allclose(whole[finite], halves[finite], rtol=1e-2, atol=1e-2 * scale):
        raise ConfigError(
            f"{type(causal).__name__} changes its logits after the head in a way that is not known here;"
            " use another architecture or extend sad_distill.models.heads"
        )

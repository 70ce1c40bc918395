"""Log-probabilities of sampled tokens at the temperature of sampling, under a model or a teacher."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sad_distill.data.batch import Batch
from sad_distill.losses.divergence import entropy
from sad_distill.losses.targets import Target
from sad_distill.models.heads import head_logits

_CHUNK = 256


def log_q_of(model: nn.Module, states: Tensor, batch: Batch, temperature: float) -> Tensor:
    """The model's log-probability of each predicted token, with gradient.

    Args:
        model: its head is used.
        states: its hidden states on the batch.
        batch: says which positions.
        temperature: logits are divided by it.
    """

    def chosen(states_ND: Tensor, token_N: Tensor) -> Tensor:
        log_q = (head_logits(model, states_ND) / temperature).log_softmax(-1)
        return log_q.gather(1, token_N[:, None])[:, 0]

    parts = zip(
        torch.split(states[batch.row_N, batch.from_N], _CHUNK), torch.split(batch.target_N, _CHUNK), strict=True
    )
    # Recomputed in the backward pass: the logits of all positions never exist at one time.
    return torch.cat([checkpoint(chosen, *part, use_reentrant=False) for part in parts])


@torch.no_grad()
def log_q_and_entropy(model: nn.Module, batch: Batch, temperature: float) -> tuple[Tensor, Tensor]:
    """The model's log-probability of each predicted token, and its entropy there in nats."""
    states = batch.predicting(model)
    chosen, spread = [], []
    for part, token in zip(torch.split(states, _CHUNK), torch.split(batch.target_N, _CHUNK), strict=True):
        log_q = (head_logits(model, part) / temperature).log_softmax(-1)
        chosen.append(log_q.gather(1, token[:, None])[:, 0])
        spread.append(entropy(log_q))
    return torch.cat(chosen), torch.cat(spread)


@torch.no_grad()
def log_p_of(target: Target, batch: Batch, temperature: float) -> Tensor:
    """A teacher's log-probability of each predicted token; that of the rest where its answer does not hold it."""
    parts = []
    for index in torch.split(torch.arange(len(batch.kind_N), device=batch.ids_BT.device), _CHUNK):
        outcomes = target.outcomes(index, None, temperature, "bucket")
        token = batch.target_N[index]
        if outcomes.ids_NK is None:
            parts.append(outcomes.log_p.gather(1, token[:, None])[:, 0])
            continue
        match = outcomes.ids_NK == token[:, None]
        place = torch.where(match.any(1), match.int().argmax(1), outcomes.log_p.shape[1] - 1)
        parts.append(outcomes.log_p.gather(1, place[:, None])[:, 0])
    return torch.cat(parts) if parts else torch.zeros(0)

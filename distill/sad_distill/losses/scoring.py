"""Student against teacher at the positions that count: the head runs there only, in chunks; [B, T, V] never exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sad_distill.config import Measure
from sad_distill.data.batch import Batch
from sad_distill.losses.by_text import TextTarget, compare_texts
from sad_distill.losses.divergence import divergence, partition
from sad_distill.losses.targets import Target
from sad_distill.models.heads import head_logits, outcomes_of, rows_of_head, vocabulary_of
from sad_env.errors import ConfigError, DataError

_RECOMPUTED = {"cpu": 2**23}
_RECOMPUTED_ELSEWHERE = 2**25
"""From this many logits of a micro-batch on they are computed again in the backward pass instead of being kept."""
_CHUNK = {"cpu": 256}
"""Positions per chunk on a CPU, few enough that their logits stay in cache."""
_LOGITS_ELSEWHERE = 2**24
"""Logits per chunk on an accelerator, where each launch has a fixed cost."""


class Scores(NamedTuple):
    """Numbers for each of the N positions.

    Attributes:
        divergence: teacher against student; zeros without a teacher.
        nll: negative log-likelihood of the token at the position.
        agree: 1 where both have the same likeliest outcome.
    """

    divergence: Tensor
    nll: Tensor
    agree: Tensor


def score_positions(
    model: nn.Module, hidden_BTD: Tensor, batch: Batch, target: Target | None, measure: Measure
) -> Scores:
    """Compare at every position of the batch.

    Args:
        model: the student; its head is used.
        hidden_BTD: its hidden states.
        batch: says which positions.
        target: the teacher's answer for them, or None for the likelihood alone.
        measure: how.

    Returns:
        Three tensors of N numbers in the order of the batch's positions.

    Raises:
        DataError: a token that is no outcome of the student's head (`heads.outcomes_of`).
    """
    if isinstance(target, TextTarget):
        _, nll, _ = score_positions(model, hidden_BTD, batch, None, measure)
        value, agree = compare_texts(model, hidden_BTD, batch, nll, target, measure)
        return Scores(value, nll, agree)
    targets = batch.target_N
    _check_outcomes(model, targets)
    device, vocabulary = hidden_BTD.device.type, vocabulary_of(model)
    chunk = _CHUNK.get(device) or max(1, _LOGITS_ELSEWHERE // vocabulary)
    chunks = list(_chunks(batch, chunk))
    if not chunks:
        nothing = hidden_BTD[batch.row_N, batch.from_N].sum(-1).float()
        return Scores(nothing, nothing, nothing.detach())
    order = torch.cat([index for index, _ in chunks])
    # Gathered once for all chunks: each gathering writes [B, T, D] in the backward pass.
    hidden_ND = hidden_BTD[batch.row_N[order], batch.from_N[order]]
    many = len(order) * vocabulary >= _RECOMPUTED.get(device, _RECOMPUTED_ELSEWHERE)
    parts: list[tuple[Tensor, ...]] = []
    sizes = [len(index) for index, _ in chunks]
    for (index, supported), states in zip(chunks, torch.split(hidden_ND, sizes), strict=True):
        support = batch.support_NK[index] if supported else None
        compared = (model, states, targets[index], index, support, target, measure)
        recompute = many and torch.is_grad_enabled() and states.requires_grad
        parts.append(checkpoint(_compare, *compared, use_reentrant=False) if recompute else _compare(*compared))
    back = order.argsort()
    return Scores(*(torch.cat(column)[back] for column in zip(*parts, strict=True)))


def _check_outcomes(model: nn.Module, targets: Tensor) -> None:
    """Refuse targets that are no outcomes; only where some rows of the head are none, since a GPU is waited for."""
    ids = outcomes_of(model)
    if (ids.end < rows_of_head(model) or ids.without) and len(found := ids.foreign(targets)):
        raise DataError(
            f"the episodes hold token {int(found[0])}, which the student's tokenizer or the teacher does not have:"
            " leave out episodes with it"
        )


def _chunks(batch: Batch, size: int) -> Iterator[tuple[Tensor, bool]]:
    for wanted in (False, True):
        indices = (batch.supported_N == wanted).nonzero().flatten()
        for index in torch.split(indices, size):
            if len(index):
                yield index, wanted


def _compare(
    model: nn.Module,
    states_ND: Tensor,
    token_N: Tensor,
    index: Tensor,
    support_NK: Tensor | None,
    target: Target | None,
    measure: Measure,
) -> tuple[Tensor, Tensor, Tensor]:
    logits_NV = head_logits(model, states_ND)
    log_q = logits_NV.log_softmax(-1)
    nll = -log_q.gather(1, token_N[:, None])[:, 0]
    if target is None:
        return torch.zeros_like(nll), nll, (log_q.detach().amax(-1) == -nll.detach()).to(nll)
    tau = measure.kd_temperature
    teacher = target.outcomes(index, support_NK, tau, measure.outside)
    softened = log_q if tau == 1 else (logits_NV / tau).log_softmax(-1)
    if teacher.ids_NK is not None:
        softened = partition(
            softened, teacher.ids_NK, "bucket" if teacher.log_p.shape[1] > teacher.ids_NK.shape[1] else "ignore"
        )
    log_p = teacher.log_p.to(softened)
    if log_p.shape != softened.shape:
        raise ConfigError(
            f"a teacher's answer over {log_p.shape[1]:,} ids and a student with {softened.shape[1]:,}: restrict both to"
            " the ids that they share (sad_distill.models.heads.restrict)"
        )
    value = divergence(log_p, softened, measure.divergence, measure.beta) * tau**2
    if measure.clamp:
        value = value.clamp(max=measure.clamp)
    likeliest = softened.detach().gather(1, log_p.argmax(-1, keepdim=True))[:, 0]
    return value, nll, (likeliest == softened.detach().amax(-1)).to(nll)

"""Student against a teacher of another tokenizer: likelihoods of the text that both spell, each in its own tokens.

The models' distributions are over different tokens, so what is compared are events that both know:

- The *next byte*, at each byte of the text (`losses.next_byte`), where both tokenizers are byte-level ones and the
  teacher tells it: the divergence of the two distributions over bytes. It knows alternatives: what could be instead.
- Else a *chunk*: the shortest stretch of the text that begins and ends where both have ended a token. P(chunk) and
  Q(chunk) are the products of the probabilities of its tokens in each spelling (chain rule), and the divergence is that
  of the two distributions over {this chunk, any other text}.
- An *admissible action*, where the world lists them: the divergence of the two distributions over the listed actions
  and, in the bucket form, any other text.

Each is a divergence of two distributions over the same outcomes. It is 0 where both models say the same text with
probability 1, whatever their tokens are, and the teacher need only say how likely text is, which servers can.

Why not otherwise. Sorted probabilities (Universal Logit Distillation, Boizard et al. 2024, arXiv 2402.12030) compare
shapes without asking what is likely. Tokens of one spelling in both vocabularies (the matched part of TRL's GOLD) are
no common outcomes: one model says "put" where the other says "pu" and "t", and agreement costs. A learned projection
(DSKD, Zhang et al. 2024, arXiv 2406.17328) is further parameters, and needs the teacher's states. Likelihoods of chunks
are what Minixhofer et al. 2025 (arXiv 2503.20083) compare, at their temperature 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sad_distill.config import Measure, Outside
from sad_distill.data.batch import Batch
from sad_distill.losses.divergence import divergence, log1mexp
from sad_distill.losses.next_byte import ByteTable, Reaching, expressible, next_byte
from sad_distill.losses.targets import Outcomes
from sad_distill.losses.whole_actions import Choice, action_likelihoods
from sad_distill.models.heads import head_logits, vocabulary_of
from sad_env.errors import ConfigError

_RECOMPUTED = 2**20
"""From this many logits of a stretch on they are computed again in the backward pass instead of being kept."""


@dataclass(frozen=True)
class Stretch:
    """Tokens of a row whose bytes are compared one by one.

    Attributes:
        row: index of the row in the batch.
        start: position of the first token.
        end: behind the last.
        table: of the student's tokenizer.
        reaching: of their text.
        kept: the bytes that are compared.
        place: which of the batch's positions each of them is counted at.
        log_p: the teacher's log-probabilities of each, [kept, 257].
    """

    row: int
    start: int
    end: int
    table: ByteTable
    reaching: Reaching
    kept: Tensor
    place: Tensor
    log_p: Tensor


@dataclass(frozen=True)
class TextTarget:
    """A teacher's answer for a batch in likelihoods of text.

    Attributes:
        chunk_N: number of the chunk that each of the batch's positions belongs to, -1 for none.
        log_p: the teacher's log-probability of each of the chunks, [chunks].
        choices: steps whose actions are compared whole.
        action_log_p: the teacher's log-probability of each of their actions.
        place: for each choice, which of the batch's positions its divergence is counted at.
        stretches: what is compared by bytes.
    """

    chunk_N: Tensor
    log_p: Tensor
    choices: tuple[Choice, ...]
    action_log_p: tuple[Tensor, ...]
    place: Tensor
    stretches: tuple[Stretch, ...] = ()

    def outcomes(self, index: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside) -> Outcomes:
        """There are none.

        Raises:
            ConfigError: always: such a teacher has no distribution over the student's tokens.
        """
        raise ConfigError("a teacher with another tokenizer tells likelihoods of text, not of the student's tokens")


def compare_texts(
    model: nn.Module, hidden_BTD: Tensor, batch: Batch, nll_N: Tensor, target: TextTarget, measure: Measure
) -> tuple[Tensor, Tensor]:
    """Divergence and agreement at each of the batch's positions.

    Args:
        model: the student.
        hidden_BTD: its hidden states.
        batch: with its rows.
        nll_N: the student's negative log-likelihood of the token at each position.
        target: the teacher's answer.
        measure: how; its temperature is 1.

    Returns:
        Bytes' divergences stand at their tokens, a chunk's at its last position, an action's at its first, and 0
        elsewhere: the sum over a span is that of what is in it, and means are in nats a token, as where ids are
        compared. A token agrees where all of its bytes do.

    Raises:
        ConfigError: another temperature: the likelihood of a chunk says nothing of softened distributions.
    """
    if measure.kd_temperature != 1:
        raise ConfigError("a teacher with another tokenizer is compared at --kd-temperature 1 only")
    inside = target.chunk_N >= 0
    chunk = target.chunk_N[inside]
    log_q = torch.zeros_like(target.log_p, dtype=nll_N.dtype).index_add(0, chunk, -nll_N[inside])
    values, agree = _events(target.log_p.to(nll_N), log_q, measure)
    first = torch.zeros_like(target.log_p, dtype=torch.long)
    last = first.scatter_reduce(0, chunk, inside.nonzero().flatten(), "amax")
    total = torch.zeros_like(nll_N).index_add(0, last, values)
    agreement = torch.zeros_like(nll_N.detach())
    agreement[inside] = agree[chunk]
    for stretch in target.stretches:
        value, agree = _bytes(model, hidden_BTD, batch, stretch, measure)
        total = total.index_add(0, stretch.place, value)
        agreement[stretch.place] = 1
        agreement = agreement.scatter_reduce(0, stretch.place, agree, "amin")
    if target.choices:
        both = _actions(model, batch, target, measure)
        total = total.index_add(0, target.place, both[0])
        agreement = agreement.index_copy(0, target.place, both[1])
    return total, agreement


def _bytes(
    model: nn.Module, hidden_BTD: Tensor, batch: Batch, stretch: Stretch, measure: Measure
) -> tuple[Tensor, Tensor]:
    """Divergence and agreement at each byte of a stretch; its logits are computed again in the backward pass."""
    states = hidden_BTD[stretch.row, stretch.start - 1 : stretch.end - 1]
    ids = batch.ids_BT[stretch.row, stretch.start : stretch.end]

    def compared(states_ND: Tensor) -> tuple[Tensor, Tensor]:
        log_q_NV = head_logits(model, states_ND).log_softmax(-1)
        log_q = next_byte(log_q_NV, ids, stretch.table, stretch.reaching)[stretch.kept]
        log_p = expressible(stretch.log_p.to(log_q), log_q.detach())
        return _divergence(log_p, log_q, measure), _agree(log_p, log_q)

    if torch.is_grad_enabled() and states.requires_grad and len(ids) * vocabulary_of(model) > _RECOMPUTED:
        found: tuple[Tensor, Tensor] = checkpoint(compared, states, use_reentrant=False)
        return found
    return compared(states)


def _events(log_p: Tensor, log_q: Tensor, measure: Measure) -> tuple[Tensor, Tensor]:
    """Divergences of events [C] from what is not the event."""
    both = [torch.stack([one, log1mexp(one)], -1) for one in (log_p, log_q)]
    return _divergence(both[0], both[1], measure), _agree(both[0], both[1])


def _actions(model: nn.Module, batch: Batch, target: TextTarget, measure: Measure) -> tuple[Tensor, Tensor]:
    values, agree = [], []
    mine = action_likelihoods(model, batch.rows, target.choices)
    for log_p, log_q in zip(target.action_log_p, mine, strict=True):
        both = [over_actions(one, measure.outside) for one in (log_p.to(log_q), log_q)]
        values.append(_divergence(both[0], both[1], measure))
        agree.append(_agree(both[0], both[1]))
    return torch.stack(values), torch.stack(agree)


def over_actions(log_p: Tensor, outside: Outside) -> Tensor:
    """A distribution over actions from their log-probabilities: with what is left as one more outcome, or without."""
    if outside == "ignore":
        return log_p.log_softmax(-1)
    return torch.cat([log_p, log1mexp(log_p.logsumexp(-1, keepdim=True))], -1)


def _divergence(log_p: Tensor, log_q: Tensor, measure: Measure) -> Tensor:
    value = divergence(log_p, log_q, measure.divergence, measure.beta)
    return value.clamp(max=measure.clamp) if measure.clamp else value


def _agree(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.argmax(-1) == log_q.detach().argmax(-1)).to(log_q)


def joined(values: Sequence[float], device: torch.device) -> Tensor:
    """Log-probabilities as a tensor; those that are too small for a probability stay finite."""
    return torch.tensor(values, dtype=torch.float64, device=device).clamp(min=-1e4)

"""Alignment of teacher text and student text where the teacher cannot score the student's ids (appendix H).

Two texts of one task are cut into spans; only spans of one kind are compared. Costs between tokens are
c_ij = D(p_teacher(i) ‖ p_student(j)) with the divergence that the run has chosen (in the paper KL); four ways lead from
costs to a loss, in which what belongs to reasoning is weighted by λ_r and what belongs to actions by λ_a.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sad_distill.config import Measure
from sad_distill.losses.divergence import ABSENT, divergence


@dataclass(frozen=True)
class AlignmentMeasure:
    """How two texts are compared.

    Attributes:
        measure: divergence, its mixture weight, temperature and clamp; an alignment knows no token sets.
        reason: λ_r.
        act: λ_a.
    """

    measure: Measure = field(default_factory=Measure)
    reason: float = 1.0
    act: float = 1.0

    def weight(self, kind: str) -> float:
        """λ of R or A."""
        return self.reason if kind == "R" else self.act

    def divergence(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """Teacher against student over the last dimension; both are softened already."""
        value = divergence(log_p, log_q, self.measure.divergence, self.measure.beta)
        return self.limited(value)

    def limited(self, value: Tensor) -> Tensor:
        """Divergences as they count: times the temperature's square, and clamped."""
        value = value * self.measure.kd_temperature**2
        return value.clamp(max=self.measure.clamp) if self.measure.clamp else value


PLAIN = AlignmentMeasure()


@dataclass(frozen=True)
class Tokens:
    """Positions of one text.

    Attributes:
        log_p: log-probabilities of what was predicted there, [m, V] (or over any common outcomes).
        kinds: R or A, one letter each.
        steps: the step of the episode that each belongs to.
        spans: number of each one's span, from 0, in order.
    """

    log_p: Tensor
    kinds: str
    steps: tuple[int, ...]
    spans: tuple[int, ...]


class Aligned(NamedTuple):
    """A loss and what it was an average of.

    Attributes:
        loss: with gradient in the student.
        matched: teacher tokens or student spans that found a partner.
        skipped: those that did not.
    """

    loss: Tensor
    matched: int
    skipped: int


def costs(teacher: Tensor, student: Tensor, top: int = 0, how: AlignmentMeasure = PLAIN) -> Tensor:
    """c_ij for all pairs, [m, n]; [m, n, V] never exists.

    Args:
        teacher: [m, V] log-probabilities.
        student: [n, V] log-probabilities.
        top: use the teacher's `top` likeliest tokens and the rest only, with divergence forward.
        how: which divergence.
    """
    teacher = teacher.clamp(min=ABSENT)
    if how.measure.divergence == "forward" and top and top < teacher.shape[1]:
        return how.limited(_top_costs(teacher, student, top))
    if how.measure.divergence == "forward":
        p = teacher.exp()
        return how.limited((p * teacher).sum(-1)[:, None] - p @ student.T)
    if how.measure.divergence == "reverse":
        q = student.exp()
        return how.limited((q * student).sum(-1)[None] - teacher @ q.T)
    # A mixture is no product of matrices: one teacher token at a time, computed again in the backward pass.
    rows = [checkpoint(how.divergence, one[None], student, use_reentrant=False) for one in teacher]
    return torch.stack(rows) if rows else student.new_zeros(0, len(student))


def _top_costs(teacher: Tensor, student: Tensor, top: int) -> Tensor:
    values, ids = teacher.topk(top, -1)
    rest = torch.log1p(-values.exp().sum(-1).clamp(max=1 - 1e-6))
    picked = student[:, ids.flatten()].reshape(len(student), *ids.shape).transpose(0, 1)
    other = torch.log1p(-picked.exp().sum(-1).clamp(max=1 - 1e-6))
    own = (values.exp() * values).sum(-1) + rest.exp() * rest
    return own[:, None] - torch.einsum("mk,mnk->mn", values.exp(), picked) - rest.exp()[:, None] * other


def _comparable(teacher: Tokens, student: Tokens, reach: int | None = 1) -> Tensor:
    same = torch.tensor([[a == b for b in student.kinds] for a in teacher.kinds], dtype=torch.bool)
    if reach is not None:
        near = [[abs(a - b) <= reach for b in student.steps] for a in teacher.steps]
        same = same & torch.tensor(near, dtype=torch.bool)
    return same.reshape(len(teacher.kinds), len(student.kinds)).to(teacher.log_p.device)


def align_min(
    teacher: Tokens, student: Tokens, penalty: float = 0.1, top: int = 0, how: AlignmentMeasure = PLAIN
) -> Aligned:
    """Each teacher token with its cheapest student token (Eq. 20).

    (1/m) Σ_i λ_i min_j { c_ij + penalty |i/m - j/n| } over tokens of one kind, at most one step apart. The gradient
    goes through the chosen token only; several may choose the same.
    """
    m, n = len(teacher.kinds), len(student.kinds)
    if not m or not n:
        return Aligned(student.log_p.sum() * 0, 0, m)
    cost = costs(teacher.log_p, student.log_p, top, how)
    rows = torch.arange(m).to(cost)[:, None] / max(1, m)
    columns = torch.arange(n).to(cost)[None] / max(1, n)
    cost = (cost + penalty * (rows - columns).abs()).masked_fill(~_comparable(teacher, student), math.inf)
    least = cost.min(1).values
    found = torch.isfinite(least)
    count = int(found.sum())
    weights = torch.tensor([how.weight(kind) for kind in teacher.kinds]).to(least)
    return Aligned((weights[found] * least[found]).sum() / max(1, count), count, m - count)


def align_sum(
    teacher: Tokens, student: Tokens, penalty: float = 0.1, top: int = 0, how: AlignmentMeasure = PLAIN
) -> Aligned:
    """The sum of Eq. 20 over tokens of both kinds, each times its λ: Σ_i λ_i min_j { c_ij + penalty |i - j| }.

    i and j count the tokens of each text, and j is of i's kind; |i - j| is the paper's example of an AlignCost. (Eq. 20
    itself is printed for reasoning, and λ is its name for the penalty.)
    """
    m, n = len(teacher.kinds), len(student.kinds)
    if not m or not n:
        return Aligned(student.log_p.sum() * 0, 0, m)
    cost = costs(teacher.log_p, student.log_p, top, how)
    distance = torch.arange(m).to(cost)[:, None] - torch.arange(n).to(cost)[None]
    cost = (cost + penalty * distance.abs()).masked_fill(~_comparable(teacher, student, reach=None), math.inf)
    least = cost.min(1).values
    found = torch.isfinite(least)
    weights = torch.tensor([how.weight(kind) for kind in teacher.kinds]).to(least)
    return Aligned((weights[found] * least[found]).sum(), int(found.sum()), m - int(found.sum()))


def soft_dtw(cost: Tensor, gamma: float = 0.1) -> Tensor:
    """Soft dynamic time warping (Cuturi & Blondel 2017) of a cost matrix [m, n]: R_mn, differentiable.

    R_ij = c_ij + softmin_gamma(R_{i-1,j}, R_{i,j-1}, R_{i-1,j-1}), computed one anti-diagonal at a time.
    """
    m, n = cost.shape
    infinite = cost.new_full((1,), 1e10)
    previous, older = infinite.expand(m + 1), torch.cat([cost.new_zeros(1), infinite.expand(m)])
    for diagonal in range(2, m + n + 1):
        low, high = max(1, diagonal - n), min(m, diagonal - 1)
        rows = torch.arange(low, high + 1, device=cost.device)
        options = torch.stack([previous[rows - 1], previous[rows], older[rows - 1]])
        values = cost[rows - 1, diagonal - rows - 1] - gamma * torch.logsumexp(-options / gamma, 0)
        current = torch.cat([infinite.expand(low), values, infinite.expand(m - high)])
        older, previous = previous, current
    return previous[m]


def align_soft_dtw(
    teacher: Tokens, student: Tokens, gamma: float = 0.1, top: int = 0, how: AlignmentMeasure = PLAIN
) -> Aligned:
    """Soft-DTW of each kind's tokens, divided by the lengths of both."""

    def loss(mine: list[int], theirs: list[int]) -> Tensor:
        cost = costs(teacher.log_p[mine], student.log_p[theirs], top, how)
        return soft_dtw(cost, gamma) / (len(mine) + len(theirs))

    return _by_kind(teacher.kinds, student.kinds, loss, student, how)


def _by_kind(
    own: Sequence[str],
    others: Sequence[str],
    loss: Callable[[list[int], list[int]], Tensor],
    student: Tokens,
    how: AlignmentMeasure,
) -> Aligned:
    """The weighted sum of a loss over the kinds that both texts have; `loss` takes a kind's indices in each text."""
    total, matched, skipped = student.log_p.sum() * 0, 0, 0
    for kind in "RA":
        mine = [index for index, label in enumerate(own) if label == kind]
        theirs = [index for index, label in enumerate(others) if label == kind]
        if mine and theirs:
            total = total + how.weight(kind) * loss(mine, theirs)
            matched += len(mine)
        else:
            skipped += len(mine)
    return Aligned(total, matched, skipped)


def sinkhorn(cost: Tensor, epsilon: float, iterations: int = 500, tolerance: float = 1e-9) -> Tensor:
    """The entropic transport plan between uniform marginals, in log space: [m, n], no gradient."""
    with torch.no_grad():
        m, n = cost.shape
        log_a, log_b = cost.new_full((m,), -math.log(m)), cost.new_full((n,), -math.log(n))
        f, g = cost.new_zeros(m), cost.new_zeros(n)
        for _ in range(iterations):
            f = epsilon * (log_a - torch.logsumexp((g[None] - cost) / epsilon, 1))
            last, g = g, epsilon * (log_b - torch.logsumexp((f[:, None] - cost) / epsilon, 0))
            if (g - last).abs().max() < tolerance:
                break
        return ((f[:, None] + g[None] - cost) / epsilon).exp()


def span_costs(teacher: Tokens, student: Tokens, how: AlignmentMeasure = PLAIN) -> Tensor:
    """Cost of each pair of spans, [spans, spans]; infinite between kinds.

    It is the mean divergence of their tokens one by one, over the shorter length (Algorithm 2).
    """
    rows = [_span(teacher, number) for number in range(_count(teacher))]
    columns = [_span(student, number) for number in range(_count(student))]
    table = [[_pair(teacher, student, one, other, how) for other in columns] for one in rows]
    if not table or not table[0]:
        return student.log_p.new_zeros(len(rows), len(columns))
    return torch.stack([torch.stack(line) for line in table])


def _count(tokens: Tokens) -> int:
    return max(tokens.spans, default=-1) + 1


def _span(tokens: Tokens, number: int) -> list[int]:
    return [index for index, span in enumerate(tokens.spans) if span == number]


def _pair(teacher: Tokens, student: Tokens, one: Sequence[int], other: Sequence[int], how: AlignmentMeasure) -> Tensor:
    if teacher.kinds[one[0]] != student.kinds[other[0]]:
        return student.log_p.new_full((), math.inf)
    length = min(len(one), len(other))
    return how.divergence(teacher.log_p[list(one[:length])], student.log_p[list(other[:length])]).mean()


def align_transport(teacher: Tokens, student: Tokens, epsilon: float = 0.05, how: AlignmentMeasure = PLAIN) -> Aligned:
    """Optimal transport between spans: ⟨P, C⟩ with the plan held fixed (envelope theorem).

    Args:
        teacher: its text.
        student: its text.
        epsilon: of the entropy, as a share of the median cost; kinds never mix.
        how: divergence and weights.
    """
    cost = span_costs(teacher, student, how)

    def loss(mine: list[int], theirs: list[int]) -> Tensor:
        part = cost[mine][:, theirs]
        plan = sinkhorn(part.detach(), epsilon * float(part.detach().median().clamp(min=1e-6)))
        return (plan * part).sum()

    own, others = ([tokens.kinds[_span(tokens, n)[0]] for n in range(_count(tokens))] for tokens in (teacher, student))
    return _by_kind(own, others, loss, student, how)


def align_spans(teacher: Tokens, student: Tokens, how: AlignmentMeasure = PLAIN) -> Aligned:
    """Algorithm 2 over the number of spans that found a partner, so that long episodes weigh no more."""
    loss, matched, skipped = align_spans_sum(teacher, student, how)
    return Aligned(loss / max(1, matched), matched, skipped)


def align_spans_sum(teacher: Tokens, student: Tokens, how: AlignmentMeasure = PLAIN) -> Aligned:
    """Algorithm 2: each student span with its cheapest teacher span of the same kind; spans without one are skipped.

    λ_r L_CoT + λ_a L_Act, where each span adds its divergence. The paper leaves open what the divergence of two spans
    of other lengths is: here the mean of their tokens', one by one, over the shorter length.
    """
    cost = span_costs(teacher, student, how)
    if not cost.numel():
        return Aligned(student.log_p.sum() * 0, 0, _count(student))
    least = cost.min(0).values
    found = torch.isfinite(least)
    count = int(found.sum())
    kinds = [student.kinds[_span(student, number)[0]] for number in range(len(least))]
    weights = torch.tensor([how.weight(kind) for kind in kinds]).to(least)
    return Aligned((weights[found] * least[found]).sum(), count, len(least) - count)

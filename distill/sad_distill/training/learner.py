"""The student and its updates: rows in, one step of the optimiser, numbers out."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import torch
from sad_agents.sampling.kv_cache import context_of
from torch import Tensor, nn
from transformers import PreTrainedModel

from sad_distill.auxiliary.contrastive import ContrastiveTerm
from sad_distill.auxiliary.projection import Projection
from sad_distill.config import Optimisation
from sad_distill.data.batch import ACT, OBS, REASON, Batch, Supports, collate
from sad_distill.data.rows import Row
from sad_distill.losses.objective import ExtraTerm, LearnedWeights, Objective, Totals, combine, counts_of, sums_of
from sad_distill.losses.scoring import score_positions
from sad_distill.losses.targets import Target
from sad_distill.models.heads import check_head, unwrap
from sad_distill.schedules import ALWAYS, Schedule
from sad_distill.teachers.base import ScoringTeacher, concurrency_of
from sad_distill.teachers.http import in_order
from sad_distill.training.gradient_metrics import GradientMetrics
from sad_distill.training.optimiser import make_optimisers, set_rate
from sad_distill.training.ranks import ALONE, Ranks
from sad_distill.training.sharding import Sharded, Value, own_part, whole_tensor
from sad_distill.training.update import UpdateMetrics, UpdatePlan
from sad_env.errors import ConfigError, DivergedError

Precision = Literal["fp32", "bf16"]

Metrics = dict[str, float]

_TOKENS = {"cpu": 1024}
"""At most in a micro-batch, where more tokens gain no speed and only cost memory for the backward pass."""


class Learner:
    """Trains a student, one update at a time.

    Args:
        student: a causal LM of transformers, on its device.
        objective: the loss.
        optimisation: learning rate, schedule and optimiser.
        teacher: scores positions; None when the objective has no divergence.
        supports: token sets of action positions.
        micro_batch: rows that pass through the models at one time at most; a processor takes fewer where they are long.
        precision: "bf16" computes in bfloat16 and keeps float32 weights.
        extras: further terms of the loss; those that are modules are trained.
        recorded: the objective of the recorded rows that `update` may be given as well.
        ranks: processes that share the rows of an update.
        gradients_every: updates between two looks at the gradients (`GradientMetrics`).
        weight: of the objective beside the further terms, over the run.
        shard: cut what is trained over the processes, see `Sharded`; nothing is measured of gradients then.

    Raises:
        ConfigError: a divergence is asked for and there is no teacher, or a student that cannot be cut.
    """

    def __init__(
        self,
        student: nn.Module,
        objective: Objective,
        optimisation: Optimisation,
        *,
        teacher: ScoringTeacher | None = None,
        supports: Supports | None = None,
        micro_batch: int = 8,
        precision: Precision = "fp32",
        extras: Sequence[ExtraTerm] = (),
        recorded: Objective | None = None,
        ranks: Ranks = ALONE,
        gradients_every: int = 0,
        weight: Schedule = ALWAYS,
        shard: bool = False,
    ) -> None:
        if objective.divergence and teacher is None:
            raise ConfigError("this objective compares with a teacher: give --teacher, or use method sft or seqkd")
        self.student = student
        self.objective = objective
        self.optimisation = optimisation
        self.teacher = teacher if objective.divergence else None
        self.supports = supports if objective.divergence else None
        self.micro_batch = micro_batch
        self.precision = precision
        self.extras = tuple(extras)
        self.recorded = recorded
        self.ranks = ranks
        self.weight = weight
        self.modules: dict[str, nn.Module] = {"student": student}
        self.modules |= {f"extra{place}": term for place, term in enumerate(extras) if isinstance(term, nn.Module)}
        self._learned = (
            LearnedWeights(objective.reason_weight, objective.act_weight) if objective.learned_weights else None
        )
        if self._learned is not None:
            self.modules["weights"] = self._learned.to(self.device)
        check_head(student)
        self._sharded = Sharded(self.modules, ranks) if shard else None
        self.parameters = [p for module in self.modules.values() for p in module.parameters() if p.requires_grad]
        """All that is trained, in a fixed order."""
        weighing = self._learned.parameters() if self._learned is not None else ()
        self.optimisers = make_optimisers(optimisation, self.modules.values(), weighing)
        self.skipped = 0
        """Updates in which no parameter moved, since loss or gradients were not finite."""
        self.skipped_in_row = 0
        self._projection = Projection(self.parameters) if objective.project else None
        self._gradients = GradientMetrics(self.parameters, gradients_every, ranks)
        comparing = any(isinstance(term, ContrastiveTerm) for term in extras)
        self._halved = not comparing and not objective.project
        """Whether the rows of an update may be learned in two halves, and their gradients be seen apart."""

    @property
    def device(self) -> torch.device:
        """Where the student is."""
        return next(self.student.parameters()).device

    def collate(self, rows: Sequence[Row], kinds: str) -> list[Batch]:
        """Micro-batches of rows of like length: this process' share of them.

        Args:
            rows: the whole batch.
            kinds: letters of the kinds whose positions are scored.
        """
        return [
            collate(part, kinds=kinds, supports=self.supports, length=self._width(part))
            for part in self._parts(self.ranks.share(_by_length(rows)))
        ]

    def _idle(self, rows: Sequence[Row], kinds: str, have: int) -> list[Batch]:
        """Micro-batches that count nothing, up to as many as the process with the most has; none unless sharded."""
        if self._sharded is None:
            return []
        shares = [replace(self.ranks, rank=rank).share(_by_length(rows)) for rank in range(self.ranks.size)]
        row = replace(min(rows, key=lambda row: len(row.ids)), number=-1)
        batch = collate([row], kinds=kinds, length=self._width([row]))
        return [batch] * (max(len(self._parts(share)) for share in shares) - have)

    def within(self, compute: Callable[[], Value]) -> Value:
        """What `compute` returns, with weights that are whole; where sharded, all processes make the same passes."""
        found: Value = compute() if self._sharded is None else self._sharded(compute)
        return found

    def autocast(self) -> torch.autocast:
        """In which precision the models compute."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def whole(self) -> nn.Module | None:
        """The student with all of its weights; where sharded a copy, None in all processes but the first.

        All processes have to call it at the same time.
        """
        return self.student if self._sharded is None else self._sharded.whole()

    def _parts(self, ordered: Sequence[Row]) -> list[list[Row]]:
        limit = math.inf if self.extras else _TOKENS.get(self.device.type, math.inf)
        parts: list[list[Row]] = []
        for row in ordered:
            if not parts or len(parts[-1]) == self.micro_batch or (len(parts[-1]) + 1) * len(row.ids) > limit:
                parts.append([])
            parts[-1].append(row)
        if self.extras and len(parts) > 1 and len(parts[-1]) == 1:
            # A further term may compare the rows of a micro-batch with one another: no row is left alone.
            [last] = parts.pop()
            if len(parts[-1]) > 2:
                parts.append([parts[-1].pop(), last])
            else:
                parts[-1].append(last)
        return parts

    def _width(self, rows: Sequence[Row]) -> int:
        if self.precision == "fp32":
            return 0
        # Kernels in bfloat16 are generated for each shape: rounded widths make few shapes.
        width = max(len(row.ids) for row in rows)
        return min(-(-width // 32) * 32, max(width, context_of(self.causal)))

    def update(self, rows: Sequence[Row], step: int, recorded: Sequence[Row] = (), at: float | None = None) -> Metrics:
        """One step of the optimiser on a global batch; none where the loss or a gradient is not finite.

        Args:
            rows: the batch, the same in each process; gradients do not depend on how it falls into micro-batches.
            step: number of the update.
            recorded: further rows, learned by the objective `recorded`; their loss is added.
            at: where the schedules of learning rate and weight are, by default at `step`.
        """
        at = step if at is None else at
        began = time.perf_counter()
        if not self.student.training:
            self.student.train()
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        self._gradients.begin(step)
        halves = (rows[::2], rows[1::2]) if self._halved and len(rows) > 1 and self._gradients.looks(step) else ()
        sums = self.add_gradients(rows, self.objective, self.extras, at, halves=halves)
        self._gradients.whole(len(rows))
        metrics = sums.reduced(self.ranks, extra=bool(self.extras))
        tokens, score_seconds = sums.tokens, sums.score_seconds
        if recorded and self.recorded is not None:
            other = self.add_gradients(recorded, self.recorded)
            metrics["recorded_loss"] = other.reduced(self.ranks, extra=False)["loss"]
            tokens, score_seconds = tokens + other.tokens, score_seconds + other.score_seconds
        if self._sharded is None:
            self.ranks.add_gradients(self.parameters)
        if self._projection is not None:
            metrics["cosine"] = self._projection.combine()
        if self._learned is not None:
            metrics |= zip(("reason_weight", "act_weight"), whole_tensor(self._learned.weights).tolist(), strict=True)
        metrics |= self._gradients.end(step)
        norm = self._step(at, metrics["loss"] + metrics.get("recorded_loss", 0.0))
        return {
            **metrics,
            "gradient_norm": norm,
            "skipped_updates": float(self.skipped),
            "learning_rate": self.optimisation.rate(at),
            "tokens": float(tokens),
            "score_seconds": score_seconds,
            "update_seconds": time.perf_counter() - began - score_seconds,
        }

    def add_gradients(
        self,
        rows: Sequence[Row],
        objective: Objective,
        extras: Sequence[ExtraTerm] = (),
        at: float | None = None,
        *,
        halves: Sequence[Sequence[Row]] = (),
    ) -> UpdateMetrics:
        """Add the gradients of these rows to those of the parameters; no parameter moves.

        Args:
            rows: the batch, the same in each process, which then has the gradients of its share.
            objective: what they are learned by.
            extras: further terms of the loss.
            at: where the schedule of the objective's weight is; None is weight 1.
            halves: the rows in two parts, where the gradients of the first are looked at.
        """
        parts = [self.collate(part, objective.kinds) for part in halves or (rows,)]
        weight = 1.0 if at is None else self.weight.at(at, self.optimisation.steps)
        plan = self._plan([batch for part in parts for batch in part], len(rows), objective, extras, weight)
        metrics = UpdateMetrics(self.device, plan.tokens)
        idle = self._idle(rows, objective.kinds, sum(map(len, parts)))
        answers = self._asked_ahead([batch for part in (*parts, idle) for batch in part])
        for number, part in enumerate(parts):
            if number:
                self._gradients.half()
            for batch in part:
                self._accumulate(batch.to(self.device), plan, metrics, answers)
        for batch in idle:
            self._accumulate(batch.to(self.device), plan, UpdateMetrics(self.device, 0), answers, share=0.0)
        return metrics

    def _asked_ahead(self, batches: Sequence[Batch]) -> Iterator[Target] | None:
        """The answers of a teacher that may be asked for several batches at once, while the student computes."""
        teacher, most = self.teacher, concurrency_of(self.teacher)
        if teacher is None or most == 1:
            return None
        return in_order((functools.partial(lambda one: teacher.score(one.to(self.device)), b) for b in batches), most)

    def _plan(
        self, batches: Sequence[Batch], rows: int, objective: Objective, extras: Sequence[ExtraTerm], weight: float
    ) -> UpdatePlan:
        reduction, outside = objective.reduction, objective.measure.outside
        numbers = torch.zeros(4 + len(extras), dtype=torch.float64)
        for batch in batches:
            numbers[:3] += counts_of(batch, reduction, outside)
            numbers[3] += len(batch.kind_N)
            for place, term in enumerate(extras, start=4):
                numbers[place] += term.count(batch)
        numbers = self.ranks.add(numbers)
        divisors = [max(1.0, number) for number in numbers[4:].tolist()]
        weights, counts = weight * objective.weights.to(self.device), numbers[:3].to(self.device)
        return UpdatePlan(objective, weights, extras, counts, divisors, rows, int(numbers[3]))

    def _accumulate(
        self,
        batch: Batch,
        plan: UpdatePlan,
        metrics: UpdateMetrics,
        answers: Iterator[Target] | None,
        share: float = 1.0,
    ) -> None:
        """Add the gradients of a micro-batch, times `share`."""
        reason, act, loss = self.within(lambda: self._losses(batch, plan, metrics, answers))
        self._gradients.compare(reason, act)
        if self._projection is not None:
            self._projection.backward(reason, act, loss - (reason + act))
        else:
            torch.autograd.backward(loss * share)

    def _losses(
        self, batch: Batch, plan: UpdatePlan, metrics: UpdateMetrics, answers: Iterator[Target] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The parts of reasoning and of actions in a micro-batch's loss, and the loss."""
        objective = plan.objective
        with self.autocast():
            began = time.perf_counter()
            if answers is not None:
                target: Target | None = next(answers)
            else:
                target = None if self.teacher is None else self.teacher.score(batch)
            metrics.score_seconds += time.perf_counter() - began
            states = batch.states(self.student, everywhere=bool(plan.extras))
            scores = score_positions(self.student, states, batch, target, objective.measure)
            values = objective.values(scores, batch)
            extra = [
                term.weight * term.sum(self.student, batch, states, scores) / divisor
                for term, divisor in zip(plan.extras, plan.divisors, strict=True)
            ]
        sums = sums_of(values, batch, objective.reduction, objective.measure.outside)
        loss = self._loss(sums, plan, len(batch.rows))
        if extra:
            addition = torch.stack([one.float() for one in extra]).sum()
            metrics.extra += addition.detach()
            loss = loss + addition
        metrics.loss += loss.detach()
        metrics.add_scores(scores, batch)
        weights = plan.weights[:2] if self._learned is None else self._learned.weights.detach()
        parts = weights.to(sums) * sums[:2] / plan.counts[:2].to(sums).clamp(min=1)
        if self._sharded is not None:
            parts, loss = parts.detach(), self._sharded.touched(loss)
        return parts[REASON], parts[ACT], loss

    def _loss(self, sums: Tensor, plan: UpdatePlan, rows: int) -> Tensor:
        if self._learned is None:
            return combine(Totals(sums, plan.counts), plan.weights)
        terms = sums[:2] / plan.counts[:2].to(sums).clamp(min=1)
        rest = plan.weights[OBS].to(sums) * sums[OBS] / plan.counts[OBS].to(sums).clamp(min=1)
        learned: Tensor = self._learned(terms, rows / plan.rows)
        return learned + rest

    def _step(self, at: float, loss: float) -> float:
        limit = self.optimisation.clip or float("inf")
        norm = float(whole_tensor(torch.nn.utils.clip_grad_norm_(self.parameters, limit)))
        finite = math.isfinite(norm) and math.isfinite(loss)
        for optimiser in self.optimisers:
            set_rate(optimiser, self.optimisation.share_of_peak(at))
            if finite:
                optimiser.step()
        self.skipped += not finite
        self.skipped_in_row = 0 if finite else self.skipped_in_row + 1
        return norm

    def check_finite(self) -> None:
        """Refuse parameters that an update has overflowed.

        Raises:
            DivergedError: one of them is NaN or infinite.
        """
        if self.ranks.any(not all(bool(own_part(one).isfinite().all()) for one in self.parameters)):
            raise DivergedError("the student's weights are no longer finite: give a smaller --learning-rate")

    @property
    def causal(self) -> PreTrainedModel:
        """The student without wrappers."""
        model: PreTrainedModel = unwrap(self.student)
        return model


def _by_length(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: len(row.ids))

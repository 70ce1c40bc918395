"""The term of the loss that is made of signals: rows are remembered as they were sampled, and learned from by them.

With A_t the weighted sum of the advantages and r_t = q / (q at sampling) the loss is
- mean_t min(r_t A_t, clip(r_t, 1 - c, 1 + c) A_t), plus the weighted sum of the losses' means.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from sad_distill.config_policy import Averaging
from sad_distill.data.batch import ACT, OBS, Batch, collate
from sad_distill.data.rows import Row
from sad_distill.losses.scoring import Scores
from sad_distill.schedules import Schedule
from sad_distill.signals.facts import RowFacts, mean_weights
from sad_distill.signals.outcomes import Outcome
from sad_distill.signals.scoring import log_p_of, log_q_and_entropy, log_q_of
from sad_distill.signals.table import SIGNALS, Signal
from sad_distill.teachers.base import ScoringTeacher


@dataclass(frozen=True)
class PolicyPlan:
    """How signals are put together.

    Attributes:
        weights: by name of signal, over the run.
        steps: of the run.
        temperature: what logits were divided by when it was sampled; all probabilities are at it.
        clip: the ratio counts within 1 minus and plus this.
        averaging: of tokens.
        kinds: λ_r and λ_a, where `averaging` is by kind.
        mixing: share of the teacher in what was sampled from.
        signals: by name.
    """

    weights: Mapping[str, Schedule]
    steps: int = 1
    temperature: float = 1.0
    clip: float = 0.2
    averaging: Averaging = "turn_mean"
    kinds: tuple[float, float] = (1.0, 1.0)
    mixing: float = 0.0
    signals: Mapping[str, Signal] = field(default_factory=lambda: SIGNALS)

    @property
    def chosen(self) -> dict[str, Signal]:
        """The signals that have a weight."""
        return {name: self.signals[name] for name in self.weights}

    @property
    def needs(self) -> frozenset[str]:
        """What they need, all together."""
        found: set[str] = {"teacher"} if self.mixing else set()
        return frozenset(found.union(*(signal.needs for signal in self.chosen.values())))


@dataclass(frozen=True)
class _Told:
    """What an update tells the tokens of a row: its advantages, and the weights of its means.

    Attributes:
        advantage: [n], the weighted sum.
        mean: [n], weights of the mean of the clipped ratio.
        losses: for each loss, [n], weights of its mean times its own weight.
    """

    advantage: Tensor
    mean: Tensor
    losses: Mapping[str, Tensor]


class PolicyTerm:
    """An `ExtraTerm` of signals.

    Args:
        plan: which, and how.
        start: the student as it was before training, for signals that need it.
    """

    weight = 1.0

    def __init__(self, plan: PolicyPlan, start: nn.Module | None = None) -> None:
        self.plan = plan
        self.start = start
        self.facts: list[RowFacts] = []
        """Of the rows of the iteration, by `Row.number`."""
        self.advantages: dict[str, list[Tensor]] = {}
        """Of each signal that is one, by `Row.number`."""
        self._told: dict[int, _Told] = {}
        self._clipped = torch.zeros(2, dtype=torch.float64)

    # --- once an iteration -----------------------------------------------------------------------------------

    @torch.no_grad()
    def remember(
        self,
        student: nn.Module,
        teacher: ScoringTeacher | None,
        rows: Sequence[Row],
        device: torch.device,
        outcomes: Mapping[str, Outcome] | None = None,
        guided: Mapping[str, frozenset[int]] | None = None,
        size: int = 8,
    ) -> tuple[list[Row], dict[str, float]]:
        """Keep what is true of freshly sampled rows; those of the iteration before are forgotten.

        Args:
            student: as it sampled them.
            teacher: scores them, where a signal asks.
            rows: all rows of the iteration.
            device: of the models.
            outcomes: by name of episode.
            guided: by name of episode, the steps that a guide took.
            size: rows in the models at one time.

        Returns:
            The rows, numbered: a batch of them finds what is known by `Row.number`; and numbers to show.
        """
        found: dict[int, tuple[RowFacts, Tensor]] = {}
        order = sorted(range(len(rows)), key=lambda number: len(rows[number].ids))
        with _sampling(student):
            for begin in range(0, len(order), size):
                part = order[begin : begin + size]
                batch = collate([rows[number] for number in part]).to(device)
                for number, facts in zip(part, self._facts(student, teacher, batch, outcomes or {}), strict=True):
                    steps = (guided or {}).get(facts[0].episode, frozenset())
                    own = torch.tensor([step not in steps for step in facts[0].step.tolist()], dtype=torch.bool)
                    found[number] = (replace(facts[0], own=own), facts[1])
        self.facts = [found[number][0] for number in range(len(rows))]
        self.advantages = {
            name: signal.advantage(self.facts) for name, signal in self.plan.chosen.items() if signal.advantage
        }
        entropies = [found[number][1] for number in range(len(rows))]
        return [replace(row, number=number) for number, row in enumerate(rows)], self._numbers(entropies)

    def _facts(
        self,
        student: nn.Module,
        teacher: ScoringTeacher | None,
        batch: Batch,
        outcomes: Mapping[str, Outcome],
    ) -> Iterable[tuple[RowFacts, Tensor]]:
        heat, needs = self.plan.temperature, self.plan.needs
        log_q, spread = log_q_and_entropy(student, batch, heat)
        log_p = log_p_of(teacher.score(batch), batch, heat) if teacher is not None and "teacher" in needs else None
        start = log_q_and_entropy(self.start, batch, heat)[0] if self.start is not None else None
        mixing = self.plan.mixing
        importance = None
        if mixing and log_p is not None:
            importance = log_q.exp() / ((1 - mixing) * log_q.exp() + mixing * log_p.exp()).clamp(min=1e-20)
        for number, row in enumerate(batch.rows):
            mine = batch.row_N == number

            def part(values: Tensor | None, mine: Tensor = mine) -> Tensor | None:
                return None if values is None else values[mine].float().cpu()

            steps = _steps_of(row, batch.at_N[mine].tolist())
            yield (
                RowFacts(
                    row.episode,
                    log_q[mine].float().cpu(),
                    steps,
                    (batch.kind_N[mine] == ACT).cpu(),
                    torch.ones(len(steps), dtype=torch.bool),
                    part(log_p),
                    part(start),
                    part(importance),
                    outcomes.get(row.episode),
                ),
                spread[mine].float().cpu(),
            )

    def _numbers(self, entropies: Sequence[Tensor]) -> dict[str, float]:
        """Means over the student's own tokens: entropy, and distances from the teacher and from the start."""
        own = torch.cat([row.own for row in self.facts]) if self.facts else torch.zeros(0, dtype=torch.bool)
        if not own.any():
            return {}

        def mean(values: Iterable[Tensor]) -> float:
            return float(torch.cat(list(values))[own].double().mean())

        numbers = {"entropy": mean(entropies)}
        if all(row.log_p is not None for row in self.facts):
            numbers["kl_teacher"] = mean(-row.gap for row in self.facts)
        if all(row.log_start is not None for row in self.facts):
            numbers["kl_start"] = mean(row.log_q - row.log_start for row in self.facts if row.log_start is not None)
        return numbers

    # --- once an update --------------------------------------------------------------------------------------

    def begin(self, rows: Sequence[Row], step: float) -> None:
        """Weigh the signals for an update.

        Args:
            rows: all of the update, of all processes.
            step: where the schedules are: its number, unless they follow a budget.
        """
        plan = self.plan
        numbers = [row.number for row in rows if 0 <= row.number < len(self.facts)]
        facts = [self.facts[number] for number in numbers]
        weights = {name: schedule.at(step, plan.steps) for name, schedule in plan.weights.items()}

        def means(masks: list[Tensor]) -> list[Tensor]:
            return mean_weights(facts, masks, plan.averaging, plan.kinds)

        mean = means([row.own for row in facts])
        losses = {
            name: [weights[name] * one for one in means([signal.tokens(row) for row in facts])]
            for name, signal in plan.chosen.items()
            if signal.loss and weights[name]
        }
        self._told = {}
        for place, number in enumerate(numbers):
            advantage = torch.zeros_like(facts[place].log_q)
            for name, values in self.advantages.items():
                advantage = advantage + weights[name] * values[number]
            told = {name: values[place] for name, values in losses.items()}
            self._told[number] = _Told(advantage * facts[place].own, mean[place], told)
        self._clipped = torch.zeros(2, dtype=torch.float64)

    def numbers(self, add: Callable[[Tensor], Tensor] = lambda mine: mine) -> dict[str, float]:
        """Of the update: the share of the student's own tokens whose ratio was clipped.

        Args:
            add: sums up a tensor over all processes.
        """
        cut, own = add(self._clipped).tolist()
        return {"clipped": cut / own} if own else {}

    def count(self, batch: Batch) -> int:
        """None: `begin` has divided by the counts of the update already."""
        return 0

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`."""
        heat = self.plan.temperature
        log_q = -scores.nll if heat == 1 else log_q_of(student, states, batch, heat)
        total = log_q.sum() * 0
        for number in range(len(batch.rows)):
            told = self._told.get(batch.rows[number].number)
            if told is None:
                continue
            mine = log_q[(batch.row_N == number) & (batch.kind_N != OBS)]
            facts = self.facts[batch.rows[number].number]
            if self.advantages:
                total = total + self._clipped_gradient(mine, facts, told)
            for name, weights in told.losses.items():
                loss = self.plan.signals[name].loss
                assert loss is not None
                total = total + (weights.to(mine) * loss(mine, _on(facts, mine))).sum()
        return total

    def _clipped_gradient(self, log_q: Tensor, facts: RowFacts, told: _Told) -> Tensor:
        ratio = (log_q - facts.log_q.to(log_q)).exp()
        if facts.importance is not None:
            ratio = ratio * facts.importance.to(log_q)
        advantage = told.advantage.to(log_q)
        values, cut = clipped(ratio, advantage, self.plan.clip)
        with torch.no_grad():
            self._clipped += torch.tensor([float(cut.sum()), float(facts.own.sum())], dtype=torch.float64)
        return (told.mean.to(log_q) * values).sum()


def clipped(ratio: Tensor, advantage: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """max(-A r, -A clip(r, 1 - clip, 1 + clip)) of each token, and whether it is the clipped one, without gradient."""
    free, held = -advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)
    return torch.max(free, held), held > free


def _steps_of(row: Row, places: Sequence[int]) -> Tensor:
    """The step that each of these positions of a row is of; -1 where it is of none."""
    found = []
    for place in places:
        found.append(next((unit.step for unit in row.units if unit.start <= place < unit.end), -1))
    return torch.tensor(found, dtype=torch.long)


def _on(facts: RowFacts, like: Tensor) -> RowFacts:
    """The same where a loss is computed."""
    moved = {
        name: value.to(like) for name in ("log_q", "log_p", "log_start") if (value := getattr(facts, name)) is not None
    }
    return replace(facts, **moved)


@contextlib.contextmanager
def _sampling(model: nn.Module) -> Iterator[None]:
    """The model as it samples: without dropout, which would make log-probabilities those of another model."""
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)

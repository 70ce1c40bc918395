"""The alignments by name, and the term of a loss that compares a row with the teacher's text of the same task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sad_distill.auxiliary.alignment import (
    PLAIN,
    Aligned,
    AlignmentMeasure,
    Tokens,
    align_min,
    align_soft_dtw,
    align_spans,
    align_spans_sum,
    align_sum,
    align_transport,
)
from sad_distill.data.batch import OBS, Batch, collate
from sad_distill.data.rows import Row
from sad_distill.losses.scoring import Scores
from sad_distill.models.heads import head_logits
from sad_distill.teachers.base import ScoringTeacher
from sad_env.errors import ConfigError

ALIGNMENTS: dict[str, Callable[..., Aligned]] = {
    "min": align_min,
    "sum": align_sum,
    "soft_dtw": align_soft_dtw,
    "ot": align_transport,
    "spans": align_spans,
    "spans_sum": align_spans_sum,
}


def align(name: str, teacher: Tokens, student: Tokens, how: AlignmentMeasure = PLAIN) -> Aligned:
    """The alignment of this name.

    Raises:
        ConfigError: no such alignment.
    """
    if name not in ALIGNMENTS:
        raise ConfigError(f"no alignment {name!r}; known: {', '.join(ALIGNMENTS)}")
    return ALIGNMENTS[name](teacher, student, how=how)


class AlignmentTerm:
    """Compares a row's text with the teacher's recorded text of the same steps of the task; an `ExtraTerm`.

    The teacher scores its own text only. A row of a recorded episode is compared with that recording, any other row
    with the first recording of its task.

    Args:
        teacher: scores its own rows.
        rows: of the teacher's recorded episodes.
        name: of the alignment.
        weight: of the term.
        how: divergence and weights.
    """

    def __init__(
        self,
        teacher: ScoringTeacher,
        rows: Sequence[Row],
        name: str,
        weight: float = 1.0,
        how: AlignmentMeasure = PLAIN,
    ) -> None:
        self._teacher, self._name, self.weight, self._how = teacher, name, weight, how
        self._recorded: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            self._recorded[row.task][row.episode].append(row)

    def _counterparts(self, row: Row) -> list[Row]:
        """The teacher's rows that hold steps of this row."""
        recordings = self._recorded.get(row.task)
        if not recordings:
            return []
        recorded = recordings[row.episode] if row.episode in recordings else next(iter(recordings.values()))
        # A piece of a long step is compared with the same piece, not with all pieces of the step.
        return [row] if row in recorded else [one for one in recorded if steps_of(one) & steps_of(row)]

    def count(self, batch: Batch) -> int:
        """Rows with steps that the teacher has recorded."""
        return sum(bool(self._counterparts(row)) for row in batch.rows)

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`."""
        total = states.sum() * 0
        for number, row in enumerate(batch.rows):
            counterparts = self._counterparts(row)
            if not counterparts:
                continue
            mine = (batch.row_N == number) & (batch.kind_N != OBS)
            tau = self._how.measure.kd_temperature
            log_q = (head_logits(student, states[number, batch.from_N[mine]]) / tau).log_softmax(-1)
            recorded = collate(counterparts).to(states.device)
            with torch.no_grad():
                target = self._teacher.score(recorded)
                outcomes = target.outcomes(
                    torch.arange(len(recorded.kind_N), device=states.device), None, tau, "bucket"
                )
            if outcomes.ids_NK is not None:
                raise ConfigError("an alignment compares whole distributions: use a local teacher with --top 0")
            common = [step in steps_of(row) for step in step_numbers(recorded)]
            shared = torch.tensor(common, dtype=torch.bool, device=states.device)
            theirs = tokens_of(recorded, outcomes.log_p[shared].to(log_q), shared)
            total = total + align(self._name, theirs, tokens_of(batch, log_q, mine), self._how).loss
        return total


def steps_of(row: Row) -> set[int]:
    """The steps of its episode that a row supervises."""
    return {unit.step for unit in row.units}


def step_numbers(batch: Batch) -> list[int]:
    """The step of its episode that each position of a batch belongs to."""
    steps = []
    for row, at in zip(batch.row_N.tolist(), batch.at_N.tolist(), strict=True):
        steps.append(next((unit.step for unit in batch.rows[row].units if unit.start <= at < unit.end), 0))
    return steps


def tokens_of(batch: Batch, log_p: Tensor, chosen: Tensor) -> Tokens:
    """Some positions of a batch, and their log-probabilities, as `Tokens`."""
    steps = [step for step, wanted in zip(step_numbers(batch), chosen.tolist(), strict=True) if wanted]
    numbers = {span: index for index, span in enumerate(dict.fromkeys(batch.span_N[chosen].tolist()))}
    spans = tuple(numbers[span] for span in batch.span_N[chosen].tolist())
    kinds = "".join("RA"[kind] for kind in batch.kind_N[chosen].tolist())
    return Tokens(log_p, kinds, tuple(steps), spans)

"""The further terms of a loss that the settings ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sad_distill.auxiliary.alignment import Tokens, align
from sad_distill.auxiliary.atomic import AtomicTerm, PointerTerm
from sad_distill.auxiliary.contrastive import ContrastiveTerm
from sad_distill.config import TrainConfig
from sad_distill.data.batch import OBS, Batch, collate
from sad_distill.data.rows import Row
from sad_distill.losses.scoring import Scores
from sad_distill.models.heads import bare, head_logits
from sad_distill.teachers.base import ScoringTeacher
from sad_distill.training.build import Language, Teacher
from sad_distill.training.learner import ExtraTerm
from sad_env.errors import ConfigError


def extras_of(config: TrainConfig, student: Language, teacher: Teacher | None, rows: Sequence[Row]) -> list[ExtraTerm]:
    """Terms for the settings `action_head`, `contrastive` and `alignment`.

    Raises:
        ConfigError: a term that needs a local teacher, and there is none.
    """
    wanted = [config.action_head != "none", config.contrastive > 0, config.alignment != "none"]
    if not any(wanted):
        return []
    if teacher is None or teacher.scores is None:
        raise ConfigError("action-head, contrastive and alignment compare with a teacher that scores: give --teacher")
    terms: list[ExtraTerm] = []
    device = next(student.model.parameters()).device
    if config.alignment != "none":
        terms.append(AlignmentTerm(teacher.scores, rows, config.alignment))
    if not any(wanted[:2]):
        return terms
    if teacher.language is None:
        raise ConfigError("action-head and contrastive need a local teacher")
    local, width = teacher.language.model, _width(student.model)
    if config.action_head == "pointer":
        terms.append(PointerTerm(local, student.tokenizer, width).to(device))
    elif config.action_head != "none":
        form = "local" if config.action_head == "atomic_local" else "posterior"
        how = (config.divergence, config.beta, config.temperature)
        terms.append(AtomicTerm(local, student.tokenizer, form, *how))  # type: ignore[arg-type]
    if config.contrastive:
        terms.append(ContrastiveTerm(teacher.scores, width, _width(local), config.contrastive).to(device))
    return terms


def _width(model: nn.Module) -> int:
    return int(bare(model).get_input_embeddings().weight.shape[1])


class AlignmentTerm:
    """A row's text beside the teacher's recorded text of the same steps on the same task; an `ExtraTerm`.

    The teacher is asked for its distribution on its own text only. A row of a recorded episode has that recording
    beside it, any other row the first of its task.

    Args:
        teacher: scores its own rows.
        rows: of the teacher's recorded episodes.
        name: of the alignment.
    """

    weight = 1.0

    def __init__(self, teacher: ScoringTeacher, rows: Sequence[Row], name: str) -> None:
        self._teacher, self._name = teacher, name
        self._recorded: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            self._recorded[row.task][row.episode].append(row)

    def _beside(self, row: Row) -> list[Row]:
        """The teacher's rows that hold steps of this row."""
        recordings = self._recorded.get(row.task)
        if not recordings:
            return []
        recorded = recordings[row.episode] if row.episode in recordings else next(iter(recordings.values()))
        # A piece of a long step has the same piece beside it, not all pieces of the step.
        return [row] if row in recorded else [one for one in recorded if steps_of(one) & steps_of(row)]

    def count(self, batch: Batch) -> int:
        """Rows with steps that the teacher has recorded."""
        return sum(bool(self._beside(row)) for row in batch.rows)

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`."""
        total = states.sum() * 0
        for number, row in enumerate(batch.rows):
            beside = self._beside(row)
            if not beside:
                continue
            mine = (batch.row_N == number) & (batch.kind_N != OBS)
            log_q = head_logits(student, states[number, batch.from_N[mine]]).log_softmax(-1)
            told = collate(beside).to(states.device)
            with torch.no_grad():
                target = self._teacher.score(told)
                outcomes = target.outcomes(torch.arange(len(told.kind_N), device=states.device), None, 1.0, "bucket")
            if outcomes.ids_NK is not None:
                raise ConfigError("an alignment compares whole distributions: use a local teacher with --top 0")
            shared = torch.tensor([step in steps_of(row) for step in step_numbers(told)], device=states.device)
            theirs = tokens_of(told, outcomes.log_p[shared].to(log_q), shared)
            total = total + align(self._name, theirs, tokens_of(batch, log_q, mine)).loss
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

"""Further terms of a loss by name: when the settings ask for one, what it needs, and how it is made.

`TERMS` is open: `TERMS["mine"] = Term(make, weight)` adds a term to every run whose settings give it a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from sad_distill.auxiliary.alignment import AlignmentMeasure, AlignmentTerm
from sad_distill.auxiliary.atomic import AtomicTerm, Form, PointerTerm
from sad_distill.auxiliary.contrastive import ContrastiveTerm
from sad_distill.auxiliary.minillm import MIXING, PolicyGradient
from sad_distill.config import TrainConfig
from sad_distill.data.rows import Row
from sad_distill.losses.objective import ExtraTerm, weights_of
from sad_distill.losses.scoring import Measure
from sad_distill.models.heads import unwrap
from sad_distill.models.language import Language
from sad_distill.teachers.registry import Teacher
from sad_env.errors import ConfigError

Need = Literal["nothing", "scores", "local"]
"""What a term needs of the teacher: nothing, scores of the student's ids, or to be a model in this process."""


@dataclass(frozen=True)
class TermContext:
    """What a term can be made from.

    Attributes:
        config: the run's settings.
        weight: of the term.
        student: model and tokenizer.
        rows: of the recorded episodes.
        scores: the teacher's, for a term that needs them.
        local: the teacher's model, for a term that needs a local teacher.
    """

    config: TrainConfig
    weight: float
    student: Language
    rows: Sequence[Row]
    scores: Any
    local: Any


@dataclass(frozen=True)
class Term:
    """An entry of `TERMS`.

    Attributes:
        make: makes the term; one that is a module is trained, and is moved to the student's device.
        weight: its weight under these settings; 0 leaves it out.
        needs: what it needs of the teacher. Where it needs anything, student and teacher must share their ids.
        alone: the term is the whole loss: likelihood and divergence are left out.
    """

    make: Callable[[TermContext], ExtraTerm]
    weight: Callable[[TrainConfig], float]
    needs: Need = "nothing"
    alone: bool = False


def width_of(model: nn.Module) -> int:
    """Width of a causal LM's states."""
    return int(unwrap(model).get_input_embeddings().weight.shape[1])


def _atomic(context: TermContext, form: Form) -> ExtraTerm:
    how = (context.config.divergence, context.config.beta, context.config.temperature)
    return AtomicTerm(context.local, context.student.tokenizer, form, *how, context.weight)


def _alignment(context: TermContext) -> ExtraTerm:
    config = context.config
    weights_of(config.reason_weight, config.act_weight, 0.0)
    measure = Measure(config.divergence, config.beta, config.temperature, clamp=config.clamp)
    how = AlignmentMeasure(measure, config.reason_weight, config.act_weight)
    return AlignmentTerm(context.scores, context.rows, config.alignment, context.weight, how)


TERMS: dict[str, Term] = {
    "alignment": Term(
        _alignment,
        lambda config: float(config.alignment != "none"),
        needs="scores",
        alone=True,
    ),
    "pointer": Term(
        lambda context: PointerTerm(
            context.local, context.student.tokenizer, width_of(context.student.model), weight=context.weight
        ),
        lambda config: float(config.action_head == "pointer"),
        needs="local",
    ),
    "atomic": Term(
        lambda context: _atomic(context, "posterior"),
        lambda config: float(config.action_head == "atomic"),
        needs="local",
    ),
    "atomic_local": Term(
        lambda context: _atomic(context, "local"),
        lambda config: float(config.action_head == "atomic_local"),
        needs="local",
    ),
    "contrastive": Term(
        lambda context: ContrastiveTerm(
            context.scores, width_of(context.student.model), width_of(context.local), context.weight
        ),
        lambda config: config.contrastive,
        needs="local",
    ),
    "minillm": Term(
        lambda context: PolicyGradient(mixing=MIXING, temperature=context.config.sampling_temperature),
        lambda config: float(config.method == "minillm"),
        needs="local",
    ),
}
"""All further terms; a run has them in this order."""


def chosen_terms(config: TrainConfig) -> dict[str, Term]:
    """The terms to which the settings give a weight."""
    return {name: term for name, term in TERMS.items() if term.weight(config)}


def make_terms(config: TrainConfig, student: Language, teacher: Teacher | None, rows: Sequence[Row]) -> list[ExtraTerm]:
    """The further terms of a run.

    Raises:
        ConfigError: a term whose teacher is missing.
    """
    scores = teacher.scores if teacher else None
    local = teacher.language.model if teacher and teacher.language else None
    made = []
    for name, term in chosen_terms(config).items():
        if term.needs != "nothing" and scores is None:
            raise ConfigError(f"the term {name} compares with a teacher that scores: give --teacher student.pt")
        if term.needs == "local" and local is None:
            raise ConfigError(f"the term {name} needs a local teacher: give --teacher student.pt")
        extra = term.make(TermContext(config, term.weight(config), student, rows, scores, local))
        if isinstance(extra, nn.Module):
            extra.to(next(student.model.parameters()).device)
        made.append(extra)
    return made

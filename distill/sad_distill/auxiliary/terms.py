"""Further terms of a loss by name: when the settings ask for one, what it needs, and how it is made.

`TERMS` is open: after `TERMS["mine"] = Term(make)`, `--terms mine=0.5` trains with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sad_agents.sampling.action_head import PointerHead
from torch import nn

from sad_distill.auxiliary.action_head import LinearTerm, PointerTerm, actions_of
from sad_distill.auxiliary.alignment import AlignmentMeasure
from sad_distill.auxiliary.alignment_term import ALIGNMENTS, AlignmentTerm
from sad_distill.auxiliary.atomic import AtomicTerm
from sad_distill.auxiliary.contrastive import ContrastiveTerm
from sad_distill.auxiliary.minillm import policy_plan as minillm_plan
from sad_distill.auxiliary.observation_head import ObservationHead
from sad_distill.auxiliary.start import StartTerm
from sad_distill.config import TrainConfig
from sad_distill.data.rows import Row
from sad_distill.losses.objective import ExtraTerm
from sad_distill.losses.whole_actions import Form
from sad_distill.models.heads import unwrap, vocabulary_of
from sad_distill.models.language import Language
from sad_distill.signals.policy import PolicyPlan, PolicyTerm
from sad_distill.signals.table import SIGNALS
from sad_distill.teachers.by_text import TextTeacher
from sad_distill.teachers.registry import Teacher
from sad_env.errors import ConfigError, UnknownNameError

Need = Literal["nothing", "scores", "actions", "local"]
"""What a term needs of the teacher: nothing, scores of the student's ids, likelihoods of actions in whatever tokens, or
to be a model in this process."""


@dataclass(frozen=True)
class TermContext:
    """What a term can be made from.

    Attributes:
        config: the run's settings.
        weight: of the term.
        student: model and tokenizer.
        rows: of the recorded episodes.
        scores: the teacher's, for a term that needs them.
        local: the teacher's model, for a term that needs a local teacher; for one that needs likelihoods of actions
            that model, or a `TextTeacher`.
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
        weight: its weight under these settings, 0 to leave it out; None for a term whose weight `--terms` gives.
        needs: what it needs of the teacher. For scores and a local model, student and teacher must share their ids.
        alone: the term is the whole loss: likelihood and divergence are left out.
    """

    make: Callable[[TermContext], ExtraTerm]
    weight: Callable[[TrainConfig], float] | None = None
    needs: Need = "nothing"
    alone: bool = False


def width_of(model: nn.Module) -> int:
    """Width of a causal LM's states."""
    return int(unwrap(model).get_input_embeddings().weight.shape[1])


def _atomic(form: Form, needs: Need) -> Term:
    return Term(
        lambda context: AtomicTerm(
            context.local, context.student.tokenizer, form, context.config.loss.measure, context.weight
        ),
        needs=needs,
    )


def _alignment(name: str) -> Term:
    def make(context: TermContext) -> ExtraTerm:
        loss = context.config.loss
        how = AlignmentMeasure(loss.measure, loss.reason_weight, loss.act_weight)
        return AlignmentTerm(context.scores, context.rows, name, context.weight, how)

    return Term(make, needs="scores", alone=True)


def _weight_in_place_of_actions(name: str) -> Callable[[TrainConfig], float]:
    """λ_a, where the settings let this term take the place of L_Act."""

    def weight(config: TrainConfig) -> float:
        asked = config.method == "sad" and config.loss.act_loss == name and not config.terms.aligned
        return config.loss.act_weight if asked else 0.0

    return weight


def _linear(context: TermContext) -> ExtraTerm:
    student = context.student
    known = student.head.actions if student.head else ()
    actions = sorted({*actions_of(context.rows, student.tokenizer), *known})
    term = LinearTerm(context.local, student.tokenizer, width_of(student.model), actions, context.weight)
    term.go_on_from(student.head)
    term.by_rows = context.config.loss.reduction == "paper_sum"
    return term


def _pointer(context: TermContext) -> ExtraTerm:
    student, loss = context.student, context.config.loss
    acts = loss.act_loss == "pointer_head"
    own = student.head if acts and isinstance(student.head, PointerHead) else None
    rank = {} if own is None else {"rank": own.state.out_features}
    term = PointerTerm(context.local, student.tokenizer, width_of(student.model), weight=context.weight, **rank)
    term.go_on_from(own)
    term.by_rows = acts and loss.reduction == "paper_sum"
    return term


TERMS: dict[str, Term] = {
    **{f"align_{name}": _alignment(name) for name in ALIGNMENTS},
    "pointer": Term(_pointer, needs="actions"),
    "linear_head": Term(_linear, needs="actions", weight=_weight_in_place_of_actions("linear_head")),
    "pointer_head": Term(_pointer, needs="actions", weight=_weight_in_place_of_actions("pointer_head")),
    "atomic": _atomic("posterior", "actions"),
    "atomic_local": _atomic("local", "local"),
    "observation_head": Term(
        lambda context: ObservationHead(
            width_of(context.student.model), vocabulary_of(context.student.model), context.weight
        ),
    ),
    "start": Term(lambda context: StartTerm(context.student.model, context.weight)),
    "contrastive": Term(
        lambda context: ContrastiveTerm(
            context.scores, width_of(context.student.model), width_of(context.local), context.weight
        ),
        needs="local",
    ),
    "minillm": Term(
        lambda context: PolicyTerm(minillm_plan(temperature=context.config.online.sampling_temperature)),
        needs="local",
        weight=lambda config: float(config.method == "minillm"),
    ),
}
"""All further terms; a run has them in this order."""


def weights_of_terms(config: TrainConfig) -> dict[str, float]:
    """The weights of all terms that have one under these settings, in the order of `TERMS`.

    Raises:
        UnknownNameError: the settings name a term that is not there.
    """
    asked = config.terms.weights
    open_ones = [name for name, term in TERMS.items() if term.weight is None]
    for name, schedule in config.terms.schedules.items():
        if name not in (*open_ones, *SIGNALS):
            raise UnknownNameError("term", name, [*open_ones, *SIGNALS])
        if name in open_ones and schedule.start != schedule.end:
            raise ConfigError(f"the term {name} has one weight for the whole run: give --terms {name}=WEIGHT")
    found = {name: term.weight(config) if term.weight else asked.get(name, 0.0) for name, term in TERMS.items()}
    return {name: weight for name, weight in found.items() if weight}


def chosen_terms(config: TrainConfig) -> dict[str, Term]:
    """The terms to which the settings give a weight."""
    return {name: TERMS[name] for name in weights_of_terms(config)}


def _acts(teacher: Teacher | None, student: Language) -> Any:
    """What says how likely the teacher finds actions.

    Raises:
        ConfigError: it cannot.
    """
    if teacher and isinstance(teacher.scores, TextTeacher):
        return teacher.scores
    if teacher and teacher.language:
        return teacher.language.model
    if teacher and teacher.reads:
        return TextTeacher(teacher.reads, student.tokenizer)
    raise ConfigError("whole actions need a teacher that tells likelihoods of text: give --teacher student.pt")


def plan_of_signals(config: TrainConfig) -> PolicyPlan | None:
    """How the signals that the settings give a weight are put together; None where they give none."""
    weights = {name: schedule for name, schedule in config.terms.schedules.items() if name in SIGNALS}
    if not weights:
        return None
    loss, policy = config.loss, config.policy
    return PolicyPlan(
        weights,
        steps=config.optimisation.steps,
        temperature=config.online.sampling_temperature,
        clip=policy.ratio_clip,
        averaging=policy.averaging,
        kinds=(loss.reason_weight, loss.act_weight),
    )


def check_signals(config: TrainConfig, plan: PolicyPlan) -> None:
    """Refuse signals that have nothing to speak of under these settings.

    Raises:
        ConfigError: naming one.
    """
    for name, signal in plan.chosen.items():
        if config.mode not in ("online", "guided", "mixed"):
            raise ConfigError(
                f"the term {name} speaks of tokens that the student sampled, of which mode {config.mode} has none: give"
                " --mode online"
            )
        if config.method == "minillm":
            raise ConfigError(f"method minillm has a policy gradient of its own: give --method policy beside {name}")
        if not config.online.sampling_temperature:
            raise ConfigError(
                f"the term {name} compares at the temperature that is sampled at: give --sampling-temperature above 0"
            )
        if "group" in signal.needs and config.online.group < 2:
            raise ConfigError(f"the term {name} compares episodes of one task: give --group 8, or another number")
        if "guide" in signal.needs and config.mode != "guided":
            raise ConfigError(f"the term {name} learns the turns that a teacher took: give --mode guided")


def _frozen(model: nn.Module) -> nn.Module:
    return model.eval().requires_grad_(False)


def _of_signals(config: TrainConfig, student: Language, scores: Any) -> list[ExtraTerm]:
    plan = plan_of_signals(config)
    if plan is None:
        return []
    check_signals(config, plan)
    for name, signal in plan.chosen.items():
        if "teacher" in signal.needs and scores is None:
            raise ConfigError(f"the term {name} compares with a teacher that scores: give --teacher student.pt")
    start = _frozen(copy.deepcopy(student.model)) if "start" in plan.needs else None
    return [PolicyTerm(plan, start)]


def make_terms(config: TrainConfig, student: Language, teacher: Teacher | None, rows: Sequence[Row]) -> list[ExtraTerm]:
    """The further terms of a run.

    Raises:
        ConfigError: a term whose teacher is missing.
    """
    scores = teacher.scores if teacher else None
    local = teacher.language.model if teacher and teacher.language else None
    made = []
    for name, weight in weights_of_terms(config).items():
        term = TERMS[name]
        if term.needs != "nothing" and scores is None:
            raise ConfigError(f"the term {name} compares with a teacher that scores: give --teacher student.pt")
        if term.needs == "local" and local is None:
            raise ConfigError(f"the term {name} needs a local teacher: give --teacher student.pt")
        model = _acts(teacher, student) if term.needs == "actions" else local
        extra = term.make(TermContext(config, weight, student, rows, scores, model))
        if isinstance(extra, nn.Module):
            extra.to(next(student.model.parameters()).device)
        made.append(extra)
    return made + _of_signals(config, student, scores)

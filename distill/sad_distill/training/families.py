"""Teacher and student meet: on the ids that they share, or on text where their tokenizers are of different families."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sad_distill.auxiliary.terms import chosen_terms, plan_of_signals
from sad_distill.config import TrainConfig
from sad_distill.models.heads import restrict
from sad_distill.models.language import Language
from sad_distill.teachers.by_text import TextTeacher
from sad_distill.teachers.registry import Teacher
from sad_env.errors import ConfigError
from sad_env.safe_text import one_line


def meet(config: TrainConfig, teacher: Teacher, student: Language) -> Teacher:
    """The teacher as it can be compared with this student.

    Where their tokenizers are of one family, both models' distributions are from now on over the ids that they share.
    Else the teacher becomes one that reads text.

    Raises:
        ConfigError: they are of different families, and the settings need shared ids or the teacher cannot read.
    """
    shared = teacher.fits(student) if teacher.fits is not None else None
    if shared is not None:
        restrict(student.model, shared)
    if shared is not None or teacher.fits is None:
        return teacher
    name = one_line(teacher.name, 60)
    if needs := next(_need_ids(config), ""):
        raise ConfigError(
            f"teacher {name!r} has another tokenizer than the student, and {needs}: give one with the student's"
            " tokenizer, or --method sad"
        )
    if teacher.reads is None:
        raise ConfigError(
            f"teacher {name!r} has another tokenizer than the student and tells no likelihoods of text: distil from its"
            " text (method seqkd)"
        )
    whole = config.method == "sad" and config.data.action_support == "trie"
    scores = TextTeacher(teacher.reads, student.tokenizer, whole_actions=whole)
    actions = "actions whole over the admissible ones" if whole else "actions, too"
    return replace(
        teacher,
        scores=scores,
        comparison=f"teacher {name} has another tokenizer: compared by its text, {actions}",
    )


def _need_ids(config: TrainConfig) -> Iterator[str]:
    """What in these settings needs ids that teacher and student share."""
    if config.method == "minillm":
        yield "method minillm samples from the mixture of both"
    if config.mode == "guided":
        yield "in mode guided its ids become targets of the student"
    for name, term in chosen_terms(config).items():
        if term.needs in ("scores", "local"):
            yield f"the term {name} compares ids"
    plan = plan_of_signals(config)
    for name, signal in plan.chosen.items() if plan else ():
        if "teacher" in signal.needs:
            yield f"the term {name} compares ids"
    if config.curriculum.curriculum != "none" and config.curriculum.curriculum_entropy:
        yield "its entropy at the student's tokens is not known (--curriculum-entropy 0 does without)"
    if config.method == "sad" and config.data.action_support in ("static", "byte"):
        yield f"--action-support {config.data.action_support} is a set of ids (trie and full do without)"
    if config.loss.measure.kd_temperature != 1:
        yield "likelihoods of text are compared at --kd-temperature 1 only"
    if config.model.teacher_context != "student":
        yield f"--teacher-context {config.model.teacher_context} places the student's ids in the teacher's row"
    for name in ("top", "cache"):
        if getattr(config.model, name):
            yield f"--{name} keeps likelihoods of ids"

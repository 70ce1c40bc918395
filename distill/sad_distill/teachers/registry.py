"""Which teacher a word names.

`TEACHERS` is open: `TEACHERS["mine:"] = function` makes `--teacher mine:...` call `function(spec, config)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sad_agents.loading import device_of, file_identity
from sad_agents.model_settings import DTYPES
from sad_agents.sampling.kv_cache import context_of

from sad_distill.config import TrainConfig
from sad_distill.data.labels import glue_of
from sad_distill.models.heads import restrict, rows_of_head, unwrap
from sad_distill.models.language import Language, load_language
from sad_distill.models.token_ids import TokenIds, shared_ids
from sad_distill.teachers.base import ScoringTeacher, WritingTeacher
from sad_distill.teachers.cache import CachedTeacher
from sad_distill.teachers.context import TeacherView
from sad_distill.teachers.http import TEACHER_PATIENCE
from sad_distill.teachers.local import AdaptersOffTeacher, LocalTeacher
from sad_distill.teachers.openai import OpenAITeacher
from sad_distill.teachers.reading import LocalReader, Reader
from sad_distill.teachers.recorded_scores import WORD as RECORDED
from sad_distill.teachers.recorded_scores import RecordedTeacher
from sad_distill.teachers.remote import RemoteTeacher
from sad_env import registry
from sad_env.errors import UnknownNameError
from sad_env.http import Patience


@dataclass(frozen=True)
class ReadingHabits:
    """How a model reads by itself, where it does not see what the student sees.

    Attributes:
        start_ids: before everything, outside of a chat.
        template: its chat template, "" for none.
        chat: it is used to the turns of a chat.
        ours: it is a student of this project, trained without instruction and exemplars.
    """

    start_ids: tuple[int, ...] = ()
    template: str = ""
    chat: bool = False
    ours: bool = False

    @classmethod
    def of(cls, language: Language) -> ReadingHabits:
        """How a model in this process reads."""
        template = language.tokenizer.chat_template
        text = template if isinstance(template, str) else ""
        return cls(language.start_ids, text, language.chat, language.ours)


@dataclass(frozen=True)
class Teacher:
    """What a teacher can do; each part may be missing.

    Attributes:
        name: for the records.
        scores: says how likely each of the student's tokens is.
        writes: writes completions.
        expert: name of the world's expert policy.
        language: a local model, which may also act.
        fits: gives the ids that mean the same to teacher and student, which the teacher's answers are over from then
            on; None where they are of different families.
        context: tokens that it sees at once; 0 where that is not known.
        reading: how it reads by itself; None where it does not say.
        view: its own context; None where it sees what the student sees.
        reads: says how likely text is in its own tokens, for students with another tokenizer.
        comparison: how it is compared with the student, where that is not by their ids; for the user.
    """

    name: str
    scores: ScoringTeacher | None = None
    writes: WritingTeacher | None = None
    expert: str = ""
    language: Language | None = None
    fits: Callable[[Language], TokenIds | None] | None = None
    context: int = 0
    reading: ReadingHabits | None = None
    view: TeacherView | None = None
    reads: Reader | None = None
    comparison: str = ""


TeacherFactory = Callable[[str, TrainConfig], Teacher]
"""Makes a teacher from the whole word, prefix included, and the run's settings."""


def _patience(config: TrainConfig) -> Patience:
    return replace(TEACHER_PATIENCE, seconds=config.model.patience)


def _remote(spec: str, config: TrainConfig) -> Teacher:
    at_once = config.model.teacher_concurrency
    teacher = RemoteTeacher(spec, top=config.model.top or 64, patience=_patience(config), concurrency=at_once)
    return Teacher(
        teacher.name,
        scores=teacher,
        writes=teacher,
        fits=teacher.fits,
        context=teacher.context,
        reading=ReadingHabits(*teacher.reading) if teacher.reading else None,
        reads=teacher,
    )


def _openai(spec: str, config: TrainConfig) -> Teacher:
    teacher = OpenAITeacher.of(
        spec,
        top=config.model.top or 20,
        patience=_patience(config),
        concurrency=config.model.teacher_concurrency,
        max_tokens=config.model.max_new_tokens,
    )
    return Teacher(teacher.name, teacher, teacher, fits=teacher.fits, context=teacher.context(), reads=teacher)


def _local(spec: str, config: TrainConfig) -> Teacher:
    language = load_language(spec, config.hardware.device, DTYPES[_precision(config)], teaches=True)
    teacher = LocalTeacher(language.model, language.identity, config.model.top)

    def fits(student: Language) -> TokenIds | None:
        shared = shared_ids(language.tokenizer.get_vocab(), student.tokenizer.get_vocab())
        if shared is not None:
            shared = shared.below(min(rows_of_head(language.model), rows_of_head(student.model)))
            restrict(language.model, shared)
        return shared

    context = context_of(language.model)
    return Teacher(
        teacher.name,
        scores=teacher,
        language=language,
        fits=fits,
        context=context,
        reading=ReadingHabits.of(language),
        reads=LocalReader(language, teacher.name, context),
    )


def teacher_precision(asked: str, device: str) -> str:
    """Precision of a local teacher's numbers: auto is bf16 but for a processor, which is no faster with it."""
    if asked != "auto":
        return asked
    return "fp32" if device_of(device).type == "cpu" else "bf16"


def _precision(config: TrainConfig) -> str:
    return teacher_precision(config.model.teacher_precision, config.hardware.device)


BASE = "base"
"""The word for a teacher that is the student's own model without its adapters."""


def base_teacher(config: TrainConfig, student: Language) -> Teacher:
    """The student's own model with its adapters off.

    Args:
        config: the settings.
        student: with adapters.
    """
    name = f"{BASE} of {student.identity}"
    scores: ScoringTeacher = AdaptersOffTeacher(student.model, name, config.model.top)
    if config.model.cache:
        scores = CachedTeacher(scores, Path(config.model.cache))
    return Teacher(name, scores=scores, context=context_of(unwrap(student.model)), reading=ReadingHabits.of(student))


TEACHERS: dict[str, TeacherFactory] = {
    "http://": _remote,
    "https://": _remote,
    "openai:": _openai,
}
"""Kinds of teachers by the prefix of their names. Experts of the world come before them; any other word is a model."""


def load_teacher(config: TrainConfig) -> Teacher | None:
    """The teacher that the settings name; its scores are cached where the settings name a cache.

    The student's own base (`base_teacher`) is made once there is a student.

    Raises:
        UnknownNameError: an expert that the world does not have.
        CheckpointError: a file or folder that is not sound.
        InfrastructureError: a server that does not answer, or a hub id that cannot be fetched.
    """
    if config.model.teacher in ("", BASE):
        return None
    teacher = _factory(config.model.teacher, config.data.env)(config.model.teacher, config)
    if config.model.cache and teacher.scores is not None:
        return replace(teacher, scores=CachedTeacher(teacher.scores, Path(config.model.cache)))
    return teacher


def _factory(spec: str, world: str) -> TeacherFactory:
    experts = registry.world(world).experts
    if spec in experts:
        return lambda spec, _: Teacher(spec, expert=spec)
    if spec == RECORDED:
        return lambda spec, _: Teacher(spec, scores=RecordedTeacher())
    for prefix, factory in TEACHERS.items():
        if spec.startswith(prefix):
            return factory
    # expert-run/student.pt is a file; expert-plian is a typing error.
    if spec.startswith("expert") and not Path(spec).exists() and not spec.endswith(".pt") and "/" not in spec:
        raise UnknownNameError(f"expert of {world}", spec, experts)
    return _local


def contents_of(config: TrainConfig, teacher: Teacher | None, student: Language) -> dict[str, str]:
    """Names with hashes of the files and models that the settings name, by setting."""
    return {
        "student": student.identity,
        "teacher": teacher.name if teacher else "",
        "teacher_precision": _precision(config) if teacher and teacher.language else "fp32",
        **(
            {"teacher_told": file_identity(Path(told))} if (told := config.model.teacher_told).endswith(".toml") else {}
        ),
        **({"teacher_context": teacher.view.sha256[:12]} if teacher and teacher.view else {}),
        "trajectories": ", ".join(file_identity(Path(path)) for path in config.data.trajectories),
        "writing": " ".join(
            (student.form, *([f"chat {glue_of(student.tokenizer).sha256[:12]}"] if student.chat else []))
        ),
    }

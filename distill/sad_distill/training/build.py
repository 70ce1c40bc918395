"""From settings to things: student, rows, learner, and all that a run is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sad_agents.loading import device_of
from sad_agents.sampling.kv_cache import context_of
from sad_agents.windowing import Windowing

from sad_distill.auxiliary.minillm import RECORDED
from sad_distill.auxiliary.terms import make_terms
from sad_distill.config import TrainConfig
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.label_masks import remask
from sad_distill.data.rows import Row, rows_from
from sad_distill.models.heads import vocabulary_of
from sad_distill.models.language import Language, load_language, own_tokenizer
from sad_distill.models.nano import SIZES, from_scratch
from sad_distill.models.students import every_kth_layer, with_adapters
from sad_distill.teachers.registry import Teacher, load_teacher
from sad_distill.training.learner import Learner
from sad_distill.training.methods import compares_ids, objective_of
from sad_distill.training.optimiser import Optimisation
from sad_distill.training.ranks import Ranks
from sad_env import registry
from sad_env.errors import ConfigError, DataError, UnknownNameError
from sad_env.records import Trajectory, read_trajectories
from sad_env.safe_text import one_line


@dataclass(frozen=True)
class Parts:
    """What a run is made of.

    Attributes:
        config: its settings.
        ranks: the processes that train together.
        episodes: the recorded episodes, without prompts.
        teacher: None where the settings name none.
        student: model and tokenizer.
        rows: of the recorded episodes.
        learner: trains the student.
    """

    config: TrainConfig
    ranks: Ranks
    episodes: Sequence[Trajectory]
    teacher: Teacher | None
    student: Language
    rows: Sequence[Row]
    learner: Learner

    @property
    def windowing(self) -> Windowing:
        """What the student sees."""
        return Windowing(self.config.budget, self.config.room)

    def rows_of(self, episodes: Sequence[Trajectory]) -> list[Row]:
        """Rows of these episodes for this student."""
        return labelled_rows(self.config, self.student, episodes)


def build(config: TrainConfig, ranks: Ranks) -> Parts:
    """Load and make everything.

    Raises:
        ConfigError: settings that contradict one another or what they name.
        DataError: the files of episodes hold none, or such as were broken off.
    """
    config.check()
    if ranks.size > 1:
        check_shared(config)
    episodes = [without_prompt(one) for path in config.episodes for one in read_trajectories(path)]
    if config.episodes and not episodes:
        raise DataError(f"no episode in {', '.join(config.episodes)}: collect some with sad-collect")
    if owed := sum(one.status.owed for one in episodes):
        raise DataError(
            f"{owed} of {len(episodes)} episodes in {', '.join(config.episodes)} were broken off by a fault of their"
            " world or agent: leave them out"
        )
    registry.world(config.world)  # refuses an unknown name before anything is loaded
    # Adapters and heads draw their first weights below.
    torch.manual_seed(config.seed)
    teacher = load_teacher(config)
    if config.mode == "guided" and (teacher is None or teacher.language is None):
        raise ConfigError("mode guided needs a local teacher, which acts and scores: give --teacher student.pt")
    student = build_student(config, teacher, episodes)
    rows = labelled_rows(config, student, episodes)
    learner = build_learner(config, ranks, teacher, student, rows)
    return Parts(config, ranks, episodes, teacher, student, rows, learner)


def build_learner(
    config: TrainConfig, ranks: Ranks, teacher: Teacher | None, student: Language, rows: Sequence[Row]
) -> Learner:
    """The learner of a run, with its further terms.

    Raises:
        ConfigError: the objective or a term needs a teacher that is not there.
    """
    # Only SAD knows action supports.
    mode = config.action_support if config.method == "sad" else "full"
    return Learner(
        student.model,
        objective_of(config),
        optimisation_of(config),
        teacher=teacher.scores if teacher else None,
        supports=ActionSupport(student.tokenizer, mode, rows),
        micro_batch=config.micro_batch,
        precision=config.precision,
        extras=make_terms(config, student, teacher, rows),
        recorded=RECORDED if config.method == "minillm" else None,
        ranks=ranks,
    )


def build_student(config: TrainConfig, teacher: Teacher | None, episodes: Sequence[Trajectory]) -> Language:
    """The student that the settings name, on its device, ready to be trained.

    Raises:
        ConfigError: a student that needs a teacher or episodes which are not there, whose ids mean other tokens to
            the teacher, or where it or the teacher sees fewer tokens than the budget.
    """
    language = _find_student(config, teacher.language if teacher else None, episodes)
    if teacher is not None and teacher.fits is not None and compares_ids(config):
        teacher.fits(language.tokenizer.get_vocab(), vocabulary_of(language.model))
    if config.budget > (context := context_of(language.model)):
        raise ConfigError(
            f"--budget {config.budget}: student {one_line(config.student, 60)!r} has {context} positions: give --budget"
            f" {context} or less"
        )
    played = config.mode == "guided" or compares_ids(config)
    if teacher is not None and played and 0 < teacher.context < config.budget:
        raise ConfigError(
            f"--budget {config.budget}: teacher {one_line(teacher.name, 60)!r} has {teacher.context} positions: give"
            f" --budget {teacher.context} or less"
        )
    model: Any = language.model.to(device_of(config.device))  # type: ignore[arg-type]
    if config.recompute:
        # transformers renamed it in 5.x.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    if config.adapters:
        model = with_adapters(model, config.adapters)
    return Language(model, language.tokenizer, language.identity)


def _find_student(config: TrainConfig, local: Language | None, episodes: Sequence[Trajectory]) -> Language:
    spec = config.student
    if spec.startswith("nano-") and spec not in SIZES:
        raise UnknownNameError("student", spec, [*SIZES, "layers:N"])
    if spec in SIZES:
        tokenizer = local.tokenizer if local else own_tokenizer(spec, episodes, config.vocabulary)
        positions = max(config.budget, 1024)
        return Language(from_scratch(spec, tokenizer, seed=config.seed, positions=positions), tokenizer, spec)
    if spec.startswith("layers:"):
        if local is None:
            raise ConfigError(f"student {spec!r} takes its layers from a local teacher: give --teacher student.pt")
        if not spec[7:].isdecimal():
            raise ConfigError(f"student {spec!r}: give a number of layers, e.g. layers:5")
        return Language(every_kth_layer(local.model, int(spec[7:])), local.tokenizer, spec)
    return load_language(spec)


def labelled_rows(config: TrainConfig, student: Language, episodes: Sequence[Trajectory]) -> list[Row]:
    """Rows of these episodes, labelled as the settings ask."""
    rows = rows_from(episodes, student.tokenizer, Windowing(config.budget, config.room))
    return [remask(row, config.masks, config.seed) for row in rows]


def optimisation_of(config: TrainConfig) -> Optimisation:
    """Schedule and optimiser of the settings."""
    return Optimisation(
        steps=config.steps,
        learning_rate=config.learning_rate,
        warmup=config.warmup,
        weight_decay=config.weight_decay,
        clip=config.clip,
        optimiser=config.optimiser,
        embedding_factor=config.embedding_factor,
    )


def check_shared(config: TrainConfig) -> None:
    """Refuse settings that several processes cannot share.

    Raises:
        ConfigError: naming them.
    """
    writes = config.mode == "dagger" and not config.teacher.startswith("expert")
    for flag, used in (
        ("--project", config.project),
        ("--contrastive", config.contrastive > 0),
        ("--mode dagger with a teacher that writes", writes),
    ):
        if used:
            raise ConfigError(f"{flag} works within one process: launch a single one, or leave it out")


def without_prompt(trajectory: Trajectory) -> Trajectory:
    """The episode without instructions and exemplars: a student is trained on the task and needs none."""
    return trajectory.model_copy(update={"prompt": ""}) if trajectory.prompt else trajectory

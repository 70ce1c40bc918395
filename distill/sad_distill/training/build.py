"""From settings to things: student, rows, learner, and all that a run is made of."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from sad_agents.loading import device_of
from sad_agents.recorded_ids import with_own_ids
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.action_head import ActionHead
from sad_agents.sampling.kv_cache import context_of
from sad_agents.trained_world import same_world
from sad_agents.windowing import Windowing
from torch import Tensor

from sad_distill.auxiliary.action_head import head_of, left_to_head
from sad_distill.auxiliary.minillm import RECORDED
from sad_distill.auxiliary.terms import make_terms
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.config_heads import by_head
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.label_masks import remask
from sad_distill.data.labels import glue_of
from sad_distill.data.rows import Row, rows_from
from sad_distill.models.language import Language, load_language, own_tokenizer
from sad_distill.models.nano import SIZES, from_scratch
from sad_distill.models.students import every_kth_layer, with_adapters
from sad_distill.schedules import Schedule
from sad_distill.teachers.registry import BASE, Teacher, base_teacher, load_teacher
from sad_distill.teachers.self_teacher import decay_of, self_teacher
from sad_distill.teachers.views import in_context
from sad_distill.teachers.won_episodes import WonEpisodes
from sad_distill.training.families import meet
from sad_distill.training.learner import Learner
from sad_distill.training.methods import compares_ids, objective_of
from sad_distill.training.pace import Pace
from sad_distill.training.ranks import Ranks
from sad_distill.training.tasks import held_out
from sad_env import registry
from sad_env.errors import ConfigError, DataError, UnknownNameError
from sad_env.records import FormName, Trajectory, read_trajectories
from sad_env.safe_text import one_line
from sad_env.transcript import form_of, in_form


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
        pace: how far the run is.
    """

    config: TrainConfig
    ranks: Ranks
    episodes: Sequence[Trajectory]
    teacher: Teacher | None
    student: Language
    rows: Sequence[Row]
    learner: Learner
    pace: Pace

    @property
    def windowing(self) -> Windowing:
        """What the student sees."""
        return self.config.model.windowing

    @property
    def head(self) -> ActionHead | None:
        """The head that chooses the student's actions; None where the student writes them."""
        return head_of(self.learner.extras, self.config.loss.act_loss) if by_head(self.config) else None

    @property
    def teacher_success(self) -> float | None:
        """Success of the teacher in this world by its training record; None where it tells nothing."""
        language = self.teacher.language if self.teacher else None
        return language.success.get(self.config.data.env) if language else None

    def acting_parameters(self) -> list[tuple[str, Tensor]]:
        """What is trained of all that the student acts by, by name."""
        modules = {"": self.learner.modules["student"], **({"action_head.": self.head} if self.head else {})}
        named = [(prefix + name, one) for prefix, module in modules.items() for name, one in module.named_parameters()]
        return [(name, one) for name, one in named if one.requires_grad]

    def rows_of(self, episodes: Sequence[Trajectory]) -> list[Row]:
        """Rows of these episodes for this student."""
        return labelled_rows(self.config, self.student, episodes)


def _check_processes(config: TrainConfig, ranks: Ranks) -> None:
    if ranks.size > 1:
        check_shared(config)
    elif config.hardware.shard_learner:
        raise ConfigError(
            "--shard-learner cuts over processes: launch several, e.g. torchrun --nproc-per-node 4 -m ..."
        )


def build(config: TrainConfig, ranks: Ranks) -> Parts:
    """Load and make everything.

    Raises:
        ConfigError: settings that contradict one another or what they name.
        DataError: the files of episodes hold none, or such as were broken off.
    """
    check(config)
    _check_processes(config, ranks)
    episodes = [without_prompt(one) for path in config.data.trajectories for one in read_trajectories(path)]
    if config.data.trajectories and not episodes:
        raise DataError(f"no episode in {', '.join(config.data.trajectories)}: collect some with sad-collect")
    if owed := sum(one.status.owed for one in episodes):
        raise DataError(
            f"{owed} of {len(episodes)} episodes in {', '.join(config.data.trajectories)} were broken off by a fault of"
            " their world or agent: leave them out"
        )
    registry.world(config.data.env)  # refuses an unknown name before anything is loaded
    _check_worlds(config, episodes)
    episodes = _trained_on(config, episodes)
    # Adapters and heads draw their first weights below.
    torch.manual_seed(config.data.seed)
    itself = decay_of(config.model.teacher) is not None
    teacher = None if itself else load_teacher(config)
    if config.mode == "guided" and not itself and (teacher is None or teacher.language is None):
        raise ConfigError("mode guided needs a local teacher, which acts and scores: give --teacher student.pt")
    student = build_student(config, teacher, episodes)
    _check_head(config, student)
    if itself:
        teacher = self_teacher(config.model.teacher, student, config.model.top)
    if config.model.teacher == BASE:
        teacher = base_teacher(config, student)
    if teacher is not None and compares_ids(config):
        teacher = meet(config, teacher, student)
    teacher = in_context(config, teacher, student)
    if config.model.teacher_told == "recorded":
        tell(teacher, episodes)
    rows = labelled_rows(config, student, episodes)
    learner = build_learner(config, ranks, teacher, student, rows)
    return Parts(config, ranks, episodes, teacher, student, rows, learner, Pace(config))


def _check_worlds(config: TrainConfig, episodes: Sequence[Trajectory]) -> None:
    """Refuse recorded episodes of another world than the student's.

    Raises:
        ConfigError: naming both.
    """
    world = config.data.env
    found = dict.fromkeys(one.world for one in episodes)
    if all(same_world(one, world) for one in found):
        return
    files, worlds = ", ".join(config.data.trajectories), " and ".join(found)
    advice = f"give --env {worlds}" if len(found) == 1 else "give files of one world"
    raise ConfigError(
        f"--trajectories {one_line(files, 120)}: episodes of {one_line(worlds, 120)}, where --env is"
        f" {one_line(world, 80)}: {one_line(advice, 80)}"
    )


def _check_head(config: TrainConfig, student: Language) -> None:
    """Refuse what a head cannot be beside, as far as the student decides it.

    Raises:
        ConfigError: naming it.
    """
    if by_head(config) and form_of(student.form).closing != "\n":
        raise ConfigError(
            f"--act-loss {config.loss.act_loss}: actions of the form {student.form} end with more than their line: give"
            " --form lines or tags"
        )
    if student.head is not None and (config.model.teacher == BASE or decay_of(config.model.teacher) is not None):
        raise ConfigError(
            f"--teacher {config.model.teacher}: the student chooses by an action head and has not learned to write"
            " actions: name another teacher"
        )
    if student.head is not None and config.mode != "offline" and not by_head(config):
        raise ConfigError(
            f"student {one_line(config.model.student, 60)!r} chooses by an action head and has not learned to write"
            f" actions, as it would in mode {config.mode}: give --act-loss {student.head.kind}_head, or --mode offline"
        )


def build_learner(
    config: TrainConfig, ranks: Ranks, teacher: Teacher | None, student: Language, rows: Sequence[Row]
) -> Learner:
    """The learner of a run, with its further terms.

    Raises:
        ConfigError: the objective or a term needs a teacher that is not there.
    """
    # Only a divergence of SAD knows action supports, which are sets of ids.
    compared = config.method == "sad" and config.loss.act_loss == "divergence"
    by_ids = compared and not (teacher and teacher.comparison)
    mode = config.data.action_support if by_ids else "full"
    shard = config.hardware.shard_learner
    return Learner(
        student.model,
        objective_of(config),
        config.optimisation,
        teacher=teacher.scores if teacher else None,
        supports=ActionSupport(student.tokenizer, mode, rows),
        micro_batch=config.hardware.micro_batch,
        precision=config.hardware.precision,
        extras=make_terms(config, student, teacher, rows),
        recorded=RECORDED if config.method == "minillm" else None,
        ranks=ranks,
        gradients_every=0 if shard else config.output.gradients_every,
        weight=Schedule.of(config.terms.method_weight),
        shard=shard,
    )


def tell(teacher: Teacher | None, episodes: Sequence[Trajectory]) -> None:
    """Let a teacher that reads won episodes know these, and no others."""
    if teacher is not None and teacher.view is not None and isinstance(teacher.view.known, WonEpisodes):
        teacher.view.known.replace(episodes)


def _trained_on(config: TrainConfig, episodes: list[Trajectory]) -> list[Trajectory]:
    """The episodes without those on tasks that validation holds out."""
    if not config.validation.untrained:
        return episodes
    recipe = WorldRecipe.of(config.data.env, config.data.data, config.data.split)
    held = set(held_out(config, recipe.panel().task_ids))
    return [one for one in episodes if one.split != config.data.split or one.task_id not in held]


def build_student(config: TrainConfig, teacher: Teacher | None, episodes: Sequence[Trajectory]) -> Language:
    """The student that the settings name, on its device, ready to be trained.

    Raises:
        ConfigError: a student that needs a teacher or episodes which are not there, or where it or the teacher sees
            fewer tokens than the budget.
    """
    language = written_as(config, _find_student(config, teacher.language if teacher else None, episodes), episodes)
    if config.model.context > (context := context_of(language.model)):
        raise ConfigError(
            f"--context {config.model.context}: student {one_line(config.model.student, 60)!r} has {context} positions:"
            f" give --context {context} or less"
        )
    played = config.mode == "guided" or compares_ids(config)
    if teacher is not None and played and 0 < teacher.context < config.model.context:
        raise ConfigError(
            f"--context {config.model.context}: teacher {one_line(teacher.name, 60)!r} has {teacher.context} positions:"
            f" give --context {teacher.context} or less"
        )
    model: Any = language.model.to(device_of(config.hardware.device))  # type: ignore[arg-type]
    if config.model.student_precision == "bf16":
        model = model.to(torch.bfloat16)
    if config.hardware.recompute:
        # transformers renamed it in 5.x.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    if config.model.adapters:
        model = with_adapters(model, config.model.adapters)
    return replace(language, model=model, start_ids=())  # students are trained without a begin token


def _find_student(config: TrainConfig, local: Language | None, episodes: Sequence[Trajectory]) -> Language:
    spec = config.model.student
    if spec.startswith("nano-") and spec not in SIZES:
        raise UnknownNameError("student", spec, [*SIZES, "layers:N"])
    if spec in SIZES:
        if local is None:
            written = [in_form(one, form_for(config, None, episodes)) for one in episodes]
            local = Language(None, own_tokenizer(spec, written, config.model.vocabulary))  # type: ignore[arg-type]
        positions = max(config.model.context, 1024)
        model = from_scratch(spec, local.tokenizer, seed=config.data.seed, positions=positions)
        return replace(local, model=model, identity=spec)
    if spec.startswith("layers:"):
        if local is None:
            raise ConfigError(f"student {spec!r} takes its layers from a local teacher: give --teacher student.pt")
        if not spec[7:].isdecimal():
            raise ConfigError(f"student {spec!r}: give a number of layers, e.g. layers:5")
        thinned: Any = every_kth_layer(local.model, int(spec[7:]))
        return replace(local, model=thinned.float(), identity=spec)
    return load_language(spec)


def form_for(config: TrainConfig, language: Language | None, episodes: Sequence[Trajectory]) -> FormName:
    """The form that a student writes in: of the settings, of its record, or the only one of the episodes."""
    if config.model.form != "auto":
        return config.model.form
    if language is not None and language.ours:
        return language.form
    found = {one.form for one in episodes}
    return found.pop() if len(found) == 1 else "lines"


def written_as(config: TrainConfig, language: Language, episodes: Sequence[Trajectory]) -> Language:
    """The student with the form and the chat template that it is trained and played in.

    Raises:
        ConfigError: chat turns are asked for, and its tokenizer has no template that can be used.
    """
    chat = language.chat if config.model.chat == "auto" else config.model.chat == "on"
    if chat:
        glue_of(language.tokenizer)
    return replace(language, form=form_for(config, language, episodes), chat=chat)


def rewritten(trajectory: Trajectory, student: Language) -> Trajectory:
    """The episode as this student would have written it; ids of another tokenizer or under another template go."""
    changed = in_form(trajectory, student.form)
    same = changed.chat == student.chat
    steps = tuple(with_own_ids(one, student.tokenizer) if same else one.without_ids() for one in changed.steps)
    if same and all(map(operator.is_, steps, changed.steps)):
        return changed
    return changed.model_copy(update={"chat": student.chat, "steps": steps})


def labelled_rows(config: TrainConfig, student: Language, episodes: Sequence[Trajectory]) -> list[Row]:
    """Rows of these episodes, labelled as the settings ask."""
    written = [rewritten(one, student) for one in episodes]
    rows = rows_from(written, student.tokenizer, config.model.windowing)
    if by_head(config):
        rows = [left_to_head(row, student.tokenizer) for row in rows]
    return [remask(row, config.data.masks, config.data.seed) for row in rows]


def check_shared(config: TrainConfig) -> None:
    """Refuse settings that several processes cannot share.

    Raises:
        ConfigError: naming them.
    """
    writes = config.mode == "dagger" and not config.model.teacher.startswith("expert")
    for flag, used in (
        ("--project", config.loss.project),
        ("--processor-seconds", bool(config.optimisation.processor_seconds)),
        ("--backend ray, which would begin a cluster for each,", config.online.backend == "ray"),
        ("--terms contrastive", "contrastive" in config.terms.weights),
        ("--mode dagger with a teacher that writes", writes),
    ):
        if used:
            raise ConfigError(f"{flag} works within one process: launch a single one, or leave it out")


def without_prompt(trajectory: Trajectory) -> Trajectory:
    """The episode without instructions and exemplars: a student is trained on the task and needs none."""
    return trajectory.model_copy(update={"prompt": ""}) if trajectory.prompt else trajectory

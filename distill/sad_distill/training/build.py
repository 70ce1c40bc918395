"""From settings to things: student, tokenizer, teacher, objective, learner."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from sad_agents.checkpoints import load_student
from sad_agents.sampling.kv_cache import context_of
from sad_agents.windowing import Windowing
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from sad_distill.auxiliary.minillm import single_step
from sad_distill.config import TrainConfig
from sad_distill.losses.scoring import Measure
from sad_distill.models.heads import vocabulary_of
from sad_distill.models.nano import SIZES, from_scratch
from sad_distill.models.students import every_kth_layer, with_adapters
from sad_distill.models.tokenizer import texts_of, train_tokenizer
from sad_distill.teachers.base import ScoringTeacher, WritingTeacher
from sad_distill.teachers.http import TEACHER_PATIENCE
from sad_distill.teachers.local import LocalTeacher, check_same_tokens
from sad_distill.training.learner import Objective
from sad_distill.training.optimiser import Optimisation
from sad_env import registry
from sad_env.errors import ConfigError, InfrastructureError, UnknownNameError
from sad_env.files import sha256_file
from sad_env.records import Trajectory
from sad_env.safe_text import one_line

_TOKENIZER_EPISODES = 2000
"""Episodes that a tokenizer is trained on at most."""


@dataclass(frozen=True)
class Language:
    """A model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True)
class Teacher:
    """What a teacher can do; each part may be missing.

    Attributes:
        name: for the records.
        scores: says how likely each of the student's tokens is.
        writes: writes what it would have written.
        expert: name of the world's expert policy.
        language: a local model, which may also act.
        fits: refuses a student, by its vocabulary and the rows of its head, whose ids mean something else.
    """

    name: str
    scores: ScoringTeacher | None = None
    writes: WritingTeacher | None = None
    expert: str = ""
    language: Language | None = None
    fits: Callable[[Mapping[str, int], int], None] | None = None


def device_of(name: str) -> torch.device:
    """The device that the settings name.

    Args:
        name: cpu, cuda, or auto.

    Raises:
        ConfigError: another word, or a GPU that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise ConfigError(f"--device {one_line(name, 40)!r}: give cpu, cuda or auto")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(f"--device {name}: no such GPU here ({torch.cuda.device_count()} found): give cpu or auto")
    # A launcher gives each of its processes a GPU.
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)


def windowing_of(config: TrainConfig) -> Windowing:
    """What the student sees."""
    return Windowing(config.budget, config.room)


def load_language(spec: str) -> Language:
    """A model and its tokenizer from a student.pt, a folder, "smollm2", or a hub id.

    Raises:
        CheckpointError: a file or folder that is not sound.
        InfrastructureError: a hub id that cannot be fetched.
    """
    if spec == "smollm2":
        from sad_distill.models.smollm2 import load_smollm2

        return Language(*load_smollm2())
    if Path(spec).exists() or spec.endswith(".pt"):
        student = load_student(spec)
        torch.nn.Module.to(student.model, dtype=torch.float32)
        return Language(student.model, student.tokenizer)
    try:
        tokenizer = AutoTokenizer.from_pretrained(spec)
        model = AutoModelForCausalLM.from_pretrained(spec, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"no model {spec!r} here or on the hub: {one_line(str(error), 120)}") from None
    return Language(cast(PreTrainedModel, model), tokenizer)


def load_teacher(config: TrainConfig) -> Teacher | None:
    """The teacher that the settings name.

    Raises:
        UnknownNameError: an expert that the world does not have.
    """
    spec = config.teacher
    if not spec:
        return None
    experts = registry.world(config.world).experts
    if spec in experts:
        return Teacher(spec, expert=spec)
    # expert-run/student.pt is a file; expert-plian is a slip of the pen.
    if spec.startswith("expert") and not Path(spec).exists() and not spec.endswith(".pt") and "/" not in spec:
        raise UnknownNameError(f"expert of {config.world}", spec, experts)
    patience = replace(TEACHER_PATIENCE, seconds=config.patience)
    if spec.startswith(("http://", "https://")):
        from sad_distill.teachers.remote import RemoteTeacher

        remote = RemoteTeacher(spec, top=config.top or 64, patience=patience)
        return Teacher(remote.name, scores=_cached(remote, config), writes=remote, fits=remote.fits)
    if spec.startswith("openai:"):
        from sad_distill.teachers.openai import OpenAITeacher

        server = OpenAITeacher.of(spec, top=config.top or 20, patience=patience)
        return Teacher(server.name, scores=_cached(server, config), writes=server, fits=server.fits)
    language = load_language(spec)
    language.model.to(device_of(config.device))  # type: ignore[arg-type]
    local = LocalTeacher(language.model, identity(spec, language.model), config.top)

    def fits(vocabulary: Mapping[str, int], rows: int) -> None:
        check_same_tokens(language.tokenizer.get_vocab(), vocabulary)

    return Teacher(local.name, scores=_cached(local, config), language=language, fits=fits)


def _cached(teacher: ScoringTeacher, config: TrainConfig) -> ScoringTeacher:
    if not config.cache:
        return teacher
    from sad_distill.teachers.cache import CachedTeacher

    return CachedTeacher(teacher, Path(config.cache))


_WEIGHTS = ("*.safetensors", "config.json", "tokenizer.json")
"""The files of a model's folder that decide what it answers."""


def identity(spec: str, model: PreTrainedModel | None = None) -> str:
    """A model's name for keys and records.

    Args:
        spec: as the settings name it.
        model: as it was loaded; one of a hub knows its revision.

    Returns:
        A file's or folder's name and hash, a hub id with its commit, or the word itself.
    """
    path = Path(spec)
    if path.is_file():
        return f"{path.stem}-{sha256_file(path)[:12]}"
    if path.is_dir():
        files = sorted(file for pattern in _WEIGHTS for file in path.glob(pattern))
        content = "".join(f"{file.name} {sha256_file(file)}\n" for file in files)
        return f"{path.resolve().name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    commit = getattr(model.config, "_commit_hash", None) if model is not None else None
    return f"{spec}@{commit[:12]}" if commit else spec


def contents_of(config: TrainConfig, teacher: Teacher | None, student: Language) -> dict[str, str]:
    """What the settings' files and models hold, by setting: what the words that name them cannot say."""
    return {
        "student": identity(config.student, student.model),
        "teacher": teacher.name if teacher else "",
        "episodes": ", ".join(identity(path) for path in config.episodes),
    }


def build_student(config: TrainConfig, teacher: Teacher | None, episodes: Sequence[Trajectory]) -> Language:
    """The student that the settings name, on its device, ready to be trained.

    Raises:
        ConfigError: a student that needs a teacher or episodes which are not there, whose ids the teacher would
            take for others, or that sees fewer tokens than the budget.
    """
    local = teacher.language if teacher else None
    spec = config.student
    if spec.startswith("nano-") and spec not in SIZES:
        raise UnknownNameError("student", spec, [*SIZES, "layers:N"])
    if spec in SIZES:
        tokenizer = local.tokenizer if local else _own_tokenizer(config, episodes)
        positions = max(config.budget, 1024)
        language = Language(from_scratch(spec, tokenizer, seed=config.seed, positions=positions), tokenizer)
    elif spec.startswith("layers:"):
        if local is None:
            raise ConfigError(f"student {spec!r} takes its layers from a local teacher: give --teacher student.pt")
        if not spec[7:].isdecimal():
            raise ConfigError(f"student {spec!r}: give a number of layers, e.g. layers:5")
        language = Language(every_kth_layer(local.model, int(spec[7:])), local.tokenizer)
    else:
        language = load_language(spec)
    if teacher is not None and teacher.fits is not None and compares_ids(config):
        teacher.fits(language.tokenizer.get_vocab(), vocabulary_of(language.model))
    if config.budget > (context := context_of(language.model)):
        raise ConfigError(
            f"--budget {config.budget}: student {one_line(spec, 60)!r} has {context} positions: give --budget {context}"
            " or less"
        )
    model: Any = language.model.to(device_of(config.device))  # type: ignore[arg-type]
    if config.recompute:
        # transformers renamed it in 5.x.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    if config.adapters:
        model = with_adapters(model, config.adapters)
    return Language(model, language.tokenizer)


def _own_tokenizer(config: TrainConfig, episodes: Sequence[Trajectory]) -> PreTrainedTokenizerBase:
    if not episodes:
        raise ConfigError(
            f"{config.student} begins from nothing and needs text for its tokenizer: give --episodes or --teacher"
        )
    # A seeded part of many: more of them change hardly a token, and each takes its time.
    part = random.Random(0).sample(list(episodes), min(len(episodes), _TOKENIZER_EPISODES))
    return train_tokenizer(texts_of(part), config.vocabulary)


def compares_ids(config: TrainConfig) -> bool:
    """True when a teacher is asked about the student's ids, which then must mean the same to both."""
    return (
        objective_of(config).divergence > 0
        or config.alignment != "none"
        or config.action_head != "none"
        or config.contrastive > 0
        or (config.curriculum != "none" and config.curriculum_entropy != 0)
    )


def objective_of(config: TrainConfig) -> Objective:
    """What the method trains for."""
    measure = Measure(
        kind=config.divergence,
        beta=config.beta,
        temperature=config.temperature,
        outside=config.outside,
        clamp=config.clamp,
    )
    shared: dict[str, Any] = {"measure": measure, "observation": config.observation_weight}
    likelihood_only: dict[str, Any] = {**shared, "likelihood": 1.0, "divergence": 0.0, "reduction": "token_mean"}
    if config.alignment != "none":
        # The aligned comparison, an extra term, is the whole loss.
        return Objective(**{**likelihood_only, "likelihood": 0.0})
    if config.method in ("sft", "seqkd"):
        return Objective(**likelihood_only)
    if config.method == "word_kd":
        return Objective(**shared, likelihood=0.5, divergence=0.5, reduction="token_mean")
    if config.method == "token_flat":
        return Objective(**shared, reduction="token_mean")
    if config.method == "minillm":
        return single_step(config.sampling_temperature)
    return Objective(
        **shared,
        reason=config.reason_weight,
        act=config.act_weight,
        reduction=config.reduction,
        learned=config.learned_weights,
        project=config.project,
    )


def optimisation_of(config: TrainConfig) -> Optimisation:
    """How parameters move."""
    return Optimisation(
        steps=config.steps,
        learning_rate=config.learning_rate,
        warmup=config.warmup,
        weight_decay=config.weight_decay,
        clip=config.clip,
        optimiser=config.optimiser,
        embedding_factor=config.embedding_factor,
    )

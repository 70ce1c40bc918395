"""Which settings of a distillation contradict one another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from sad_agents.rollout.backend import LOCAL, check_backend

from sad_distill.config import SAMPLER, TrainConfig
from sad_distill.config_heads import CONTRADICTIONS, by_head
from sad_distill.schedules import Schedule
from sad_env.errors import ConfigError
from sad_env.settings import flat

if TYPE_CHECKING:
    from sad_distill.signals.table import Signal

LIKELIHOOD = ("sft", "seqkd")
"""Methods that learn from text alone."""
COMPARING = ("sad", "word_kd", "token_flat")
"""Methods that compare with a teacher at each token."""
UNMIXED = ("forward", "reverse")
"""Divergences without a mixture, to which beta means nothing."""


def signals_of(config: TrainConfig) -> list[str]:
    """Names of the terms that are signals: they speak of tokens that the student sampled."""
    if not config.terms.schedules:
        return []
    from sad_distill.auxiliary.terms import TERMS  # it needs torch, and settings alone do not

    return [name for name in config.terms.schedules if name not in TERMS]


def known_signals(config: TrainConfig) -> list[Signal]:
    """The signals in --terms; names that there are not are refused elsewhere."""
    if not (names := signals_of(config)):
        return []
    from sad_distill.signals.table import SIGNALS  # it needs torch, and settings alone do not

    return [SIGNALS[name] for name in names if name in SIGNALS]


_RANGES = (
    *((name, 1, math.inf) for name in ("steps", "batch", "micro_batch", "rollouts", "updates", "passes", "save_every")),
    *((name, 1, math.inf) for name in ("group", "validate_episodes")),
    *((name, 0, math.inf) for name in ("redraws", "replay_every", "processor_seconds", "max_steps")),
    *((name, 0, math.inf) for name in ("validate_every", "validate_patience")),
    *((name, 0, math.inf) for name in ("invalid_penalty", "ratio_clip")),
    ("teacher_concurrency", 1, math.inf),
    *((name, 0, math.inf) for name in ("adapters", "top", "patience", "tasks", "workers", "gradients_every", "actors")),
    *((name, 0, math.inf) for name in ("learning_rate", "embedding_factor", "weight_decay", "clip", "clamp")),
    *((name, 0, 1) for name in ("warmup", "online_share", "guidance")),
    ("kd_temperature", 1e-3, math.inf),
    ("sampling_temperature", 0, math.inf),
    ("horizon_every", 1, math.inf),
)
"""Settings that are numbers, and the least and the greatest value of each."""


def _expert(config: TrainConfig) -> bool:
    return config.model.teacher.startswith("expert")


TOLD = ("solution", "recorded", "group")
"""What a privileged teacher may read, beside hints from a file."""
_SERVED = ("http://", "https://", "openai:")
"""Beginnings of teachers behind an address."""


_CONTRADICTIONS: tuple[tuple[Callable[[TrainConfig], bool], str], ...] = (
    (
        lambda config: config.online.updates % config.online.passes != 0,
        "--passes {passes} does not divide --updates {updates}: each pass takes as many updates",
    ),
    (
        lambda config: config.loss.measure.divergence not in UNMIXED and not 0 < config.loss.measure.beta < 1,
        "--beta {beta:g}: {divergence} mixes with a weight between 0 and 1, both excluded",
    ),
    (
        lambda config: config.mode == "dagger" and config.method not in (*LIKELIHOOD, "sad", "token_flat"),
        "mode dagger learns what its teacher writes at the student's states: give --method sft, sad or token_flat",
    ),
    (
        lambda config: config.mode == "dagger" and config.method in ("sad", "token_flat") and _expert(config),
        "an expert writes and cannot score: give --method sft, or a --teacher that is a model",
    ),
    (
        lambda config: (
            config.mode == "dagger"
            and config.method in ("sad", "token_flat")
            and config.model.teacher_context != "student"
        ),
        "--teacher-context {teacher_context} in mode dagger: the turns that a teacher writes there are learned by"
        " likelihood: give --method sft",
    ),
    (
        lambda config: config.model.teacher_told not in TOLD and not config.model.teacher_told.endswith(".toml"),
        f"--teacher-told {{teacher_told}}: give {', '.join(TOLD)} or FILE.toml, which has a hint for each type of task",
    ),
    (
        lambda config: config.model.teacher_told == "recorded" and not config.data.trajectories,
        "--teacher-told recorded tells of won episodes: give --trajectories FILE.jsonl",
    ),
    (
        lambda config: config.model.teacher_told == "group" and config.online.group < 2,
        "--teacher-told group tells of another episode on the task: give --group 8, or another number",
    ),
    (
        lambda config: config.method == "policy" and not signals_of(config),
        "method policy learns by terms alone: give --terms opd=1, grpo=1 or others",
    ),
    (
        lambda config: (
            config.method == "policy"
            and config.mode == "mixed"
            and len(signals_of(config)) == len(config.terms.schedules)
        ),
        "mode mixed has recorded rows, which no signal in --terms speaks of: give --mode online, or --method sad",
    ),
    (
        lambda config: config.mode == "dagger" and "observation_head" in config.terms.weights,
        "mode dagger learns turns, and the term observation_head observations: leave it out",
    ),
    (
        lambda config: config.online.rollouts % config.online.group != 0,
        "--group {group} does not divide --rollouts {rollouts}",
    ),
    (
        lambda config: bool(config.online.replay_every) and config.mode != "online",
        "--replay-every lets the student go on from recorded beginnings: give --mode online",
    ),
    (
        lambda config: bool(config.online.replay_every) and bool(config.online.redraws),
        "--redraws draws tasks of the split, --replay-every begins in recorded episodes: leave one of them out",
    ),
    (
        lambda config: bool(config.online.replay_every) and not config.data.trajectories,
        "--replay-every begins in recorded won episodes: give --trajectories FILE.jsonl",
    ),
    (
        lambda config: bool(config.optimisation.processor_seconds) and config.curriculum.curriculum != "none",
        "--curriculum {curriculum} is over a number of updates, which --processor-seconds does not set: leave out one",
    ),
    (
        lambda config: not all(0 < share < 1 for share in config.output.keep_at),
        "--keep-at takes shares of the run between 0 and 1, e.g. 0.25 0.5: the whole is student.pt",
    ),
    (
        lambda config: config.loss.learned_weights and config.terms.method_weight != "1",
        "--learned-weights weighs the method's loss itself: leave --method-weight out",
    ),
    (
        lambda config: config.method == "minillm" and config.terms.method_weight != "1",
        "--method-weight {method_weight} would weigh a part of method minillm's loss only: leave it out",
    ),
    (
        lambda config: config.mode == "guided" and config.model.teacher_told == "group",
        "--teacher-told group tells what an iteration's episodes won, and in mode guided the teacher acts before they"
        " are over: give --mode online, or --teacher-told solution",
    ),
    (
        lambda config: (
            config.online.sampling_temperature != 1
            and (config.model.top > 0 or config.model.teacher.startswith(_SERVED))
            and any("teacher" in signal.needs for signal in known_signals(config))
        ),
        "a teacher that answers with its likeliest tokens (served, or --top) knows temperature 1 alone: leave out"
        " --sampling-temperature {sampling_temperature:g}, or give a model in this process without --top",
    ),
    (
        lambda config: config.model.teacher == "recorded" and config.mode != "offline",
        "--teacher recorded knows the recorded episodes alone: give --mode offline, or a --teacher that is a model",
    ),
    (
        lambda config: config.model.teacher == "recorded" and config.model.teacher_context != "student",
        "--teacher-context {teacher_context}: what a teacher read is past once it is recorded: leave it out",
    ),
    (
        lambda config: config.model.teacher.partition(":")[0] == "self" and bool(config.model.cache),
        "--cache keeps answers of a teacher that stays, which --teacher {teacher} is not: leave it out",
    ),
    (
        lambda config: config.method in LIKELIHOOD and config.mode not in ("offline", "dagger"),
        "method {method} learns from recorded text: give --mode offline (or dagger)",
    ),
    (
        lambda config: config.method == "word_kd" and config.mode != "offline",
        "method word_kd learns from recorded text: give --mode offline",
    ),
    (
        lambda config: config.method == "minillm" and config.mode != "online",
        "method minillm samples from the student: give --mode online",
    ),
    (
        lambda config: (
            config.method == "minillm"
            and (not config.online.sampling_temperature or config.loss.measure.kd_temperature != 1)
        ),
        "method minillm compares at the temperature that it samples at: give --sampling-temperature above 0, and no"
        " --kd-temperature",
    ),
    (
        lambda config: bool(config.online.sampler) and not config.online.sampler.startswith(SAMPLER),
        "--sampler {sampler}: give vllm:URL, e.g. vllm:http://localhost:8000, or leave it out",
    ),
    (
        lambda config: config.hardware.shard_learner and not config.online.sampler,
        "--shard-learner leaves no process with the whole student to play: give --sampler vllm:URL, or leave it out",
    ),
    (
        lambda config: config.hardware.shard_learner and bool(config.validation.validate_every),
        "--validate-every plays the whole student in each process: leave it out, or --shard-learner",
    ),
    (
        lambda config: config.hardware.shard_learner and config.model.teacher.partition(":")[0] == "self",
        "--teacher {teacher} is a whole copy in each process: serve the student's start, or leave out --shard-learner",
    ),
    (
        lambda config: config.hardware.shard_learner and bool({"atomic", "atomic_local"} & config.terms.weights.keys()),
        "the terms atomic and atomic_local pass through the student as often as rows ask: leave out --shard-learner",
    ),
    (
        lambda config: bool(config.online.sampler) and config.method == "minillm",
        "method minillm samples from student and teacher mixed, which no server does: leave out --sampler",
    ),
    (
        lambda config: (
            config.online.backend != LOCAL
            and (
                config.mode == "guided"
                or config.method == "minillm"
                or bool(config.online.sampler or config.optimisation.processor_seconds)
            )
        ),
        "--backend {backend} sends the student alone to a cluster, whose time nobody counts: leave it out beside --mode"
        " guided, --method minillm, --sampler or --processor-seconds",
    ),
    (
        lambda config: (
            config.online.actors > 0
            and (
                config.mode == "guided"
                or bool(signals_of(config))
                or config.method == "minillm"
                or config.model.teacher_told == "group"
                or bool(config.online.sampler or config.optimisation.processor_seconds)
            )
        ),
        "--actors {actors} brings episodes that are one iteration old, played by the student alone, whose time nobody"
        " counts: leave it out beside --mode guided, --method minillm, signals in --terms, --teacher-told group,"
        " --sampler or --processor-seconds",
    ),
    (
        lambda config: (
            config.curriculum.curriculum != "none" and (config.online.group > 1 or config.online.replay_every > 0)
        ),
        "--curriculum {curriculum} draws one task an episode by itself: leave out --group and --replay-every",
    ),
    (
        lambda config: (config.data.constrained == "on" or by_head(config)) and bool(signals_of(config)),
        "--constrained on and action heads draw actions from another distribution than the terms weigh: leave it out",
    ),
    (
        lambda config: config.curriculum.curriculum != "none" and config.mode == "dagger",
        "--curriculum {curriculum} orders by a teacher's episodes, which mode dagger has none of: leave it out",
    ),
    (
        lambda config: config.curriculum.curriculum != "none" and not config.data.trajectories,
        "--curriculum {curriculum} orders by recorded episodes of the teacher: give --trajectories FILE.jsonl, or"
        " --horizon-start to let episodes grow",
    ),
    (
        lambda config: config.method == "sad" and config.loss.learns_recorded and config.mode != "offline",
        "cross-entropy (--reason-loss, --act-loss) is with recorded tokens, which mode {mode} does not learn from: give"
        " --mode offline",
    ),
    (
        lambda config: config.terms.aligned and config.mode != "offline",
        "an alignment compares with recordings of the same task, and mode {mode} may play others: give --mode offline,"
        " or leave the term out",
    ),
    (
        lambda config: (
            "contrastive" in config.terms.weights
            and (config.hardware.micro_batch < 2 or (config.mode == "offline" and config.data.batch < 2))
        ),
        "the term contrastive compares the rows of a micro-batch: give --micro-batch and --batch of 2 or more",
    ),
    (
        lambda config: config.model.teacher == "base" and not config.model.adapters,
        "--teacher base is the student without its adapters: give --adapters 16, or name another teacher",
    ),
    (
        lambda config: config.model.student_precision == "bf16" and config.hardware.precision != "bf16",
        "--student-precision bf16 computes in bf16, too: give --precision bf16",
    ),
    (
        lambda config: (
            config.model.teacher_context != "student"
            and (
                config.method == "minillm" or bool({"atomic", "atomic_local", "pointer"} & config.terms.weights.keys())
            )
        ),
        "--teacher-context {teacher_context}: method minillm and the terms atomic, atomic_local and pointer look at the"
        " teacher in the student's own context: give --teacher-context student",
    ),
    (
        lambda config: (
            config.model.teacher_context != "student"
            and config.loss.observation_weight > 0
            and config.method in COMPARING
        ),
        "--observation-weight {observation_weight:g}: observations are other tokens in the teacher's own context: give"
        " 0, or --teacher-context student",
    ),
    (
        lambda config: config.mode in ("offline", "mixed") and not config.data.trajectories,
        "mode {mode} needs recorded trajectories: give --trajectories FILE.jsonl",
    ),
    *CONTRADICTIONS,
)
"""Settings that cannot go together, and what is said then: a format of all settings."""


def check(config: TrainConfig) -> None:
    """Refuse settings that contradict one another.

    Raises:
        ConfigError: naming them.
        UnknownNameError: a further term that there is not.
    """
    values = flat(config)
    for name, low, high in _RANGES:
        if not low <= values[name] <= high:
            bound = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise ConfigError(f"--{name.replace('_', '-')} {values[name]:g}: give a number {bound}")
    if not 0 <= (config.online.online_share_end or 0) <= 1:
        raise ConfigError(f"--online-share-end {config.online.online_share_end:g}: give a number between 0 and 1")
    Schedule.of(config.terms.method_weight)
    check_backend(config.online.backend)
    if config.terms.schedules:
        from sad_distill.auxiliary.terms import weights_of_terms

        weights_of_terms(config)  # refuses unknown names
    for holds, message in _CONTRADICTIONS:
        if holds(config):
            raise ConfigError(message.format(**values))


def caution(config: TrainConfig) -> str:
    """One line on what these settings do that their user may not want; empty when there is nothing to say."""
    restricted = config.method == "sad" and config.data.action_support != "full"
    if restricted and config.loss.measure.outside == "ignore" and config.data.constrained == "off":
        return (
            "--outside ignore gives no gradient to tokens outside the action support: an agent that decodes freely may"
            " leave it; --constrained on keeps it there, --outside bucket teaches it not to"
        )
    return ""

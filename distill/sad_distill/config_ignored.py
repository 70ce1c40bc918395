"""Which settings of a distillation have no effect beside the others."""

from __future__ import annotations

from collections.abc import Mapping

from sad_distill.config import TrainConfig
from sad_distill.config_checks import COMPARING, LIKELIHOOD, UNMIXED, known_signals, signals_of
from sad_distill.config_heads import by_head
from sad_env.settings import flat

_BY_KIND = (
    "reason_weight", "act_weight", "reduction", "learned_weights", "project", "reason_loss", "act_loss", "masks",
    "action_support", "outside",
)  # fmt: skip
_NOT_ALIGNED = (
    "reduction", "reason_loss", "act_loss", "learned_weights", "project", "action_support", "outside", "method_weight",
)  # fmt: skip
_EQUATION_13 = ("curriculum_reason", "curriculum_act", "curriculum_entropy", "curriculum_scale")
_LIVE = (
    "rollouts", "updates", "passes", "sampling_temperature", "sampler", "horizon_start", "workers", "backend", "tasks",
    "group", "actors",
)  # fmt: skip
_COMPARISON = ("divergence", "beta", "kd_temperature")

_COUNT_WITH: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (("beta",), "divergence", ("js", "skew_forward", "skew_reverse")),
    ((*_COMPARISON, "clamp"), "method", COMPARING),
    (_BY_KIND, "method", ("sad",)),
    (("observation_weight",), "method", (*COMPARING, *LIKELIHOOD)),
    (("outside",), "action_support", ("static", "trie", "byte")),
    (("action_support", "outside"), "act_loss", ("divergence",)),
    (_EQUATION_13, "curriculum", ("sample", "sort", "walk")),
    (("curriculum_strength",), "curriculum", ("sample",)),
    (("masks", "observation_weight"), "mode", ("offline", "online", "mixed", "guided")),
    (_LIVE, "mode", ("online", "mixed", "guided", "dagger")),
    (("online_share", "online_share_end"), "mode", ("mixed",)),
    (("guidance", "guidance_fall"), "mode", ("guided",)),
    (("replay_every",), "mode", ("online",)),
    (("teacher_prompt", "teacher_chat"), "teacher_context", ("own", "privileged")),
    (("teacher_told",), "teacher_context", ("privileged",)),
)
"""Settings that have an effect only where another one has one of some values. MiniLLM has a divergence of its own."""


def ignored_by(config: TrainConfig) -> dict[str, str]:
    """Names of the settings that have no effect beside the others, each with what it needs."""
    values, terms = flat(config), config.terms.weights
    found: dict[str, str] = {}
    for names, other, allowed in _COUNT_WITH:
        if values[other] not in allowed:
            needed = f"it needs --{other.replace('_', '-')} {' or '.join(allowed)}, not {values[other]}"
            found |= dict.fromkeys(names, needed)
    if config.terms.aligned:  # it compares by the same divergence and weighs by the same λ, and is the whole loss
        for name in (*_COMPARISON, "clamp", "reason_weight", "act_weight"):
            found.pop(name, None)
        if values["divergence"] in UNMIXED:
            found["beta"] = f"it needs --divergence js or a skew form, not {values['divergence']}"
        found |= dict.fromkeys(_NOT_ALIGNED, "an alignment is the whole loss: leave out one of them")
    if {"atomic", "atomic_local"} & terms.keys():  # these compare whole actions by the same settings
        mixes = values["divergence"] not in UNMIXED
        for name in _COMPARISON if mixes else ("divergence", "kd_temperature"):
            found.pop(name, None)
    if config.mode != "offline" and config.method != "minillm":
        found["batch"] = "it needs --mode offline, elsewhere give --rollouts and --updates"
    found |= _without_signals(config)
    if signals_of(config) and config.policy.averaging == "type_mean":
        for name in ("reason_weight", "act_weight"):
            found.pop(name, None)
    if config.method == "policy":
        found["method_weight"] = "method policy has no loss beside its terms"
    found |= _switched_off(config)
    if not config.model.teacher or config.model.teacher.startswith("expert"):
        found |= dict.fromkeys(_asking(values), "it needs a --teacher that scores")
    elif config.model.teacher == "recorded":
        found |= dict.fromkeys(_asking(values), "--teacher recorded has answered already")
    if by_head(config):
        found["constrained"] = "an action head chooses among the admissible actions anyway"
    if config.model.form == "think":
        found |= dict.fromkeys(("action_support", "outside"), "actions of the form think have no token sets")
    return found


def _asking(values: Mapping[str, object]) -> tuple[str, ...]:
    """How a teacher is asked."""
    return ("top", "cache", "patience", *(name for name in values if name.startswith("teacher_")))


def _without_signals(config: TrainConfig) -> dict[str, str]:
    """What has no effect where no term is a signal, none is an advantage, or none is of a reward."""
    found: dict[str, str] = {}
    if not signals_of(config):
        needed = "it needs --terms of the student's tokens, e.g. opd=1 or grpo=1"
        return dict.fromkeys(("reward", "invalid_penalty", "ratio_clip", "averaging"), needed)
    signals = known_signals(config)
    if not any(one.advantage for one in signals):
        found["ratio_clip"] = "it needs --terms that are an advantage, e.g. opd=1 or grpo=1"
    compared = config.online.group > 1 and config.online.redraws > 0
    if not compared and not any("reward" in one.needs for one in signals):
        needed = "it needs --terms of a reward, e.g. grpo=1, or --redraws of groups"
        found |= dict.fromkeys(("reward", "invalid_penalty"), needed)
    return found


def _switched_off(config: TrainConfig) -> dict[str, str]:
    """What has no effect beside a number that is 0, or a switch."""
    found: dict[str, str] = {}
    if not config.validation.validate_every:
        found |= dict.fromkeys(("validate_episodes", "validate_patience", "keep"), "it needs --validate-every")
        if config.mode == "offline":
            found["max_steps"] = "it needs --mode online or --validate-every"
    if config.online.group < 2:
        found["redraws"] = "it needs --group of 2 or more"
    if not config.online.horizon_start:
        found["horizon_every"] = "it needs --horizon-start"
    if config.hardware.shard_learner:
        found["gradients_every"] = "no process sees whole gradients with --shard-learner"
    return found

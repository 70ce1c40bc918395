"""Which settings of a distillation contradict one another, have no effect, or had other names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sad_distill.config import TrainConfig
from sad_env.errors import ConfigError
from sad_env.settings import flat, present_names

_LIKELIHOOD = ("sft", "seqkd")
_UNMIXED = ("forward", "reverse")

_RANGES = (
    *((name, 1, math.inf) for name in ("steps", "batch", "micro_batch", "rollouts", "updates", "passes", "save_every")),
    *((name, 0, math.inf) for name in ("adapters", "top", "patience", "tasks", "workers")),
    *((name, 0, math.inf) for name in ("learning_rate", "embedding_factor", "weight_decay", "clip", "clamp")),
    *((name, 0, 1) for name in ("warmup", "online_share", "guidance")),
    ("kd_temperature", 1e-3, math.inf),
    ("sampling_temperature", 0, math.inf),
    ("horizon_every", 1, math.inf),
)
"""Settings that are numbers, and the least and the greatest value of each."""


class _Contradiction(NamedTuple):
    """Settings that cannot go together, and what is said then: a format of the flat settings."""

    holds: Callable[[TrainConfig], bool]
    message: str


_CONTRADICTIONS = (
    _Contradiction(
        lambda config: config.online.updates % config.online.passes != 0,
        "--passes {passes} does not divide --updates {updates}: each pass takes as many updates",
    ),
    _Contradiction(
        lambda config: config.loss.measure.divergence not in _UNMIXED and not 0 < config.loss.measure.beta < 1,
        "--beta {beta:g}: {divergence} mixes with a weight between 0 and 1, both excluded",
    ),
    _Contradiction(
        lambda config: config.mode == "dagger" and config.method not in _LIKELIHOOD,
        "mode dagger learns by likelihood what its teacher would have written, method {method} does not: give"
        " --method sft",
    ),
    _Contradiction(
        lambda config: config.method in _LIKELIHOOD and config.mode not in ("offline", "dagger"),
        "method {method} learns from recorded text: give --mode offline (or dagger)",
    ),
    _Contradiction(
        lambda config: config.method == "word_kd" and config.mode != "offline",
        "method word_kd learns from recorded text: give --mode offline",
    ),
    _Contradiction(
        lambda config: config.method == "minillm" and config.mode != "online",
        "method minillm samples from the student: give --mode online",
    ),
    _Contradiction(
        lambda config: (
            config.method == "minillm"
            and (not config.online.sampling_temperature or config.loss.measure.kd_temperature != 1)
        ),
        "method minillm compares at the temperature that it samples at: give --sampling-temperature above 0, and no"
        " --kd-temperature",
    ),
    _Contradiction(
        lambda config: config.curriculum.curriculum != "none" and config.mode != "offline",
        "--curriculum {curriculum} orders recorded trajectories, which mode {mode} does not: give --mode offline, or"
        " --horizon-start to let episodes grow",
    ),
    _Contradiction(
        lambda config: (
            "contrastive" in config.terms.weights
            and (config.hardware.micro_batch < 2 or (config.mode == "offline" and config.data.batch < 2))
        ),
        "the term contrastive compares the rows of a micro-batch: give --micro-batch and --batch of 2 or more",
    ),
    _Contradiction(
        lambda config: config.mode in ("offline", "mixed") and not config.data.trajectories,
        "mode {mode} needs recorded trajectories: give --trajectories FILE.jsonl",
    ),
)


def check(config: TrainConfig) -> None:
    """Refuse settings that contradict one another.

    Raises:
        ConfigError: naming them.
    """
    values = flat(config)
    for name, low, high in _RANGES:
        if not low <= values[name] <= high:
            bound = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise ConfigError(f"--{name.replace('_', '-')} {values[name]:g}: give a number {bound}")
    for holds, message in _CONTRADICTIONS:
        if holds(config):
            raise ConfigError(message.format(**values))


def caution(config: TrainConfig) -> str:
    """One line on what these settings do that their user may not want; empty when there is nothing to say."""
    if config.method == "sad" and config.data.action_support != "full" and config.loss.measure.outside == "ignore":
        return (
            "--outside ignore gives no gradient to tokens outside the action support: an agent that decodes freely may"
            " leave it; --outside bucket teaches it not to"
        )
    return ""


_BY_KIND = (
    "reason_weight",
    "act_weight",
    "reduction",
    "learned_weights",
    "project",
    "masks",
    "action_support",
    "outside",
)
_COMPARISON = ("divergence", "beta", "kd_temperature")
_EQUATION_13 = ("curriculum_reason", "curriculum_act", "curriculum_entropy", "curriculum_strength")
_LIVE = ("rollouts", "updates", "passes", "sampling_temperature", "horizon_start", "horizon_every", "workers", "tasks")


def _own_divergence(config: TrainConfig) -> bool:
    """Whether the loss has the divergence at each position that the settings choose; MiniLLM has one of its own."""
    return config.method not in (*_LIKELIHOOD, "minillm") and not config.terms.aligned


class _Ignored(NamedTuple):
    """Settings that have no effect beside others; `reason`, a format of all settings, says why and what to do."""

    holds: Callable[[TrainConfig], bool]
    names: tuple[str, ...]
    reason: str


_IGNORED = (
    _Ignored(lambda config: config.terms.aligned, _BY_KIND, "an alignment is the whole loss: leave out one of them"),
    _Ignored(
        lambda config: config.method != "sad",
        _BY_KIND,
        "method {method} weighs all tokens of the agent alike: give --method sad",
    ),
    _Ignored(
        lambda config: not _own_divergence(config) and not {"atomic", "atomic_local"} & config.terms.weights.keys(),
        _COMPARISON,
        "method {method} with terms {terms} does not compare at each position: leave it out",
    ),
    _Ignored(
        lambda config: not _own_divergence(config),
        ("clamp",),
        "method {method} with terms {terms} does not compare at each position: leave it out",
    ),
    _Ignored(
        lambda config: config.method == "minillm" and not config.terms.aligned,
        ("observation_weight",),
        "method minillm learns no observations: leave it out",
    ),
    _Ignored(
        lambda config: config.loss.measure.divergence in _UNMIXED,
        ("beta",),
        "divergence {divergence} mixes nothing: give --divergence js, skew_forward or skew_reverse",
    ),
    _Ignored(
        lambda config: config.data.action_support == "full",
        ("outside",),
        "action support full leaves nothing outside: give --action-support trie",
    ),
    _Ignored(
        lambda config: config.curriculum.curriculum == "none",
        _EQUATION_13,
        "there is no curriculum: give --curriculum sample",
    ),
    _Ignored(
        lambda config: config.curriculum.curriculum == "sort",
        ("curriculum_strength",),
        "curriculum sort draws nothing: give --curriculum sample",
    ),
    _Ignored(lambda config: config.mode == "offline", _LIVE, "mode offline plays nothing: give another --mode"),
    _Ignored(
        lambda config: config.mode != "offline" and config.method != "minillm",
        ("batch",),
        "mode {mode} divides the rows of an iteration into its updates: give --rollouts and --updates",
    ),
    _Ignored(lambda config: config.mode != "mixed", ("online_share",), "mode {mode} mixes nothing: give --mode mixed"),
    _Ignored(
        lambda config: config.mode != "guided",
        ("guidance",),
        "in mode {mode} the teacher takes no turns: give --mode guided",
    ),
    _Ignored(
        lambda config: not config.online.horizon_start,
        ("horizon_every",),
        "the horizon does not grow: give --horizon-start",
    ),
    _Ignored(
        lambda config: not config.model.teacher or config.model.teacher.startswith("expert"),
        ("top", "cache", "patience"),
        "no teacher scores: give --teacher student.pt",
    ),
)


def ignored_by(config: TrainConfig) -> dict[str, str]:
    """Names of the settings that have no effect beside the others, each with the reason and what to do."""
    values = {**flat(config), "terms": ", ".join(config.terms.terms) or "none"}
    found: dict[str, str] = {}
    for holds, names, reason in _IGNORED:
        if holds(config):
            found = {**dict.fromkeys(names, reason.format(**values)), **found}
    return found


FORMER_TERMS = {"contrastive": "contrastive={}", "alignment": "align_{}=1", "action_head": "{}=1"}
"""Settings of the release before that are further terms now, as formats of their value."""

REMOVED = {
    "temperature": "--kd-temperature for the loss, --sampling-temperature for the student's draws",
    "preset": "--config NAME",
    "contrastive": "terms = ['contrastive=WEIGHT']",
    "alignment": "terms = ['align_KIND=1']",
    "action_head": "terms = ['KIND=1']",
}
"""Settings of the release before that a file may not have any more, with what to give instead."""


def former_term(name: str, value: str) -> str:
    """The further term that a former setting asked for, "" for none."""
    return "" if value in ("none", "0", "0.0") else FORMER_TERMS[name].format(value)


def present_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded flat settings, those of the release before included, as they would be given now."""
    kept = {name: value for name, value in values.items() if name not in FORMER_TERMS}
    found = present_names(TrainConfig, kept)
    if "temperature" in found:
        found["kd_temperature"] = found.pop("temperature")
    terms = [former_term(name, str(values[name])) for name in FORMER_TERMS if name in values]
    return {**found, "terms": sorted([*found.get("terms", ()), *filter(None, terms)])}

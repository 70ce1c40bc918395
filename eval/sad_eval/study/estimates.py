"""What a study would take on GPUs: an estimate from its plan, by stated assumptions and without running anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sad_env.config_files import EXTENDS, shipped_configs
from sad_env.errors import ConfigError
from sad_env.progress import duration
from sad_env.safe_text import one_line
from sad_env.tables import read_toml
from sad_eval.study.config import StudyConfig
from sad_eval.study.plan import StudyStage
from sad_eval.study.tables import markdown

FLOPS = 312e12 * 0.35
"""A second of an A100: its bfloat16 peak, and the share of it that training reaches."""
BANDWIDTH = 1.6e12
"""Bytes a second that sampling reads of the weights."""
OVERHEAD = 0.03
"""Seconds of each forward pass of sampling, for all that is no arithmetic."""
SCALING = 0.9
"""What is left of a GPU's speed where eight share a stage."""
STEPS, WRITTEN = 30, 45
"""Steps of an episode, and tokens of a step, where the settings do not say."""
BATCH = 64
"""Episodes that are sampled side by side."""

_PARAMETERS = {
    "gpt2": 0.124e9,
    "gpt2-medium": 0.355e9,
    "gpt2-large": 0.774e9,
    "gpt2-xl": 1.56e9,
    "smollm2": 0.135e9,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([bm])(?![a-z])", re.IGNORECASE)


def parameters_of(spec: str) -> float:
    """Parameters of a model by its name.

    >>> parameters_of("hf:facebook/opt-1.3b"), parameters_of("nano-0.7m"), parameters_of("hf:openai-community/gpt2")
    (1300000000.0, 700000.0, 124000000.0)

    Raises:
        ConfigError: the name does not say.
    """
    name = spec.removeprefix("hf:").rpartition("/")[2]
    if name in _PARAMETERS:
        return _PARAMETERS[name]
    if found := _SIZE.search(name):
        return float(found[1]) * (1e9 if found[2].lower() == "b" else 1e6)
    raise ConfigError(f"{one_line(spec, 60)!r} does not say how large it is: a plan knows names like opt-1.3b")


class _Work(NamedTuple):
    """What a stage computes: operations, and seconds of sampling, which does not end sooner with more operations."""

    operations: float
    sampling: float


@dataclass(frozen=True)
class StageEstimate:
    """What one kind of stages would take.

    Attributes:
        kind: of the stages.
        stages: how many.
        hours: on one GPU, all of them.
        memory: gigabytes of weights, gradients and optimiser of one of them, activations left out.
    """

    kind: str
    stages: int
    hours: float
    memory: float

    @property
    def hours_on_eight(self) -> float:
        """The same where eight GPUs share each stage."""
        return self.hours / (8 * SCALING)


def estimates(config: StudyConfig, plan: Sequence[StudyStage]) -> list[StageEstimate]:
    """The stages that a GPU computes, by kind, in the order of the plan.

    Raises:
        ConfigError: a model whose name does not say how large it is.
    """
    kinds: dict[str, list[tuple[float, float]]] = {}
    for stage in plan:
        flags = _with_preset(flags_of(stage.command))
        module = next(word for word in stage.command if word.startswith("sad_"))
        if module == "sad_eval" and "--agent" not in flags:
            continue  # probes of a run's steps
        work = _training(config, flags, stage) if module == "sad_distill" else _playing(config, flags)
        if work is not None:
            seconds = work.operations / FLOPS + work.sampling
            kinds.setdefault(stage.kind, []).append((seconds, _memory(config, flags, stage, module)))
    return [
        StageEstimate(kind, len(found), sum(seconds for seconds, _ in found) / 3600, max(memory for _, memory in found))
        for kind, found in kinds.items()
    ]


def flags_of(command: Sequence[str]) -> dict[str, str]:
    """The flags of a command and their values; "" for one without a value."""
    found = {}
    for word, value in zip(command, [*command[1:], ""], strict=True):
        if word.startswith("--"):
            found[word] = "" if value.startswith("--") else value
    return found


def _with_preset(flags: Mapping[str, str]) -> dict[str, str]:
    """The flags, and those that the configuration says which they name."""
    said = _said(flags["--config"]) if "--config" in flags else {}
    return {**{f"--{name}": str(value) for name, value in said.items()}, **flags}


def _said(name: str) -> dict[str, Any]:
    """What a configuration of sad-distill says, and what it extends; of one in stages what their last says."""
    preset = read_toml(shipped_configs("sad_distill")[name])
    others = [*preset.get("stages", ()), *([preset[EXTENDS]] if EXTENDS in preset else [])]
    before = [_said(entry.partition("=")[0]) for entry in others]
    return {key: value for one in (*before, preset) for key, value in one.items()}


def _model(config: StudyConfig, spec: str) -> float | None:
    """Parameters of a model of the study, given by name or by the file that a stage makes; None for an expert."""
    if not (spec.endswith(".pt") and Path(spec).is_relative_to(config.out)):
        policies = {"random", "expert", "expert-plain", config.expert}
        return None if spec in policies else parameters_of(spec)
    folder = spec.rpartition("/")[0].rpartition("/")[2]
    if folder.startswith("teacher"):
        return parameters_of(config.teacher)
    size = max((one for one in config.students if folder.startswith(_start(one))), key=len, default="")
    return parameters_of(size)


def _start(size: str) -> str:
    return f"{size.rpartition('/')[2].replace(':', '-')}-"


def _training(config: StudyConfig, flags: Mapping[str, str], stage: StudyStage) -> _Work:
    student, teacher = _sizes(config, flags)
    updates, context = int(flags.get("--steps", config.steps)), int(flags["--context"])
    live = "--rollouts" in flags and flags.get("--mode") != "offline"
    rows = (
        int(flags["--rollouts"]) / int(flags.get("--updates", "1")) if live else int(flags.get("--batch", config.batch))
    )
    rows *= int(flags.get("--passes", "4" if flags.get("--method") == "minillm" else "1"))
    tokens = updates * rows * context
    compared = teacher if teacher and flags.get("--method") not in ("sft", "seqkd") else 0.0
    sampling = 0.0
    if live:
        iterations = updates / int(flags.get("--updates", "1"))
        sampling = iterations * _sampled(config, student, int(flags["--rollouts"]))
    return _Work((6 * student + 2 * compared) * tokens, sampling)


def _sizes(config: StudyConfig, flags: Mapping[str, str]) -> tuple[float, float]:
    student = _model(config, flags["--student"])
    assert student is not None
    teacher = _model(config, flags["--teacher"]) if "--teacher" in flags else None
    return student, teacher or 0.0


def _playing(config: StudyConfig, flags: Mapping[str, str]) -> _Work | None:
    size = _model(config, flags["--agent"])
    return None if size is None else _Work(0.0, _sampled(config, size, int(flags["--episodes"])))


def _sampled(config: StudyConfig, parameters: float, episodes: int) -> float:
    """Seconds of sampling episodes: each forward pass reads all weights for one token of `BATCH` episodes."""
    rounds = -(-episodes // BATCH)
    arithmetic = 2 * parameters * min(episodes, BATCH) / FLOPS
    passes = (config.max_steps or STEPS) * WRITTEN
    return rounds * passes * (OVERHEAD + max(2 * parameters / BANDWIDTH, arithmetic))


def _memory(config: StudyConfig, flags: Mapping[str, str], stage: StudyStage, module: str) -> float:
    if module != "sad_distill":
        return 4 * (_model(config, flags["--agent"]) or 0.0) / 1e9
    student, teacher = _sizes(config, flags)
    # float32 weights; gradients and two moments of what is trained: adapters are about a hundredth.
    trained = student / 100 if config.adapters else student
    return (4 * student + 12 * trained + 4 * teacher) / 1e9


def estimate_text(config: StudyConfig, plan: Sequence[StudyStage]) -> str:
    """The estimate as a table, with its sum and what it supposes."""
    found = estimates(config, plan)
    hours, eight = sum(one.hours for one in found), sum(one.hours_on_eight for one in found)
    rows = [
        [one.kind, str(one.stages), _shown(one.hours), _shown(one.hours_on_eight), f"{one.memory:.1f} GB"]
        for one in found
    ]
    rows.append(["all", str(sum(one.stages for one in found)), _shown(hours), _shown(eight), ""])
    header = ["stage", "times", "1 GPU", "8 GPUs", "weights and optimiser"]
    return (
        f"{markdown(header, rows)}\n\n"
        f"Supposed: A100 at {FLOPS / 1e12:.0f} TFLOP/s in training; sampling {BATCH} episodes at a time of"
        f" {config.max_steps or STEPS} steps of {WRITTEN} tokens, {OVERHEAD * 1000:.0f} ms and the reading of all"
        f" weights a token; rows of {config.context} tokens, one an episode; eight GPUs share each stage at"
        f" {SCALING:.0%}. Worlds, loading, activations and probes of faithfulness are left out."
    )


def _shown(hours: float) -> str:
    return duration(3600 * hours)

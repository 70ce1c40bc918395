"""What cannot go together with an action head in the place of L_Act (`--act-loss linear_head` or `pointer_head`)."""

from __future__ import annotations

from collections.abc import Callable

from sad_distill.config import ACT_HEADS, TrainConfig


def by_head(config: TrainConfig) -> bool:
    """Whether an action head takes the place of L_Act, and acts."""
    return config.method == "sad" and config.loss.act_loss in ACT_HEADS


_BESIDE: tuple[tuple[Callable[[TrainConfig], bool], str], ...] = (
    (
        lambda config: config.loss.act_loss == "linear_head" and not config.data.trajectories,
        "has a row for each action that recorded episodes list: give --trajectories FILE.jsonl, or pointer_head",
    ),
    (
        lambda config: config.mode == "dagger",
        "has a teacher's choice at each step, not its text: leave out --mode dagger",
    ),
    (
        lambda config: bool(config.online.sampler),
        "reads states, which no server tells: leave out --sampler",
    ),
    (
        lambda config: config.loss.learned_weights or config.loss.project or config.terms.method_weight != "1",
        "is a term of its own, which --learned-weights, --project and --method-weight do not see: leave them out",
    ),
    (lambda config: config.data.masks != "spans", "has to know where actions begin: leave out --masks {masks}"),
    (lambda config: not config.loss.act_weight, "would act without having learned: give an --act-weight above 0"),
    (
        lambda config: config.model.teacher_context != "student",
        "asks the teacher in the student's own context: give --teacher-context student",
    ),
    (lambda config: "pointer" in config.terms.weights, "is a head already: leave out --terms pointer"),
)

CONTRADICTIONS = tuple(
    (lambda config, holds=holds: by_head(config) and holds(config), f"--act-loss {{act_loss}} {message}")
    for holds, message in _BESIDE
)
"""Settings that cannot go together, and what is said then: a format of all settings."""

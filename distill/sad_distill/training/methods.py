"""What each method trains for.

`METHODS` is open: `METHODS["mine"] = function` makes method `mine` train for the objective `function(config)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sad_distill.auxiliary.minillm import single_step
from sad_distill.auxiliary.terms import chosen_terms, plan_of_signals
from sad_distill.config import ACT_HEADS, TrainConfig
from sad_distill.losses.objective import Objective


def _sad(config: TrainConfig) -> Objective:
    """Eq. 6 and 18; Eq. 19 where all is learned by likelihood; each kind by its own loss where they differ.

    What an action head leaves of actions to the language head, "Action:" above all, is learned as reasoning is.
    """
    loss = config.loss
    if loss.act_loss in ACT_HEADS:
        loss = replace(loss, act_loss=loss.reason_loss)
    by_likelihood = loss.reason_loss == loss.act_loss == "likelihood"
    likelihood, divergence = (1.0, 0.0) if by_likelihood else (0.0, 1.0)
    return Objective(**vars(loss), likelihood=likelihood, divergence=divergence)


def _flat(likelihood: float, divergence: float) -> Callable[[TrainConfig], Objective]:
    """One average over all agent tokens, of likelihood and divergence with these weights."""
    return lambda config: Objective(
        likelihood=likelihood,
        divergence=divergence,
        observation_weight=config.loss.observation_weight,
        reduction="token_mean",
        measure=config.loss.measure,
    )


METHODS: dict[str, Callable[[TrainConfig], Objective]] = {
    "sad": _sad,
    "sft": _flat(1.0, 0.0),
    "seqkd": _flat(1.0, 0.0),
    "word_kd": _flat(0.5, 0.5),
    "token_flat": _flat(0.0, 1.0),
    "minillm": lambda config: single_step(config.online.sampling_temperature),
    "policy": _flat(0.0, 0.0),
}


def objective_of(config: TrainConfig) -> Objective:
    """The objective of the method, or none of its own where a further term is the whole loss."""
    if any(term.alone for term in chosen_terms(config).values()):
        return _flat(0.0, 0.0)(config)
    return METHODS[config.method](config)


def compares_ids(config: TrainConfig) -> bool:
    """Whether a teacher is asked about the student's ids, which then must mean the same to both."""
    plan = plan_of_signals(config)
    return (
        objective_of(config).divergence > 0
        or (plan is not None and "teacher" in plan.needs)
        or any(term.needs != "nothing" for term in chosen_terms(config).values())
        or (config.curriculum.curriculum != "none" and config.curriculum.curriculum_entropy != 0)
    )

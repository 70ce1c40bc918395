"""Log-probabilities that a local model gives to whole actions: a distribution over the admissible ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard, cast

from sad_agents.model import Model, Request

if TYPE_CHECKING:
    from sad_agents.sampling.headed_model import HeadedModel
    from sad_agents.sampling.local_model import LocalModel


def can_score(model: Model) -> TypeGuard[LocalModel]:
    """Whether a model tells log-probabilities of given words; asked without importing torch.

    A served one does not, nor does a student with an action head: actions are no words to it.
    """
    sampler = getattr(model, "sampler", None)
    served = sampler is not None and not hasattr(sampler, "without_padding")
    return hasattr(model, "ids_with") and not served and not hasattr(model, "head")


def action_chances(model: Model, request: Request, actions: Sequence[str]) -> list[float] | None:
    """Log-weight of each of these admissible actions for a model that chooses among them; None for other models.

    Args:
        model: a student with an action head gives what the head says, another local model the likelihood of its words.
        request: ends where the action begins.
        actions: the admissible ones.
    """
    if hasattr(model, "head"):
        return cast("HeadedModel", model).chances(request, actions)
    return score_actions(model, request, [f" {action}" for action in actions]) if can_score(model) else None


def score_actions(model: LocalModel, request: Request, actions: Sequence[str], *, batch: int = 16) -> list[float]:
    """Natural log-probability of each action line after the request's text and its forced beginning.

    Args:
        model: scores; its caches are not touched.
        request: ends where the action begins.
        actions: without what closes an action in the model's form (a newline), which is scored with them.
        batch: actions in one forward pass.

    Returns:
        One sum over the tokens of the action and what closes it for each action; nan where the model gives no number.
    """
    import torch

    scored: list[float] = []
    causal = model.sampler.model
    for start in range(0, len(actions), batch):
        rows = [model.ids_with(request, action + model.form.closing) for action in actions[start : start + batch]]
        longest = max(len(context) + len(ids) for context, ids in rows)
        padded = torch.zeros((len(rows), longest), dtype=torch.long)
        for row, (context, ids) in enumerate(rows):
            padded[row, : len(context) + len(ids)] = torch.tensor([*context, *ids])
        with torch.inference_mode():
            # Rows are padded on the right, where causal attention never looks from the left.
            logits = model.sampler.without_padding(causal(input_ids=padded.to(causal.device)).logits.float())
            logits = logits.log_softmax(-1).cpu()
        for row, (context, ids) in enumerate(rows):
            positions = torch.arange(len(context) - 1, len(context) + len(ids) - 1)
            scored.append(float(logits[row, positions, torch.tensor(ids)].sum()))
    return scored

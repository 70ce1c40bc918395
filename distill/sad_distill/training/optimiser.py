"""AdamW or Muon with a cosine schedule, and their state as plain tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from sad_distill.config import Optimisation
from sad_distill.training.sharding import part_of

_WEIGHTS_RATE = 1e-2
"""Peak rate of learned weights of the loss: at a student's rate of 2e-5 a thousand updates move them by 1 %."""


def set_rate(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Give each group of an optimiser of `make_optimisers` this share of its peak rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * share


def make_optimisers(
    optimisation: Optimisation, modules: Iterable[nn.Module], weights: Iterable[nn.Parameter] = ()
) -> list[torch.optim.Optimizer]:
    """The optimisers of these modules' trainable parameters: AdamW, Muon, or both.

    Args:
        optimisation: how they move.
        modules: all of them.
        weights: those parameters among theirs that are weights of the loss, of one dimension.
    """
    modules = list(modules)
    weighing = {id(p) for p in weights}
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    tables = _tables(modules)
    hidden = [p for p in parameters if p.dim() >= 2 and id(p) not in tables]
    peak = optimisation.learning_rate
    groups = [
        {"params": [p for p in parameters if id(p) in tables], "peak": optimisation.embedding_factor * peak},
        {
            "params": [p for p in parameters if p.dim() < 2 and id(p) not in weighing],
            "weight_decay": 0.0,
            "peak": peak,
        },
        {"params": [p for p in parameters if id(p) in weighing], "weight_decay": 0.0, "peak": _WEIGHTS_RATE},
    ]
    matrices = [p for p in hidden if optimisation.optimiser == "muon" and p.dim() == 2]
    groups.append({"params": [p for p in hidden if optimisation.optimiser != "muon" or p.dim() != 2], "peak": peak})
    rest = [group for group in groups if group["params"]]
    made: list[torch.optim.Optimizer] = []
    if rest:  # adapters are matrices, all of them
        made.append(torch.optim.AdamW(rest, lr=peak, weight_decay=optimisation.weight_decay, fused=True))
    if matrices:
        # Updates of the size of AdamW's, so that one learning rate serves both.
        muon: list[Any] = [{"params": matrices, "peak": peak}]
        decay = optimisation.weight_decay
        made.append(torch.optim.Muon(muon, lr=peak, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return made


def optimiser_bytes(optimisation: Optimisation, modules: Iterable[nn.Module]) -> int:
    """What the state of `make_optimisers` takes once it has moved every parameter; models may be on the meta device.

    AdamW keeps two moments of a parameter and a count of its steps, Muon one moment of a matrix.
    """
    modules = list(modules)
    tables, total = _tables(modules), 0
    for parameter in {id(p): p for module in modules for p in module.parameters() if p.requires_grad}.values():
        muon = optimisation.optimiser == "muon" and parameter.dim() == 2 and id(parameter) not in tables
        total += parameter.numel() * parameter.itemsize * (1 if muon else 2) + (0 if muon else 4)
    return total


def _tables(modules: Iterable[nn.Module]) -> set[int]:
    """Identities of the parameters whose rows are tokens: embeddings and heads."""
    found = set()
    for module in modules:
        found |= {id(one.weight) for one in module.modules() if isinstance(one, nn.Embedding)}
        found |= {id(p) for name, p in module.named_parameters() if name.endswith("lm_head.weight")}
    return found


def optimiser_tensors(optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The state of optimisers as named tensors, their parameters numbered through."""
    tensors = {}
    for offset, optimiser in zip(_offsets(optimisers), optimisers, strict=True):
        for index, values in optimiser.state_dict()["state"].items():
            for name, value in values.items():
                tensors[f"optimiser.{offset + index}.{name}"] = torch.as_tensor(value)
    return tensors


def load_optimisers(optimisers: Sequence[torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            state[int(index)][name] = value
    for offset, optimiser in zip(_offsets(optimisers), optimisers, strict=True):
        numbers = range(offset, offset + _count(optimiser))
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        own = {
            number - offset: {name: part_of(one, parameter) for name, one in state[number].items()}
            for number, parameter in zip(numbers, parameters, strict=True)
            if number in state
        }
        optimiser.load_state_dict({**optimiser.state_dict(), "state": own})


def _offsets(optimisers: Sequence[torch.optim.Optimizer]) -> list[int]:
    return list(accumulate(map(_count, optimisers[:-1]), initial=0))


def _count(optimiser: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in optimiser.param_groups)

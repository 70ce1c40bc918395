"""A learner cut over processes (torch's `fully_shard`): each keeps its part of weights, gradients and optimiser state.

A layer is whole only while it computes, in each process at the same time: all make the same number of passes, and
whoever has fewer rows than the others makes them with a row that counts nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from sad_distill.models.heads import unwrap
from sad_distill.models.nano import layers_of
from sad_distill.training.ranks import Ranks
from sad_env.errors import ConfigError

Value = TypeVar("Value")


class Sharded(nn.Module):
    """All that is trained, cut: what computes within a call of it finds whole weights.

    Args:
        modules: the student, under that name, and others; they are changed.
        ranks: the processes.

    Raises:
        ConfigError: weights of several precisions, or a student without a stack of layers.
    """

    def __init__(self, modules: Mapping[str, nn.Module], ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks
        student = modules["student"]
        if len({one.dtype for module in modules.values() for one in module.parameters() if one.requires_grad}) > 1:
            raise ConfigError(
                "--shard-learner keeps what is trained in one precision: leave out --student-precision bf16, or the"
                " terms that have weights of their own"
            )
        layers = layers_of(unwrap(student))
        student.cpu()  # the device takes no more than its part
        copied = [copy.deepcopy(student)] if ranks.first else []
        self._copy = copied  # a list keeps it out of the module tree
        self.trained = nn.ModuleDict(modules)
        mesh = init_device_mesh(ranks.device.type, (ranks.size,))
        # Autocast, not a policy of FSDP, makes bfloat16 of them: that would round the gains of norms, too.
        for layer in layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(self, mesh=mesh)
        for module in self.modules():
            if isinstance(module, FSDPModule):  # gradients are added up, not averaged
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(enable=True)

    def forward(self, compute: Callable[[], Any]) -> Any:
        """What `compute` returns."""
        return compute()

    def touched(self, loss: Tensor) -> Tensor:
        """The loss of a micro-batch, within a call, with a gradient for all that is trained.

        A weight that only some processes used would have one in those alone, and the sums would not match.
        """
        # Layers are cut again by now; all of them were used.
        whole = [one for one in self.parameters() if one.requires_grad and not isinstance(one, DTensor)]
        return loss + sum((one.flatten()[0].to(loss) * 0 for one in whole), start=torch.zeros_like(loss))

    @torch.no_grad()
    def whole(self) -> nn.Module | None:
        """The student as it is, in the first process, on its processor; all have to call it at the same time."""
        targets: dict[str, nn.Parameter] = dict(self._copy[0].named_parameters()) if self._copy else {}
        for name, part in self.trained["student"].named_parameters():
            if part.requires_grad:
                full = whole_tensor(part)
                if targets:
                    targets[name].copy_(full)
        return self._copy[0] if self._copy else None


def whole_tensor(one: Tensor) -> Tensor:
    """The tensor, or the one that it is a part of; all processes have to ask at the same time."""
    return one.full_tensor() if isinstance(one, DTensor) else one


def own_part(one: Tensor) -> Tensor:
    """What this process holds of a tensor."""
    return one.to_local() if isinstance(one, DTensor) else one


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """Of a whole tensor what this process holds of `like`, which is of its shape; the tensor where that is whole."""
    if not isinstance(like, DTensor) or whole.shape != like.shape:
        return whole
    return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def gathered(tensors: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """The whole tensors in the first process, nothing in the others; all have to call it at the same time."""
    found = {}
    for name, one in tensors.items():
        whole = whole_tensor(one)
        if ranks.first:  # one at a time: the device never holds all of them
            found[name] = whole.cpu() if isinstance(one, DTensor) else whole
    return found

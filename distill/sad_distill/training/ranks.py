"""Several processes that train one student, and the sums that they share.

A launcher (`accelerate launch`, `torchrun`) starts the same command several times. Each process holds the whole
student, plays and learns from its own share of episodes and rows, and then all add up sums, counts and gradients, so
that an update is that of one process with all the rows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sad_env.errors import ConfigError

Item = TypeVar("Item")

_SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}
"""What `accelerate launch` sets for engines that cut a model into pieces."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: number of this process.
        size: how many there are.
        device: where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """This process' part: every `size`-th, so that like parts of an ordered list fall to each."""
        return list(items[self.rank :: self.size])

    def whole(self, shares: Sequence[Sequence[Item]]) -> list[Item]:
        """The inverse of `share`, from the shares of all processes."""
        return [shares[index % self.size][index // self.size] for index in range(sum(map(len, shares)))]

    def add(self, tensor: Tensor) -> Tensor:
        """The sum of all processes' tensors."""
        if self.size > 1:
            moved = tensor.to(self.device)
            dist.all_reduce(moved)
            tensor = moved.to(tensor.device)
        return tensor

    def any(self, mine: bool) -> bool:
        """Whether it is so in any process."""
        return mine if self.size == 1 else bool(self.add(torch.tensor([float(mine)])))

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Each parameter's gradient becomes the sum of all processes'; a process without one adds zeros."""
        if self.size == 1:
            return
        wanted = list(parameters)
        flat = self.add(
            torch.cat([(torch.zeros_like(one) if one.grad is None else one.grad).flatten() for one in wanted])
        )
        for one, gradient in zip(wanted, torch.split(flat, [one.numel() for one in wanted]), strict=True):
            one.grad = gradient.view_as(one).to(one.dtype)

    def gather(self, lines: Sequence[str]) -> list[list[str]]:
        """The lines of every process, by rank; no line holds a newline."""
        if self.size == 1:
            return [list(lines)]
        mine = torch.tensor(list("\n".join(lines).encode()), dtype=torch.uint8, device=self.device)
        lengths = [torch.zeros(2, dtype=torch.long, device=self.device) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor([len(mine), len(lines)], device=self.device))
        longest = int(max(length[0] for length in lengths))
        texts = [torch.zeros(longest, dtype=torch.uint8, device=self.device) for _ in lengths]
        dist.all_gather(texts, nn.functional.pad(mine, (0, longest - len(mine))))
        found = []
        for text, (length, count) in zip(texts, lengths, strict=True):
            whole = bytes(text[: int(length)].tolist()).decode()
            found.append(whole.split("\n") if count else [])
        return found

    def wait(self) -> None:
        """Until every process is here."""
        self.add(torch.zeros(1))


ALONE = Ranks()


@contextlib.contextmanager
def launched(device: str) -> Iterator[Ranks]:
    """The processes that a launcher started, joined for the time of a run; just this one when there was none.

    Args:
        device: cpu, cuda, or auto, as in the settings; each process takes a GPU of its own.

    Raises:
        ConfigError: the launcher is set up to cut the model into pieces.
    """
    for variable, name in _SHARDING.items():
        if os.environ.get(variable, "").lower() in ("1", "true"):
            raise ConfigError(
                f"{name} would cut the model into pieces, and a student acts and learns whole on each device:"
                " launch with --multi_gpu, and save memory by --adapters, --recompute or --precision bf16, or, where"
                " --sampler serves the student, by --shard-learner"
            )
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Ranks(dist.get_rank(), size, own)
    finally:
        dist.destroy_process_group()

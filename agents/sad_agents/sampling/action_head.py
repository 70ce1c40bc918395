"""Action heads: instead of writing its action, a student chooses one of the admissible ones (paper, appendix L).

z = W_a h + b_a with h the state that the language head reads at the ":" of "Action:", one number for each action. Two
kinds of W_a:

- `LinearHead`: a row of its own for each action of a fixed set, as printed. Actions outside of the set have none.
- `PointerHead`: rows made of the actions' words, so that every action has one.

A head decides among several whole actions (`decides`). What else there is to write, a slot or an action that no row is
for, is left to the language head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sad_agents.architecture import refuse
from sad_agents.sampling.action_trie import before_slot
from sad_env.json_lines import RecordError, parse_json

HEAD_FILE = "action_head.st"
"""A head's name in a folder. The content is safetensors; by that ending, servers would take it for more weights."""
MOST = 64
"""Actions that are compared at most."""


def decides(actions: Sequence[str]) -> bool:
    """Whether a head chooses among these admissible actions: 2 to `MOST`, each of them whole."""
    return 2 <= len(actions) <= MOST and all(before_slot(action) is None for action in actions)


class ActionHead(nn.Module):
    """Scores whole actions.

    Attributes:
        kind: its name among `HEADS`.
        actions: those that have a row of their own.
    """

    kind = ""
    actions: tuple[str, ...] = ()

    def scores(
        self, state: Tensor, actions: Sequence[str], paths: Sequence[Sequence[int]], embedding: Tensor
    ) -> Tensor:
        """Z of each action, [actions]; -inf for one that the head does not know.

        Args:
            state: the student's at the ":" of "Action:", [D].
            actions: admissible ones.
            paths: their ids, as they are written.
            embedding: the student's input embeddings, [V, D].
        """
        raise NotImplementedError


class LinearHead(ActionHead):
    """W_a and b_a with a row for each action of a set; at first all are alike.

    Args:
        width: of the student's states.
        actions: the set, each once.
    """

    kind = "linear"

    def __init__(self, width: int, actions: Sequence[str]) -> None:
        super().__init__()
        self.actions = tuple(actions)
        self.table = nn.Linear(width, len(self.actions))
        for parameter in self.table.parameters():
            nn.init.zeros_(parameter)
        self._rows = {action: row for row, action in enumerate(self.actions)}

    def all_scores(self, state: Tensor) -> Tensor:
        """Z of all actions of the set, [set]."""
        z: Tensor = self.table(state.to(self.table.weight.dtype))
        return z

    def rows(self, actions: Sequence[str]) -> list[int]:
        """The row of each action, -1 for one that has none."""
        return [self._rows.get(action, -1) for action in actions]

    def scores(
        self, state: Tensor, actions: Sequence[str], paths: Sequence[Sequence[int]], embedding: Tensor
    ) -> Tensor:
        """See `ActionHead`."""
        rows = torch.tensor(self.rows(actions), device=state.device)
        return self.all_scores(state)[rows].masked_fill(rows < 0, -torch.inf)


class PointerHead(ActionHead):
    """z(a) = (U h) · (W e(a)) with e(a) the mean embedding of the action's ids.

    Args:
        width: of the student's states.
        rank: of U and W.
    """

    kind = "pointer"

    def __init__(self, width: int, rank: int = 64) -> None:
        super().__init__()
        self.state = nn.Linear(width, rank, bias=False)
        self.action = nn.Linear(width, rank, bias=False)

    def scores(
        self, state: Tensor, actions: Sequence[str], paths: Sequence[Sequence[int]], embedding: Tensor
    ) -> Tensor:
        """See `ActionHead`."""
        means = torch.stack([embedding[torch.tensor(path, device=embedding.device)].mean(0) for path in paths])
        dtype = self.state.weight.dtype
        z: Tensor = self.action(means.to(dtype)) @ self.state(state.to(dtype))
        return z


def plain_head(head: ActionHead) -> ActionHead:
    """A copy of a head on the processor, without what it is learned by."""
    copied: ActionHead
    with torch.random.fork_rng(devices=[]):  # a layer draws its first weights
        if isinstance(head, LinearHead):
            copied = LinearHead(head.table.in_features, head.actions)
        elif isinstance(head, PointerHead):
            copied = PointerHead(head.state.in_features, head.state.out_features)
        else:
            raise TypeError(f"no head of this release: {type(head).__name__}")
    copied.load_state_dict({name: one.detach().cpu() for name, one in head.state_dict().items()})
    return copied.eval()


def input_embedding(model: nn.Module) -> Tensor:
    """A causal LM's input embeddings, [V, D]."""
    weight: Tensor = cast(Any, model).get_input_embeddings().weight
    return weight


def head_bytes(head: ActionHead) -> bytes:
    """A head as the content of `HEAD_FILE`."""
    tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in head.state_dict().items()}
    return safetensors.torch.save(tensors, {"kind": head.kind, "actions": json.dumps(head.actions)})


def read_head(path: Path, width: int) -> ActionHead:
    """The head in a student's folder.

    Args:
        path: of the file.
        width: of the student's states.

    Raises:
        CheckpointError: something else.
    """
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    except (SafetensorError, OSError, ValueError):
        refuse(path, "its action head is missing, truncated or damaged")
    return made_head(path, {**told, "weights": tensors}, width)


def made_head(path: Path, content: Mapping[str, Any], width: int) -> ActionHead:
    """The head that a file describes.

    Args:
        path: of the file, for the message.
        content: `kind`, `actions` (a JSON list), and `weights`: name -> tensor.
        width: of the student's states.

    Raises:
        CheckpointError: something else.
    """

    def refused() -> NoReturn:
        refuse(path, "its action head is none of this release (linear or pointer, with weights of the student's width)")

    kind, actions, weights = (content.get(key) for key in ("kind", "actions", "weights"))
    try:
        listed = parse_json(actions) if isinstance(actions, str) else None
    except RecordError:
        refused()
    if not isinstance(listed, list) or not all(type(one) is str for one in listed) or len(set(listed)) < len(listed):
        refused()
    if not isinstance(weights, Mapping) or not all(_is_sound(tensor) for tensor in weights.values()):
        refused()
    if kind == "linear":
        head: ActionHead = LinearHead(width, listed)
    elif kind == "pointer" and "state.weight" in weights and weights["state.weight"].dim() == 2:
        head = PointerHead(width, len(weights["state.weight"]))
    else:
        refused()
    if {name: tensor.shape for name, tensor in weights.items()} != {
        name: tensor.shape for name, tensor in head.state_dict().items()
    }:
        refused()
    head.load_state_dict(dict(weights))
    return head.eval()


def _is_sound(tensor: object) -> bool:
    plain = type(tensor) is Tensor and tensor.layout == torch.strided and tensor.dtype == torch.float32
    return plain and bool(torch.isfinite(cast(Tensor, tensor)).all())

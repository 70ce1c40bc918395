"""Rows to tensors: which positions are predicted, as what, and on which set of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sad_distill.data.rows import Row
from sad_distill.models.heads import hidden_states
from sad_env.records import SpanKind

KINDS = (SpanKind.REASON.value, SpanKind.ACT.value, SpanKind.OBS.value)
"""The kinds that a loss may ask for; their indices are `Batch.kind_N`."""

REASON, ACT, OBS = range(3)

Supports = Callable[[Row], dict[int, list[int]]]
"""Gives, for a row, the token set of each position that has one; other positions have the whole vocabulary."""


@dataclass(frozen=True)
class Batch:
    """Padded rows, and one entry for each of the N positions that a loss asks for.

    Attributes:
        ids_BT: token ids, padded on the right with 0; a row's branches follow it.
        mask_BT: 1 where there is a token; padding is never recognised by its id.
        row_N: row of each predicted token.
        from_N: the position that predicts it.
        at_N: its position.
        kind_N: index into `KINDS`.
        span_N: number of its span, unique in the batch.
        support_NK: its token set, padded with -1; all -1 where it is the whole vocabulary.
        position_BT: positions for the model where rows have branches, else None.
        sees: [B, T, T], which token sees which, where rows have branches, else None.
        rows: what the batch was made of.
    """

    ids_BT: Tensor
    mask_BT: Tensor
    row_N: Tensor
    from_N: Tensor
    at_N: Tensor
    kind_N: Tensor
    span_N: Tensor
    support_NK: Tensor
    position_BT: Tensor | None = None
    sees: Tensor | None = None
    rows: tuple[Row, ...] = ()

    @property
    def target_N(self) -> Tensor:
        """The token at each predicted position."""
        return self.ids_BT[self.row_N, self.at_N]

    @property
    def supported_N(self) -> Tensor:
        """Whether the position has a token set of its own."""
        return self.support_NK[:, 0] >= 0

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        moved: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **moved)

    def states(self, model: nn.Module, *, everywhere: bool = True) -> Tensor:
        """The model's hidden states on this batch: [B, T, D].

        Args:
            model: a causal LM of transformers.
            everywhere: those before the first that predicts are wanted, too; otherwise they may be zeros.
        """
        if self.sees is None or self.position_BT is None:
            narrow = not everywhere and self.from_N.device.type == "cpu" and len(self.from_N) > 0
            return hidden_states(model, self.ids_BT, since=int(self.from_N.min()) if narrow else 0)
        dtype = next(model.parameters()).dtype
        if torch.is_autocast_enabled(self.ids_BT.device.type):
            dtype = torch.get_autocast_dtype(self.ids_BT.device.type)
        unseen = torch.zeros_like(self.sees, dtype=dtype).masked_fill(~self.sees, torch.finfo(dtype).min)
        return hidden_states(model, self.ids_BT, unseen[:, None], position_ids=self.position_BT)

    def predicting(self, model: nn.Module) -> Tensor:
        """The states that the batch's positions are predicted from: [N, D]."""
        return self.states(model, everywhere=False)[self.row_N, self.from_N]


class _Collector:
    """Gathers the predicted positions row by row.

    Args:
        kinds: letters of the kinds that are predicted.
    """

    def __init__(self, kinds: str) -> None:
        self._index = np.full(128, -1)
        for kind in kinds:
            self._index[ord(kind)] = KINDS.index(kind)
        self._entries: list[NDArray[np.int64]] = []
        self._sets: dict[int, list[int]] = {}
        self._count = self._spans = 0

    def add(self, row: int, labels: str, first: int, before: int, offered: dict[int, list[int]]) -> None:
        """Add labels of the tokens from position `first` on; `before` is the position that predicts the first."""
        letters = np.frombuffer(labels.encode("ascii"), np.uint8)
        opens = np.ones(len(letters), dtype=bool)
        opens[1:] = letters[1:] != letters[:-1]
        span = self._spans - 1 + opens.cumsum()
        self._spans += int(opens.sum())
        at = first + np.arange(len(letters))
        source = at - 1
        source[:1] = before
        # The first token of a row has none before it that could predict it.
        predicted = (self._index[letters] >= 0) & (source >= 0)
        place = self._count - 1 + predicted.cumsum()
        for position, ids in offered.items():
            if 0 <= position - first < len(letters) and predicted[position - first]:
                self._sets[int(place[position - first])] = ids
        columns = (np.full_like(at, row), source, at, self._index[letters], span)
        self._entries.append(np.stack(columns)[:, predicted])
        self._count += int(predicted.sum())

    def columns(self) -> tuple[Tensor, ...]:
        """Row, predicting position, position, kind and span of each entry."""
        return torch.from_numpy(np.concatenate(self._entries, 1)).unbind(0)

    def support(self) -> Tensor:
        """Token sets, [entries, widest], padded with -1."""
        widest = max((len(ids) for ids in self._sets.values()), default=0) or 1
        support = torch.full((self._count, widest), -1, dtype=torch.long)
        for place, ids in self._sets.items():
            support[place, : len(ids)] = torch.tensor(ids, dtype=torch.long)
        return support


def collate(
    rows: Sequence[Row],
    *,
    kinds: str = "RA",
    supports: Supports | None = None,
    length: int | None = None,
) -> Batch:
    """Make a batch.

    Args:
        rows: at least one.
        kinds: letters of the kinds that are predicted; "RAO" with a loss on observations.
        supports: token sets of action positions, see `sad_distill.data.action_support`.
        length: pad to this many tokens instead of the longest row.
    """
    width = max(length or 0, *(len(row.ids) + sum(len(branch.ids) for branch in row.branches) for row in rows))
    ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
    positions = torch.arange(width).repeat(len(rows), 1)
    branched = any(row.branches for row in rows)
    sees = torch.ones(len(rows), width, width, dtype=torch.bool).tril() if branched else None
    collector = _Collector(kinds)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        collector.add(number, row.labels, 0, -1, supports(row) if supports else {})
        end = len(row.ids)
        for branch in row.branches:
            start, end = end, end + len(branch.ids)
            ids[number, start:end] = torch.tensor(branch.ids)
            positions[number, start:end] = torch.arange(branch.after + 1, branch.after + 1 + len(branch.ids))
            if sees is not None:
                sees[number, start:end, branch.after + 1 : start] = False
            offered = branch.offered(row, supports) if supports else {}
            collector.add(
                number, branch.labels, start, branch.after, {start + place: ids for place, ids in offered.items()}
            )
        mask[number, :end] = 1
    row_N, from_N, at_N, kind_N, span_N = collector.columns()
    places = positions if branched else None
    return Batch(ids, mask, row_N, from_N, at_N, kind_N, span_N, collector.support(), places, sees, tuple(rows))

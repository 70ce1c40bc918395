"""Rows to tensors: which positions are predicted, as what, and on which set of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sad_distill.windows import Row
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
        ids_BT: token ids, padded on the right with 0.
        mask_BT: 1 where a token stands; padding is never recognised by its id.
        row_N: row of each predicted token.
        at_N: its position; it is predicted from the position before.
        kind_N: index into `KINDS`.
        span_N: number of its span, unique in the batch.
        support_NK: its token set, padded with -1; all -1 where it is the whole vocabulary.
        rows: what the batch was made of.
    """

    ids_BT: Tensor
    mask_BT: Tensor
    row_N: Tensor
    at_N: Tensor
    kind_N: Tensor
    span_N: Tensor
    support_NK: Tensor
    rows: tuple[Row, ...] = ()

    @property
    def target_N(self) -> Tensor:
        """The token that stands at each predicted position."""
        return self.ids_BT[self.row_N, self.at_N]

    @property
    def supported_N(self) -> Tensor:
        """Whether the position has a token set of its own."""
        return self.support_NK[:, 0] >= 0

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **moved)


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
        supports: token sets of action positions, see `sad_distill.support`.
        length: pad to this many tokens instead of the longest row.
    """
    width = max(length or 0, *(len(row.ids) for row in rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    entries: list[tuple[int, int, int, int]] = []
    sets: list[list[int]] = []
    span = -1
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        mask[number, : len(row.ids)] = 1
        offered = supports(row) if supports else {}
        previous = ""
        for position, label in enumerate(row.labels):
            if label != previous:
                span, previous = span + 1, label
            # Nothing stands before the first token, so nothing predicts it.
            if label in kinds and position:
                entries.append((number, position, KINDS.index(label), span))
                sets.append(offered.get(position, []))
    columns = torch.tensor(entries, dtype=torch.long).reshape(-1, 4).unbind(1)
    widest = max((len(one) for one in sets), default=0) or 1
    support = torch.full((len(sets), widest), -1, dtype=torch.long)
    for index, one in enumerate(sets):
        if one:
            support[index, : len(one)] = torch.tensor(one)
    return Batch(ids, mask, *columns, support, tuple(rows))

"""Which ids a model's next token may be: those of its tokenizer, or those that two models share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NEVER = -1e9
"""Logit of an id that is no outcome: exp gives exactly 0 at any temperature, and differences stay finite."""
_OWN = 0.01
"""Of one family are two tokenizers where at most this share of the larger one means something else to the other."""


@dataclass(frozen=True)
class TokenIds:
    """A set of ids, nearly all of them from 0 to `end`.

    Attributes:
        end: one more than the highest.
        without: ids below it that are not in the set.
    """

    end: int
    without: frozenset[int] = frozenset()

    @classmethod
    def of(cls, ids: Collection[int]) -> TokenIds:
        """The set of these ids."""
        end = max(ids, default=-1) + 1
        return cls(end, frozenset(range(end)) - frozenset(ids) if len(ids) < end else frozenset())

    def below(self, end: int) -> TokenIds:
        """Those of them that are less than `end`, e.g. the rows of a head that knows fewer than its tokenizer."""
        return TokenIds(min(self.end, end), frozenset(one for one in self.without if one < end))

    def __contains__(self, token: int) -> bool:
        return 0 <= token < self.end and token not in self.without

    def numbers(self) -> list[int]:
        """The set in numbers, as it travels."""
        return [self.end, *sorted(self.without)]

    @classmethod
    def from_numbers(cls, numbers: Sequence[int]) -> TokenIds:
        """The inverse of `numbers`; none give the empty set."""
        end = numbers[0] if numbers else 0
        return cls(end, frozenset(one for one in numbers[1:] if 0 <= one < end))

    def cut(self, logits: Tensor) -> Tensor:
        """Logits [..., end] of these ids; `NEVER` where an id below `end` is none of them."""
        logits = logits[..., : self.end]
        return logits.index_fill(-1, self._without(logits.device), NEVER) if self.without else logits

    def foreign(self, ids: Tensor) -> Tensor:
        """The ids that are not in the set."""
        outside = ids >= self.end
        return ids[outside | torch.isin(ids, self._without(ids.device)) if self.without else outside]

    def _without(self, device: torch.device) -> Tensor:
        return torch.tensor(sorted(self.without), device=device)


def shared_ids(one: Mapping[str, int], other: Mapping[str, int]) -> TokenIds | None:
    """The ids that mean the same token in two vocabularies; None where these are of different families.

    Of one family are vocabularies that differ by a few tokens only, such as those that were added to one of them. A
    tokenizer with the first merges of another one is of another family: it spells every text in other ids.
    """
    if one == other:
        return TokenIds.of(one.values())
    common = {index for token, index in one.items() if other.get(token) == index}
    return TokenIds.of(common) if len(common) >= (1 - _OWN) * max(len(one), len(other)) else None

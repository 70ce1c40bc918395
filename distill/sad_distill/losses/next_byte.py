"""The next byte of a text, as a model of tokens predicts it: outcomes that models of any two tokenizers share.

A byte-level tokenizer's tokens are strings of bytes. Where one has ended, the probability that the text goes on with
byte b is that of all tokens that begin with b. In the middle of a token it is that of the tokens that begin with what
was written since the last end and then b, and it is divided by the sum of these. Also a token that began earlier and
reaches over that end counts, with the probability of being there: where " 1" has ended, " 12" was possible, too. Left
out are only other spellings of what was already written. So where a model says one text in its own spelling with
probability 1, each of its bytes has probability 1, whatever the tokens are.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from sad_distill.data.action_support import ByteSpellings
from sad_distill.losses.divergence import ABSENT, renormalised
from sad_env.errors import ConfigError

OUTCOMES = 257
"""The bytes, and a token without text (a special one)."""
_LEAST = 1e-30
"""Smallest mass of a byte that some token has: a logarithm stays finite."""
_FARTHEST = 60.0
"""Nats by which a path that was left earlier counts more at most, so that float32 holds it."""


@dataclass(frozen=True)
class Reaching:
    """The tokens that could reach over each byte of a text, one entry each.

    Attributes:
        row: which of the text's tokens they would have been written instead of, or have begun.
        token: their ids.
        cell: byte of the text times `OUTCOMES` plus the byte that they have there.
        last: the text's token that the byte belongs to: behind `row` by those that end between.
        owner: for each byte of the text, the token that it belongs to.
        starts: for each token, its first byte.
    """

    row: Tensor
    token: Tensor
    cell: Tensor
    last: Tensor
    owner: Tensor
    starts: Tensor


class ByteTable:
    """The tokens of a byte-level tokenizer by what they begin with.

    Args:
        tokenizer: of the model.

    Raises:
        ConfigError: it is of another kind.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.token_bytes = ByteSpellings(tokenizer).token_bytes
        pairs = sorted((spelling, token) for token, spelling in self.token_bytes.items())
        self._spellings = [spelling for spelling, _ in pairs]
        self._tokens = np.array([token for _, token in pairs])
        first = torch.full((max(self.token_bytes) + 1,), OUTCOMES - 1, dtype=torch.long)
        for token, spelling in self.token_bytes.items():
            first[token] = spelling[0]
        self._first = first
        self._longer = functools.lru_cache(maxsize=50_000)(self._find_longer)

    def first(self, width: int) -> Tensor:
        """The first byte of each id below `width`; `OUTCOMES` - 1 for those without text."""
        found = self._first[:width]
        return torch.nn.functional.pad(found, (0, width - len(found)), value=OUTCOMES - 1)

    def spell(self, ids: Sequence[int], text: str) -> list[bytes] | None:
        """The bytes of each id, if together they are this text."""
        found = [self.token_bytes.get(one, b"") for one in ids]
        return found if b"".join(found) == text.encode(errors="replace") else None

    def reaching(self, spellings: Sequence[bytes]) -> Reaching:
        """What could reach over each byte of a text of these tokens."""
        text, starts = b"".join(spellings), [0, *accumulate(map(len, spellings))]
        owner = np.repeat(np.arange(len(spellings)), [len(one) for one in spellings])
        columns: list[tuple[NDArray[np.int64], ...]] = []
        for number, start in enumerate(starts[:-1]):
            for at in range(start + 1, len(text)):
                tokens, following = self._longer(text[start:at])
                if not len(tokens):
                    break
                one = np.ones_like(tokens)
                columns.append((number * one, tokens, at * OUTCOMES + following, owner[at] * one))
        empty = np.zeros((4, 0), dtype=np.int64)
        row, token, cell, last = map(torch.from_numpy, np.concatenate(columns, 1) if columns else empty)
        return Reaching(row, token, cell, last, torch.from_numpy(owner), torch.tensor(starts[:-1]))

    def _find_longer(self, prefix: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The tokens that begin with this and go on, and the byte they go on with."""
        begin = bisect_left(self._spellings, prefix + b"\0")
        end = begin
        while end < len(self._spellings) and self._spellings[end].startswith(prefix):
            end += 1
        following = np.array([one[len(prefix)] for one in self._spellings[begin:end]], dtype=np.int64)
        return self._tokens[begin:end].astype(np.int64), following


@functools.lru_cache(maxsize=8)
def byte_table(tokenizer: PreTrainedTokenizerBase) -> ByteTable | None:
    """The table of a tokenizer; None where it is not a byte-level one."""
    try:
        return ByteTable(tokenizer)
    except ConfigError:
        return None


def next_byte(log_p_NV: Tensor, ids_N: Tensor, table: ByteTable, reaching: Reaching) -> Tensor:
    """Log-probabilities of each byte of a text, given those before it.

    Args:
        log_p_NV: the model's log-probabilities at each token of the text.
        ids_N: the tokens.
        table: of its tokenizer.
        reaching: of the text.

    Returns:
        [bytes, `OUTCOMES`], normalised; `ABSENT` where no token has that byte, as in the middle of one.
    """
    device, width = log_p_NV.device, log_p_NV.shape[1]
    probabilities = log_p_NV.exp()
    first = table.first(width).to(device)
    begun = log_p_NV.new_zeros(len(ids_N), OUTCOMES).index_add(1, first, probabilities)
    cells = log_p_NV.new_zeros(len(reaching.owner), OUTCOMES).index_copy(0, reaching.starts.to(device), begun)
    # Where the path from one end to a later one is unlikely, a token that reaches over it counts the more.
    path = torch.nn.functional.pad(log_p_NV.gather(1, ids_N[:, None])[:, 0].cumsum(0), (1, 0))
    known = reaching.token < width
    row, token, cell, last = (
        one[known].to(device) for one in (reaching.row, reaching.token, reaching.cell, reaching.last)
    )
    weight = (path[row] - path[last]).clamp(max=_FARTHEST).exp()
    cells = cells.flatten().index_add(0, cell, probabilities[row, token] * weight).view_as(cells)
    exists = torch.zeros_like(cells, dtype=torch.bool)
    exists.view(-1)[cell] = True
    exists[reaching.starts.to(device)[:, None], torch.unique(first)] = True
    return renormalised(cells.clamp(min=_LEAST).log(), ~exists)


def expressible(log_p: Tensor, log_q: Tensor) -> Tensor:
    """A teacher's log-probabilities over those bytes that the student's tokens have there, renormalised.

    What remains is never nothing: both have the byte that the text goes on with.
    """
    return renormalised(log_p, log_q <= ABSENT)

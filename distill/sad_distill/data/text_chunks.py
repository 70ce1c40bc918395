"""Where two spellings of one text meet: the chunks between common ends of tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_REPLACEMENT = "\ufffd"
"""What bytes that are no character are decoded to: they are another text to the other model."""


@dataclass(frozen=True)
class Chunk:
    """A stretch of text that both models spell in whole tokens of their own.

    Attributes:
        own: its tokens in the one spelling, first and behind the last.
        other: the same in the other spelling.
    """

    own: tuple[int, int]
    other: tuple[int, int]


def chunks_between(own: Sequence[int], other: Sequence[int], start: int, text: str) -> list[Chunk]:
    """The shortest chunks that both spellings share.

    Args:
        own: where each token ends that is to be compared, in order, from `start` on.
        other: the same of all tokens of the other spelling, from the text's beginning on.
        start: where the first token of `own` begins.
        text: the whole; chunks with what is no character in it are left out.

    Returns:
        In order; without the beginning where the other spelling has a token across `start`.
    """
    common = [end for end in _met(own, set(other)) if end > start]
    known = start == 0 or start in set(other)
    chunks = []
    first, begin = 0, start
    for end in common:
        last = _behind(own, end)
        chunk = Chunk((first, last), (_behind(other, begin), _behind(other, end)))
        if known and _REPLACEMENT not in text[begin:end]:
            chunks.append(chunk)
        first, begin, known = last, end, True
    return chunks


def _met(own: Sequence[int], other: Collection[int]) -> list[int]:
    return sorted(set(own) & set(other))


def _behind(ends: Sequence[int], position: int) -> int:
    """How many tokens end at a position or before."""
    return bisect_left(ends, position + 1)

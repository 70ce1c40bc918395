"""What two sequences of ids share."""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(first: Sequence[int], other: Sequence[int]) -> int:
    """How many leading ids two sequences share.

    >>> common_prefix([1, 2, 3], [1, 2, 4, 5])
    2
    """
    low, high = 0, min(len(first), len(other))
    if first[:high] == other[:high]:
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        if first[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low

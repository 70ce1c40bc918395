"""Document lengths in one byte, as Lucene keeps them (SmallFloat.intToByte4): exact to 39, then in four bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_EXACT = 24


def _decode(byte: int) -> int:
    if byte < _EXACT:
        return byte
    bits, shift = (byte - _EXACT) & 7, ((byte - _EXACT) >> 3) - 1
    return _EXACT + (bits if shift < 0 else (bits | 8) << shift)


LENGTHS: npt.NDArray[np.int64] = np.array([_decode(byte) for byte in range(256)], dtype=np.int64)
"""The length that each byte means, ascending."""


def encode(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The byte of each length: the largest whose length is not above it.

    >>> LENGTHS[encode(np.array([7, 39, 41, 1000]))].tolist()
    [7, 39, 40, 984]
    """
    return (np.searchsorted(LENGTHS, lengths, side="right") - 1).astype(np.uint8)

"""The draft of speculative decoding (arXiv 2211.17192): a table of n-grams in place of a draft model.

An agent writes the same phrases again and again. What followed the same few ids before, in any conversation, is a good
guess; one forward pass over the guessed ids shows how many of them the model would have sampled itself, and the
sampler keeps only those.
"""

from __future__ import annotations

CONTEXT = 4
"""Ids that a guess is made from."""
_LIKELY = 0.45
"""A guess ends where the chance that all of it is right falls below this: a wrong id is wasted work."""
_CAPACITY = 200_000
"""Most contexts that the table holds before it is emptied; a world's phrases take some ten thousand."""


class NgramDraft:
    """What followed each few ids the last time, and how many times in a row.

    >>> draft = NgramDraft()
    >>> for token in (7, 7):
    ...     draft.learn((1, 2, 3, 4), token)
    >>> draft.guess((1, 2, 3, 4), 5)
    [7]
    """

    def __init__(self) -> None:
        self._next: dict[tuple[int, ...], tuple[int, int]] = {}

    def clear(self) -> None:
        """Empty the table."""
        self._next.clear()

    def learn(self, before: tuple[int, ...], token: int) -> None:
        """This token was sampled after these `CONTEXT` ids."""
        if len(self._next) >= _CAPACITY:
            self._next.clear()
        known, times = self._next.get(before, (token, 0))
        self._next[before] = (token, times + 1 if token == known else 1)

    def guess(self, before: tuple[int, ...], count: int) -> list[int]:
        """At most `count` ids that may well follow these `CONTEXT` ids; often none."""
        guessed: list[int] = []
        chance = 1.0
        while len(guessed) < count and (known := self._next.get(before)) is not None:
            token, times = known
            # As measured on students' episodes: what was seen once holds in two of three cases, five times in 95 %.
            chance *= times / (times + 0.5)
            if chance < _LIKELY:
                break
            guessed.append(token)
            before = (*before[1:], token)
        return guessed

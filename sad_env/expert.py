"""The contract of an expert: a policy of one world that sees what an agent sees, and thinks aloud."""

from __future__ import annotations

import abc
import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple


class ThoughtAction(NamedTuple):
    """A thought in the agent's own words, and the action it leads to."""

    reasoning: str
    action: str


def choose(wordings: Sequence[str], draw: random.Random | None) -> str:
    """One of the wordings: the first where there is no generator to draw with."""
    return wordings[0] if draw is None else draw.choice(wordings)


class Expert(abc.ABC):
    """A policy of one world that sees only what an agent sees, and thinks aloud.

    It keeps its own picture of the world from the observations, so it can take over at any state, also after actions
    that were not its own (DAgger).

    Args:
        seed: seeds the choice of words and of equally good actions.

    Attributes:
        plain: True in experts that have one wording for each situation. What is left to learn from them is what to
            do, which very small models need: of many wordings they learn the wordings first.
    """

    plain: ClassVar[bool] = False

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def words(self, moment: str) -> random.Random | None:
        """The generator that chooses the wording at a moment, the same for the same moment; None in a plain expert."""
        return None if self.plain else random.Random(moment)

    @abc.abstractmethod
    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """An episode has begun with this observation."""

    @abc.abstractmethod
    def decide(self) -> ThoughtAction:
        """What it would do now. Changes nothing that matters when it is called twice."""

    @abc.abstractmethod
    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """This action, its own or another's, was taken and this came back."""

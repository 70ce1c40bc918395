"""The expert for models that are trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from sad_env.encyclopedia.reading import spoken
from sad_env.encyclopedia.walks import Link
from sad_env.hotpotqa.expert import HotPotQAExpert

_SIDE = {"least": "smaller", "most": "greater"}


class PlainHotPotQAExpert(HotPotQAExpert):
    """The policy of `HotPotQAExpert` with one wording for each situation.

    What it compares it writes so that a very small model can: the side that was read first is said to be kept, in words
    that the last thought repeats as they are; there each number stands before its name, and which number is wanted is
    said before whose it is. `I know both sides: A is 115 km long, and B is 162 km long` asks for two values by name at
    once: a model of two million parameters wrote the same value for both.
    """

    plain = True

    def tell(self, link: Link) -> str:
        """See `EncyclopediaExpert`."""
        if self._plan.goal not in _SIDE or link.subject != self._plan.paths[self._order[0]].start.name:
            return link.statement
        return f"{link.statement}. I keep {_side(link)}"

    def conclude(self, ends: Sequence[Link], answer: str) -> str:
        """See `EncyclopediaExpert`."""
        side = _SIDE.get(self._plan.goal)
        if side is None:
            return super().conclude(ends, answer)
        kept, read = (ends[index] for index in self._order)
        wanted = kept if kept.subject == answer else read
        known = f"{read.statement}. I keep {_side(kept)}, {_side(read)}. The {side} is {_side(wanted)}."
        return known[0].upper() + known[1:]


def _side(link: Link) -> str:
    return f"{link.value} for {spoken(link.subject)}"

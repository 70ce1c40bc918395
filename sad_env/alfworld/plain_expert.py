"""The expert for models that are trained from scratch: each thought says step by step what its decision rests on."""

from __future__ import annotations

import random

from sad_env.alfworld.expert import ALFWorldExpert, Intent
from sad_env.alfworld.habits import search_order
from sad_env.alfworld.memory import kind
from sad_env.alfworld.wordings import speak, with_article


class PlainALFWorldExpert(ALFWorldExpert):
    """One wording for each situation, and a search that can be read off the text.

    A small model copies well: what followed a word at its last occurrence. It decides badly where one word must be
    chosen by comparing lists. So the thing that is sought is named right before it is found or not, the list of
    receptacles is gone through in its own order within a type, and each likely type is named before it is said to be
    there or not. Types come in one order for a room and a thing, see `search_order`.

        I look for a cd, not here. The list: a desk 1, a drawer 2. Where: sidetable none, shelf 3.
    """

    plain = True

    def _most_promising(self, unseen: list[str], wanted: str) -> str:
        listed = self._memory.receptacles
        order = self._order(wanted)
        return min(unseen, key=lambda place: (order.index(kind(place)), listed.index(place)))

    def _order(self, wanted: str) -> list[str]:
        """Types of receptacles to be looked at in turn; those that no such room has come last."""
        usual = search_order(self._room, wanted)
        return [*usual, *dict.fromkeys(kind(place) for place in self._memory.receptacles if kind(place) not in usual)]

    def _nearest(self, places: list[str]) -> str | None:
        """Within reach first, then in the order of the list."""
        listed, reachable = self._memory.receptacles, self._memory.reachable
        return min(places, key=lambda place: (not reachable(place), listed.index(place))) if places else None

    def _think(self, intent: Intent, draw: random.Random | None) -> str:
        memory, fields = self._memory, intent.fields
        match intent.situation:
            case "search go" | "search on go":
                thought = f"{self._seek(fields.wanted)}{self._where(fields.wanted, fields.place)}."
            case "search open":
                thought = f"{fields.place.capitalize()} is closed. I open it."
            case "take":
                thought = f"I look for {with_article(fields.thing)}, it is here. I take it."
            case "fetch go":
                thought = f"I look for {with_article(fields.thing)}, seen at {fields.place}. I go there."
            case "light go":
                lamp = with_article(fields.lamp)
                thought = f"I hold {fields.thing}. I look for {lamp}, seen at {fields.place}. I go there."
            case "light":
                thought = f"I hold {fields.thing}. I look for {with_article(fields.lamp)}, it is here. I use it."
            case situation:
                return speak(situation, fields, memory, draw)
        if memory.stuck:
            return f"That did nothing. {thought}"
        return f"I have to {memory.sentence}. {thought}" if memory.turns == 0 else thought

    def _seek(self, wanted: str) -> str:
        memory = self._memory
        holding = f"I hold {memory.held}. " if memory.held else ""
        # Where the first of two was put, one is here.
        missing = memory.here is not None and not any(
            kind(thing) == wanted for thing in memory.contents.get(memory.here, ())
        )
        return f"{holding}I look for {with_article(wanted)}{', not here' if missing else ''}. "

    def _where(self, wanted: str, place: str) -> str:
        """How the next receptacle follows from the one that was walked to last."""
        memory = self._memory
        order, listed = self._order(wanted), memory.receptacles
        text, first = "", 0
        if memory.here in listed:
            index = listed.index(memory.here)
            following = listed[index + 1] if index + 1 < len(listed) else ""
            text = f"The list: {with_article(memory.here)}, {with_article(following) if following else 'the last'}"
            if following == place and kind(place) == kind(memory.here):
                return text
            text, first = f"{text}. ", order.index(kind(memory.here)) + 1
        here = {kind(name) for name in listed}
        passed = [f"{type_} {'seen' if type_ in here else 'none'}" for type_ in order[first : order.index(kind(place))]]
        return f"{text}Where: {', '.join([*passed, place])}"

"""The expert for models that begin from nothing: each thought says, step by step, what its decision is made of."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sad_env.alfworld.expert import ALFWorldExpert, Intent, number_of
from sad_env.alfworld.habits import promise
from sad_env.alfworld.memory import kind
from sad_env.alfworld.phrases import speak, with_article

_LIKELY = 0.02
"""Chance of finding a thing, for each step of looking there, from which on a type is for the first round."""


class PlainALFWorldExpert(ALFWorldExpert):
    """One wording for each situation, and decisions that are reached by copying.

    A small model copies well: what followed a word when it last stood there. It decides badly whether a word stands in
    a text that it must look back at. So what is seen is read out until the thing that is sought comes up, and the list
    of receptacles is read on from where the search stands until a likely one comes up; what is left over is gone
    through in a second round. What was seen and will be needed is said in every thought, so that nothing has to be
    remembered but the last one.

        I look for a cd. I see a book 1, and a pen 3. None. The list: a desk 1, a drawer 2, a shelf 3.
        I look for a cd. I see a book 2, a cd 1: here. I take cd 1.
    """

    plain = True

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Read the task and the receptacles off the first observation."""
        super().begin(observation, info)
        self._searched = ("", -1)

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """Take note of what was done, by whomever, and what came of it."""
        sought = self._intend().fields.wanted
        super().observe(action, observation, info)
        listed, here = self._memory.receptacles, self._memory.here
        if sought and here in listed and action.strip() == f"go to {here}":
            self._searched = (sought, listed.index(here))

    def _most_promising(self, unseen: list[str], wanted: str) -> str:
        """The next likely one in the order of the list; then the others, from its beginning."""
        listed, at = self._memory.receptacles, self._stands(wanted)
        ahead = [one for one in listed[at + 1 :] if one in unseen]
        likely = [one for one in ahead if self._likely(one, wanted)]
        if likely or (ahead and self._second_round(wanted)):
            return (likely or ahead)[0]
        return min(unseen, key=listed.index)

    def _stands(self, wanted: str) -> int:
        """Where in the list the search for such a thing has come to; -1 before it has begun."""
        sought, at = self._searched
        return at if sought == wanted else -1

    def _second_round(self, wanted: str) -> bool:
        """The search stands at a place that the first round leaves out."""
        at = self._stands(wanted)
        return at >= 0 and not self._likely(self._memory.receptacles[at], wanted)

    def _likely(self, place: str, wanted: str) -> bool:
        return promise(self._room, wanted, kind(place)) > _LIKELY

    def _handiest(self, known: list[tuple[str, str]]) -> tuple[str, str]:
        """What is treated already, then what is within reach, then what was seen first."""
        return min(known, key=self._effort)

    def _nearest(self, places: list[str]) -> str | None:
        """Within reach first, then in the order of the numbers."""
        return min(places, key=lambda one: (not self._memory.reachable(one), number_of(one))) if places else None

    def _think(self, intent: Intent, draw: random.Random) -> str:
        memory, fields = self._memory, intent.fields
        match intent.situation:
            case "search go" | "search on go":
                sought, decision = fields.wanted, self._walk(fields.wanted, fields.place)
            case "take":
                sought, decision = memory.wanted, f"I take {fields.thing}"
            case "fetch go":
                sought, decision = memory.wanted, f"I go to {fields.place}"
            case "light go":
                sought, decision = memory.goal, f"I go to {fields.place}"
            case "light":
                sought, decision = memory.goal, f"I use {fields.lamp}"
            case "search open":
                sought, decision = "", f"{fields.place.capitalize()} is closed. I open it"
            case situation:
                return f"{self._known(intent, read=False)}{speak(situation, fields, memory, draw)}"
        before = "That did nothing. " if memory.stuck else "" if memory.turns else f"I have to {memory.sentence}. "
        return f"{before}{self._read_out(sought)}{self._known(intent, read=bool(sought))}{decision}."

    def _read_out(self, sought: str) -> str:
        """What is looked for, and what was just seen up to the first of it; all of it where more may be of use."""
        if not sought:
            return ""
        memory = self._memory
        holding = f"I hold {memory.held}. " if memory.held else ""
        text = f"{holding}I look for {with_article(sought)}. "
        if memory.sight is None:
            return text
        read, found = [], False
        for part in memory.sight[1].split(", "):
            mark = self._mark(part.removeprefix("and ").removeprefix("a "), sought)
            found = found or mark == ": here"
            read.append(f"{part}{mark}")
            if found and not self._more_is_of_use():
                break
        return f"{text}I see {', '.join(read)}. {'' if found else 'None. '}"

    def _mark(self, thing: str, sought: str) -> str:
        memory = self._memory
        if kind(thing) == sought and (memory.sight is None or not self._is_done(thing, memory.sight[0])):
            return ": here"
        return ": lamp" if kind(thing) == memory.goal else ""

    def _more_is_of_use(self) -> bool:
        return self._memory.task_type in ("pick_two_obj_and_place", "look_at_obj_in_light")

    def _known(self, intent: Intent, *, read: bool) -> str:
        """What was seen and is needed from here on, but for what this thought has read out and acts on."""
        memory = self._memory
        in_sight = memory.sight[0] if read and memory.sight else None
        wanted = sorted(self._seen_and_wanted(), key=self._effort)
        missing = (2 if memory.task_type == "pick_two_obj_and_place" else 1) - self._placed()
        if memory.held and kind(memory.held) == memory.wanted:
            missing -= 1
        if intent.situation == "take" and (intent.fields.thing, in_sight) in wanted:
            wanted.remove((intent.fields.thing, str(in_sight)))
            missing -= 1
        lamps = [one for one in self._seen_lamps() if intent.situation != "light" or one[1] != in_sight]
        needed = [*wanted[: max(missing, 0)], *lamps[:1]]
        return f"Known: {', '.join(f'{thing} at {place}' for thing, place in needed)}. " if needed else ""

    def _placed(self) -> int:
        """How many of two lie where the task wants them."""
        memory = self._memory
        if memory.task_type != "pick_two_obj_and_place":
            return 0
        destination = self._destination(memory.wanted)
        return self._wanted_in(destination) if destination else 0

    def _walk(self, wanted: str, place: str) -> str:
        """How the next receptacle follows, in the list, from where the search stands."""
        listed, at = self._memory.receptacles, self._stands(wanted)
        to, label = listed.index(place), "The list" if self._likely(place, wanted) else "The rest"
        if at < 0:
            return f"{label}: {_listing(listed[: to + 1])}"
        if to > at and (label == "The list" or self._second_round(wanted)):
            return f"{label}: {_listing(listed[at : to + 1])}"
        first = "The rest" if self._second_round(wanted) else "The list"
        return f"{first}: {_listing(listed[at:])}, the last. {label}: {_listing(listed[: to + 1])}"


def _listing(places: tuple[str, ...]) -> str:
    """As the first observation has it: its article is always the same."""
    return ", ".join(f"a {place}" for place in places)

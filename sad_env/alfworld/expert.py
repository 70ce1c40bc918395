"""The expert: looks in likely places first, uses what it has seen, recovers from slips, and says why."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from sad_env.alfworld.habits import OPENING_KINDS, accepts, likelihood, room_of
from sad_env.alfworld.memory import HouseholdMemory, kind
from sad_env.alfworld.problem import TREATMENTS
from sad_env.alfworld.wordings import Fields, speak
from sad_env.expert import Expert, ThoughtAction

_STATIONS = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}
_LIKELY = 0.1
"""A type of receptacle that holds more than this share of the things of a type is a likely place for one."""


class Intent(NamedTuple):
    """What to do now, and what it is about: a key of `wordings`."""

    situation: str
    action: str
    fields: Fields


_PUT_OF_REACT = "put {} in/on {}"


class ALFWorldExpert(Expert):
    """Plays from the observations alone: `HouseholdMemory` is what it knows, `wordings` how it thinks aloud."""

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Read the task and the receptacles off the first observation."""
        self._memory = HouseholdMemory(observation)
        self._room = room_of(self._memory.receptacles)
        self._put = _PUT_OF_REACT if info.get("dialect") == "react" else "move {} to {}"

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """Take note of an action, its own or another's, and of its answer."""
        self._memory.update(action, observation)
        if any(offered.startswith("put ") for offered in info.get("admissible_actions") or ()):
            self._put = _PUT_OF_REACT  # records tell what was admissible, and no dialect

    def decide(self) -> ThoughtAction:
        """What it would do now, and why; the same each time it is asked about the same moment."""
        intent = self._intend()
        memory = self._memory
        draw = self.words(f"{self.seed} {memory.sentence} {memory.receptacles} {memory.turns}")
        return ThoughtAction(self._think(intent, draw), intent.action)

    def _think(self, intent: Intent, draw: random.Random | None) -> str:
        return speak(intent.situation, intent.fields, self._memory, draw)

    def _intend(self) -> Intent:
        memory = self._memory
        if memory.held is None:
            return self._fetch()
        if kind(memory.held) != memory.wanted:
            return self._put_away(memory.held)
        if memory.task_type == "look_at_obj_in_light":
            return self._light(memory.held)
        verb = TREATMENTS.get(memory.task_type)
        if verb and memory.treated.get(memory.held) != verb:
            return self._treat(memory.held, verb)
        return self._bring(memory.held)

    # --- what to do with empty hands ---

    def _fetch(self) -> Intent:
        memory = self._memory
        known = [
            (thing, place)
            for place in memory.holders(memory.wanted)
            for thing in memory.contents[place]
            if kind(thing) == memory.wanted and not self._is_done(thing, place)
        ]
        if not known:
            return self._search(memory.wanted)
        verb = TREATMENTS.get(memory.task_type)
        # What is treated already comes first, then what is within reach.
        thing, place = min(
            known, key=lambda pair: (memory.treated.get(pair[0]) != verb, not memory.reachable(pair[1]), pair)
        )
        fields = Fields(thing=thing, place=place)
        return self._reach(place, "fetch", fields) or Intent("take", f"take {thing} from {place}", fields)

    def _is_done(self, thing: str, place: str) -> bool:
        """The object lies where the task wants it, so it is not to be taken from there."""
        memory = self._memory
        if memory.task_type == "pick_two_obj_and_place":
            return place == self._destination(thing)
        return memory.task_type == "pick_and_place_simple" and kind(place) == memory.goal

    def _search(self, wanted: str) -> Intent:
        memory = self._memory
        if memory.here is not None:
            for place in memory.receptacles:
                if memory.reachable(place) and place in memory.closed and place not in memory.contents:
                    return Intent("search open", f"open {place}", Fields(place=place, wanted=wanted))
        unseen = [place for place in memory.receptacles if place not in memory.contents]
        if not unseen:
            return self._search_again(wanted)
        place = self._most_promising(unseen, wanted)
        fields = Fields(place=place, wanted=wanted)
        if not memory.reachable(place):
            likely = likelihood(self._room, wanted, kind(place)) > _LIKELY
            return Intent("search go" if likely else "search on go", f"go to {place}", fields)
        return Intent("search examine", f"examine {place}", fields)

    def _most_promising(self, unseen: list[str], wanted: str) -> str:
        return max(unseen, key=lambda place: (self._promise(place, wanted), -number_of(place)))

    def _promise(self, place: str, wanted: str) -> float:
        """Chance of finding it there for each step that looking there takes."""
        memory = self._memory
        siblings = sum(kind(other) == kind(place) for other in memory.receptacles)
        opening = place in memory.closed or kind(place) in OPENING_KINDS
        steps = (not memory.reachable(place)) + opening + 0.1
        return likelihood(self._room, wanted, kind(place)) / siblings / steps

    def _search_again(self, wanted: str) -> Intent:
        """It was seen nowhere, so it must have been moved: look again in the place seen longest ago."""
        memory = self._memory
        if not memory.receptacles:
            return Intent("lost", "look", Fields(wanted=wanted))
        place = min(memory.receptacles, key=lambda place: memory.seen_at.get(place, 0))
        fields = Fields(place=place, wanted=wanted)
        return self._reach(place, "again", fields) or Intent("again examine", f"examine {place}", fields)

    # --- what to do with something in hand ---

    def _treat(self, held: str, verb: str) -> Intent:
        place = self._nearest([name for name in self._memory.receptacles if kind(name) == _STATIONS[verb]])
        if place is None:
            return self._bring(held)
        fields = Fields(thing=held, place=place, verb=verb)
        if not self._memory.reachable(place):
            return Intent("treat go", f"go to {place}", fields)
        return Intent("treat", f"{verb} {held} with {place}", fields)

    def _bring(self, held: str) -> Intent:
        place = self._destination(held)
        if place is None:
            return self._put_away(held)
        fields = Fields(thing=held, place=place)
        return self._reach(place, "bring", fields) or Intent("put", self._put.format(held, place), fields)

    def _destination(self, thing: str) -> str | None:
        memory = self._memory
        places = [
            place
            for place in memory.receptacles
            if kind(place) == memory.goal and (kind(thing), place) not in memory.refused
        ]
        if memory.task_type == "pick_two_obj_and_place" and places:
            most = max(self._wanted_in(place) for place in places)
            places = [place for place in places if self._wanted_in(place) == most]
            if most:
                return places[0]
        return self._nearest(places)

    def _wanted_in(self, place: str) -> int:
        return sum(kind(thing) == self._memory.wanted for thing in self._memory.contents.get(place, ()))

    def _nearest(self, places: list[str]) -> str | None:
        """Within reach first, then what needs no opening, then in the order of the numbers."""
        memory = self._memory

        def effort(place: str) -> tuple[bool, bool, int]:
            shut = place in memory.closed or (place not in memory.contents and kind(place) in OPENING_KINDS)
            return (not memory.reachable(place), shut, number_of(place))

        return min(places, key=effort) if places else None

    def _light(self, held: str) -> Intent:
        memory = self._memory
        lamps = [
            (lamp, place)
            for place in memory.holders(memory.goal)
            for lamp in memory.contents[place]
            if kind(lamp) == memory.goal
        ]
        if not lamps:
            return self._search(memory.goal)
        lamp, place = min(lamps, key=lambda pair: (not memory.reachable(pair[1]), pair))
        fields = Fields(thing=held, place=place, lamp=lamp)
        if not memory.reachable(place):
            return Intent("light go", f"go to {place}", fields)
        return Intent("light", f"use {lamp}", fields)

    def _put_away(self, held: str) -> Intent:
        memory = self._memory
        places = [
            place
            for place in memory.receptacles
            if accepts(kind(place), kind(held)) and (kind(held), place) not in memory.refused
        ]
        place = self._nearest(places)
        if place is None:
            # The original has such traps too: nothing takes a paper towel roll back.
            return Intent("burdened", "inventory", Fields(thing=held))
        fields = Fields(thing=held, place=place)
        return self._reach(place, "drop", fields) or Intent("drop", self._put.format(held, place), fields)

    def _reach(self, place: str, aim: str, fields: Fields) -> Intent | None:
        """The next step of getting to an open `place`; None when it is within reach and not known to be closed."""
        memory = self._memory
        if not memory.reachable(place):
            return Intent(f"{aim} go", f"go to {place}", fields)
        if place in memory.closed:
            return Intent(f"{aim} open", f"open {place}", fields)
        if place not in memory.contents:
            # It is next to the receptacle that was walked to, so it is not known yet whether it is open.
            return Intent(f"{aim} examine", f"examine {place}", fields)
        return None


def number_of(name: str) -> int:
    """The number in a name such as "drawer 12"."""
    return int(name.rpartition(" ")[2])

"""A three-room world with an oracle: for tests, documentation and the first minute."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

from sad_env.core import TextEnv, Turn
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.expert import Expert, ThoughtAction
from sad_env.panels import Panel
from sad_env.tools import ActionTool

ROOMS = ("attic", "cellar", "kitchen")
THINGS = ("key", "lamp", "map", "ring", "violin")
_SIZES = {"train": 500, "test": 100}
_TOOLS = (
    ActionTool("look", "Look around where you are.", "look"),
    ActionTool("go_to", "Go to a room.", "go to {room}", {"room": f"One of {', '.join(ROOMS)}."}),
    ActionTool("take", "Take a thing of the room where you are.", "take {thing}", {"thing": "What is taken."}),
)


def tools(options: Mapping[str, Any]) -> tuple[ActionTool, ...]:
    """The world's actions as functions; they are the same for all options."""
    return _TOOLS


def toy_panel(split: str) -> Panel:
    """The tasks of a split, "train" or "test"; no task is in both.

    Raises:
        UnknownNameError: another split.
    """
    if split not in _SIZES:
        raise UnknownNameError("split of toy", split, _SIZES)
    return Panel.of("toy", "generated", split, [f"{split}-{number:04d}" for number in range(_SIZES[split])])


def canonical_action(text: str) -> str:
    """An action as models write it, turned into what the world takes: instruct models like to end it with a full stop.

    >>> canonical_action("go to attic.")
    'go to attic'
    """
    return text.strip().removesuffix(".")


class ToyEnv(TextEnv):
    """Find a thing in one of three rooms and take it.

    Actions: ``go to ROOM``, ``look``, ``take THING``. Reward 1 and the end of the episode come with the right thing
    in hand; taking another thing ends the episode without reward.

    Args:
        data: "generated"; there is no other.
        split: "train" or "test".
        render_mode: as in `TextEnv`.
    """

    world = "toy"

    def __init__(self, *, data: str = "generated", split: str = "test", render_mode: str | None = None) -> None:
        if data != "generated":
            raise ConfigError(f"the toy world has generated data only, not {data!r}")
        super().__init__(panel=toy_panel(split), render_mode=render_mode)
        self._wanted = ""
        self._places: dict[str, str] = {}
        self._room: str | None = None
        self._held: str | None = None

    def _begin(self, task_id: str) -> Turn:
        draw = random.Random(hashlib.sha256(task_id.encode()).digest())
        things = draw.sample(THINGS, 3)
        self._wanted = things[0]
        self._places = {thing: draw.choice(ROOMS) for thing in things}
        self._room, self._held = None, None
        return self._turn(f"You are in a corridor. Doors lead to: {', '.join(ROOMS)}. Bring the {self._wanted}.")

    def _act(self, action: str) -> Turn:
        if action == "look":
            return self._turn(self._sight())
        if action.startswith("go to ") and action[6:] in ROOMS:
            self._room = action[6:]
            return self._turn(self._sight())
        if action.startswith("take ") and action[5:] in self._here():
            self._held = action[5:]
            return self._turn(f"You take the {self._held}.")
        return self._turn("Nothing happens.", valid=False)

    def oracle(self) -> list[str] | None:
        """Go there, take it."""
        if self._task_id is None:
            return None
        return [f"go to {self._places[self._wanted]}", f"take {self._wanted}"]

    def _here(self) -> list[str]:
        return sorted(thing for thing, room in self._places.items() if room == self._room)

    def _sight(self) -> str:
        if self._room is None:
            return f"You are in a corridor. Doors lead to: {', '.join(ROOMS)}."
        return f"You are in the {self._room}. You see: {', '.join(self._here()) or 'nothing'}."

    def _turn(self, observation: str, *, valid: bool = True) -> Turn:
        won = self._held == self._wanted
        actions = [] if self._held else [f"go to {room}" for room in ROOMS] + ["look"]
        actions += [] if self._held else [f"take {thing}" for thing in self._here()]
        return Turn(
            observation,
            reward=float(won),
            terminated=self._held is not None,
            success=won,
            score=float(won),
            valid_action=valid,
            admissible_actions=actions,
            info={"task_type": "fetch"},
        )


class ToyExpert(Expert):
    """Looks into one room after the other and takes the thing where it sees it."""

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Read the wanted thing off the first observation."""
        self._wanted = observation.rsplit(" ", 1)[1].rstrip(".")
        self._unseen = list(ROOMS)
        random.Random(f"{self.seed} {observation}").shuffle(self._unseen)
        self._seen_here = False

    def decide(self) -> ThoughtAction:
        """Take the thing when it is here, else try the next room."""
        if self._seen_here:
            return ThoughtAction(f"The {self._wanted} is right here.", f"take {self._wanted}")
        if not self._unseen:
            return ThoughtAction("I have been everywhere; I look around once more.", "look")
        room = self._unseen[0]
        return ThoughtAction(f"I need the {self._wanted}; I have not tried the {room} yet.", f"go to {room}")

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """Tick off the room that was visited."""
        room = action[6:] if action.startswith("go to ") else ""
        if room in self._unseen:
            self._unseen.remove(room)
        if observation.startswith("You are in the "):
            seen = observation.partition("You see: ")[2].rstrip(".")
            self._seen_here = self._wanted in seen.split(", ")

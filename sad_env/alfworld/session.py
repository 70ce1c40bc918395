"""One game being played: a game, a state, and what can be done now."""

from __future__ import annotations

from sad_env.alfworld import engine
from sad_env.alfworld.engine import State
from sad_env.alfworld.game import Game


class ALFWorldSession:
    """Plays a game command by command; any state of the game can be put back.

    Args:
        game: shared with other sessions, never changed.
        state: where to begin; the game's beginning when omitted.

    Attributes:
        opening: what is seen when the game begins.
        won: the game's verdict on the present state. It may be lost again.
    """

    def __init__(self, game: Game, state: State | None = None) -> None:
        self.game = game
        self.opening = engine.introduction(game)
        self.state = state if state is not None else engine.initial_state(game)

    @property
    def state(self) -> State:
        """The present state; assign one to go back to it."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        self._local = engine.local_commands(self.game, state)
        self.won = engine.is_won(self.game, state)

    def step(self, command: str) -> tuple[str, bool]:
        """Give a command.

        Args:
            command: any string; white space around it is dropped, everything else is taken to the letter.

        Returns:
            What is seen, and whether the command was admissible.
        """
        command = command.strip()
        known = self._local.get(command)
        if known is not None:
            rule, first, second = known
            state, text = rule(self.game, self._state, first, second)
            if state is not self._state:
                self.state = state
            return text, True
        place = self.game.way_to.get(command)
        if place is None or self.game.location_of[place] == self._state.location:
            return engine.NOTHING_HAPPENS, False
        self.state, text = engine.go(self.game, self._state, place)
        return text, True

    def admissible(self) -> list[str]:
        """All commands that would do something, sorted."""
        return engine.admissible(self.game, self._state, self._local)

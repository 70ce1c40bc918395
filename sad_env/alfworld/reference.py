"""The original engine (alfworld on textworld) behind our interface: slow, and what ours is tested against."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from sad_env.errors import ConfigError, DataError
from sad_env.safe_text import one_line


class ReferenceEngine:
    """One copy of the original engine; it plays one game at a time, and is not safe with threads.

    Raises:
        ConfigError: the packages are not installed, or do not run on this Python.
    """

    def __init__(self) -> None:
        with _contained():
            self._env = _make()

    def begin(self, text: str) -> ReferenceSession:
        """Begin a game; the session before is over.

        Args:
            text: content of a game file; any domain and grammar that textworld understands.

        Raises:
            DataError: textworld cannot load the game.
        """
        with _contained():
            try:
                self._env.load(json.loads(text))
                return ReferenceSession(self._env, self._env.reset())
            except Exception as error:  # the original raises whatever its parsers and planner raise
                problem = one_line(f"{type(error).__name__}: {error}", 160)
                raise DataError(f"the original engine cannot load this game: {problem}") from None

    def again(self) -> ReferenceSession:
        """Begin the same game again without loading it."""
        with _contained():
            return ReferenceSession(self._env, self._env.reset())


class ReferenceSession:
    """Plays one game in the original engine; see `session.ALFWorldSession` for ours."""

    def __init__(self, environment: Any, state: Any) -> None:
        self._env, self._state = environment, state
        self.opening: str = state["feedback"]
        self.won: bool = state["won"]

    def step(self, command: str) -> tuple[str, bool]:
        """Give a command; returns what is seen, and whether the command was admissible."""
        valid = command.strip() in self._state["admissible_commands"]
        with _contained():
            self._state, _, _ = self._env.step(command)
        self.won = self._state["won"]
        return self._state["feedback"], valid

    def admissible(self) -> list[str]:
        """All commands that would do something, sorted."""
        return list(self._state["admissible_commands"])


def _make() -> Any:
    if sys.version_info >= (3, 13):
        raise ConfigError("backend='textworld' needs Python 3.12 or older: textworld 1.7 fails on newer ones")
    try:
        import textworld
        from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
        from textworld.envs import PddlEnv
    except ImportError as error:
        missing = one_line(str(error), 80)
        raise ConfigError(f"backend='textworld' needs `pip install 'sad-env-core[alfworld]'` ({missing})") from None
    infos = textworld.EnvInfos(won=True, admissible_commands=True, feedback=True)
    return AlfredDemangler(PddlEnv(infos))


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Undo what the original does to the process: it replaces sys.argv and sys.stdout, and warns."""
    arguments, output = sys.argv, sys.stdout
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.argv, sys.stdout = arguments, output

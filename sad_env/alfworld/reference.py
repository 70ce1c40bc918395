"""The original engine (alfworld on textworld) behind the same face as ours: slow, and the measure of exactness."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from sad_env.errors import ConfigError, DataError
from sad_env.safe_text import one_line


class ReferenceSession:
    """Plays one game in the original engine.

    That engine is not safe with threads: one session at a time in a process is stepped.

    Args:
        text: content of a game file; any domain and grammar that textworld understands.

    Attributes:
        opening: what is seen when the game begins.
        won: the game's verdict on the present state.

    Raises:
        ConfigError: the packages are not installed, or do not run on this Python.
        DataError: textworld cannot load the game.
    """

    def __init__(self, text: str) -> None:
        with _contained():
            environment, infos = _packages()
            try:
                self._env = environment(infos)
                self._env.load(json.loads(text))
                self._state: Any = self._env.reset()
            except Exception as error:  # the original raises whatever its parsers and planner raise
                problem = one_line(f"{type(error).__name__}: {error}", 160)
                raise DataError(f"the original engine cannot load this game: {problem}") from None
        self.opening: str = self._state["feedback"]
        self.won: bool = self._state["won"]

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


def _packages() -> tuple[Any, Any]:
    if sys.version_info >= (3, 13):
        raise ConfigError("backend='textworld' needs Python 3.12 or older: textworld 1.7 fails on newer ones")
    try:
        import textworld
        from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
        from textworld.envs import PddlEnv
    except ImportError as error:
        missing = one_line(str(error), 80)
        raise ConfigError(f"backend='textworld' needs `pip install 'sad-env[alfworld]'` ({missing})") from None
    infos = textworld.EnvInfos(won=True, admissible_commands=True, feedback=True)
    return (lambda requested: AlfredDemangler(PddlEnv(requested))), infos


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

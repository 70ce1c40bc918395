"""The exception tree, and the exit code each branch ends a command with.

A programmer's or a user's mistake raises; an agent's bad action never does: it is data.

    SadEnvError                 2
      UnknownNameError          2   a world, agent, panel or file format nobody registered
      ConfigError               2   settings that contradict one another or a run on disk
      ResetNeededError          2   step() before reset() or after the end of an episode
      DivergedError             2   training whose loss or weights are no longer finite
      IncompleteError           3   episodes are still owed
      CheckpointError           4   a checkpoint that is damaged, unsafe or of another kind
      DataError                 5   data missing, corrupt or foreign
      InfrastructureError       3   a model server, teacher or page source that does not answer
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


class SadEnvError(Exception):
    """Base of all our exceptions; its message is one line that says what came, what is allowed, what to do."""

    exit_code = 2


class ConfigError(SadEnvError):
    """Settings contradict one another or the run they would resume."""


class ResetNeededError(SadEnvError):
    """`step` was called before `reset` or after the episode had ended."""


class DivergedError(SadEnvError):
    """A training's loss, gradients or weights are no longer finite; its folder keeps the last sound state."""


class IncompleteError(SadEnvError):
    """Episodes are owed; the figure asked for does not exist yet."""

    exit_code = 3


class InfrastructureError(SadEnvError):
    """Something outside the episode failed: a server, a network, a worker. The episode is owed, not failed."""

    exit_code = 3


class CheckpointError(SadEnvError):
    """A checkpoint is damaged, unsafe, or not one of ours."""

    exit_code = 4


class DataError(SadEnvError):
    """Data is missing, corrupt, or in a schema that is not known."""

    exit_code = 5


class UnknownNameError(SadEnvError):
    """A name nobody registered.

    Args:
        kind: what the name was meant to name, e.g. "world".
        name: the name that came.
        known: the names that exist.

    >>> print(UnknownNameError("world", "hotpot", ["alfworld", "hotpotqa"]))
    no world 'hotpot': did you mean 'hotpotqa'? known: alfworld, hotpotqa
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f": did you mean {close[0]!r}?" if close else ";"
        super().__init__(f"no {kind} {name!r}{hint} known: {', '.join(known) or 'none'}")
        self._made_of = kind, name, known

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str]]]:
        """Made anew from the same arguments in another process: an exception is by itself from its message alone."""
        return UnknownNameError, self._made_of

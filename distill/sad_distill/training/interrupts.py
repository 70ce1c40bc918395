"""Ctrl-C in training: what is in progress ends first, so that the state on disk is one that a run can go on from."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType


class StoppedError(KeyboardInterrupt):
    """Ctrl-C, at a moment when the run's state can be saved."""


class TrainingInterrupts:
    """While the context lasts, Ctrl-C is only noted, except where it is allowed; a second Ctrl-C stops at once.

    Outside the main thread, where Python delivers no signals, the context does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._allowed = False
        self._previous: signal._HANDLER | None = None

    def __enter__(self) -> TrainingInterrupts:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._arrived)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Inside the block nothing changes that a state holds, so that Ctrl-C raises `StoppedError` there."""
        if self.asked:
            raise StoppedError
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if again:
            raise KeyboardInterrupt
        if self._allowed:
            raise StoppedError
        print("the update in progress ends first; Ctrl-C again stops at once", file=sys.stderr, flush=True)

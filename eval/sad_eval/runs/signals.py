"""Ctrl-C that never tears a record: the first is held back until the current write is done, the second exits at once.

A limit of wall time ends it like the first Ctrl-C.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from sad_env.errors import INTERRUPTED

_SOON = 0.001
"""Seconds until the timer rings again where it could not end the run."""
_LONGEST = 1e9
"""Seconds that a timer of every system takes: 31 years."""


class TimeUp(KeyboardInterrupt):
    """The wall time of a run is over. Not an Exception: no handler may take it for a fault of an agent."""


class Interrupts:
    """While the context lasts, the first SIGINT raises KeyboardInterrupt, but not inside `shield`; the second exits.

    Leaving at once is safe as far as every file is written in whole lines or renamed into place. Outside the main
    thread, where Python delivers no signals, the context does nothing. After an interrupt the handler stays: the
    process is about to end, and a second Ctrl-C may come at any time until it has.
    """

    def __init__(self) -> None:
        self._shielded = False
        self._count = 0
        self._time_up = False
        self._previous: signal._HANDLER | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._arrived)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None and not self._count:
            signal.signal(signal.SIGINT, self._previous)

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Hold back a SIGINT that arrives inside the block until its end."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self._count:
            raise KeyboardInterrupt
        if self._time_up:
            raise TimeUp

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Raise `TimeUp` when the context has lasted that long, but not inside `shield`; 0 sets no limit.

        The system's timer counts real time, whatever becomes of the clock. Outside the main thread there is no limit.
        """
        if not seconds or threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(signal.SIGALRM, self._rang)
        signal.setitimer(signal.ITIMER_REAL, min(seconds, _LONGEST))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    def _rang(self, number: int, frame: FrameType | None) -> None:
        self._time_up = True
        if self._shielded or self._count:
            return
        if _in_collection(frame):
            signal.setitimer(signal.ITIMER_REAL, _SOON)
            return
        raise TimeUp

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h\n")  # a live table hides the cursor
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        if not self._shielded:
            raise KeyboardInterrupt


def _in_collection(frame: FrameType | None) -> bool:
    """Whether a callback of the garbage collector is running: Python drops an exception that is raised there."""
    callbacks = {getattr(one, "__code__", None) for one in gc.callbacks}
    while frame is not None and frame.f_code not in callbacks:
        frame = frame.f_back
    return frame is not None

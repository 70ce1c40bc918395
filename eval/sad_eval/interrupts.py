"""Ctrl-C that tears nothing: the first ends the work between two bytecodes that may be parted, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from sad_env.errors import INTERRUPTED


class Interrupts:
    """While the context lasts, the first SIGINT raises KeyboardInterrupt, but not inside `shield`; the second exits.

    Leaving at once is safe as far as every file is written in whole lines or renamed into place. Outside the main
    thread, where Python delivers no signals, the context does nothing. After an interrupt the handler stays: the
    process is about to end, and a second Ctrl-C may come at any time until it has.
    """

    def __init__(self) -> None:
        self._shielded = False
        self._count = 0
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
        """What is done here is done whole: a SIGINT that comes meanwhile is raised at its end."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self._count:
            raise KeyboardInterrupt

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h\n")  # a live table hides the cursor
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        if not self._shielded:
            raise KeyboardInterrupt

"""Calls of an agent whose episodes may act side by side: a slow answer of a server holds up its own episode only."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeAlias, TypeVar

Asked = TypeVar("Asked")
Said = TypeVar("Said")


CallEnd: TypeAlias = tuple[Asked, Said | None, BaseException | None]
"""What came of one call: what was asked, and a value or what was raised. Python 3.10 knows no generic NamedTuple."""


class Calls(Generic[Asked, Said]):
    """Calls of a function, each in a thread; `fileno` becomes readable when one has ended.

    Args:
        function: called with what is asked, in a thread.
        threads: calls at once.
    """

    def __init__(self, function: Callable[[Asked], Said], threads: int) -> None:
        self._function = function
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="episode")
        self._answers: queue.SimpleQueue[CallEnd[Asked, Said]] = queue.SimpleQueue()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._lock = threading.Lock()
        self._open = True

    def fileno(self) -> int:
        """Of what becomes readable when there are answers."""
        return self._bell.fileno()

    def ask(self, asked: Asked) -> None:
        """Begin a call."""
        self._threads.submit(self._call, asked)

    def _call(self, asked: Asked) -> None:
        try:
            end: CallEnd[Asked, Said] = (asked, self._function(asked), None)
        except BaseException as error:
            end = (asked, None, error)
        self._answers.put(end)
        # A bell that is full of rings rings already.
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._open:
                self._button.send(b"\0")

    def answers(self) -> list[CallEnd[Asked, Said]]:
        """What has come since the last time."""
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(1 << 16)
        return [self._answers.get() for _ in range(self._answers.qsize())]

    def close(self) -> None:
        """Begin nothing more; what is under way ends unheard."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._open = False
            self._bell.close()
            self._button.close()

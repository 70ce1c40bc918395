"""The next iteration's episodes, played while this one's are learned from."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Ahead:
    """One piece of work in the background, of which nothing is left when `wait` returns."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._raised: BaseException | None = None

    def begin(self, work: Callable[[], object]) -> None:
        """Begin; what was begun before is over."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._raised = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for its end, and raise what it raised."""
        thread, self._thread = self._thread, None
        while thread is not None and thread.is_alive():
            thread.join(0.1)  # so that Ctrl-C is heard
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

"""The parent's side of a rollout: slots for episodes, in this process or in workers that may crash or hang."""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, Protocol, cast

from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.rollout.world_worker import ResetRequest, WorldHost, WorldRequest, WorldResponse, to_wire
from sad_env import registry
from sad_env.errors import ConfigError, DataError
from sad_env.safe_text import one_line

_RETRY_SECONDS = 0.01
"""How soon a full pipe is tried again."""


@dataclass(eq=False)
class Slot:
    """A place for one episode at a time.

    Attributes:
        index: of the slot among its worker's, or among all where there are no workers.
        worker: the process that holds its world; None in the pool without processes.
        dedicated: it is its worker's only slot, and the worker ends with the episode.
    """

    index: int
    worker: _Worker | None = None
    dedicated: bool = False


class Event(NamedTuple):
    """Something happened to the episode in a slot.

    Attributes:
        slot: where.
        response: what the world said; None when the worker died or was killed.
        crashed: without a response: this slot's request was being run when the worker ended. Otherwise the slot has
            only lost its world with the worker.
        reason: one line on how the worker ended.
    """

    slot: Slot
    response: WorldResponse | None
    crashed: bool = False
    reason: str = ""


class Bell(Protocol):
    """What can be waited for."""

    def fileno(self) -> int:
        """A descriptor that becomes readable."""
        ...


class Pool(Protocol):
    """Slots, and the requests that go to them."""

    def acquire(self, *, fresh: bool) -> Slot | None:
        """A free slot, or None; `fresh` asks for one in a process that has run nothing before."""
        ...

    def release(self, slot: Slot) -> None:
        """The episode in this slot is over."""
        ...

    def submit(self, slot: Slot, request: WorldRequest) -> None:
        """Queue a request to the slot's world."""
        ...

    def watch(self, bell: Bell) -> None:
        """Let `events` end its waiting as soon as this is readable, too."""
        ...

    def events(self, *, wait: float) -> list[Event]:
        """Send what is queued; then what has come back, after at most `wait` seconds without anything."""
        ...

    def close(self) -> None:
        """End all workers at once."""
        ...


def check(response: WorldResponse) -> None:
    """Raise what no further try can mend.

    Raises:
        ConfigError: the world does not take these options or this task.
        DataError: data missing or corrupt.
    """
    if response.fault == "config":
        raise ConfigError(response.observation)
    if response.fault == "data":
        raise DataError(response.observation)


class LocalPool:
    """Worlds in this process: fastest for quick worlds, no protection from a crash."""

    def __init__(self, recipe: WorldRecipe, slots: int) -> None:
        self._host = WorldHost(registry.world(recipe.name).entry, recipe.options)
        self._idle = deque(Slot(index) for index in range(slots))
        self._queue: list[tuple[Slot, WorldRequest]] = []
        self._bells: list[Bell] = []

    def acquire(self, *, fresh: bool) -> Slot | None:
        """A free slot; a fresh one gets a new copy of the world."""
        if not self._idle:
            return None
        slot = self._idle.popleft()
        if fresh:
            self._host.discard(slot.index)
        return slot

    def release(self, slot: Slot) -> None:
        """Give the slot back."""
        self._idle.append(slot)

    def submit(self, slot: Slot, request: WorldRequest) -> None:
        """Queue a request."""
        self._queue.append((slot, request))

    def watch(self, bell: Bell) -> None:
        """Nothing but this is ever waited for."""
        self._bells.append(bell)

    def events(self, *, wait: float) -> list[Event]:
        """Run what is queued."""
        queue, self._queue = self._queue, []
        if self._bells and not queue:
            select.select(self._bells, [], [], wait)
        return [Event(slot, self._host.serve(slot.index, request)) for slot, request in queue]

    def close(self) -> None:
        """Close the worlds."""
        self._host.close()


class _Worker:
    """One child process.

    Attributes:
        outbox: bytes for it that it has not taken yet.
        requests: in the form of the wire, to be sent with the next flush.
        awaited: the slot of each request without a response, oldest first, and the seconds that the response may take.
        progress: monotonic time when it last answered, or began to be waited for.
    """

    def __init__(self, entry: str, options: Mapping[str, Any]) -> None:
        self.stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        # A process of its own group: Ctrl-C is the parent's to handle, and its children can be killed with it.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sad_agents.rollout.world_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            # It imports from where this process does: a random.py in the current folder is not to be run by it.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
                "PYTHONSAFEPATH": "1",
            },
            start_new_session=True,
        )
        self.inbox = b""
        self.outbox = json.dumps({"parent": os.getpid(), "entry": entry, "options": dict(options)}).encode() + b"\n"
        self.requests: list[list[Any]] = []
        self.awaited: deque[tuple[Slot, float]] = deque()
        self.progress = time.monotonic()
        os.set_blocking(self._stdin(), False)

    def fileno(self) -> int:
        return cast(IO[bytes], self.process.stdout).fileno()

    def _stdin(self) -> int:
        return cast(IO[bytes], self.process.stdin).fileno()

    def flush(self) -> bool:
        """Send what a worker that may be busy or hung takes now; True when something is left."""
        if self.requests:
            self.outbox += json.dumps(self.requests).encode() + b"\n"
            self.requests = []
        # A worker that is gone is noticed when its responses are read.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self.outbox:
                self.outbox = self.outbox[os.write(self._stdin(), self.outbox) :]
        return bool(self.outbox)

    def read(self) -> list[WorldResponse] | None:
        """The whole responses that have come; None when the worker is gone."""
        data = os.read(self.fileno(), 1 << 20)
        if not data:
            return None
        *lines, self.inbox = (self.inbox + data).split(b"\n")
        self.progress = time.monotonic()
        return [WorldResponse(*json.loads(line)) for line in lines]

    def last_line(self) -> str:
        """The last line that it printed."""
        size = self.stderr.seek(0, os.SEEK_END)
        self.stderr.seek(max(0, size - 4096))
        lines = self.stderr.read().decode("utf-8", "replace").split("\n")
        return next((one_line(line, 160) for line in reversed(lines) if line.strip()), "")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            cast(IO[bytes], self.process.stdin).close()
        cast(IO[bytes], self.process.stdout).close()
        self.stderr.close()


class ProcessPool:
    """Worlds in worker processes, several in each.

    A worker that dies or does not answer in time is killed and replaced. The slot whose request it was running has
    crashed; its other slots have only lost their worlds, and their episodes may begin again.

    Args:
        recipe: the world.
        workers: processes.
        slots: episodes at once, spread over the workers.
        step_seconds: a step that takes longer is a hang.
        reset_seconds: the same for a reset, the making of the world included.
    """

    def __init__(
        self, recipe: WorldRecipe, workers: int, slots: int, *, step_seconds: float, reset_seconds: float
    ) -> None:
        self._entry = registry.world(recipe.name).entry
        self._options = recipe.options
        self._seconds = (step_seconds, reset_seconds)
        self._selector = selectors.DefaultSelector()
        self._workers: dict[_Worker, list[Slot]] = {}
        self._dedicated_limit = max(1, workers)
        self._dedicated = 0
        self._idle: deque[Slot] = deque()
        shares: list[list[Slot]] = [[] for _ in range(workers)]
        for number in range(slots):
            share = shares[number % workers]
            share.append(Slot(len(share)))
        try:
            for share in shares:
                self._start(share)
        except BaseException:
            self.close()
            raise
        # Slots that are taken one after another belong to different workers.
        self._idle.extend(slot for rank in range(len(shares[0])) for share in shares for slot in share[rank : rank + 1])

    def _start(self, slots: list[Slot]) -> None:
        worker = _Worker(self._entry, self._options)
        self._workers[worker] = slots
        self._selector.register(worker, selectors.EVENT_READ)
        for slot in slots:
            slot.worker = worker

    def _stop(self, worker: _Worker) -> list[Slot]:
        self._selector.unregister(worker)
        worker.kill()
        return self._workers.pop(worker)

    def acquire(self, *, fresh: bool) -> Slot | None:
        """A free slot; a fresh one is alone in a new process."""
        if fresh:
            if self._dedicated >= self._dedicated_limit:
                return None
            self._dedicated += 1
            slot = Slot(0, dedicated=True)
            self._start([slot])
            return slot
        return self._idle.popleft() if self._idle else None

    def release(self, slot: Slot) -> None:
        """Give the slot back; a dedicated one's process ends."""
        if not slot.dedicated:
            self._idle.append(slot)
            return
        self._dedicated -= 1
        if slot.worker in self._workers:
            self._stop(slot.worker)

    def submit(self, slot: Slot, request: WorldRequest) -> None:
        """Queue a request for the slot's worker."""
        worker = cast(_Worker, slot.worker)
        if not worker.awaited:
            worker.progress = time.monotonic()
        worker.requests.append(to_wire(slot.index, request))
        worker.awaited.append((slot, self._seconds[isinstance(request, ResetRequest)]))

    def watch(self, bell: Bell) -> None:
        """Wait for this together with the workers."""
        self._selector.register(bell, selectors.EVENT_READ)

    def events(self, *, wait: float) -> list[Event]:
        """Send what is queued; collect responses, deaths and time-outs."""
        unsent = [worker for worker in self._workers if worker.flush()]
        if unsent:
            wait = min(wait, _RETRY_SECONDS)
        wait = min([wait, *(self._time_left(worker) for worker in self._workers if worker.awaited)])
        events: list[Event] = []
        for key, _ in self._selector.select(max(0.0, wait)):
            if key.fileobj not in self._workers:  # what is watched
                continue
            worker = key.fileobj
            responses = worker.read()
            if responses is None:
                events += self._replace(worker, self._exit_reason(worker))
                continue
            events += [Event(worker.awaited.popleft()[0], response) for response in responses]
        for worker in list(self._workers):
            if worker.awaited and self._time_left(worker) <= 0:
                events += self._replace(worker, f"no answer within {worker.awaited[0][1]:g} s")
        return events

    @staticmethod
    def _time_left(worker: _Worker) -> float:
        return worker.progress + worker.awaited[0][1] - time.monotonic()

    @staticmethod
    def _exit_reason(worker: _Worker) -> str:
        try:
            code = worker.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the worker closed its pipe"
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        last = worker.last_line()
        return f"the worker ended ({how})" + (f": {last}" if last else "")

    def _replace(self, worker: _Worker, reason: str) -> list[Event]:
        """End a worker that died or hangs, and start another one for its slots, unless it was dedicated."""
        crashed = worker.awaited[0][0] if worker.awaited else None
        slots = self._stop(worker)
        if not slots[0].dedicated:
            self._start(slots)
        return [Event(slot, None, crashed=slot is crashed, reason=reason) for slot in slots]

    def close(self) -> None:
        """Kill all workers."""
        for worker in list(self._workers):
            self._stop(worker)
        self._selector.close()

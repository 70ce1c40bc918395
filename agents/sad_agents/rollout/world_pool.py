"""The parent's side of a rollout: seats for episodes, in this process or in workers that may crash or hang."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, cast

from sad_agents.rollout.world_worker import Answer, Command, WorldHost
from sad_env import registry
from sad_env.errors import ConfigError, DataError
from sad_env.panels import Panel
from sad_env.safe_text import one_line

_RETRY_SECONDS = 0.01
"""How soon a full pipe is tried again."""


@dataclass(frozen=True)
class WorldRecipe:
    """How to make a world, in this process or another.

    Attributes:
        name: the registered world.
        options: keyword arguments of the world; plain JSON values.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, data: str, split: str, options: Sequence[str] = ()) -> WorldRecipe:
        """A recipe from what a command was given.

        Args:
            name: the registered world.
            data: generated, official, or a folder.
            split: of its tasks.
            options: further keyword arguments as NAME=VALUE; a value that is no JSON is text.

        Raises:
            ConfigError: an option that is not NAME=VALUE, or that names data or split.
        """
        found: dict[str, Any] = {"data": data, "split": split}
        for option in options:
            key, equals, value = option.partition("=")
            if not equals or not key.isidentifier() or key in found:
                raise ConfigError(f"--options takes NAME=VALUE of the world, not {one_line(option, 60)!r}")
            try:
                found[key] = json.loads(value)
            except ValueError:
                found[key] = value
        return cls(name, found)

    def panel(self, episodes: int = 0) -> Panel:
        """The tasks of the world, or the first `episodes` of them.

        Raises:
            ConfigError: the world does not take these options, or has fewer tasks.
            DataError: its data are missing or damaged.
        """
        try:
            world = registry.make(self.name, **self.options)
        except TypeError as error:
            raise ConfigError(f"{self.name} cannot be made with these --options: {one_line(str(error), 160)}") from None
        panel = world.panel
        world.close()
        return panel.head(episodes) if episodes else panel


@dataclass(eq=False)
class Seat:
    """A place for one episode at a time: a slot of a worker."""

    slot: int
    worker: _Worker | None = None
    solo: bool = False


@dataclass(frozen=True)
class Event:
    """Something happened to the episode in a seat.

    Attributes:
        seat: where.
        answer: what the world said; None when the worker died or was killed.
        guilty: with `answer` None: this seat's command was being run; the others were lost with it.
        reason: one line on the death.
    """

    seat: Seat
    answer: Answer | None
    guilty: bool = False
    reason: str = ""


class Pool(Protocol):
    """Seats, and the commands that go to them."""

    def seat(self, *, fresh: bool) -> Seat | None:
        """A free seat, or None; `fresh` asks for one in a process that has run nothing before."""
        ...

    def free(self, seat: Seat) -> None:
        """The episode in this seat is over."""
        ...

    def submit(self, seat: Seat, command: Command) -> None:
        """Queue a command; its `slot` is filled in here."""
        ...

    def events(self, *, wait: float) -> list[Event]:
        """Send what is queued; then what has come back, after at most `wait` seconds without anything."""
        ...

    def close(self) -> None:
        """End all workers at once."""
        ...


def check(answer: Answer) -> None:
    """Raise what no further try can mend.

    Raises:
        ConfigError: the world does not take these options or this task.
        DataError: data missing or corrupt.
    """
    if answer.fault == "config":
        raise ConfigError(answer.observation)
    if answer.fault == "data":
        raise DataError(answer.observation)


class LocalPool:
    """Worlds in this process: fastest for quick worlds, no protection from a crash."""

    def __init__(self, recipe: WorldRecipe, seats: int) -> None:
        self._host = WorldHost(registry.world(recipe.name).entry, recipe.options)
        self._idle = deque(Seat(slot) for slot in range(seats))
        self._queue: list[tuple[Seat, Command]] = []

    def seat(self, *, fresh: bool) -> Seat | None:
        """A free seat; a fresh one gets a new copy of the world."""
        if not self._idle:
            return None
        seat = self._idle.popleft()
        if fresh:
            self._host.discard(seat.slot)
        return seat

    def free(self, seat: Seat) -> None:
        """Give the seat back."""
        self._idle.append(seat)

    def submit(self, seat: Seat, command: Command) -> None:
        """Queue a command."""
        self._queue.append((seat, command._replace(slot=seat.slot)))

    def events(self, *, wait: float) -> list[Event]:
        """Run what is queued."""
        queue, self._queue = self._queue, []
        return [Event(seat, self._host.serve(command)) for seat, command in queue]

    def close(self) -> None:
        """Close the worlds."""
        self._host.close()


class _Worker:
    """One child process and what it owes."""

    def __init__(self, entry: str, options: Mapping[str, Any]) -> None:
        self.stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        # A process of its own group: Ctrl-C is the parent's to handle, and its children can be killed with it.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sad_agents.rollout.world_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
        )
        self.inbox = b""
        self.outbox = json.dumps({"parent": os.getpid(), "entry": entry, "options": dict(options)}).encode() + b"\n"
        self.commands: list[Command] = []
        self.awaited: deque[tuple[Seat, float]] = deque()
        self.progress = time.monotonic()
        os.set_blocking(self._stdin(), False)

    def fileno(self) -> int:
        return cast(IO[bytes], self.process.stdout).fileno()

    def _stdin(self) -> int:
        return cast(IO[bytes], self.process.stdin).fileno()

    def flush(self) -> bool:
        """Send what a worker that may be busy or hung takes now; True when something is left."""
        if self.commands:
            self.outbox += json.dumps(self.commands).encode() + b"\n"
            self.commands = []
        # A worker that is gone is noticed when its answers are read.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self.outbox:
                self.outbox = self.outbox[os.write(self._stdin(), self.outbox) :]
        return bool(self.outbox)

    def read(self) -> list[Answer] | None:
        """The whole answers that have come; None when the worker is gone."""
        data = os.read(self.fileno(), 1 << 20)
        if not data:
            return None
        *lines, self.inbox = (self.inbox + data).split(b"\n")
        self.progress = time.monotonic()
        return [Answer(*json.loads(line)) for line in lines]

    def last_words(self) -> str:
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

    A worker that dies or does not answer in time is killed and replaced. The seat whose command it was running is
    guilty; the others in it have only lost their world and may begin again.

    Args:
        recipe: the world.
        workers: processes.
        seats: episodes at once, spread over the workers.
        step_seconds: a step that takes longer is a hang.
        reset_seconds: the same for a reset, the making of the world included.
    """

    def __init__(
        self, recipe: WorldRecipe, workers: int, seats: int, *, step_seconds: float, reset_seconds: float
    ) -> None:
        self._entry = registry.world(recipe.name).entry
        self._options = recipe.options
        self._seconds = (step_seconds, reset_seconds)
        self._selector = selectors.DefaultSelector()
        self._teams: dict[_Worker, list[Seat]] = {}
        self._solo_limit = max(1, workers)
        self._solos = 0
        self._idle: deque[Seat] = deque()
        teams: list[list[Seat]] = [[] for _ in range(workers)]
        for number in range(seats):
            team = teams[number % workers]
            team.append(Seat(len(team)))
        try:
            for team in teams:
                self._man(team)
        except BaseException:
            self.close()
            raise
        # Neighbours in time are spread over the workers.
        self._idle.extend(seat for rank in range(len(teams[0])) for team in teams for seat in team[rank : rank + 1])

    def _man(self, seats: list[Seat]) -> None:
        worker = _Worker(self._entry, self._options)
        self._teams[worker] = seats
        self._selector.register(worker, selectors.EVENT_READ)
        for seat in seats:
            seat.worker = worker

    def _dismiss(self, worker: _Worker) -> list[Seat]:
        self._selector.unregister(worker)
        worker.kill()
        return self._teams.pop(worker)

    def seat(self, *, fresh: bool) -> Seat | None:
        """A free seat; a fresh one is alone in a new process."""
        if fresh:
            if self._solos >= self._solo_limit:
                return None
            self._solos += 1
            seat = Seat(0, solo=True)
            self._man([seat])
            return seat
        return self._idle.popleft() if self._idle else None

    def free(self, seat: Seat) -> None:
        """Give the seat back; a fresh one's process ends."""
        if not seat.solo:
            self._idle.append(seat)
            return
        self._solos -= 1
        if seat.worker in self._teams:
            self._dismiss(seat.worker)

    def submit(self, seat: Seat, command: Command) -> None:
        """Queue a command for the seat's worker."""
        worker = cast(_Worker, seat.worker)
        if not worker.awaited:
            worker.progress = time.monotonic()
        worker.commands.append(command._replace(slot=seat.slot))
        worker.awaited.append((seat, self._seconds[command.action is None]))

    def events(self, *, wait: float) -> list[Event]:
        """Send what is queued; collect answers, deaths and time-outs."""
        unsent = [worker for worker in self._teams if worker.flush()]
        if unsent:
            wait = min(wait, _RETRY_SECONDS)
        patience = min([wait, *(self._patience(worker) for worker in self._teams if worker.awaited)])
        events: list[Event] = []
        for key, _ in self._selector.select(max(0.0, patience)):
            worker = cast(_Worker, key.fileobj)
            answers = worker.read()
            if answers is None:
                events += self._died(worker, self._epitaph(worker))
                continue
            events += [Event(worker.awaited.popleft()[0], answer) for answer in answers]
        for worker in list(self._teams):
            if worker.awaited and self._patience(worker) <= 0:
                events += self._died(worker, f"no answer within {worker.awaited[0][1]:g} s")
        return events

    @staticmethod
    def _patience(worker: _Worker) -> float:
        return worker.progress + worker.awaited[0][1] - time.monotonic()

    @staticmethod
    def _epitaph(worker: _Worker) -> str:
        try:
            code = worker.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the worker closed its pipe"
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        words = worker.last_words()
        return f"the worker ended ({how})" + (f": {words}" if words else "")

    def _died(self, worker: _Worker, reason: str) -> list[Event]:
        guilty = worker.awaited[0][0] if worker.awaited else None
        team = self._dismiss(worker)
        if not team[0].solo:
            self._man(team)
        return [Event(seat, None, guilty=seat is guilty, reason=reason) for seat in team]

    def close(self) -> None:
        """Kill all workers."""
        for worker in list(self._teams):
            self._dismiss(worker)
        self._selector.close()

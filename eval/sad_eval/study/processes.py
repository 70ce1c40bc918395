"""Commands in processes that are forked from this one: what it has imported, none of them imports again."""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_IMPORTED = (
    "torch",
    "transformers.models.llama.modeling_llama",
    "sad_distill.training.run",
    "sad_agents.collect",
    "sad_agents.sampling.local_model",
    "sad_eval.commands.evaluate",
)
"""By name: a study runs commands of other rooms, and knows nothing else of them."""
_GRACE_SECONDS = 10.0
"""How long a command that was interrupted may take to put its things in order."""


@dataclass(frozen=True)
class Ended:
    """A command that is over.

    Attributes:
        code: exit status; negative for a signal.
        seconds: wall time.
        cpu_seconds: processor time, that of its own children included.
    """

    code: int
    seconds: float
    cpu_seconds: float


def prepare(threads: int) -> None:
    """Import what all commands need, and start no thread: a fork of a process with threads may hang.

    Args:
        threads: of each command.
    """
    # Both are read when the libraries are loaded.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for name in _IMPORTED:
        importlib.import_module(name)


class Process:
    """A command of the project in a process of its own.

    Args:
        command: module and flags.
        log: file that its output is added to.
        threads: that torch uses in it.
    """

    def __init__(self, command: Sequence[str], log: Path, threads: int) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        # What waits in this process's buffers would be written by both.
        sys.stdout.flush()
        sys.stderr.flush()
        self._began = time.monotonic()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _live(command, log, threads, parent)
        self.ended: Ended | None = None
        _own_group(self.pid)

    def poll(self) -> Ended | None:
        """How it ended, None while it runs."""
        if self.ended is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.ended = Ended(code, time.monotonic() - self._began, usage.ru_utime + usage.ru_stime)
        return self.ended

    def signal(self, number: int) -> None:
        """Send a signal to it and to its children."""
        if self.ended is None:
            os.killpg(self.pid, number)


def stop(processes: Sequence[Process]) -> None:
    """Interrupt processes as Ctrl-C does, and kill those that do not end."""
    for process in processes:
        process.signal(signal.SIGINT)
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        process.signal(signal.SIGKILL)
    while any(process.poll() is None for process in processes):
        time.sleep(0.05)


def _own_group(pid: int) -> None:
    # Parent and child both do it, so that neither can be too early; one of them may come after the child's end.
    try:
        os.setpgid(pid, pid)
    except (PermissionError, ProcessLookupError):
        return


def _live(command: Sequence[str], log: Path, threads: int, parent: int) -> NoReturn:
    """The child's life. It must never return into the parent's program."""
    code = 1
    try:
        _own_group(os.getpid())
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _redirect(log)
        threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
        code = _run(command, threads)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for source, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(source, target)


def _die_with(parent: int) -> None:
    # A study that was killed cannot stop its stages, and they would hold the locks that its next start needs.
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)


def _run(command: Sequence[str], threads: int) -> int:
    importlib.import_module("torch").set_num_threads(threads)
    module, *flags = command
    sys.argv = [module, *flags]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0

"""Stages of a study in processes of their own, forked from a server that has imported what all of them need."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import resource
import runpy
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

_SERVER = multiprocessing.get_context("forkserver")
_PRELOADED = [
    "torch",
    "transformers.models.llama.modeling_llama",
    "sad_distill.training.run",
    "sad_agents.collect_command",
    "sad_agents.sampling.local_model",
    "sad_eval.commands.evaluate",
]
"""Named as text: a study runs commands of other packages and imports none of them."""
_GRACE_SECONDS = 10.0
"""How long a command that was interrupted may take to end by itself."""


class Ended(NamedTuple):
    """How a command ended: exit status (negative for a signal), wall time, processor time with that of its children."""

    code: int
    seconds: float
    cpu_seconds: float


def prepare(threads: int) -> None:
    """Say what the server imports and how many threads each command has; the first command starts the server."""
    # Both are read when the libraries are loaded. A process without threads forks safely.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _SERVER.set_forkserver_preload(_PRELOADED)


class StageProcess:
    """A command of the project in a process, and a process group, of its own.

    Args:
        command: module and flags.
        log: file that its output is added to.
        threads: that torch uses in it.
    """

    def __init__(self, command: Sequence[str], log: Path, threads: int) -> None:
        self._began = time.monotonic()
        self._used, used = _SERVER.Pipe(duplex=False)
        self._process = _SERVER.Process(target=_run, args=(tuple(command), log, threads, used))
        self._process.start()
        used.close()
        self.ended: Ended | None = None

    def poll(self) -> Ended | None:
        """How it ended, None while it runs."""
        code = self._process.exitcode
        if self.ended is None and code is not None:
            cpu_seconds = 0.0  # of a command that a signal killed it is not known
            with contextlib.suppress(EOFError):
                cpu_seconds = self._used.recv()
            self.ended = Ended(code, time.monotonic() - self._began, cpu_seconds)
        return self.ended

    def signal(self, number: int) -> None:
        """Send a signal to it and to its children."""
        pid = self._process.pid
        # A command that has only just begun leads no group yet; one that has just ended cannot be reached at all.
        for send in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                if pid is not None and self.poll() is None:
                    send(pid, number)
                return


def stop(processes: Sequence[StageProcess]) -> None:
    """Interrupt processes as Ctrl-C does, and kill those that do not end."""
    for number, patience in ((signal.SIGINT, _GRACE_SECONDS), (signal.SIGKILL, float("inf"))):
        for process in processes:
            process.signal(number)
        deadline = time.monotonic() + patience
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(0.05)


def _run(command: tuple[str, ...], log: Path, threads: int, used: Connection) -> None:
    """Run the command as `python -m` does: no terminal, output to the log, processor seconds to the study."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing, file = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for source, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(source, target)
    threading.Thread(target=_end_with_study, daemon=True).start()
    importlib.import_module("torch").set_num_threads(threads)
    sys.argv = list(command)
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        used.send(sum(part.ru_utime + part.ru_stime for part in usage))


def _end_with_study() -> None:
    """Kill the command when the study's process has ended: it would hold locks that the next start needs."""
    if study := multiprocessing.parent_process():
        study.join()
        os.killpg(0, signal.SIGKILL)

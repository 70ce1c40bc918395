"""A process that has imported everything and forks a command for each request, which it kills when the request says.

A start takes no time then, and a kill can be put at any change that a command makes to files: the changes are counted.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMANDS = {
    "sad-data": "sad_env.data_command",
    "sad-collect": "sad_agents.collect_command",
    "sad-distill": "sad_distill.commands.main",
    "sad-eval": "sad_eval.commands.evaluate",
    "sad-study": "sad_eval.study.command",
    "sad-leaderboard": "sad_leaderboard.command",
}
_IMPORTED = (
    *COMMANDS.values(),
    "torch",
    "transformers.models.llama.modeling_llama",
    "sad_distill.training.run",
    "sad_agents.sampling.local_model",
)
_CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class ChangeCounter:
    """Counts the changes to files from now on, and sends this process a signal at one of them.

    Args:
        at: number of that change, 0 for none; a write is then torn in the middle.
        number: of the signal.
    """

    def __init__(self, at: int, number: int) -> None:
        self.seen = 0
        self._at, self._number = at, number
        self._write, self._fsync = os.write, os.fsync
        sys.addaudithook(self._hook)
        os.write, os.fsync = self._torn_write, self._counted_fsync

    def _step(self, before: Callable[[], Any] = lambda: None) -> None:
        self.seen += 1
        if self.seen == self._at:
            before()
            os.kill(os.getpid(), self._number)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        # Python's own caches are written to, too.
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        if (writes and "__pycache__" not in str(arguments[0])) or event in _CHANGES:
            self._step()

    def _torn_write(self, file: int, data: bytes) -> int:
        self._step(lambda: self._write(file, data[: len(data) // 2]) if self._number == signal.SIGKILL else None)
        return self._write(file, data)

    def _counted_fsync(self, file: int) -> None:
        self._step()
        self._fsync(file)


def _command(request: dict[str, Any]) -> None:
    """Run the command of a request in this process, and end the process as Python would."""
    os.setsid()
    os.chdir(request["cwd"])
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", 1)
    code = 1
    counter = ChangeCounter(request["at"], request["signal"])
    try:
        exec(request["before"])
        with contextlib.suppress(KeyboardInterrupt):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        code = importlib.import_module(COMMANDS[request["command"]]).main(request["words"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    Path(f"{request['log']}.changes").write_text(str(counter.seen))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def _others_of(session: int) -> bool:
    """Whether a process of a command is left."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, _, _, owner = path.read_text().rpartition(")")[2].split()[:4]
            if int(owner) == session and state != "Z":
                return True
    return False


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    """How a command ended: its code (negative for a signal), seconds, and whether processes of it stayed behind."""
    began = time.monotonic()
    # An interruption waits until the command runs: before, it would be one of this server.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pid = os.fork()
    if not pid:
        _command(request)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sent, killed = request["at"] > 0, False
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        passed = time.monotonic() - began
        if passed > 120:
            os.kill(pid, signal.SIGKILL)
        due = 0 < request["seconds"] < passed or (request["appears"] and any(Path().glob(request["appears"])))
        if due and not sent:
            os.kill(pid, request["signal"])
            sent = killed = True
        time.sleep(0.0005)
    seconds = time.monotonic() - began
    deadline = time.monotonic() + 15
    while (left := _others_of(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "left": left, "killed": killed}


def main() -> None:
    """Requests and answers are lines of JSON on standard input and output."""
    for name in _IMPORTED:
        importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        os.chdir(request["cwd"])
        print(json.dumps(_serve(request)), file=answers, flush=True)


if __name__ == "__main__":
    main()

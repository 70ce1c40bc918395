"""The child's side of a rollout: worlds in slots, commands in, answers out; also used in-process.

`python -m sad_agents.rollout.world_worker` speaks JSON lines with the parent: lists of commands come in on standard
input, one answer a command goes out on standard output as soon as it is known, so that a worker that dies names the
command that killed it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from sad_env import registry
from sad_env.core import TextEnv
from sad_env.errors import ConfigError, DataError, InfrastructureError, SadEnvError
from sad_env.safe_text import one_line

Fault = Literal["world", "infrastructure", "config", "data"]
"""Who is at fault: the world's code, something outside, the caller's settings, the data on disk."""


class Command(NamedTuple):
    """Reset (`task_id` and `seed`) or step (`action`) the world in a slot."""

    slot: int
    action: str | None
    task_id: str = ""
    seed: int = 0


class Answer(NamedTuple):
    """What the world said to one command.

    `fault` is empty unless the command failed; then `observation` is one line of reason. `data` (the panel's kind of
    data) comes with the answer to a reset.
    """

    slot: int
    observation: str
    reward: float = 0.0
    terminated: bool = False
    info: Mapping[str, Any] = MappingProxyType({})
    seconds: float = 0.0
    data: str = ""
    fault: Fault | Literal[""] = ""


class WorldHost:
    """Worlds of one kind, one in each slot, made when first reset.

    Args:
        entry: "module:Class" of the `TextEnv`.
        options: its keyword arguments.
    """

    def __init__(self, entry: str, options: Mapping[str, Any]) -> None:
        self._entry = entry
        self._options = dict(options)
        self._worlds: dict[int, TextEnv] = {}

    def serve(self, command: Command) -> Answer:
        """Run one command. Whatever the world raises becomes an answer."""
        began = time.perf_counter()
        try:
            if command.action is None:
                world = self._worlds.get(command.slot) or self._make(command.slot)
                observation, info = world.reset(seed=command.seed, options={"task_id": command.task_id})
                seconds = time.perf_counter() - began
                return Answer(command.slot, observation, info=info, seconds=seconds, data=world.panel.data)
            observation, reward, terminated, _, info = self._worlds[command.slot].step(command.action)
            return Answer(command.slot, observation, reward, terminated, info, time.perf_counter() - began)
        except Exception as error:
            self.discard(command.slot)
            reason = str(error) if isinstance(error, SadEnvError) else f"{type(error).__name__}: {error}"
            return Answer(command.slot, one_line(reason, 300), fault=_fault(error, resetting=command.action is None))

    def discard(self, slot: int) -> None:
        """Forget the world in a slot, e.g. after it raised."""
        world = self._worlds.pop(slot, None)
        if world is not None:
            try:
                world.close()
            except Exception:
                # It is being thrown away because it is broken already.
                return

    def close(self) -> None:
        """Close all worlds."""
        for slot in list(self._worlds):
            self.discard(slot)

    def _make(self, slot: int) -> TextEnv:
        try:
            world: TextEnv = registry.load(self._entry)(**self._options)
        except SadEnvError:
            raise
        except Exception as error:
            # A world that cannot be made at all is a matter of its options or of what is installed.
            raise ConfigError(f"cannot make {self._entry}: {type(error).__name__}: {error}") from None
        self._worlds[slot] = world
        return world


def _fault(error: Exception, *, resetting: bool) -> Fault:
    if isinstance(error, InfrastructureError):
        return "infrastructure"
    if resetting and isinstance(error, DataError):
        return "data"
    if resetting and isinstance(error, SadEnvError):
        return "config"
    return "world"


def _exit_with_parent(parent: int) -> None:
    # A parent that was killed cannot stop its workers, and a world that hangs reads no end of file.
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Serve the parent until its end of the pipe closes."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what a world prints must not reach the protocol
    first = json.loads(inbox.readline())
    threading.Thread(target=_exit_with_parent, args=(first["parent"],), daemon=True).start()
    host = WorldHost(first["entry"], first["options"])
    for line in inbox:
        for command in json.loads(line):
            answer = host.serve(Command(*command))
            outbox.write(json.dumps(answer._replace(info=dict(answer.info))).encode() + b"\n")
            outbox.flush()
    host.close()


if __name__ == "__main__":
    main()

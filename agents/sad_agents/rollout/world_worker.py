"""The child's side of a rollout: worlds in slots, requests in, responses out; also used in the parent's own process.

`python -m sad_agents.rollout.world_worker` speaks JSON lines with the parent. On standard input come lists of
requests, on standard output goes one response a request as soon as it is known, in order, so that the parent knows
which request a worker died of.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from sad_env import registry
from sad_env.core import TextEnv
from sad_env.errors import ConfigError, DataError, InfrastructureError, SadEnvError
from sad_env.safe_text import one_line

Fault = Literal["world", "infrastructure", "config", "data"]
"""Who is at fault: the world's code, something outside, the caller's settings, the data on disk."""


class ResetRequest(NamedTuple):
    """Begin an episode."""

    task_id: str
    seed: int


class StepRequest(NamedTuple):
    """Play an action in the episode that the slot's world is in."""

    action: str


WorldRequest = ResetRequest | StepRequest
_KINDS: dict[str, type[ResetRequest] | type[StepRequest]] = {"reset": ResetRequest, "step": StepRequest}
_NAMES = {kind: name for name, kind in _KINDS.items()}

_TEXT = frozenset({str})
_RECORDED = frozenset({"score", "progress", "admissible_actions"})
"""Entries of info for which records have fields that are no text."""
_to_json = json.JSONEncoder(allow_nan=False).encode


class WorldResponse(NamedTuple):
    """What came of one request.

    `fault` is empty unless the request failed; then `observation` is one line of reason. `data` (the panel's kind of
    data) comes with the response to a reset.
    """

    observation: str
    reward: float = 0.0
    terminated: bool = False
    info: Mapping[str, Any] = MappingProxyType({})
    seconds: float = 0.0
    data: str = ""
    fault: Fault | Literal[""] = ""


def to_wire(slot: int, request: WorldRequest) -> list[Any]:
    """A request for the world in a slot, as JSON values: slot, kind, fields.

    >>> to_wire(3, StepRequest("look"))
    [3, 'step', 'look']
    """
    return [slot, _NAMES[type(request)], *request]


def from_wire(values: list[Any]) -> tuple[int, WorldRequest]:
    """The inverse of `to_wire`.

    >>> from_wire([3, "reset", "test-0001", 7])
    (3, ResetRequest(task_id='test-0001', seed=7))
    """
    slot, kind, *fields = values
    return slot, _KINDS[kind](*fields)


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

    def serve(self, slot: int, request: WorldRequest) -> WorldResponse:
        """Run one request. Whatever the world raises, or answers that no record can hold, becomes a response."""
        began = time.perf_counter()
        try:
            if isinstance(request, ResetRequest):
                world = self._worlds.get(slot) or self._make(slot)
                observation, info = world.reset(seed=request.seed, options={"task_id": request.task_id})
                seconds = time.perf_counter() - began
                if not _is_usual(observation, 0.0, info):
                    _check_answer(observation, 0.0, info)
                return WorldResponse(observation, info=info, seconds=seconds, data=world.panel.data)
            observation, reward, terminated, _, info = self._worlds[slot].step(request.action)
            seconds = time.perf_counter() - began
            if not _is_usual(observation, reward, info):
                _check_answer(observation, reward, info)
            return WorldResponse(observation, reward, terminated, info, seconds)
        except Exception as error:
            self.discard(slot)
            reason = str(error) if isinstance(error, SadEnvError) else f"{type(error).__name__}: {error}"
            fault = _fault(error, resetting=isinstance(request, ResetRequest))
            return WorldResponse(one_line(reason, 300), fault=fault)

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


def _is_usual(observation: object, reward: object, info: object) -> bool:
    """Whether an answer is of the types that worlds give as a rule, so that no closer look is needed.

    Each step of each world comes through here: it takes half a microsecond.
    """
    if type(observation) is not str or type(reward) is not float or type(info) is not dict:
        return False
    total = reward
    for key, value in info.items():
        kind = type(value)
        if kind is str or kind is bool or kind is int:
            if key in _RECORDED:
                return False
        elif kind is float and type(key) is str:
            total += value
        elif kind is not list or not _TEXT.issuperset(map(type, value)):
            return False
    return isfinite(total) and "success" in info and "valid_action" in info


def _check_answer(observation: object, reward: object, info: object) -> None:
    """Raise TypeError or ValueError for an answer that no record can hold, or whose info is not plain JSON."""
    if not isinstance(observation, str):
        raise TypeError(f"the observation is a str, not {observation!r:.80}")
    _check_number("the reward", reward)
    if not isinstance(info, dict) or "success" not in info or "valid_action" not in info:
        raise TypeError(f"info is a dict that has success and valid_action, not {info!r:.80}")
    for key, value in info.items():
        if not isinstance(key, str):
            raise TypeError(f"the keys of info are str, not {key!r:.80}")
        name = f"info[{key!r:.40}]"
        if key == "score" or isinstance(value, float) or (key == "progress" and value is not None):
            _check_number(name, value)
        if key == "admissible_actions" and value is not None:
            for action in value:
                if not isinstance(action, str):
                    raise TypeError(f"{name} is a list of str, not of {action!r:.80}")
        try:
            _to_json(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} is not plain JSON: {error}") from None


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, float | int) or not isfinite(value):
        raise ValueError(f"{name} is a finite number, not {value!r:.80}")


def exit_with_parent(parent: int) -> None:
    """Kill this process and its children within a second after its parent has ended. It must lead its process group.

    A parent that was killed cannot stop its children, and a child that hangs reads no end of file.

    Args:
        parent: the parent's process id, as the parent itself knows it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serve the parent until its end of the pipe closes."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what a world prints must not reach the protocol
    first = json.loads(inbox.readline())
    exit_with_parent(first["parent"])
    host = WorldHost(first["entry"], first["options"])
    for line in inbox:
        for values in json.loads(line):
            response = host.serve(*from_wire(values))
            outbox.write(json.dumps(response._replace(info=dict(response.info))).encode() + b"\n")
            outbox.flush()
    host.close()


if __name__ == "__main__":
    main()

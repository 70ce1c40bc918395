"""Worlds that misbehave on the task they are told to, for the tests of rollouts; registered by `register`."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from sad_env import registry
from sad_env.core import Turn
from sad_env.errors import DataError, InfrastructureError
from sad_env.toy import ToyEnv

SAYS: dict[str, dict[str, Any]] = {
    "no text": {"observation": None},
    "reward": {"reward": float("nan")},
    "score": {"score": float("inf")},
    "words for a score": {"info": {"score": "high"}},
    "progress": {"info": {"progress": "half"}},
    "loss": {"info": {"loss": float("nan")}},
    "deep": {"info": {"losses": {"both": [0.0, float("nan")]}}},
    "thing": {"info": {"thing": Path("thing")}},
    "key": {"info": {7: 0.5}},
    "actions": {"admissible_actions": ["look", 7]},
}
"""Parts of a turn that no record can hold."""


class FailingEnv(ToyEnv):
    """The toy world, which fails in step 1 of `bad_task` as often as `times` says, counted across processes.

    Args:
        how: raise, kill, exit, hang, stop, infrastructure, data, print, or reset, which raises before the first step; a
            key of `SAYS` makes the steps of the bad task say this, whatever `times` is.
        bad_task: the task that fails.
        counter: a folder; each failure leaves a file.
        times: failures before it behaves.
    """

    def __init__(self, *, how: str, bad_task: str, counter: str, times: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.how, self.bad_task, self.counter, self.times = how, bad_task, Path(counter), times

    def _begin(self, task_id: str) -> Turn:
        if self.how == "data" and task_id == self.bad_task:
            raise DataError(f"the game of {task_id} is corrupt")
        self.playing = task_id
        if self.how == "reset":
            self._fail_for_a_while()
        return super()._begin(task_id)

    def _act(self, action: str) -> Turn:
        if self.how != "reset":
            self._fail_for_a_while()
        if self.how == "print":
            print("noise on standard output")
        turn = super()._act(action)
        return replace(turn, **SAYS.get(self.how, {})) if self.playing == self.bad_task else turn

    def _fail_for_a_while(self) -> None:
        if self.playing == self.bad_task and len(list(self.counter.iterdir())) < self.times:
            (self.counter / f"{time.time_ns()}").touch()
            self._fail()

    def _fail(self) -> None:
        if self.how in ("raise", "reset"):
            raise RuntimeError("the world broke")
        if self.how == "infrastructure":
            raise InfrastructureError("the page source does not answer")
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.how == "exit":
            os.write(2, b"last words\n")
            os._exit(7)
        if self.how == "hang":
            time.sleep(3600)


def register() -> None:
    registry.register(
        registry.WorldSpec(
            name="failing",
            gym_id="sad_env/Failing-v0",
            entry="worlds_that_fail:FailingEnv",
            max_steps=20,
            panel="test",
            summary="a world that fails",
            experts={"expert": "sad_env.toy:ToyExpert"},
        )
    )

"""The public conformance check: what every world must do, run on any world."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

from gymnasium.utils.env_checker import check_env

from sad_env.core import TextEnv
from sad_env.errors import ConfigError, ResetNeededError, SadEnvError

NONSENSE = ("", " ", "\n", "\x00\x1b[2J", "💥" * 40, "go to [REASON]", "a" * 10_000, "\ud800", "[[[", "search[")
_REQUIRED: dict[str, type] = {"task_id": str, "split": str, "success": bool, "score": float, "valid_action": bool}


class ConformanceError(SadEnvError):
    """A world does not keep the contract."""


def check_world(make: Callable[[], TextEnv], *, tasks: int = 3, oracle: bool = True) -> None:
    """Check a world against the contract of `TextEnv` and against Gymnasium's own `check_env`.

    Args:
        make: makes a fresh copy of the world; called several times.
        tasks: how many tasks are played.
        oracle: the world's oracle is to win each of them.

    Raises:
        ConformanceError: the first rule that is broken, in one line.
    """
    with warnings.catch_warnings():
        # Ours renders text, so the checker's remark on render_mode being None says nothing.
        warnings.filterwarnings("ignore", message=".*render.*")
        check_env(make(), skip_render_check=True)
    env, twin = make(), make()
    try:
        ids = env.panel.task_ids
        _rule(list(ids) == sorted(ids), "the task ids are sorted")
        _rule(env.panel == twin.panel, "two copies have the same panel")
        for task_id in ids[:tasks]:
            _check_task(env, twin, task_id, oracle=oracle)
        _check_named_task(env)
        _check_seeds(env, twin)
    finally:
        for world in (env, twin):
            world.close()
            world.close()


def _rule(holds: bool, rule: str) -> None:
    if not holds:
        raise ConformanceError(f"broken: {rule}")


def _check_info(info: dict[str, Any]) -> None:
    for key, kind in _REQUIRED.items():
        _rule(type(info.get(key)) is kind, f"info[{key!r}] is a {kind.__name__}, not {info.get(key)!r}")
    actions = info.get("admissible_actions")
    if actions is not None:
        _rule(type(actions) is list, "info['admissible_actions'] is a list")
        _rule(all(type(action) is str for action in actions), "admissible actions are str")
    try:
        json.dumps(info, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConformanceError(f"broken: info is plain JSON ({error})") from None


def _check_task(env: TextEnv, twin: TextEnv, task_id: str, *, oracle: bool) -> None:
    options = {"task_id": task_id}
    first, info = env.reset(seed=0, options=dict(options))
    _check_info(info)
    _rule(info["task_id"] == task_id, "reset plays the task it was asked for")
    _rule(info["success"] is False, "no task is won at reset")
    _rule((first, info) == twin.reset(seed=0, options=dict(options)), "two copies begin a task alike")
    for text in NONSENSE:
        outcome = env.step(text)
        _check_info(outcome[4])
        _rule(outcome == twin.step(text), f"two copies answer {text[:20]!r} alike")
        if outcome[2]:
            env.reset(seed=0, options=dict(options))
            twin.reset(seed=0, options=dict(options))
    env.reset(seed=0, options=dict(options))
    plan = env.oracle()
    if oracle:
        _rule(plan is not None, "the oracle knows a plan")
    if plan is None:
        return
    terminated = False
    for action in plan:
        _, _, terminated, truncated, info = env.step(action)
        _check_info(info)
        _rule(not truncated, "a world does not truncate")
    _rule(not oracle or info["success"] is True, f"the oracle wins {task_id!r}")
    if terminated:
        try:
            env.step(plan[-1])
        except ResetNeededError:
            pass
        else:
            raise ConformanceError("broken: a step after the end raises ResetNeededError")


def _check_named_task(env: TextEnv) -> None:
    try:
        env.reset(options={"task_id": "no such task"})
    except ConfigError:
        return
    raise ConformanceError("broken: an unknown task id raises ConfigError")


def _check_seeds(env: TextEnv, twin: TextEnv) -> None:
    env.reset(seed=7)
    twin.reset(seed=7)
    for _ in range(5):
        _rule(env.reset() == twin.reset(), "the seed decides which tasks come")

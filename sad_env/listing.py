"""What there is to play, by calls: worlds, their splits, panels of tasks, task types."""

from __future__ import annotations

from typing import Any

from sad_env.errors import ConfigError, DataError, UnknownNameError
from sad_env.panels import Panel
from sad_env.registry import known, make, world


def worlds() -> list[str]:
    """Names of all registered worlds, those of other distributions included.

    >>> [name for name in worlds() if name in ("alfworld", "hotpotqa", "webshop")]
    ['alfworld', 'hotpotqa', 'webshop']
    """
    return [spec.name for spec in known()]


def splits(name: str, data: str = "generated") -> list[str]:
    """Splits that a world can be made with.

    Of data that are not generated those are named which are there under a name that the world knows; a folder may
    have others.

    Args:
        name: of the world.
        data: as the world takes it.

    Raises:
        UnknownNameError: no such world.
        DataError: no data of this name at all.

    >>> splits("toy")
    ['test', 'train']
    """
    spec = world(name)
    named = sorted({spec.panel, *spec.splits})
    return named if data == "generated" else _playable(name, data, named)


def _playable(name: str, data: str, named: list[str]) -> list[str]:
    found, fault = [], None
    for split in named:
        try:
            make(name, data=data, split=split).close()
            found.append(split)
        except (ConfigError, DataError, UnknownNameError) as error:
            fault = fault or error
    if not found and fault is not None:
        raise fault
    return found


def panel(name: str, split: str = "", *, data: str = "generated", episodes: int = 0, **options: Any) -> Panel:
    """The tasks of a split, or the first `episodes` of them in the order that all evaluations have.

    Args:
        name: of the world.
        split: the world's own choice when left out.
        data: as the world takes it.
        episodes: how many tasks; 0 takes all.
        options: further keyword arguments of the world.

    Raises:
        UnknownNameError: no such world or split.
        ConfigError: fewer tasks than asked for.
        DataError: no such data.

    >>> panel("toy", "test", episodes=20).name
    'test-20'
    """
    env = make(name, data=data, split=split or world(name).default_panel(data), **options)
    env.close()
    return env.panel.head(episodes) if episodes else env.panel


def task_types(name: str) -> list[str]:
    """What `info["task_type"]` may be in a world's generated data; empty where the world does not say.

    >>> task_types("alfworld")[0]
    'look_at_obj_in_light'
    """
    return sorted(world(name).task_types)

"""Which file or folder a word for a model means: a path, a training run's folder, or a student that ships."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from sad_env.errors import CheckpointError, UnknownNameError
from sad_env.json_lines import RecordError, read_json
from sad_env.safe_text import one_line

STUDENTS = "students"
"""Folder of this package with the shipped students, WORLD.pt each."""
_SHIPPED = "nano"
_HUB_ID = re.compile(r"(?!\.)[\w.-]+(/[\w.-]+)?")


def model_path(spec: str) -> Path | None:
    """The file or folder that a word names; None where it is an id of the hub.

    The folder of a training run names its `student.pt`, `nano:WORLD` the student that ships for a world.

    Raises:
        CheckpointError: a training run without a student, or `nano` without a world.
        UnknownNameError: no student ships for the world.

    >>> model_path("hf:gpt2") is None, model_path("someone/model") is None, model_path("run/student.pt")
    (True, True, PosixPath('run/student.pt'))
    >>> model_path("nano:alfworld").name
    'alfworld.pt'
    """
    kind, _, world = spec.partition(":")
    if kind == _SHIPPED:
        return _named_student(world)
    name = spec.removeprefix("hf:")
    path = Path(name)
    if _is_training_run(path):
        if not (path / "student.pt").is_file():
            raise CheckpointError(
                f"{one_line(name, 120)}: a training run that has not ended: its student.pt is not there yet; its own"
                " command goes on with it"
            )
        return path / "student.pt"
    return path if path.exists() or path.suffix == ".pt" or not _HUB_ID.fullmatch(name) else None


def _is_training_run(folder: Path) -> bool:
    """Whether a folder is one of `sad-distill`, whose config.json are settings of a training and none of a model."""
    if not (folder / "config.json").is_file():
        return False
    try:
        config = read_json(folder / "config.json")
    except (OSError, RecordError):  # the loader of models says what is wrong
        return False
    return isinstance(config, dict) and "model_type" not in config and {"student", "steps", "out"} <= config.keys()


def _named_student(world: str) -> Path:
    there = shipped_worlds()
    if not world:
        shown = ", ".join(f"{_SHIPPED}:{name}" for name in there)
        raise CheckpointError(f"{_SHIPPED} is a student of one world each: give {shown}, or ./{_SHIPPED} for a folder")
    if world not in there:
        raise UnknownNameError(f"world with a {_SHIPPED} student", one_line(world, 80), there)
    return shipped_student(world)


def of_world(spec: str, world: str) -> str:
    """A word for a model where a world is known: `nano` is the student that ships for it, where one does.

    >>> of_world("nano", "alfworld"), of_world("nano", "toy"), of_world("student.pt", "alfworld")
    ('nano:alfworld', 'nano', 'student.pt')
    """
    return f"{_SHIPPED}:{world}" if spec == _SHIPPED and ships_student(world) else spec


def shipped_worlds() -> list[str]:
    """The worlds for which the package holds a student."""
    return sorted(path.stem for path in shipped_student("any").parent.glob("*.pt"))


def ships_student(world: str) -> bool:
    """Whether the package holds a student of this world, for `--agent nano`."""
    return shipped_student(world).is_file()


def shipped_student(world: str) -> Path:
    """Where the package holds its student of a world, if it has one."""
    return Path(str(resources.files("sad_agents"))) / STUDENTS / f"{world}.pt"

"""Where games come from: folders and archives in the official layout, pack files, or the generator."""

from __future__ import annotations

import abc
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from sad_env.alfworld.game import Game
from sad_env.alfworld.generator import Blueprint, blueprints, generate
from sad_env.alfworld.problem import GAME_FILE, MAX_GAME_BYTES, TASK_TYPES, Problem, parse_game, write_game
from sad_env.errors import DataError
from sad_env.safe_text import one_line

_CACHED_GAMES = 512
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNSUPPORTED = ("movable", "Sliced")
"""Parts of the names of tasks that the original leaves out (`collect_game_files` in alfred_tw_env.py)."""
_SOLVABLE = re.compile(rb'(?<!\\)"solvable"\s*:\s*(true|false)')
_TAIL = 4096
"""Bytes at the end of a game file that normally hold the mark, which comes before the walkthrough."""


class GameStore(abc.ABC):
    """The games of one split, by task id ("TASK/TRIAL").

    Attributes:
        task_ids: sorted.
    """

    task_ids: tuple[str, ...]

    def __init__(self) -> None:
        self._make_caches()

    def __getstate__(self) -> dict[str, object]:
        # Games are read again where a copy is opened.
        return {name: value for name, value in vars(self).items() if not hasattr(value, "cache_info")}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._make_caches()

    def _make_caches(self) -> None:
        self.game = lru_cache(maxsize=_CACHED_GAMES)(self._compile)

    @abc.abstractmethod
    def problem(self, task_id: str) -> Problem:
        """The game's content.

        Raises:
            DataError: it is missing, damaged, or of an unknown domain.
        """

    @abc.abstractmethod
    def text(self, task_id: str) -> str:
        """The content of a game file, for the original engine."""

    def _compile(self, task_id: str) -> Game:
        return Game(self.problem(task_id), task_id)

    def task_type(self, task_id: str) -> str:
        """The task type: from the task's name where it is of the official kind, else from the goal."""
        named = task_id.split("-", 1)[0]
        return named if named in TASK_TYPES else self.game(task_id).goal.task_type


def scene_of(task_id: str) -> int | None:
    """Number of the scene, where the task's name tells it.

    >>> scene_of("pick_and_place_simple-Mug-None-Desk-308/trial_1")
    308
    """
    last = task_id.split("/", 1)[0].rpartition("-")[2]
    return int(last) if last.isascii() and last.isdigit() else None


class GeneratedStore(GameStore):
    """Games made in memory.

    Args:
        split: "train", "valid_seen" or "valid_unseen".
        count: how many; as many as the official split has when omitted.
        seed: another seed, other games.
    """

    def __init__(self, split: str, count: int | None = None, seed: int = 0) -> None:
        super().__init__()
        self._blueprints = _by_task_id(split, count, seed)
        self.task_ids = tuple(sorted(self._blueprints))

    def problem(self, task_id: str) -> Problem:
        """Make the game."""
        return generate(self._blueprints[task_id])

    def text(self, task_id: str) -> str:
        """Make the game and write it down."""
        return write_game(self.problem(task_id), self._blueprints[task_id].trial)


@lru_cache(maxsize=8)
def _by_task_id(split: str, count: int | None, seed: int) -> Mapping[str, Blueprint]:
    return {blueprint.task_id: blueprint for blueprint in blueprints(split, count, seed)}


class _FileStore(GameStore):
    """Games that are there as game files."""

    def problem(self, task_id: str) -> Problem:
        """Read the game file."""
        return parse_game(self._read(task_id), task_id)

    def text(self, task_id: str) -> str:
        """The game file as it is."""
        return self._read(task_id).decode("utf-8", "replace")

    @abc.abstractmethod
    def _read(self, task_id: str) -> bytes: ...


class FolderStore(_FileStore):
    """Games as files TASK/TRIAL/game.tw-pddl under a folder.

    As in the original, games that are marked unsolvable and tasks with movable receptacles or slices are left out.

    Raises:
        DataError: there is none.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        # An odd folder may hold anything, so only two levels are looked at, and only names that can be shown.
        task_ids = [
            f"{task.name}/{trial.name}"
            for task in _folders(folder)
            for trial in _folders(Path(task.path))
            if _is_supported(f"{task.name}/{trial.name}") and _may_be_solved(os.path.join(trial.path, GAME_FILE))
        ]
        if not task_ids:
            raise DataError(f"no TASK/TRIAL/{GAME_FILE} under {one_line(str(folder))}")
        self.task_ids = tuple(sorted(task_ids))

    def _read(self, task_id: str) -> bytes:
        try:
            with open(self.folder / task_id / GAME_FILE, "rb") as file:
                return file.read(MAX_GAME_BYTES + 1)
        except OSError as error:
            raise DataError(f"{one_line(task_id)}: cannot be read: {error.strerror}") from None


class ArchiveStore(_FileStore):
    """Games inside an official release archive (a zip file), read one by one without unpacking it.

    Games are left out as by `FolderStore`.

    Args:
        path: the archive.
        split: folder inside it.

    Raises:
        DataError: it is no zip file, or holds no game of the split.
    """

    def __init__(self, path: Path, split: str) -> None:
        super().__init__()
        self.path = path
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    *_, folder, task, trial, file = ("", "", "", *member.filename.split("/"))
                    playable = file == GAME_FILE and folder == split and member.compress_type in _METHODS
                    if playable and _is_supported(f"{task}/{trial}"):
                        self._members[f"{task}/{trial}"] = member
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise DataError(f"{path.name}: not a whole zip archive: {one_line(str(error), 80)}") from None
        for task_id in list(self._members):
            if self._is_marked_unsolvable(task_id):
                del self._members[task_id]
        if not self._members:
            raise DataError(f"{path.name} holds no {split}/TASK/TRIAL/{GAME_FILE}")
        self.task_ids = tuple(sorted(self._members))

    def _is_marked_unsolvable(self, task_id: str) -> bool:
        try:
            return _mark(self._read(task_id)) == b"false"
        except DataError:  # reported when the game is played
            return False

    def _read(self, task_id: str) -> bytes:
        # Opening a ZipFile again would read its whole directory for each game.
        member = self._members[task_id]
        try:
            with open(self.path, "rb") as file:
                file.seek(member.header_offset)
                header = file.read(_LOCAL_HEADER.size)
                signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
                file.seek(name_length + extra_length, os.SEEK_CUR)
                data = file.read(member.compress_size)
            if member.compress_type == zipfile.ZIP_DEFLATED:
                # A member may claim any size; reading stops where no game file goes on.
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, MAX_GAME_BYTES + 1)
            if signature != b"PK\3\4" or (len(data) <= MAX_GAME_BYTES and zlib.crc32(data) != member.CRC):
                raise ValueError("checksum is wrong")
        except (OSError, ValueError, struct.error, zlib.error) as error:
            problem = one_line(str(error), 80)
            raise DataError(f"{self.path.name}: {one_line(task_id)}: damaged ({problem})") from None
        return data


def _is_supported(task_id: str) -> bool:
    return not any(part in task_id for part in _UNSUPPORTED)


def _may_be_solved(path: str) -> bool:
    """Whether a game file is there and not marked unsolvable."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            mark = _mark(file.read(_TAIL))
            if mark is None:
                file.seek(0)
                mark = _mark(file.read(MAX_GAME_BYTES + 1))
    except OSError:  # reported when the game is played
        return True
    return mark != b"false"


def _mark(game: bytes) -> bytes | None:
    match = _SOLVABLE.search(game)
    return match[1] if match else None


def _folders(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir() and entry.name.isprintable()]
    except OSError:
        return []

"""A split of games in one compact file, the official train split in under 4 MB.

Layout: `MAGIC`; the length of the index, 8 bytes, big-endian; the index; the blocks. Index and blocks are JSON
compressed as xz, whose checksums find every damaged byte. The index lists where each block begins, and the task ids
of each block in order; a block lists its games as `_encode` writes them.
"""

from __future__ import annotations

import contextlib
import json
import lzma
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from sad_env.alfworld.problem import SIGNATURES, TASK_TYPES, HouseholdGoal, Problem, write_game
from sad_env.alfworld.store import GameStore
from sad_env.data import Progress, silent
from sad_env.errors import DataError
from sad_env.files import atomic_bytes
from sad_env.json_lines import parse_json
from sad_env.safe_text import one_line

PACK_SUFFIX = ".games"
MAGIC = b"sad-env alfworld games 1\n"
_BLOCK = 16
_MAX_INFLATED = 64 * 2**20
"""A block of official games has 0.4 MB; what inflates to more than this is no pack."""


def write_pack(path: Path, store: GameStore, *, progress: Progress = silent) -> None:
    """Write all games of a store into one file.

    Raises:
        DataError: one of the games is damaged; no file is left then.
    """
    # Games of one scene share most of their facts, so they are put side by side.
    order = sorted(store.task_ids, key=lambda task_id: (task_id.split("/")[0].rsplit("-", 1)[-1], task_id))
    groups = [order[start : start + _BLOCK] for start in range(0, len(order), _BLOCK)]
    blocks = []
    for number, group in enumerate(groups):
        blocks.append(_deflate([_encode(store.problem(task_id)) for task_id in group]))
        progress(path.name, (number + 1) * _BLOCK, len(order))
    starts = [0]
    for block in blocks:
        starts.append(starts[-1] + len(block))
    index = _deflate({"starts": starts, "tasks": groups})
    with atomic_bytes(path) as file:
        file.write(b"".join((MAGIC, len(index).to_bytes(8, "big"), index, *blocks)))


class PackStore(GameStore):
    """The games of a pack file.

    Args:
        path: the file.

    Raises:
        DataError: it is no pack, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        with _complaints(path.name):
            with open(path, "rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise ValueError("not a pack of games, or of another version")
                length = int.from_bytes(file.read(8), "big")
                if length > path.stat().st_size:
                    raise ValueError("cut off")
                index = _inflate(file.read(length))
            self._first = len(MAGIC) + 8 + length
            self._starts: list[int] = index["starts"]
            self._where = {
                str(task_id): (block, row)
                for block, ids in enumerate(index["tasks"])
                for row, task_id in enumerate(ids)
            }
            if not self._where or path.stat().st_size != self._first + self._starts[-1]:
                raise ValueError("cut off")
        self.task_ids = tuple(sorted(self._where))

    def _make_caches(self) -> None:
        super()._make_caches()
        self._block = lru_cache(maxsize=8)(self._read_block)

    def problem(self, task_id: str) -> Problem:
        """Take the game out of its block."""
        block, row = self._where[task_id]
        with _complaints(f"{self.path.name}: {one_line(task_id)}"):
            return _decode(self._block(block)[row])

    def text(self, task_id: str) -> str:
        """The game written as a game file again."""
        return write_game(self.problem(task_id), "packed_" + "".join(filter(str.isalnum, task_id)))

    def _read_block(self, block: int) -> list[Any]:
        start, end = self._starts[block], self._starts[block + 1]
        with open(self.path, "rb") as file:
            file.seek(self._first + start)
            games: list[Any] = _inflate(file.read(end - start))
            return games


@contextlib.contextmanager
def _complaints(origin: str) -> Iterator[None]:
    """Turns whatever a damaged file makes the readers raise into one `DataError`."""
    try:
        yield
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{origin}: damaged or cut off ({one_line(str(error), 80)})") from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(f"{origin}: {one_line(str(error), 120)}") from None


def _deflate(value: Any) -> bytes:
    return lzma.compress(json.dumps(value, separators=(",", ":")).encode())


def _inflate(data: bytes) -> Any:
    inflater = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=256 * 2**20)
    text = inflater.decompress(data, max_length=_MAX_INFLATED)
    if not inflater.eof:
        raise EOFError("a block does not end")
    return parse_json(text)


def _encode(problem: Problem) -> list[Any]:
    facts: Mapping[str, list[str]] = defaultdict(list)
    for predicate, *names in problem.facts:
        facts[predicate].extend(names)
    goal = problem.goal
    return [
        [goal.task_type, goal.object_type, goal.place_type],
        problem.task,
        list(problem.walkthrough),
        list(problem.washers),
        {predicate: " ".join(names) for predicate, names in facts.items()},
    ]


def _decode(row: Sequence[Any]) -> Problem:
    (task_type, object_type, place_type), task, walkthrough, washers, packed = row
    if task_type not in TASK_TYPES:
        raise ValueError(f"no task type {task_type!r}")
    facts = []
    for predicate, text in packed.items():
        width, names = len(SIGNATURES[predicate]), text.split(" ")
        if len(names) % width:
            raise ValueError(f"facts of {predicate} do not come out even")
        facts += [(predicate, *names[start : start + width]) for start in range(0, len(names), width)]
    goal = HouseholdGoal(task_type, str(object_type), str(place_type))
    return Problem(tuple(sorted(facts)), goal, str(task), tuple(map(str, walkthrough)), tuple(map(str, washers)))

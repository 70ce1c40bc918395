"""Entry folders on disk: written whole or not at all, and read as if an enemy had written them."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from sad_eval.records import EpisodeLine, Manifest, Results

from sad_env.errors import DataError
from sad_env.files import safe_name, sha256_file
from sad_env.json_lines import RecordError
from sad_env.records import Record, parse_record
from sad_env.safe_text import one_line
from sad_leaderboard.schema import ENTRY, EPISODES, FILES, MANIFEST, RESULTS, Entry

MAX_BYTES = {ENTRY: 64 * 2**10, MANIFEST: 16 * 2**20, RESULTS: 4 * 2**20, EPISODES: 64 * 2**20}
"""Larger files are refused before they are read."""

MAX_UNPACKED_BYTES = 2**30
MAX_LINE_BYTES = 4 * 2**20

AnyDocument = TypeVar("AnyDocument", bound=Record)


class EntryError(DataError):
    """A submission that cannot be taken as it is."""


@dataclass(frozen=True)
class Submission:
    """An entry whose documents have been read; its episodes are read when they are asked for."""

    path: Path
    entry: Entry
    manifest: Manifest
    results: Results

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    def episodes(self) -> Iterator[EpisodeLine]:
        """The episodes, one after the other, in bounded memory.

        Raises:
            EntryError: not gzip, too large, or a line that is no episode.
        """
        number, unpacked = 0, 0
        with _open(self.path / EPISODES) as packed, gzip.GzipFile(fileobj=packed) as file:
            while True:
                try:
                    line = file.readline(MAX_LINE_BYTES + 1)
                except (OSError, EOFError, zlib.error) as error:
                    raise EntryError(
                        f"{self.name}/{EPISODES}: no whole gzip file ({one_line(str(error), 80)})"
                    ) from None
                if not line:
                    return
                number, unpacked = number + 1, unpacked + len(line)
                if len(line) > MAX_LINE_BYTES or unpacked > MAX_UNPACKED_BYTES:
                    raise EntryError(f"{self.name}/{EPISODES}:{number}: larger than a submission may be")
                if not line.endswith(b"\n"):
                    raise EntryError(f"{self.name}/{EPISODES}:{number}: the last line is torn")
                try:
                    yield parse_record(EpisodeLine, line[:-1])
                except RecordError as error:
                    raise EntryError(f"{self.name}/{EPISODES}:{number}: {error}") from None


def read_submission(folder: Path) -> Submission:
    """Read the documents of an entry folder.

    Raises:
        EntryError: a name that is none, a link, a foreign or missing file, a file too large or not of its schema.
        ConfigError: a folder name that may not be one.
    """
    safe_name(folder.name, "entry")
    _check_folder(folder)
    entry = _document(folder, ENTRY, Entry)
    if set(entry.files) != set(FILES) - {ENTRY}:
        raise EntryError(f"{folder.name}/{ENTRY}: `files` names {', '.join(sorted(set(FILES) - {ENTRY}))}, no others")
    for name, digest in entry.files.items():
        if sha256_file(folder / name) != digest:
            raise EntryError(f"{folder.name}/{name}: not the file that {ENTRY} names by sha256")
    return Submission(folder, entry, _document(folder, MANIFEST, Manifest), _document(folder, RESULTS, Results))


def entry_folders(board: Path) -> list[Path]:
    """The entry folders of a board, by name.

    Raises:
        DataError: no such folder.
    """
    if not board.is_dir():
        raise DataError(f"no folder {one_line(str(board))!r}: `sad-leaderboard add RUN --root FOLDER` makes one")
    return sorted(
        path for path in board.iterdir() if not path.name.startswith(".") and (path.is_symlink() or path.is_dir())
    )


def _check_folder(folder: Path) -> None:
    if not folder.exists() and not folder.is_symlink():
        raise EntryError(f"{one_line(str(folder), 120)}: no such entry")
    if folder.is_symlink() or not folder.is_dir():
        raise EntryError(f"{one_line(folder.name, 80)}: an entry is a folder, not a link or a file")
    found = {item.name: item for item in os.scandir(folder)}
    for name, item in sorted(found.items()):
        if name not in FILES:
            raise EntryError(f"{folder.name}: holds {one_line(name, 60)!r}; an entry is {', '.join(FILES)}")
        details = item.stat(follow_symlinks=False)
        if not stat.S_ISREG(details.st_mode):
            raise EntryError(f"{folder.name}/{name}: a plain file is needed, not a link, device or folder")
        if details.st_size > MAX_BYTES[name]:
            raise EntryError(f"{folder.name}/{name}: {details.st_size:,} bytes; at most {MAX_BYTES[name]:,} are taken")
    for name in FILES:
        if name not in found:
            raise EntryError(f"{folder.name}: {name} is missing")


def _open(path: Path) -> IO[bytes]:
    # A file swapped for a link or a pipe after the check above must not be followed or waited for.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _document(folder: Path, name: str, kind: type[AnyDocument]) -> AnyDocument:
    with _open(folder / name) as file:
        content = file.read(MAX_BYTES[name] + 1)
    try:
        return parse_record(kind, content)
    except RecordError as error:
        raise EntryError(f"{folder.name}/{name}: {one_line(str(error), 300)}") from None

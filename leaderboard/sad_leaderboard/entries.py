"""Entry folders on disk. Entries are untrusted input: every read is bounded and checked."""

from __future__ import annotations

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
_BLOCK_BYTES = 2**18
"""Read and unpacked at once; memory stays within this and the longest line."""

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
        return entry_name(self.path)

    def episodes(self) -> Iterator[EpisodeLine]:
        """The episodes, one after the other, in bounded memory.

        Raises:
            EntryError: not gzip, too large, or a line that is no episode.
        """
        with _open(self.path / EPISODES) as file:
            for number, line in enumerate(_unpacked_lines(file, f"{self.name}/{EPISODES}"), start=1):
                try:
                    yield parse_record(EpisodeLine, line)
                except RecordError as error:
                    raise EntryError(f"{self.name}/{EPISODES}:{number}: {error}") from None


def entry_name(folder: Path) -> str:
    """The name of an entry's folder, which may be given as "."; no link is followed."""
    return folder.absolute().name


def read_submission(folder: Path) -> Submission:
    """Read the documents of an entry folder.

    Raises:
        EntryError: a name that is none, a link, a foreign or missing file, a file too large or not of its schema.
        ConfigError: a folder name that may not be one.
    """
    name = safe_name(entry_name(folder), "entry")
    _check_folder(folder, name)
    entry = _document(folder, ENTRY, Entry)
    if set(entry.files) != set(FILES) - {ENTRY}:
        raise EntryError(f"{name}/{ENTRY}: `files` names {', '.join(sorted(set(FILES) - {ENTRY}))}, no others")
    for file, digest in entry.files.items():
        if sha256_file(folder / file) != digest:
            raise EntryError(f"{name}/{file}: not the file that {ENTRY} names by sha256")
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


def _check_folder(folder: Path, name: str) -> None:
    if not folder.exists() and not folder.is_symlink():
        raise EntryError(f"{one_line(str(folder), 120)}: no such entry")
    if folder.is_symlink() or not folder.is_dir():
        raise EntryError(f"{name}: an entry is a folder, not a link or a file")
    items = {item.name: item for item in os.scandir(folder)}
    for file, item in sorted(items.items()):
        if file not in FILES:
            raise EntryError(f"{name}: holds {one_line(file, 60)!r}; an entry is {', '.join(FILES)}")
        details = item.stat(follow_symlinks=False)
        if not stat.S_ISREG(details.st_mode):
            raise EntryError(f"{name}/{file}: a plain file is needed, not a link, device or folder")
        if details.st_size > MAX_BYTES[file]:
            raise EntryError(f"{name}/{file}: {details.st_size:,} bytes; at most {MAX_BYTES[file]:,} are taken")
    for file in FILES:
        if file not in items:
            raise EntryError(f"{name}: {file} is missing")


def _open(path: Path) -> IO[bytes]:
    # A file swapped for a link or a pipe after the check above must not be followed or waited for.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _unpacked_lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    """The lines of one gzip member, without their newlines.

    Unlike `gzip`, which reads a header byte by byte and any number of empty members, this takes time in proportion to
    the bytes that are read and unpacked.

    Raises:
        EntryError: not one whole gzip member, a line too long, too much in all, or a last line without a newline.
    """
    engine, number, unpacked, rest = zlib.decompressobj(wbits=31), 1, 0, b""
    while not engine.eof:
        packed = engine.unconsumed_tail or file.read(_BLOCK_BYTES)
        try:
            block = engine.decompress(packed, _BLOCK_BYTES)
        except zlib.error as error:
            raise EntryError(f"{name}: no whole gzip file ({one_line(str(error), 80)})") from None
        if not packed and not block:
            raise EntryError(f"{name}: no whole gzip file (it ends too early)")
        unpacked += len(block)
        *ends, begun = block.split(b"\n")
        for end in ends:
            line, rest = rest + end, b""
            if len(line) > MAX_LINE_BYTES or unpacked > MAX_UNPACKED_BYTES:
                raise EntryError(f"{name}:{number}: larger than a submission may be")
            yield line
            number += 1
        rest += begun
        if len(rest) > MAX_LINE_BYTES:
            raise EntryError(f"{name}:{number}: larger than a submission may be")
    if rest:
        raise EntryError(f"{name}:{number}: the last line is torn")
    if engine.unused_data or file.read(1):
        raise EntryError(f"{name}: bytes behind the end of the gzip file")


def _document(folder: Path, name: str, kind: type[AnyDocument]) -> AnyDocument:
    with _open(folder / name) as file:
        content = file.read(MAX_BYTES[name] + 1)
    try:
        return parse_record(kind, content)
    except RecordError as error:
        raise EntryError(f"{entry_name(folder)}/{name}: {one_line(str(error), 300)}") from None

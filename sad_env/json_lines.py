"""Strict JSON, and files of JSON lines that survive kill -9."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 64 * 2**20
"""A longer line of JSON is refused before it is parsed."""

MAX_DEPTH = 100
"""Lists and objects inside one another, at most."""

_BINARY = getattr(os, "O_BINARY", 0)  # Windows
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")
_DIGITS = bytes.maketrans(b"0123456789", b"0" * 10)
_MANY_DIGITS = 40
_LONG_INTEGER = b"0" * _MANY_DIGITS


class RecordError(ValueError):
    """A record file holds something that is no record of this version."""

    exit_code = 5


def parse_json(line: str | bytes, *, minus_infinity: bool = False) -> Any:
    """Strict JSON: no duplicate key, no NaN or Infinity, bounded length, depth and digits of an integer.

    Args:
        line: the text, or its UTF-8.
        minus_infinity: ``-Infinity`` is a number, as the logarithm of a probability may be.

    Raises:
        RecordError: with one line of reason.
    """
    if len(line) > MAX_LINE_BYTES:
        raise RecordError(f"a line of {len(line):,} bytes; at most {MAX_LINE_BYTES:,} are read")
    try:
        # Bytes are UTF-8 and nothing else: json itself would guess UTF-16 and UTF-32.
        text = line.decode("utf-8") if isinstance(line, bytes) else line
        outside = _outside_strings(text)
        # A function for each integer would double the time of reading lines of token ids.
        parse_int = _integer if _LONG_INTEGER in outside.translate(_DIGITS) else None
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_minus_infinity if minus_infinity else _no_constant,
            parse_float=_finite,
            parse_int=parse_int,
        )
        deep = _deeper(outside, MAX_DEPTH)
    except RecursionError:
        deep = True
    except (ValueError, UnicodeDecodeError) as error:
        raise RecordError(f"not JSON: {error}") from None
    if deep:
        raise RecordError(f"JSON nested too deep: at most {MAX_DEPTH} lists and objects")
    return value


def read_json(path: str | os.PathLike[str]) -> Any:
    """The JSON that a file holds, as strictly as `parse_json`.

    Raises:
        OSError: it cannot be read.
        RecordError: it holds something else, or too much of it.
    """
    with open(path, "rb") as file:
        return parse_json(file.read(MAX_LINE_BYTES + 1))


def _outside_strings(text: str) -> bytes:
    """What of a JSON text is in none of its strings."""
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    return "".join(text.split('"')[::2]).encode("utf-8", "surrogatepass")


def _deeper(outside: bytes, depth: int) -> bool:
    """Whether a JSON text has more than `depth` brackets inside one another; a few microseconds for a line."""
    brackets = outside.translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key[:60]!r} comes twice")
            seen.add(key)
    return result


def _integer(digits: str) -> int:
    if len(digits) > _MANY_DIGITS:
        raise ValueError(f"{digits[:40]} is too large a number")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:40]} is too large a number")
    return value


def _minus_infinity(name: str) -> float:
    return -math.inf if name == "-Infinity" else _no_constant(name)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number here")


def check_appendable(path: Path) -> None:
    """Make sure that lines can be added to a file before what they record has been done; a new one is not left.

    Raises:
        OSError: they cannot.
    """
    new = not path.exists()
    JsonLinesWriter(path).close()
    if new:
        path.unlink()


class JsonLinesWriter:
    """Appends lines to a file so that kill -9 at any moment loses at most the line being written.

    On opening, a torn last line is cut off and kept as `NAME.torn`. Each line goes out in a single
    write to an append-only descriptor and is synced to the disk before `append` returns. One process writes at a time.

    Args:
        path: the file; made when missing.
        sync_seconds: sync at most once in this time. A killed process loses nothing by it; a power cut loses the
            lines of the last `sync_seconds` at most.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync_seconds: float = 0.0) -> None:
        self.path = Path(path)
        self._sync_seconds = sync_seconds
        self._synced = 0.0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, 0o644)
        self._cut_torn_tail()

    def append(self, line: str) -> None:
        """Write one line. On a full disk the part that went out is taken back and OSError raised."""
        data = line.encode("utf-8") + b"\n"
        if b"\n" in data[:-1]:
            raise ValueError("a line holds no newline")
        size = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(28, "No space left on device", str(self.path))
            if time.monotonic() - self._synced >= self._sync_seconds:
                os.fsync(self._file)
                self._synced = time.monotonic()
        except OSError as error:
            os.ftruncate(self._file, size)
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def close(self) -> None:
        """Sync and close the file; twice is fine."""
        if self._file >= 0:
            try:
                os.fsync(self._file)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            finally:
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> JsonLinesWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _cut_torn_tail(self) -> None:
        size = os.fstat(self._file).st_size
        start, tail = size, b""
        while start and b"\n" not in tail:
            step = min(65536, start)
            start -= step
            os.lseek(self._file, start, os.SEEK_SET)
            tail = os.read(self._file, step) + tail
        torn = tail[tail.rfind(b"\n") + 1 :]
        if torn:
            with open(f"{self.path}.torn", "ab") as kept:
                kept.write(torn + b"\n")
            os.ftruncate(self._file, size - len(torn))
            os.fsync(self._file)


def read_lines(path: str | os.PathLike[str], *, unended: bool = False) -> Iterator[tuple[int, bytes]]:
    """Number and content of each whole line of a JSON-lines file; a torn last line is not yielded.

    Args:
        path: the file.
        unended: a last line without a newline is whole if it is JSON, as in files of other programs. Not for a file
            that a `JsonLinesWriter` goes on with: it cuts such a line off.

    Raises:
        RecordError: a line longer than `MAX_LINE_BYTES`.
        FileNotFoundError: no such file.
    """
    for number, line in all_lines(path):
        if line.endswith(b"\n") or (unended and _is_json(line)):
            yield number, line.removesuffix(b"\n")


def all_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line with its newline; the last one may have none.

    Raises:
        RecordError: a line longer than `MAX_LINE_BYTES`.
        FileNotFoundError: no such file.
    """
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                raise RecordError(f"{path}:{number}: a line longer than {MAX_LINE_BYTES:,} bytes")
            yield number, line


def _is_json(line: bytes) -> bool:
    try:
        parse_json(line)
    except RecordError:
        return False
    return True

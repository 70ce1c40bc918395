"""JSON files of any size, read entry by entry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

from sad_env.errors import DataError
from sad_env.safe_text import one_line

_CHUNK = 1 << 20
_LONGEST_ENTRY = 64 * 2**20


def elements(path: Path, done: Callable[[int], None] = lambda byte: None) -> Iterator[Any]:
    """The elements of a JSON array, one at a time.

    Args:
        path: the file.
        done: called with the number of bytes that have been read.

    Raises:
        DataError: no such file, or it holds something else.
    """
    for _, value in _stream(path, "[", done):
        yield value


def members(path: Path) -> Iterator[tuple[str, Any]]:
    """The names and values of a JSON object, one at a time; errors as in `elements`."""
    return _stream(path, "{", lambda byte: None)


def _stream(path: Path, opening: Literal["[", "{"], done: Callable[[int], None]) -> Iterator[tuple[str, Any]]:
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    try:
        with open(path, encoding="utf-8") as file:
            window = _Window(file, done)
            if window.next_character() != opening:
                raise ValueError(f"it does not begin with {opening}")
            window.skip(1)
            closing = "]" if opening == "[" else "}"
            while window.next_character() != closing:
                name = ""
                if opening == "{":
                    name = window.decode(decoder)
                    if window.next_character() != ":":
                        raise ValueError("a ':' is expected after a name")
                    window.skip(1)
                yield name, window.decode(decoder)
                if window.next_character() == ",":
                    window.skip(1)
                elif window.next_character() != closing:
                    raise ValueError("a ',' is expected between entries")
            window.skip(1)
            if window.next_character():
                raise ValueError("something follows its end")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {one_line(str(error), 120)}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


class _Window:
    """The stretch of a text file that is being decoded."""

    def __init__(self, file: IO[str], done: Callable[[int], None]) -> None:
        self._file, self._done = file, done
        self._text, self._position = "", 0

    def _more(self) -> bool:
        # Doubling keeps the work linear when one entry fills many blocks.
        block = self._file.read(max(_CHUNK, len(self._text) - self._position))
        self._text, self._position = self._text[self._position :] + block, 0
        self._done(self._file.buffer.tell())  # type: ignore[attr-defined]
        return bool(block)

    def skip(self, count: int) -> None:
        self._position += count

    def next_character(self) -> str:
        """The next character that is not blank, "" at the end of the file."""
        while True:
            while self._position < len(self._text) and self._text[self._position] in " \t\r\n":
                self._position += 1
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._more():
                return ""

    def decode(self, decoder: json.JSONDecoder) -> Any:
        """The value that begins at the next character."""
        self.next_character()
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError:
                if len(self._text) - self._position > _LONGEST_ENTRY or not self._more():
                    raise
                continue
            length = end - self._position
            # A number may go on in the next block.
            if end < len(self._text) or not self._more():
                self._position += length
                return value

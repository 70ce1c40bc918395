"""Reads the original's files: whole where they are small, entry by entry where they hold gigabytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

from sad_env.errors import DataError
from sad_env.safe_text import one_line
from sad_env.webshop.catalogue import MemoryCatalogue
from sad_env.webshop.products import Product, read_product

LARGE = 256 * 2**20
"""Bytes of product files above which a store is to be built on disk."""

_CHUNK = 1 << 20
_LONGEST_ENTRY = 64 * 2**20
_GROUPS: dict[str, tuple[str, ...]] = {
    "items_shuffle": ("items_shuffle.json", "items_shuffle_1000.json"),
    "items_ins": ("items_ins_v2.json", "items_ins_v2_1000.json", "items_ins.json"),
    "items_human_ins": ("items_human_ins.json",),
}


def find_files(folder: Path) -> dict[str, Path]:
    """The original's three files in `folder`, by their stems; the two of instructions may be missing.

    Raises:
        DataError: no product file.
    """
    found = {}
    for stem, names in _GROUPS.items():
        for name in names:
            if (folder / name).is_file():
                found[stem] = folder / name
                break
    if "items_shuffle" not in found:
        due = " or ".join(_GROUPS["items_shuffle"])
        raise DataError(f"{folder} holds no {due}: give a folder in WebShop's schema, or see `sad-data list`")
    return found


def load_catalogue(folder: Path) -> MemoryCatalogue:
    """The catalogue of a folder in the original schema, in memory.

    Raises:
        DataError: a file is missing, too large for memory, or holds an entry that cannot be read.
    """
    files = find_files(folder)
    if (size := files["items_shuffle"].stat().st_size) > LARGE:
        raise DataError(
            f"{folder} holds {size / 1e9:.1f} GB of products: run once"
            f" `sad-data build webshop --source {folder} --out STORE`, and give STORE"
        )
    about = dict(members(files["items_ins"])) if "items_ins" in files else {}
    return MemoryCatalogue(read_products(files, about.get), read_human(files))


def read_human(files: Mapping[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """The human instructions by asin; those that cannot be rewarded are dropped by the goals themselves.

    Raises:
        DataError: an entry of another form.
    """
    human: dict[str, list[dict[str, Any]]] = {}
    if path := files.get("items_human_ins"):
        for asin, entries in members(path):
            fields = {"instruction": str, "instruction_attributes": list, "instruction_options": list}
            for entry in entries if isinstance(entries, list) else [None]:
                if not isinstance(entry, dict) or not all(isinstance(entry.get(k), t) for k, t in fields.items()):
                    raise DataError(f"{path}: {one_line(asin, 20)!r} has no list of instructions in WebShop's schema")
            human[asin] = entries
    return human


def read_products(
    files: Mapping[str, Path], about: Callable[[str], Any], done: Callable[[int], None] = lambda byte: None
) -> Iterator[Product]:
    """The products in the original's order, after its rules: an asin that came before, or is too long, is passed over.

    Args:
        files: as `find_files` returns them.
        about: an asin's entry of items_ins.json, or None.
        done: told how many bytes have been read.
    """
    seen: set[str] = set()
    for entry in elements(files["items_shuffle"], done):
        asin = entry.get("asin") if isinstance(entry, dict) else None
        if asin == "nan" or (isinstance(asin, str) and (len(asin) > 10 or asin in seen)):
            continue
        if not isinstance(entry, dict):
            raise DataError(f"product {len(seen)} is {one_line(str(entry), 40)!r}, not an object of WebShop's schema")
        yield read_product(len(seen), entry, about(str(asin)))
        seen.add(str(asin))


def elements(path: Path, done: Callable[[int], None] = lambda byte: None) -> Iterator[Any]:
    """The elements of a JSON array, one at a time."""
    for _, value in _stream(path, "[", done):
        yield value


def members(path: Path) -> Iterator[tuple[str, Any]]:
    """The names and values of a JSON object, one at a time."""
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
                        raise ValueError("a ':' is due after a name")
                    window.skip(1)
                yield name, window.decode(decoder)
                if window.next_character() == ",":
                    window.skip(1)
                elif window.next_character() != closing:
                    raise ValueError("a ',' is due between entries")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not the JSON of WebShop's schema: {one_line(str(error), 120)}") from None


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

"""Reads the original's files: whole where they are small, entry by entry where they hold gigabytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sad_env.errors import DataError
from sad_env.json_stream import elements, members
from sad_env.safe_text import one_line
from sad_env.webshop.catalogue import MemoryCatalogue
from sad_env.webshop.products import Product, read_product

LARGE = 256 * 2**20
"""Bytes of product files above which a store is to be built on disk."""

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
    files = {}
    for stem, names in _GROUPS.items():
        for name in names:
            if (folder / name).is_file():
                files[stem] = folder / name
                break
    if "items_shuffle" not in files:
        due = " or ".join(_GROUPS["items_shuffle"])
        raise DataError(f"{folder} holds no {due}: give a folder in WebShop's schema, or see `sad-data list`")
    return files


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
            if not isinstance(entries, list) or not all(map(_is_human, entries)):
                raise DataError(
                    f"{path}: {one_line(asin, 20)!r} has no list of instructions in WebShop's schema: instruction, a"
                    " text, instruction_attributes and instruction_options, lists of texts"
                )
            human[asin] = entries
    return human


def _is_human(entry: Any) -> bool:
    lists = ("instruction_attributes", "instruction_options")
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("instruction"), str)
        and all(isinstance(entry.get(name), list) for name in lists)
        and all(isinstance(text, str) for name in lists for text in entry[name])
    )


def read_products(
    files: Mapping[str, Path], about: Callable[[str], Any], done: Callable[[int], None] = lambda byte: None
) -> Iterator[Product]:
    """The products in the original's order, after its rules: an asin that came before, or is too long, is passed over.

    Args:
        files: as `find_files` returns them.
        about: an asin's entry of items_ins.json, or None.
        done: called with the number of bytes that have been read.
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

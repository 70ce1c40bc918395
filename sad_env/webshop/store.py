"""A catalogue of any size on disk: built once, mapped by every process that uses it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from sad_env.data import Progress, silent
from sad_env.errors import DataError
from sad_env.files import exclusive, refuse_foreign, sha256_file, write_text
from sad_env.json_lines import read_json
from sad_env.json_stream import members
from sad_env.search import DocumentStore, RankedIndex, build_index, build_store
from sad_env.webshop.catalogue import RESULTS
from sad_env.webshop.official import find_files, read_human, read_products
from sad_env.webshop.products import Product

FORMAT = 1
"""Version of the store's layout; another one is refused."""

_ABOUT, _PRODUCTS, _INDEX, _HUMAN = "store.json", "products.sqlite", "index", "human.json"
_SCRATCH, _BUILDING = "instructions.sqlite", "products.building"
_OURS = (_ABOUT, *(f"{name}{end}" for name in (_PRODUCTS, _SCRATCH, _BUILDING) for end in ("", ".part")))
"""Files of which a store holds one at least, at whatever moment its build was stopped."""


class _Found(Sequence[Product]):
    """Products by their numbers, read when they are looked at."""

    def __init__(self, store: StoredCatalogue, numbers: Sequence[int]) -> None:
        self._store, self._numbers = store, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Product: ...

    @overload
    def __getitem__(self, index: slice) -> list[Product]: ...

    def __getitem__(self, index: int | slice) -> Product | list[Product]:
        if isinstance(index, slice):
            return [self._store.at(number) for number in self._numbers[index]]
        return self._store.at(self._numbers[index])


class StoredCatalogue:
    """A `Catalogue` in a folder that `build_catalogue` wrote.

    Products are read when they are looked at; the index is mapped. A process that opens it has a few megabytes of
    its own.

    Raises:
        DataError: no store there, or one of another version.
    """

    def __init__(self, folder: Path) -> None:
        try:
            about = read_json(folder / _ABOUT)
            self.human: Mapping[str, Sequence[Mapping[str, Any]]] = json.loads(
                (folder / _HUMAN).read_text(encoding="utf-8")
            )
            if about["format"] != FORMAT:
                raise DataError(
                    f"{folder}: store format {about['format']!r}; this release reads {FORMAT}: build it again"
                )
            self._ranges = np.load(folder / "ranges.npy", mmap_mode="r", allow_pickle=False)
            self._instructed = np.load(folder / "instructed.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder}: no readable WebShop store ({error}); run `sad-data build webshop`") from None
        self._store = DocumentStore(folder / _PRODUCTS)
        self._index = RankedIndex.open(folder / _INDEX)
        self._length = len(self._index)

    def __len__(self) -> int:
        return self._length

    def get(self, asin: str) -> Product | None:
        """The product of this asin."""
        body = self._store.get(asin)
        return None if body is None else Product.from_json(body)

    def at(self, number: int) -> Product:
        """The product of this number."""
        return Product.from_json(self._store.at(number)[1])

    def ranked(self, query: str) -> Sequence[Product]:
        """The best products for a query."""
        return _Found(self, [number for number, _ in self._index.search_numbers(query, RESULTS)])

    def of_query(self, query: str) -> Sequence[Product]:
        """All products that were found by exactly this search, in order."""
        return _Found(self, self._store.numbers(f"query {query}"))

    def of_category(self, category: str) -> Sequence[Product]:
        """All products of a category, in order."""
        return _Found(self, self._store.numbers(f"category {category}"))

    def price_ranges(self) -> Iterator[tuple[int, float, float]]:
        """Number and both prices of each product that has two, in order."""
        for start in range(0, len(self._ranges), 4096):
            for number, low, high in self._ranges[start : start + 4096].tolist():
                yield int(number), low, high

    def with_instruction(self) -> Iterator[Product]:
        """The products that have a synthetic instruction, in order."""
        return (self.at(number) for number in self._instructed.tolist())


def is_store(folder: Path) -> bool:
    """True where `build_catalogue` has written."""
    return (folder / _ABOUT).is_file()


def build_catalogue(source: Path, target: Path, *, progress: Progress = silent) -> StoredCatalogue:
    """Turn the original's files in `source` into a store in `target`.

    The products are read twice, one at a time: into the product table, then into the search index. An interrupted
    build goes on with the table it finished, or with the index's last whole run. A store is bound to its sources by
    their sha256: it is opened when they are the same, and built again when they are not, or when the store is damaged.

    Raises:
        DataError: the sources are missing or cannot be read.
        ConfigError: another process is building the same store, or the folder holds something else.
    """
    files = find_files(source)
    fingerprint = _fingerprint(files, progress)
    built = _about(target).get("fingerprint") == fingerprint
    if built and _finished_table(target, fingerprint) is not None:
        with contextlib.suppress(DataError):  # a damaged store is built again
            return StoredCatalogue(target)
    refuse_foreign(target, *_OURS)
    with exclusive(target.with_name(target.name + ".lock"), str(target)):
        target.mkdir(parents=True, exist_ok=True)
        for leftover in list(target.glob("*.part")):
            leftover.unlink()
        (target / _ABOUT).unlink(missing_ok=True)
        store = None if built else _finished_table(target, fingerprint)
        if store is None:
            store = _build_table(files, target, fingerprint, progress)
        texts = ((asin, Product.from_json(body).indexed_text) for asin, body in store)
        build_index(target / _INDEX, texts, fingerprint=fingerprint, total=len(store), progress=progress)
        write_text(target / _HUMAN, json.dumps(read_human(files)))
        written = {"format": FORMAT, "fingerprint": fingerprint, "products": len(store)}
        write_text(target / _ABOUT, json.dumps(written))
    return StoredCatalogue(target)


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = read_json(folder / _ABOUT)
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _fingerprint(files: Mapping[str, Path], progress: Progress) -> str:
    digest = hashlib.sha256()
    for number, (stem, path) in enumerate(sorted(files.items()), 1):
        progress("hashing the sources", number, len(files))
        digest.update(f"{stem} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _finished_table(target: Path, fingerprint: str) -> DocumentStore | None:
    if not (target / _PRODUCTS).exists():
        return None
    try:
        store = DocumentStore(target / _PRODUCTS)
    except DataError:
        return None
    return store if store.about.get("fingerprint") == fingerprint and store.is_whole() else None


def _build_table(files: Mapping[str, Path], target: Path, fingerprint: str, progress: Progress) -> DocumentStore:
    ranges: list[tuple[float, float, float]] = []
    instructed: list[int] = []

    def rows(products: Iterable[Product]) -> Iterator[tuple[str, str, Sequence[str]]]:
        for product in products:
            if len(product.prices) == 2:
                ranges.append((float(product.number), *product.prices))
            if product.instruction:
                instructed.append(product.number)
            yield product.asin, product.to_json(), (f"query {product.query}", f"category {product.category}")

    size = files["items_shuffle"].stat().st_size
    scratch = target / _SCRATCH
    try:
        about = _about_products(files, scratch, progress)
        products = read_products(files, about, lambda byte: progress("reading products", byte, size))
        store_path = target / _PRODUCTS
        part = target / _BUILDING
        build_store(part, rows(products), about={"fingerprint": fingerprint}).close()
        np.save(target / "ranges.npy", np.array(ranges, dtype=np.float64).reshape(-1, 3))
        np.save(target / "instructed.npy", np.array(instructed, dtype=np.int64))
        shutil.move(part, store_path)
    finally:
        scratch.unlink(missing_ok=True)
    return DocumentStore(store_path)


def _about_products(files: Mapping[str, Path], scratch: Path, progress: Progress) -> Callable[[str], Any]:
    """Look-up of the instructions file; on disk, since it has an entry for every product."""
    if "items_ins" not in files:
        return lambda asin: None
    progress("reading instructions", 0, 0)
    # Other names are no product's, and a lone surrogate among them could not be stored.
    entries = ((asin, json.dumps(entry), ()) for asin, entry in members(files["items_ins"]) if asin.isascii())
    store = build_store(scratch, entries, progress=progress)
    return lambda asin: None if (body := store.get(asin)) is None else json.loads(body)

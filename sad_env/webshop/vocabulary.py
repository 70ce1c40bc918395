"""The words that generated products are made of: read from vocabulary.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Kind:
    """A kind of product.

    Attributes:
        query: the search that finds it, plural.
        noun: what one is called in a title.
        path: categories below the department's.
        price: lowest and highest usual price in dollars.
        options: names in `OPTIONS` of what can be chosen, as "name pool".
    """

    query: str
    noun: str
    path: str
    price: tuple[float, float]
    options: tuple[str, ...]


@dataclass(frozen=True)
class Department:
    """A part of the shop.

    Attributes:
        name: its category word.
        path: its categories.
        kinds: of products in it.
        attributes: what may be said of its products, as short phrases.
        uses: what its products may be for.
        adjectives: that titles are dressed with; they promise nothing.
    """

    name: str
    path: str
    kinds: Sequence[Kind]
    attributes: Sequence[str]
    uses: Sequence[str]
    adjectives: Sequence[str]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


def _kind(row: str) -> Kind:
    query, noun, path, price, options = row.split(" | ")
    low, high = price.split("-")
    return Kind(query, noun, path, (float(low), float(high)), _words(options))


_DATA = json.loads(resources.files("sad_env.webshop").joinpath("vocabulary.json").read_text(encoding="utf-8"))

DEPARTMENTS: Sequence[Department] = tuple(
    Department(
        name=entry["name"],
        path=entry["path"],
        kinds=tuple(map(_kind, entry["kinds"])),
        attributes=_words(entry["attributes"]),
        uses=_words(entry["uses"]),
        adjectives=_words(entry["adjectives"]),
    )
    for entry in _DATA["departments"]
)

OPTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    pool: (entry["name"], _words(entry["values"])) for pool, entry in _DATA["options"].items()
}
"""Pool to the name that the option has on a page, and its values."""

BRAND_STARTS, BRAND_ENDS, SERIES = (_words(_DATA[name]) for name in ("brand_starts", "brand_ends", "series"))

"""The shop's products: a thousand in memory or a million on disk, behind one interface."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from sad_env.search import RankedIndex
from sad_env.webshop.products import Product

RESULTS = 50
"""Products that a search returns at most."""


class Catalogue(Protocol):
    """What the shop asks of its products; read-only and shared by all sessions of a process."""

    human: Mapping[str, Sequence[Mapping[str, Any]]]
    """Human instructions by asin, as in items_human_ins.json."""

    def __len__(self) -> int:
        """Products."""
        ...

    def get(self, asin: str) -> Product | None:
        """The product of this asin."""
        ...

    def at(self, number: int) -> Product:
        """The product of this number."""
        ...

    def ranked(self, query: str) -> Sequence[Product]:
        """The best `RESULTS` products for a query."""
        ...

    def of_query(self, query: str) -> Sequence[Product]:
        """All products that were found by exactly this search, in order."""
        ...

    def of_category(self, category: str) -> Sequence[Product]:
        """All products of a category, in order."""
        ...

    def price_ranges(self) -> Iterator[tuple[int, float, float]]:
        """Number and both prices of each product that has two, in order."""
        ...

    def with_instruction(self) -> Iterator[Product]:
        """The products that have a synthetic instruction, in order."""
        ...


class MemoryCatalogue:
    """A `Catalogue` of some thousand products.

    Args:
        products: in order; their numbers count from 0.
        human: human instructions by asin.
    """

    def __init__(
        self, products: Iterable[Product], human: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    ) -> None:
        self.human = human or {}
        self._products = list(products)
        self._by_asin = {product.asin: product for product in self._products}
        self._by_query: defaultdict[str, list[Product]] = defaultdict(list)
        self._by_category: defaultdict[str, list[Product]] = defaultdict(list)
        for product in self._products:
            self._by_query[product.query].append(product)
            self._by_category[product.category].append(product)
        self._index = RankedIndex.of((product.asin, product.indexed_text) for product in self._products)

    def __len__(self) -> int:
        return len(self._products)

    def get(self, asin: str) -> Product | None:
        """The product of this asin."""
        return self._by_asin.get(asin)

    def at(self, number: int) -> Product:
        """The product of this number."""
        return self._products[number]

    def ranked(self, query: str) -> list[Product]:
        """The best `RESULTS` products for a query."""
        return [self._products[number] for number, _ in self._index.search_numbers(query, RESULTS)]

    def of_query(self, query: str) -> Sequence[Product]:
        """All products that were found by exactly this search, in order."""
        return self._by_query.get(query, [])

    def of_category(self, category: str) -> Sequence[Product]:
        """All products of a category, in order."""
        return self._by_category.get(category, [])

    def price_ranges(self) -> Iterator[tuple[int, float, float]]:
        """Number and both prices of each product that has two, in order."""
        for product in self._products:
            if len(product.prices) == 2:
                yield product.number, *product.prices

    def with_instruction(self) -> Iterator[Product]:
        """The products that have a synthetic instruction, in order."""
        return (product for product in self._products if product.instruction)


def search(catalogue: Catalogue, keywords: Sequence[str], draw: random.Random) -> Sequence[Product] | None:
    """What the search bar finds, the original's hidden prefixes included.

    ``<r>`` gives random products, ``<q> WORDS`` those that were found by exactly this search, ``<c> WORD`` those of a
    category; anything else is a ranked search.

    Args:
        catalogue: where to look.
        keywords: the query, split at blanks.
        draw: for ``<r>``.

    Returns:
        The products; None for ``<a> …`` and a bare ``<c>``, on which the original breaks down.
    """
    first, rest = keywords[0], keywords[1:]
    if first == "<r>":
        return [catalogue.at(number) for number in draw.sample(range(len(catalogue)), min(RESULTS, len(catalogue)))]
    if first == "<a>" or (first == "<c>" and not rest):
        return None
    if first == "<c>":
        return catalogue.of_category(rest[0].strip())
    if first == "<q>":
        return catalogue.of_query(" ".join(rest).strip())
    return catalogue.ranked(" ".join(keywords))

"""The goals of tasks: the original's synthetic and human ones, with every draw from a stated seed."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import random
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from sad_env.webshop.catalogue import Catalogue
from sad_env.webshop.products import Product

GoalKind = Literal["synthetic", "human"]

NO_LIMIT = 1_000_000.0
"""Price limit of a goal that states none."""

SHUFFLE_SEED = 233
"""The original shuffles its goals with this seed, whatever the seed of the prices; forks of it have others."""

_STEPS = tuple(10.0 * step for step in range(1, 100))


@dataclass(frozen=True, slots=True)
class ShoppingGoal:
    """One thing to buy.

    Attributes:
        asin: of the product that the goal was made from.
        title: of that product.
        query: of that product.
        product_category: of that product.
        text: the instruction, as the shopper reads it.
        attributes: what the product must have.
        options: what must be chosen: (name, value) pairs of a synthetic goal, values of a human one.
        price_limit: the price must not be higher.
        weight: how often the original draws it when it draws at random.
    """

    asin: str
    title: str
    query: str
    product_category: str
    text: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str] | str, ...]
    price_limit: float
    weight: float = 1.0


@dataclass(frozen=True)
class GoalSet:
    """All goals of a catalogue in the original's order, and the price charged for each product of two prices."""

    goals: tuple[ShoppingGoal, ...]
    ranged: npt.NDArray[np.int64]
    """Numbers of the products of two prices, ascending."""
    drawn: npt.NDArray[np.float64]
    """The price of each of them."""

    def price(self, product: Product) -> float:
        """What the shop charges for `product`."""
        if len(product.prices) == 1:
            return product.prices[0]
        return float(self.drawn[np.searchsorted(self.ranged, product.number)])


def make_goals(
    catalogue: Catalogue, kind: GoalKind = "synthetic", seed: int = 233, shuffle_seed: int = SHUFFLE_SEED
) -> GoalSet:
    """The goals of a catalogue.

    The original draws prices and price limits from Python's global generator, unseeded, so that they change at each
    start. Here they come from `seed`, in the original's order of draws: the goals equal those of the original when
    it is started after ``random.seed(seed)``.
    """
    draw = random.Random(seed)
    numbers, drawn = array("q"), array("d")
    for number, low, high in catalogue.price_ranges():
        numbers.append(number)
        drawn.append(draw.uniform(low, high))
    prices = GoalSet((), np.array(numbers, dtype=np.int64), np.array(drawn, dtype=np.float64))
    goals = list((_synthetic if kind == "synthetic" else _human)(catalogue, prices, draw))
    random.Random(shuffle_seed).shuffle(goals)
    return replace(prices, goals=tuple(goals))


def _limit(price: float, draw: random.Random) -> tuple[float, str]:
    above = [step for step in _STEPS if step > price][:4]
    if len(above) < 2:
        return NO_LIMIT, ""
    limit = max(draw.sample(above, 2))
    return limit, f", and price lower than {limit:.2f} dollars"


def _synthetic(catalogue: Catalogue, prices: GoalSet, draw: random.Random) -> Iterator[ShoppingGoal]:
    """One goal for each combination of options of each product that has an instruction."""
    counts: Counter[str] = Counter()
    for product in catalogue.with_instruction():
        combinations = math.prod(len(values) for values in product.options.values())
        for attribute in product.instruction_attributes:
            counts[attribute] += combinations
    for product in catalogue.with_instruction():
        limit, price_text = _limit(prices.price(product), draw)
        if not all(product.options.values()):
            # No combination and no goal, as in the original, which has drawn the limit before.
            continue
        names = sorted(product.options)
        asked = product.instruction_attributes
        # One after the other: from Python 3.12 on sum() rounds floats better than the original did.
        weight = functools.reduce(operator.add, (1 / counts[name] for name in asked), 0.0) / max(1, len(asked))
        for values in itertools.product(*(product.options[name] for name in names)):
            options = tuple(zip(names, values, strict=True))
            chosen = ", and ".join(f"{name}: {value}" for name, value in options)
            text = product.instruction + (f" with {chosen}" if chosen else "") + price_text
            yield _goal(product, text, asked, options, limit, weight)


def _human(catalogue: Catalogue, prices: GoalSet, draw: random.Random) -> Iterator[ShoppingGoal]:
    products = [product for asin in catalogue.human if (product := catalogue.get(asin))]
    for product in sorted(products, key=lambda product: product.number):
        for entry in catalogue.human[product.asin]:
            if attributes := tuple(entry["instruction_attributes"]):
                limit, price_text = _limit(prices.price(product), draw)
                text = entry["instruction"].strip(".") + price_text
                yield _goal(product, text, attributes, tuple(entry["instruction_options"]), limit)


def _goal(
    product: Product,
    text: str,
    attributes: tuple[str, ...],
    options: tuple[tuple[str, str] | str, ...],
    limit: float,
    weight: float = 1.0,
) -> ShoppingGoal:
    named = (product.asin, product.title, product.query, product.product_category)
    return ShoppingGoal(*named, text, attributes, options, limit, weight)

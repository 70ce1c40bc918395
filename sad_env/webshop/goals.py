"""What shoppers want: the original's synthetic and human goals, with every draw from a stated seed."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sad_env.webshop.catalogue import Catalogue
from sad_env.webshop.products import Product

GoalKind = Literal["synthetic", "human"]

NO_LIMIT = 1_000_000.0
"""Price limit of a goal that states none."""

SHUFFLE_SEED = 233
"""The original shuffles its goals with this seed, whatever the seed of the prices."""

_STEPS = tuple(10.0 * step for step in range(1, 100))


@dataclass(frozen=True)
class Goal:
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

    goals: tuple[Goal, ...]
    drawn_prices: Mapping[int, float]

    def price(self, product: Product) -> float:
        """What the shop charges for `product`."""
        return product.prices[0] if len(product.prices) == 1 else self.drawn_prices[product.number]


def make_goals(catalogue: Catalogue, kind: GoalKind = "synthetic", seed: int = 233) -> GoalSet:
    """The goals of a catalogue.

    The original draws prices and price limits from Python's global generator, unseeded, so that they change at each
    start. Here they come from `seed`, in the original's order of draws: the goals equal those of the original when
    it is started after ``random.seed(seed)``.
    """
    draw = random.Random(seed)
    prices = {number: draw.uniform(low, high) for number, low, high in catalogue.price_ranges()}
    empty = GoalSet((), prices)
    goals = list((_synthetic if kind == "synthetic" else _human)(catalogue, empty, draw))
    if kind == "synthetic":
        counts = Counter(attribute for goal in goals for attribute in goal.attributes)
        goals = [
            replace(goal, weight=sum(1 / counts[name] for name in goal.attributes) / max(1, len(goal.attributes)))
            for goal in goals
        ]
    random.Random(SHUFFLE_SEED).shuffle(goals)
    return GoalSet(tuple(goals), prices)


def _limit(price: float, draw: random.Random) -> tuple[float, str]:
    above = [step for step in _STEPS if step > price][:4]
    if len(above) < 2:
        return NO_LIMIT, ""
    limit = max(draw.sample(above, 2))
    return limit, f", and price lower than {limit:.2f} dollars"


def _synthetic(catalogue: Catalogue, prices: GoalSet, draw: random.Random) -> Iterator[Goal]:
    """One goal for each combination of options of each product that has an instruction."""
    for product in catalogue.with_instruction():
        limit, price_text = _limit(prices.price(product), draw)
        names = sorted(product.options)
        for values in itertools.product(*(product.options[name] for name in names)):
            options = tuple(zip(names, values, strict=True))
            chosen = ", and ".join(f"{name}: {value}" for name, value in options)
            text = product.instruction + (f" with {chosen}" if chosen else "") + price_text
            yield _goal(product, text, product.instruction_attributes, options, limit)


def _human(catalogue: Catalogue, prices: GoalSet, draw: random.Random) -> Iterator[Goal]:
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
) -> Goal:
    return Goal(product.asin, product.title, product.query, product.product_category, text, attributes, options, limit)

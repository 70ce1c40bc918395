"""Plans a purchase of the goal's own product from hidden state, to show that a task can be done."""

from __future__ import annotations

from sad_env.webshop import pages
from sad_env.webshop.goals import ShoppingGoal
from sad_env.webshop.products import Product
from sad_env.webshop.react import SHOWN
from sad_env.webshop.session import Shop
from sad_env.webshop.shops import own_options, own_reward


def plan(shop: Shop, goal: ShoppingGoal, *, react: bool) -> list[str] | None:
    """Actions that buy the goal's own product with its own options.

    Args:
        shop: where.
        goal: what.
        react: only the products that the ReAct view shows can be reached.

    Returns:
        The actions; None when that purchase does not give reward 1.0 or no search of ours brings the product up.
    """
    product = shop.catalogue.get(goal.asin)
    if product is None or own_reward(shop, goal) < 1.0:
        return None
    way = _way(shop, product, react)
    if way is None:
        return None
    offered = {value for values in product.options.values() for value in values}
    clicks = [f"click[{value}]" for value in own_options(goal).values() if value in offered]
    return [*way, *clicks, f"click[{pages.BUY}]"]


def _way(shop: Shop, product: Product, react: bool) -> list[str] | None:
    """A search and the clicks that open the product."""
    options = " ".join(value for values in product.options.values() for value in values)
    texts = (product.title, f"{product.title} {product.query}", product.indexed_text, f"{product.title} {options}")
    for text in texts:
        query = _searchable(text)
        for place, shown in enumerate(shop.catalogue.ranked(query)):
            if shown.asin == product.asin and (place < SHOWN or not react):
                return [
                    f"search[{query}]",
                    *[f"click[{pages.NEXT}]"] * (place // pages.PER_PAGE),
                    f"click[{shown.asin}]",
                ]
    return None


def _searchable(text: str) -> str:
    """`text` without what ends an action, or breaks the web requests of the ReAct view."""
    return " ".join("".join(" " if letter in "[]/?#" else letter for letter in text).split())[:1500]

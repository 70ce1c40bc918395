"""The original's reward: how far a purchase is what was asked for, with all its parts."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz, utils

from sad_env.webshop.goals import ShoppingGoal
from sad_env.webshop.nouns import nouns
from sad_env.webshop.products import Product

_COLORS = """
alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel camo
caramel champagne charcoal cheetah chestnut chocolate christmas coffee cognac copper coral cranberry cream crystal
dark denim eggplant elephant espresso fuchsia gold granite grape graphite grass gray green grey heather indigo
ivory ivy khaki lavender lemon leopard light lilac lime magenta maroon mauve merlot midnight mint mocha multicolor
mushroom mustard natural navy nude olive orange peach pewter pink plum purple rainbow red rose royal rust sand
sapphire seashell silver skull slate steel stone stonewash sunflower tan taupe teal tiger turquoise violet walnut
wheat white wine yellow
"""
COLORS = tuple(_COLORS.split())
"""An option value that contains one of these is compared as that word; the first that fits decides."""

SIMILAR = 85
"""Two texts match when their similarity (0 to 100, rounded) is above this."""

_LATIN = dict.fromkeys(range(128, 256))


@dataclass(frozen=True)
class Purchase:
    """A purchase judged.

    Attributes:
        reward: in [0, 1]; 1.0 is success.
        parts: r_type, r_att, r_option, r_price, their weights w_…, query_match, category_match, title_score; a part
            that the goal does not ask for is left out.
    """

    reward: float
    parts: Mapping[str, Any]


def judge(product: Product, price: float, chosen: Mapping[str, str], goal: ShoppingGoal) -> Purchase:
    """Reward of buying `product` at `price` with the chosen options (name to value)."""
    type_parts = _type(product, goal)
    attributes = sum(_has_attribute(product, attribute) for attribute in goal.attributes)
    options = _matching_options(chosen.values(), goal)
    affordable = price <= goal.price_limit
    asked = len(goal.attributes) + len(goal.options) + 1
    reward = (attributes + options + affordable) / asked * type_parts["r_type"]
    parts = {
        **type_parts,
        "r_att": attributes / len(goal.attributes) if goal.attributes else 0.0,
        "w_att": len(goal.attributes) / asked,
        "r_price": affordable,
        "w_price": 1 / asked,
    }
    if goal.options:
        parts |= {"r_option": options / len(goal.options), "w_option": len(goal.options) / asked}
    return Purchase(reward, parts)


def _type(product: Product, goal: ShoppingGoal) -> dict[str, Any]:
    """Is it the right kind of thing? By search, by categories, and by the nouns of the two names."""
    wanted = nouns(goal.title)
    common = set(wanted) & set(nouns(product.title))
    title_score = len(common) / len(wanted) if wanted else 0.2
    query_match = product.query == goal.query
    category_match = len(_categories(product.product_category) & _categories(goal.product_category)) >= 2
    r_type = 1.0 if query_match or category_match or title_score > 0.2 else 0.5
    # These override: without a common noun the same search counts for nothing.
    if title_score == 0:
        r_type = 0.0
    elif title_score < 0.1:
        r_type = 0.1
    return {"r_type": r_type, "query_match": query_match, "category_match": category_match, "title_score": title_score}


def _categories(path: str) -> set[str]:
    return {part.strip() for part in path.split("›")}


def _has_attribute(product: Product, attribute: str) -> bool:
    return (
        any(similarity(own, attribute) > SIMILAR for own in product.attributes)
        or attribute in product.title.lower()
        or attribute in " ".join(product.bullets).lower()
        or attribute in product.description.lower()
    )


def _matching_options(chosen: Iterable[str], goal: ShoppingGoal) -> int:
    """Goal options that some chosen value is similar to; the option's name is not looked at."""
    bought = [_color(value) or value for value in chosen]
    return sum(any(similarity(own, _wanted(option)) > SIMILAR for own in bought) for option in goal.options)


def _wanted(option: tuple[str, str] | str) -> str:
    """A goal option as it is compared.

    A synthetic one is a pair, which the original compares in its printed form unless one half is itself a colour.
    """
    if isinstance(option, str):
        return _color(option) or option
    return next((color for color in COLORS if color in option), str(option))


@functools.lru_cache(maxsize=1 << 14)
def _color(value: str) -> str:
    return next((color for color in COLORS if color in value), "")


@functools.lru_cache(maxsize=1 << 14)
def similarity(left: str, right: str) -> int:
    """Token-set similarity, 0 to 100, as the package `thefuzz` computes and rounds it.

    >>> similarity("navy blue", "('color', 'navy blue')")
    100
    """
    processed = (utils.default_process(text.translate(_LATIN)) for text in (left, right))
    return round(fuzz.token_set_ratio(*processed))


def matches_itself(value: str) -> bool:
    """True when choosing an option's value satisfies both kinds of goal that ask for it.

    The exception are values in which a colour word is hidden, as "tan" in "standard": a synthetic goal for them
    cannot be satisfied.
    """
    bought = _color(value) or value
    return all(similarity(bought, _wanted(option)) > SIMILAR for option in (value, ("option", value)))

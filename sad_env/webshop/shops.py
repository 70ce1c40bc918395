"""Opens shops of generated, official and given data, and names their tasks."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from sad_env.data import read_packs, resolve
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.panels import Panel
from sad_env.webshop.catalogue import Catalogue
from sad_env.webshop.generator import generated_catalogue
from sad_env.webshop.goals import GoalKind, ShoppingGoal, make_goals
from sad_env.webshop.official import load_catalogue
from sad_env.webshop.reward import judge
from sad_env.webshop.session import Shop
from sad_env.webshop.store import StoredCatalogue, is_store

PACKS = read_packs("sad_env.webshop")

SPLITS = {"train": range(30, 100), "eval": range(20, 30), "test": range(20)}
"""Splits by product: the percentiles of the hash of a product's asin."""

INDEX_SPLITS = {"index-test": slice(500), "index-eval": slice(500, 1500), "index-train": slice(1500, None)}
"""The original's splits by place in the list of goals; most products of its test goals have train goals too."""

PAPER_SPLITS = {"paper-train": slice(8000), "paper-eval": slice(8000, 10000), "paper-test": slice(10000, 12000)}
"""Sizes of arXiv 2505.13820v3, section 4.1. It does not say which goals: they are in the order of their ids' hashes."""
_PAPER_GOALS = 12000

TYPE_SPLITS = {"cold-start": range(20), "cold-start-train": range(20, 100)}
"""Splits by type of product (the search it was found by): those who learn from the second know no type of the first.

The cold start of arXiv 2505.13820v3, appendix J."""

ALL = "all"

SHOPS_SPLIT = "train_shops"
"""Generated tasks in shops of their own: a model that learns in one shop soon knows its products by heart.

They are those whose own product does not come first when it is searched for in the goal's own words."""
TRAINING_SHOPS = 50
GOALS_OF_EACH = 200
_SHOP = "shop"


def open_shop(
    data: str, *, goals: GoalKind = "synthetic", seed: int = 233, show_attributes: bool = False
) -> tuple[str, Shop]:
    """The shop that a world's `data` argument means.

    Shops are read-only; those with the same arguments are opened once a process.

    Args:
        data: "generated", "official", "official:PACK", or a folder: in the original schema or a built store.
        goals: "synthetic" or "human".
        seed: of prices, price limits and, for generated data, of the products; 233 gives the goals that the original
            has when it starts after ``random.seed(233)``.
        show_attributes: item pages show the page "Attributes".

    Returns:
        The kind of data ("generated", "official" or "given") and the shop.

    Raises:
        DataError: data missing or not readable.
        ConfigError: no such pack or kind of goals, or no goal of this kind in the data.
    """
    if goals not in ("synthetic", "human"):
        raise UnknownNameError("kind of goals", goals, ["synthetic", "human"])
    kind, folder = resolve("webshop", data, PACKS)
    return kind, _shop(folder.resolve() if folder else None, goals, seed, show_attributes)


@functools.lru_cache(maxsize=8)
def _shop(folder: Path | None, goals: GoalKind, seed: int, show_attributes: bool) -> Shop:
    catalogue = _catalogue(folder, seed if folder is None else 0)
    made = make_goals(catalogue, goals, seed)
    if not made.goals:
        raise ConfigError(
            f"the data has no {goals} goal: try goals={'human' if goals == 'synthetic' else 'synthetic'!r}"
        )
    return Shop(catalogue, made, show_attributes)


def training_panel(kind: str, goals: GoalKind) -> Panel:
    """The tasks of `SHOPS_SPLIT`.

    Raises:
        ConfigError: data or goals that are not made for any number of shops.
    """
    if kind != "generated" or goals != "synthetic":
        raise ConfigError(f"{SHOPS_SPLIT} has generated data and synthetic goals, not {kind} and {goals}; try 'train'")
    tasks = [f"{_SHOP}{number:02d}-{goal:06d}" for number in range(TRAINING_SHOPS) for goal in range(GOALS_OF_EACH)]
    return Panel.of("webshop", kind, SHOPS_SPLIT, tasks, f"{GOALS_OF_EACH} goals in each of {TRAINING_SHOPS} shops")


def training_shop(task: str, *, seed: int, show_attributes: bool) -> Shop | None:
    """The shop that a task of `SHOPS_SPLIT` is set in; None for a task of another split.

    Args:
        task: its name.
        seed: of the shop that the other splits play in, which none of these is.
        show_attributes: item pages show the page "Attributes".
    """
    name = task.partition("-")[0]
    if not name.startswith(_SHOP):
        return None
    return _training_shop(seed + 1 + int(name.removeprefix(_SHOP)), show_attributes)


@functools.lru_cache(maxsize=TRAINING_SHOPS)
def _training_shop(seed: int, show_attributes: bool) -> Shop:
    # A shop takes 0.3 s to make and 5 MB to keep, and tasks in random order come back to all of them.
    catalogue = generated_catalogue(seed)
    made = make_goals(catalogue, "synthetic", seed)
    # Where the first product found is the right one there is nothing to judge, and that is every other goal.
    hidden = (goal for goal in made.goals if not _comes_first(catalogue, goal))
    return Shop(catalogue, replace(made, goals=tuple(itertools.islice(hidden, GOALS_OF_EACH))), show_attributes)


def _comes_first(catalogue: Catalogue, goal: ShoppingGoal) -> bool:
    ranked = catalogue.ranked(" ".join((*goal.attributes, goal.query, *own_options(goal).values())))
    return bool(ranked) and ranked[0].asin == goal.asin


@functools.lru_cache(maxsize=4)
def _catalogue(folder: Path | None, seed: int) -> Catalogue:
    if folder is None:
        return generated_catalogue(seed)
    return StoredCatalogue(folder) if is_store(folder) else load_catalogue(folder)


def task_id(number: int, goal: ShoppingGoal) -> str:
    """Name of the task that goal `number` is: its number in six digits, and the product it was made from."""
    return f"{number:06d}-{goal.asin}"


def task_number(task: str) -> int:
    """The number of the goal behind a task's name, within its shop.

    >>> task_number("000012-B07XTK3P89"), task_number("shop07-000012")
    (12, 12)
    """
    first, _, second = task.partition("-")
    return int(second if first.startswith(_SHOP) else first)


def make_panel(kind: str, shop: Shop, split: str) -> Panel:
    """The tasks of a split.

    "train", "eval" and "test" (70, 10 and 20 % of the products) share no product; "index-train", "index-eval" and
    "index-test" are the original's; `PAPER_SPLITS` have the paper's sizes; `TYPE_SPLITS` share no type of product;
    "all" is every goal. The description states what can be attained by buying each goal's own product with its own
    options.

    Raises:
        UnknownNameError: another split.
        ConfigError: the split has no goal.
    """
    numbered = list(enumerate(shop.goals.goals))
    if split in INDEX_SPLITS:
        chosen = numbered[INDEX_SPLITS[split]]
    elif split in SPLITS:
        chosen = [(number, goal) for number, goal in numbered if _percentile(goal.asin) in SPLITS[split]]
    elif split in TYPE_SPLITS:
        chosen = [(number, goal) for number, goal in numbered if _percentile(goal.query) in TYPE_SPLITS[split]]
    elif split in PAPER_SPLITS:
        if len(numbered) < _PAPER_GOALS:
            raise ConfigError(f"split {split!r} is of {_PAPER_GOALS:,} goals; these data have {len(numbered):,}")
        chosen = sorted(numbered, key=lambda one: hashlib.sha256(task_id(*one).encode()).digest())[PAPER_SPLITS[split]]
    elif split == ALL:
        chosen = numbered
    else:
        names = [*SPLITS, *INDEX_SPLITS, *PAPER_SPLITS, *TYPE_SPLITS, ALL, SHOPS_SPLIT]
        raise UnknownNameError("split of webshop", split, names)
    if not chosen:
        raise ConfigError(
            f"split {split!r} of webshop has no goal in these {len(numbered)}: take the split 'all', or more products"
        )
    tasks = [task_id(number, goal) for number, goal in chosen]
    return Panel.of("webshop", kind, split, tasks, _ceiling(shop, [goal for _, goal in chosen]))


def splits_of(asins: Iterable[str]) -> list[str]:
    """The splits by product that these products are in."""
    percentiles = set(map(_percentile, asins))
    return [split for split, part in SPLITS.items() if not percentiles.isdisjoint(part)]


@functools.lru_cache(maxsize=1 << 16)
def _percentile(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 100


def own_reward(shop: Shop, goal: ShoppingGoal) -> float:
    """Reward of buying the goal's own product with the goal's own options."""
    product = shop.catalogue.get(goal.asin)
    if product is None:
        return 0.0
    return judge(product, shop.goals.price(product), own_options(goal), goal).reward


def own_options(goal: ShoppingGoal) -> dict[str, str]:
    """The options that a goal names; those of a human goal, whose names are not known, under numbers."""
    return {
        option[0] if isinstance(option, tuple) else str(number): option[1] if isinstance(option, tuple) else option
        for number, option in enumerate(goal.options)
    }


def _ceiling(shop: Shop, goals: Sequence[ShoppingGoal]) -> str:
    rewards = [own_reward(shop, goal) for goal in goals]
    reached = sum(reward == 1.0 for reward in rewards) / len(rewards)
    return (
        f"{len(goals)} goals of {len({goal.asin for goal in goals})} products; buying the goal's own product with"
        f" its own options gives reward 1.0 in {reached:.1%} of them, mean {sum(rewards) / len(rewards):.4f}"
    )

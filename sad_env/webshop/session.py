"""One shopper in the shop: the original's text environment, its leniencies included, as a plain state machine."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sad_env.webshop import pages
from sad_env.webshop.catalogue import Catalogue, search
from sad_env.webshop.goals import GoalSet, ShoppingGoal
from sad_env.webshop.pages import ShopPage
from sad_env.webshop.products import Product
from sad_env.webshop.reward import Purchase, judge

BASE_URL = "http://127.0.0.1:3000"

_ACTION = re.compile(r"(.+)\[(.+)\]")
_PAGES = ("search_results", "item_page", "item_sub_page", "done")


def parse_action(action: str) -> tuple[str, str]:
    """Name and lower-cased argument; the argument is empty when the action has none.

    As in the original the name is everything before the last bracket that leaves an argument, text after the closing
    bracket is ignored, and no newline may come before it.

    >>> parse_action("search[Red Shoes] please"), parse_action("a[b]c[d]"), parse_action("hello")
    (('search', 'red shoes'), ('a[b]c', 'd'), ('hello', ''))
    """
    match = _ACTION.match(action)
    return (match.group(1), match.group(2).lower()) if match else (action, "")


class Result(NamedTuple):
    """What an action did.

    Attributes:
        reward: of the purchase, else 0.
        done: something was bought.
        understood: False when nothing happened.
    """

    reward: float
    done: bool
    understood: bool


@dataclass(frozen=True)
class Shop:
    """What all sessions share, read-only.

    Attributes:
        catalogue: the products.
        goals: the shoppers' goals and the prices charged.
        show_attributes: item pages have a button that shows what rewards compare.
    """

    catalogue: Catalogue
    goals: GoalSet
    show_attributes: bool = False


@dataclass
class WebShopSession:
    """A shopper's way through the shop.

    Args:
        shop: where.
        goal: what for.
        name: part of the URLs.
        draw: for the hidden random search.
    """

    shop: Shop
    goal: ShoppingGoal
    name: str
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    keywords: list[str] | None = None
    page_number: int = 1
    asin: str | None = None
    opened: set[str] = field(default_factory=set)
    options: dict[str, str] = field(default_factory=dict)
    outcome: Purchase | None = None
    """Judgement of the last purchase."""

    def __post_init__(self) -> None:
        self.found: Sequence[Product] = ()
        self._show(pages.search_page(self.goal.text), self.name)

    def _show(self, page: ShopPage, *url: str) -> None:
        self.page = page
        self.url = "/".join((BASE_URL, *url))
        self._clickables: dict[str, pages.PageNode] | None = None

    @property
    def clickables(self) -> dict[str, pages.PageNode]:
        """What can be clicked on this page, by its lower-cased text, in the order of the page."""
        if self._clickables is None:
            self._clickables = self.page.clickables()
        return self._clickables

    def text(self) -> str:
        """The page as text."""
        return pages.as_text(self.page)

    def rich_text(self) -> str:
        """The page as text in which buttons are marked."""
        return pages.as_rich_text(self.page, self.url, self.opened)

    def act(self, action: str) -> Result:
        """Take one action; whatever cannot be understood changes nothing.

        A search works on any page, also after a purchase; a click needs something of that name on the page.
        """
        name, argument = parse_action(action)
        if name == "search" and argument:
            return Result(0.0, done=False, understood=self.search(argument))
        if name == "click" and argument in self.clickables and argument != "search":
            return self._click(argument)
        return Result(0.0, done=False, understood=False)

    def search(self, query: str) -> bool:
        """Show the first page of what a query finds; False when the search bar breaks down on it."""
        keywords = query.split(" ")
        products = search(self.shop.catalogue, keywords, self.draw)
        if products is None:
            return False
        self.keywords, self.found = keywords, products
        self.show_results(1)
        return True

    def buy(self) -> Purchase:
        """Buy the product that is open, with the options chosen."""
        product = self.product()
        self.outcome = judge(product, self.shop.goals.price(product), self.options, self.goal)
        self._show(
            pages.done_page(product.asin, self.options, self.outcome.reward),
            *("done", self.name, product.asin, repr(self.options)),
        )
        return self.outcome

    def _click(self, name: str) -> Result:
        # The original tells pages apart by the first of these names that occurs anywhere in the URL, so that a search
        # for "item_page" changes what "< Prev" does.
        where = next((page for page in _PAGES if page in self.url), "")
        moves: dict[tuple[str, str], Callable[[], None]] = {
            (pages.NEXT, "search_results"): lambda: self.show_results(self.page_number + 1),
            (pages.PREVIOUS, "search_results"): lambda: self.show_results(self.page_number - 1),
            (pages.PREVIOUS, "item_sub_page"): self.show_item,
            (pages.PREVIOUS, "item_page"): lambda: self.show_results(self.page_number),
        }
        if name == pages.BUY.lower():
            return Result(self.buy().reward, done=True, understood=True)
        if name == pages.BACK.lower():
            self._restart()
        elif move := next(
            (move for (button, page), move in moves.items() if (button.lower(), page) == (name, where)), None
        ):
            move()
        elif tab := next((tab for tab in (*pages.SUB_PAGES, pages.ATTRIBUTES) if tab.lower() == name), None):
            self.show_tab(tab)
        elif self.clickables[name].kind == "button" and self.asin is None:
            # Only on a page that the URL makes pass for another; the original breaks down.
            return Result(0.0, done=False, understood=False)
        else:
            self._choose(name)
        return Result(0.0, done=False, understood=True)

    def _restart(self) -> None:
        self.keywords, self.page_number, self.asin = None, 1, None
        self.opened, self.options = set(), {}
        self._show(pages.search_page(self.goal.text), self.name)

    def show_results(self, number: int) -> None:
        """Show a page of what the last search found."""
        keywords = self.keywords or [""]
        if keywords[0] == "<r>" and number != self.page_number:
            self.found = search(self.shop.catalogue, keywords, self.draw) or ()
        # Also where "< Prev" takes an item's page for one of results.
        self.page_number, self.asin, self.options = number, None, {}
        self._show(
            pages.results_page(self.goal.text, self.found, number),
            *("search_results", self.name, "+".join(keywords), str(number)),
        )

    def _choose(self, name: str) -> None:
        node = self.clickables[name]
        if node.kind == "link":
            self.asin = node.text
            self.opened.add(node.text)
        elif node.kind == "option":
            self.options[node.name] = name
        self.show_item()

    def show_item(self) -> None:
        """Show the product that is open."""
        product = self.product()
        self._show(
            pages.item_page(self.goal.text, product, show_attributes=self.shop.show_attributes),
            *("item_page", self.name, product.asin, *self._trail(), json.dumps(self.options)),
        )

    def show_tab(self, tab: str) -> None:
        """Show one of `pages.SUB_PAGES`, or `pages.ATTRIBUTES`, of the product that is open."""
        product = self.product()
        self._show(
            pages.sub_page(self.goal.text, product, tab),
            *("item_sub_page", self.name, product.asin, *self._trail(), tab, repr(self.options)),
        )

    def _trail(self) -> tuple[str, str]:
        return "+".join(self.keywords or ()), str(self.page_number)

    def product(self) -> Product:
        """The product that is open.

        Raises:
            LookupError: none is.
        """
        product = self.shop.catalogue.get(self.asin) if self.asin else None
        if product is None:
            raise LookupError("no product is open")
        return product

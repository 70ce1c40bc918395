"""The shop as the environment of ReAct's notebook showed it, on which most published numbers were taken.

It differs from the original's text environment: three products of a result are shown and there is no next page, the
instruction is on the first page only, names of buttons are case-sensitive, an option is answered with one line, an
action that is not possible with "Invalid action!". Its quirks are kept, too: a click on nothing shows the first page
and a product's tabs again; a product without options of its own takes those of the product that was open before it;
queries and options that broke its web requests are answered with nothing, and a purchase with such an option earns
nothing.

The loop around that environment answered "OK." to all that began with "think", whatever the environment said, and took
14 actions: reset was the first of its 15.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from sad_env.webshop import pages
from sad_env.webshop.catalogue import search
from sad_env.webshop.goals import ShoppingGoal
from sad_env.webshop.pages import ShopPage
from sad_env.webshop.products import Product
from sad_env.webshop.reward import Purchase, judge
from sad_env.webshop.session import Result, Shop

SHOWN = 3
"""Products of a result that are shown."""

INVALID = "Invalid action!"
_TABS = (*pages.SUB_PAGES, pages.ATTRIBUTES)
_NAMED = frozenset({pages.BUY, pages.BACK, pages.NEXT, pages.PREVIOUS, *_TABS})
"""Buttons that the notebook knows by name: on a page without them they are invalid, while others are not looked at."""


@dataclass
class ReactSession:
    """A shopper's way through the shop in ReAct's view.

    Args:
        shop: where.
        goal: what for.
        draw: for the hidden random search.
    """

    shop: Shop
    goal: ShoppingGoal
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    options: dict[str, str] = field(default_factory=dict)
    outcome: Purchase | None = None
    """Judgement of the purchase."""
    observation: str = ""

    def __post_init__(self) -> None:
        self._found: Sequence[Product] = ()
        self._product: Product | None = None
        self._option_names: dict[str, str] = {}
        """Name of the option that each value belongs to, of the last product that had any."""
        self._restart()

    def act(self, action: str) -> Result:
        """Take one action; `observation` is then what the loop showed."""
        if action.startswith("think["):
            self._show_again()
        elif action.startswith("search[") and self.page.kind == "":
            self._search(action[7:-1])
        elif action.startswith("click[") and self._click(action[6:-1]):
            if self.page.kind == "done":
                return Result(self.outcome.reward if self.outcome else 0.0, done=True, understood=True)
        elif action.startswith("click[") and self.page.kind in ("", "item_sub_page") and action[6:-1] not in _NAMED:
            self._show_again()
            return Result(0.0, done=False, understood=False)
        else:
            self.observation = INVALID
            return Result(0.0, done=False, understood=False)
        return Result(0.0, done=False, understood=True)

    def possible(self) -> list[str]:
        """What can be clicked on this page, in the order of the page."""
        if self.page.kind in ("", "done"):
            return []
        names = [pages.BACK]
        if self.page.kind != "search_results":
            names.append(pages.PREVIOUS)
        if self.page.kind == "search_results":
            names += [product.asin for product in self._found[:SHOWN]]
        if self.page.kind == "item_page":
            names += list(dict.fromkeys(node.text for node in self.page.nodes if node.kind == "option"))
            names += [*pages.SUB_PAGES, *([pages.ATTRIBUTES] if self.shop.show_attributes else []), pages.BUY]
        return names

    def _show(self, page: ShopPage, *, broken: bool = False) -> bool:
        self.page, self._broken = page, broken
        self.observation = "" if broken else self._render()
        return True

    def _show_again(self) -> None:
        self._show(self.page, broken=self._broken or self._broken_options())

    def _restart(self) -> bool:
        self._product, self.options, self._option_names = None, {}, {}
        return self._show(pages.search_page(self.goal.text))

    def _search(self, query: str) -> None:
        keywords = _keywords(query)
        products = search(self.shop.catalogue, keywords, self.draw) if keywords else None
        self._found, self._option_names = products or (), {}
        self._results(broken=products is None)

    def _results(self, *, broken: bool = False) -> bool:
        self._product, self.options = None, {}
        return self._show(pages.results_page(self.goal.text, self._found, 1), broken=broken)

    def _item(self) -> bool:
        assert self._product is not None
        page = pages.item_page(self.goal.text, self._product, show_attributes=self.shop.show_attributes)
        # A value under two option names belongs to the last, as in the notebook's table.
        if names := {node.text: node.name for node in page.nodes if node.kind == "option"}:
            self._option_names = names
        return self._show(page, broken=self._broken_options())

    def _broken_options(self) -> bool:
        """What follows a # or ? in a URL never reached the shop."""
        return any(sign in f"{name}{value}" for name, value in self.options.items() for sign in "#?")

    def _click(self, name: str) -> bool:
        kind = self.page.kind
        if name == pages.BACK and kind != "":
            return self._restart()
        if name == pages.PREVIOUS and kind == "item_sub_page":
            return self._item()
        if name == pages.PREVIOUS and kind == "item_page":
            return self._results()
        if kind == "search_results":
            self._product = next((product for product in self._found[: pages.PER_PAGE] if product.asin == name), None)
            return self._product is not None and self._item()
        if kind != "item_page" or self._product is None:
            return False
        if name == pages.BUY:
            return self._buy(self._product)
        if name in _TABS:
            return self._show(pages.sub_page(self.goal.text, self._product, name), broken=self._broken_options())
        return self._choose(name)

    def _choose(self, value: str) -> bool:
        if value not in self._option_names:
            return False
        self.options[self._option_names[value]] = value
        self.observation = f"You have clicked {value}."
        return True

    def _buy(self, product: Product) -> bool:
        outcome = judge(product, self.shop.goals.price(product), self.options, self.goal)
        if self._broken_options():
            outcome = Purchase(0.0, outcome.parts)
        self.outcome = outcome
        self._show(pages.done_page(product.asin, self.options, outcome.reward), broken=self._broken_options())
        return True

    def _render(self) -> str:
        """The page as the loop wrote it."""
        if self.page.kind == "done" and self.outcome is not None:
            return f"Your score (min 0.0, max 1.0): {self.outcome.reward}"
        written: list[str] = []
        texts = links = 0
        for kind, text, _ in self.page.nodes:
            if not text.replace("\n", "").replace("\\n", "").replace(" ", ""):
                continue
            if kind == "link":
                links += 1
            # The instruction is left out on later pages, and all that follows the first products of a result.
            hidden = links > SHOWN or (kind == "text" and texts < 2 and self.page.kind != "")
            texts += kind == "text"
            if not hidden:
                written.append(self._node(kind, text))
        return "".join(written)

    def _node(self, kind: str, text: str) -> str:
        if kind == "option":
            return f"[[{text}]]" if f"'{text}'" in repr(self.options) else f"[{text}]"
        return f"\n{text} " if kind == "text" else f"\n[{text}] "


def _keywords(query: str) -> list[str] | None:
    """The query as the shop received it in a URL, None when the request failed.

    A query in brackets was evaluated there; here only a list of strings is.
    """
    if not query or any(sign in query for sign in "/?#"):
        return None
    if not query.startswith("["):
        return [query]
    try:
        value = ast.literal_eval(query)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    return value if isinstance(value, list) and value and all(isinstance(word, str) for word in value) else None

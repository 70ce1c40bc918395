"""The pages of the shop as lists of text nodes, and the four ways in which an agent is shown them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sad_env.webshop.products import Product

PER_PAGE = 10
SUB_PAGES = ("Description", "Features", "Reviews")
ATTRIBUTES = "Attributes"
BACK, PREVIOUS, NEXT, BUY = "Back to Search", "< Prev", "Next >", "Buy Now"

NodeKind = Literal["text", "button", "option", "link"]

_BLANK = " \t\n\r\f\v"


class PageNode(NamedTuple):
    """A piece of text on a page.

    Attributes:
        kind: plain text, a button, the value of an option, or the link of a product.
        text: what it says.
        name: the option's name where it is an option's value, else "".
    """

    kind: NodeKind
    text: str
    name: str = ""


@dataclass(frozen=True)
class ShopPage:
    """One page.

    Attributes:
        kind: of page; the names are those in the URLs, "" for the first page.
        nodes: its visible text in order.
    """

    kind: Literal["", "search_results", "item_page", "item_sub_page", "done"]
    nodes: tuple[PageNode, ...]

    @property
    def has_search_bar(self) -> bool:
        """True on the first page."""
        return self.kind == ""

    def clickables(self) -> dict[str, PageNode]:
        """What can be clicked: buttons, then products, then option values; all lower case.

        A value under two option names belongs to the last.
        """
        buttons = [node for node in self.nodes if node.kind == "button"]
        links = [node for node in self.nodes if node.kind == "link"]
        named = {node.text.lower(): node for node in (*buttons, *links)}
        return named | {node.text: node for node in self.nodes if node.kind == "option"}


def _page(
    kind: Literal["", "search_results", "item_page", "item_sub_page", "done"], nodes: Iterable[PageNode]
) -> ShopPage:
    """A page of the nodes that a browser shows: blanks alone shrink to one, or to nothing where a line ended."""
    shown = []
    for node in nodes:
        text = node.text
        if not text.strip(_BLANK):
            if "\n" in text or not text:
                continue
            text = " "
        shown.append(node if text is node.text else node._replace(text=text))
    return ShopPage(kind, tuple(shown))


def _text(text: str) -> PageNode:
    return PageNode("text", text)


def _button(text: str) -> PageNode:
    return PageNode("button", text)


def search_page(instruction: str) -> ShopPage:
    """The first page."""
    return _page("", (_text("WebShop"), _text("Instruction: "), _text(instruction), _button("Search")))


def _head(instruction: str) -> list[PageNode]:
    return [_text("Instruction:"), _text(instruction), _button(BACK)]


def results_page(instruction: str, products: Sequence[Product], number: int) -> ShopPage:
    """Page `number`, counted from 1, of the products found."""
    nodes = [*_head(instruction), _text(f"Page {number} (Total results: {len(products)})")]
    if number > 1:
        nodes.append(_button(PREVIOUS))
    nodes.append(_button(NEXT))
    for product in products[(number - 1) * PER_PAGE : number * PER_PAGE]:
        nodes += [PageNode("link", product.asin), _text(product.title), _text(product.price_tag)]
    return _page("search_results", nodes)


def item_page(instruction: str, product: Product, *, show_attributes: bool = False) -> ShopPage:
    """A product with its options."""
    nodes = [*_head(instruction), _button(PREVIOUS)]
    for name, values in product.options.items():
        nodes.append(_text(name))
        nodes += [PageNode("option", value, name) for value in values]
    nodes += [_text(product.title), _text(f"Price: {product.price_tag}"), _text("Rating: N.A.")]
    nodes += [_button(name) for name in SUB_PAGES]
    if show_attributes:
        nodes.append(_button(ATTRIBUTES))
    return _page("item_page", [*nodes, _button(BUY)])


def sub_page(instruction: str, product: Product, name: str) -> ShopPage:
    """The page `name` of a product: Description, Features, Reviews (always empty) or Attributes."""
    texts: Mapping[str, Sequence[str]] = {
        "Description": (product.description,),
        "Features": [f" {bullet}" for bullet in product.bullets],
        "Reviews": (),
        ATTRIBUTES: (
            *(f" {attribute}" for attribute in product.attributes),
            product.category,
            product.query,
            product.product_category,
        ),
    }
    return _page("item_sub_page", [*_head(instruction), _button(PREVIOUS), *map(_text, texts[name])])


def options_json(options: Mapping[str, str]) -> str:
    """Chosen options as the last page shows them: JSON with sorted keys that is safe inside HTML."""
    text = json.dumps(dict(options), sort_keys=True)
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def done_page(asin: str, options: Mapping[str, str], reward: float) -> ShopPage:
    """The last page; most of its fields were only ever filled for crowd workers."""
    texts = (
        *(
            "Thank you for shopping with us!",
            "Your code: ",
            "None",
            " (Paste it in your MTurk interface.)",
            "Purchased",
        ),
        *("asin", asin, "options", options_json(options), "attrs", "None", "category", "None", "query", "None"),
        *("product category", "None", "Target", "asin", "options", "attrs", "price upper", "instuction text"),
        *("category", "product category", "query", "Goal ", "None", "Reward", "Your score (min 0.0, max 1.0)"),
        *(repr(reward), "Reward Details ", "None"),
    )
    return _page("done", map(_text, texts))


def as_text(page: ShopPage) -> str:
    """All nodes, stripped, joined by " [SEP] "."""
    return " [SEP] ".join(node.text.strip() for node in page.nodes)


def as_rich_text(page: ShopPage, url: str, opened: Collection[str]) -> str:
    """One node a line, with what can be clicked in brackets.

    Args:
        page: the page.
        url: options that it contains in double quotes are shown as clicked.
        opened: products that are shown as clicked.
    """
    lines, clicked = [], ""
    for kind, text, _ in page.nodes:
        if kind == "button":
            lines.append(f"[button] {text} [button_]\n")
        elif kind == "link":
            state = "clicked button" if text in opened else "button"
            lines.append(f"\n[{state}] {text} [{state}_]\n")
        elif kind == "option" and f'"{text}"' in url:
            lines.append(f"  [clicked button] {text} [clicked button_]\n")
            clicked = f"You have clicked {text}.\n{clicked}"
        elif kind == "option":
            lines.append(f"  [button] {text} [button_]\n")
        else:
            lines.append(f"{text}\n")
    return clicked + "".join(lines)

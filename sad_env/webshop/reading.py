"""What a shopper reads: an instruction taken apart, and the pages of either view as structure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sad_env.search import analyze

_PRICE = re.compile(r"(?:lower|less|cheaper) than \$?([\d.]*\d)(?: dollars)?")
_OPTION = re.compile(r"(?:(?! with )[^:,]){1,40}: ")
_TAG = re.compile(r"\$([\d.]+)")
_RICH = re.compile(r"\[(?:clicked )?button\] (.*) \[(?:clicked )?button_\]")
_RESULTS = re.compile(r"Page \d+ \(Total results: (\d+)\)")
_FILLER = frozenset(
    analyze(
        "find me i am looking need would like can you please help want get some a pair that are is in preferably my"
    )
)


@dataclass(frozen=True)
class Wish:
    """What an instruction asks for.

    Attributes:
        text: the whole instruction, price aside.
        kind: words for the kind of product.
        attributes: phrases that the product must live up to.
        options: (name, value) pairs it names, none for an instruction in a person's words.
        limit: highest price, infinite where none is stated.
    """

    text: str
    kind: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    limit: float


def read_instruction(text: str) -> Wish:
    """Take an instruction apart.

    >>> wish = read_instruction("Find me slim fit, hand wash men's henleys with short sleeve with size: xx-large,"
    ...     " and price lower than 30.00 dollars")
    >>> wish.kind, wish.attributes, wish.options, wish.limit
    ("men's henleys", ('slim fit', 'hand wash', 'short sleeve'), (('size', 'xx-large'),), 30.0)
    """
    limit = float("inf")
    if match := _PRICE.search(text):
        limit = float(match.group(1))
        text = text[: text.rfind(", and price", 0, match.end())] if ", and price" in text else text[: match.start()]
    options: list[tuple[str, str]] = []
    body = text
    for match in re.finditer(" with ", text):
        if _OPTION.match(text[match.end() :]):
            body = text[: match.start()]
            for part in re.split(r", and (?=[^:,]{1,40}: )", text[match.end() :]):
                name, _, value = part.partition(": ")
                options.append((name, value))
            break
    if not body.lower().startswith("find me "):
        return Wish(text, body, (), tuple(options), limit)
    first, *later = re.split(r" with | for ", body[len("find me ") :])
    kind, attributes = _kind_and_attributes(first)
    attributes += [phrase for part in later for phrase in part.split(", ")]
    return Wish(text, kind, tuple(attributes), tuple(options), limit)


def _kind_and_attributes(text: str) -> tuple[str, list[str]]:
    """Attributes are mostly of two words and come first; from the first longer phrase on it is the kind of product."""
    phrases = text.split(", ")
    for index, phrase in enumerate(phrases):
        words = phrase.split()
        if len(words) > 2 and "&" not in words[:2]:
            return ", ".join((" ".join(words[2:]), *phrases[index + 1 :])), [*phrases[:index], " ".join(words[:2])]
        if len(words) > 2 or phrase.split(" ")[0].endswith("'s"):
            return ", ".join(phrases[index:]), phrases[:index]
    return phrases[-1], phrases[:-1]


def keywords(text: str) -> list[str]:
    """Index terms of `text` without the words of asking, each once."""
    return [word for word in dict.fromkeys(analyze(text)) if word not in _FILLER]


@dataclass
class Shown:
    """A product on a page of results."""

    asin: str
    title: str
    tag: str

    @property
    def price(self) -> str:
        """The lower price of the tag as it is written, "0" where it cannot be read."""
        return next(iter(_TAG.findall(self.tag)), "0").rstrip(".")

    def cheapest(self) -> float:
        """The same as a number."""
        return float(self.price)

    def dearest(self) -> float:
        """The higher price of the tag, 0 where it cannot be read."""
        prices = _TAG.findall(self.tag)
        return float(prices[-1].rstrip(".")) if prices else 0.0


@dataclass
class Reading:
    """A page as read.

    Attributes:
        kind: search bar, results, a product, one of its tabs, or anything else (the purchase, an answer in words).
        instruction: "" where the page shows none.
        products: of a page of results.
        has_next: there is a button for the next page that works.
        title: of the product.
        tag: its price tag.
        options: option name to values of the product.
        text: of a tab.
    """

    kind: Literal["search", "results", "item", "tab", "other"]
    instruction: str = ""
    products: list[Shown] = field(default_factory=list)
    has_next: bool = False
    title: str = ""
    tag: str = ""
    options: dict[str, list[str]] = field(default_factory=dict)
    text: str = ""


def read_page(observation: str, info: Mapping[str, Any]) -> Reading:
    """Read an observation of mode "text" or "text_rich", in either view.

    Args:
        observation: as it came.
        info: its ``available_actions`` tell buttons from text, as brackets do on a page; so do ``admissible_actions``,
            which are all that a record holds.
    """
    tokens = _tokens(observation)
    if available := info.get("available_actions"):
        clickable = {str(name).lower() for name in available.get("clickables", ())}
    else:
        offered = info.get("admissible_actions") or ()
        clickable = {action[len("click[") : -1].lower() for action in offered if action.startswith("click[")}
    instruction = _instruction(tokens)
    if "Search" in tokens[-1:] and "WebShop" in tokens[:1]:
        return Reading("search", instruction)
    for index, token in enumerate(tokens):
        if _RESULTS.match(token):
            return _read_results(tokens[index + 1 :], clickable, instruction)
    if "Buy Now" in tokens and "< Prev" in tokens:
        return _read_item(tokens, clickable, instruction)
    if "< Prev" in tokens:
        return Reading("tab", instruction, text=" ".join(tokens[tokens.index("< Prev") + 1 :]))
    return Reading("other")


def _tokens(observation: str) -> list[str]:
    if " [SEP] " in observation:
        return [token.strip() for token in observation.split(" [SEP] ")]
    tokens = []
    for line in observation.strip("\n").split("\n"):
        text = line.strip()
        if rich := _RICH.fullmatch(text):
            tokens.append(rich.group(1))
        elif text.endswith("]") and "[" in text:
            name, _, rest = text.partition("[")
            if name.strip():
                tokens.append(name.strip())
            tokens += [value.strip("[]") for value in rest[:-1].split("][")]
        elif text:
            tokens.append(text)
    return tokens


def _instruction(tokens: Sequence[str]) -> str:
    for index, token in enumerate(tokens[:-1]):
        if token == "Instruction:":
            return tokens[index + 1]
    return ""


def _read_results(tokens: Sequence[str], clickable: set[str], instruction: str) -> Reading:
    rest = [token for token in tokens if token not in ("< Prev", "Next >")]
    products = []
    for index, token in enumerate(rest):
        if token.lower() in clickable and index + 2 < len(rest):
            products.append(Shown(token, rest[index + 1], rest[index + 2]))
    return Reading("results", instruction, products=products, has_next="next >" in clickable)


def _read_item(tokens: Sequence[str], clickable: set[str], instruction: str) -> Reading:
    start = tokens.index("< Prev") + 1
    price = next((index for index, token in enumerate(tokens) if token.startswith("Price: ")), len(tokens) - 1)
    options: dict[str, list[str]] = {}
    name = ""
    for token in tokens[start : price - 1]:
        if token.lower() in clickable and name:
            options[name].append(token)
        else:
            name = token
            options.setdefault(name, [])
    return Reading("item", instruction, title=tokens[price - 1], tag=tokens[price], options=options)

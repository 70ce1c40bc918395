"""A product, and how the original reads one from its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sad_env.errors import DataError
from sad_env.safe_text import one_line

NO_PRICE = 100.0
"""What the original charges for a product without a price."""

LONGEST_FIELD = 1_000_000
"""Characters of one field; longer ones are refused."""

_NOT_PRICE = re.compile(r"[^\d.]")
_ASIN = re.compile(r"[A-Za-z0-9]{1,10}")


@dataclass(frozen=True)
class Product:
    """One product as the shop shows it.

    Attributes:
        number: its place in the catalogue.
        asin: its name in the shop, at most ten letters and digits.
        title: shown on every page.
        description: page "Description".
        bullets: page "Features".
        attributes: what rewards compare; never shown but on the page "Attributes".
        options: option name to values, both lower case.
        prices: one or two; the shop charges a price drawn between the two.
        price_tag: the price as shown.
        query: the search that the product was found by.
        category: one word.
        product_category: path of categories joined by ' › '.
        image: URL, shown only where images are asked for.
        instruction: of a synthetic goal, "" when there is none.
        instruction_attributes: the attributes that it asks for.
    """

    number: int
    asin: str
    title: str
    description: str
    bullets: tuple[str, ...]
    attributes: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]
    prices: tuple[float, ...]
    price_tag: str
    query: str
    category: str
    product_category: str
    image: str = ""
    instruction: str = ""
    instruction_attributes: tuple[str, ...] = ()

    @property
    def indexed_text(self) -> str:
        """What a search looks at: title, description, first feature, and all options."""
        options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in self.options.items())
        first = self.bullets[0] if self.bullets else ""
        return f"{self.title} {self.description} {first} {options}".lower()

    def to_json(self) -> str:
        """One line, read back by `from_json`."""
        return json.dumps(list(self.__dict__.values()), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Product:
        """The inverse of `to_json`."""
        values: list[Any] = json.loads(text)
        values[6] = {name: tuple(options) for name, options in values[6].items()}
        values = [tuple(value) if isinstance(value, list) else value for value in values]
        return cls(*values)


def read_product(number: int, entry: Mapping[str, Any], about: Mapping[str, Any] | None) -> Product:
    """A product from an entry of items_shuffle.json and, where there is one, its entry of items_ins.json.

    Raises:
        DataError: a field of a wrong type, a price that is no number, an unusable asin; with one line of reason.
    """
    asin = entry.get("asin")
    where = f"product {number} ({one_line(str(asin), 20)!r})"
    if not isinstance(asin, str) or not _ASIN.fullmatch(asin):
        raise DataError(f"{where}: an asin is one to ten letters and digits")
    try:
        bullets = entry["small_description"]
        about = about or {}
        prices, tag = _prices(entry.get("pricing"))
        images = entry.get("images") or [""]
        return Product(
            number=number,
            asin=asin,
            title=_text(entry, "name"),
            description=_text(entry, "full_description"),
            bullets=tuple(_string(bullet) for bullet in (bullets if isinstance(bullets, list) else [bullets])),
            attributes=tuple(_string(name) for name in about.get("attributes", ["DUMMY_ATTR"])),
            options=_options(entry.get("customization_options")),
            prices=prices,
            price_tag=tag,
            query=_text(entry, "query").lower().strip(),
            category=_text(entry, "category"),
            product_category=_text(entry, "product_category"),
            image=_string(images[0]),
            instruction=_string(about.get("instruction") or ""),
            instruction_attributes=tuple(_string(name) for name in about.get("instruction_attributes") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(f"{where}: {one_line(f'{type(error).__name__}: {error}')}; see the schema of WebShop") from None


def _text(entry: Mapping[str, Any], field: str) -> str:
    return _string(entry[field])


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was due, not {str(value)[:40]!r}")
    if len(value) > LONGEST_FIELD:
        raise ValueError(f"a field of {len(value):,} characters; at most {LONGEST_FIELD:,} are read")
    # No store takes lone surrogates, and files and store are to give the same product.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _prices(pricing: object) -> tuple[tuple[float, ...], str]:
    """Prices, at most two, and the tag; from text such as "$9.99$19.99"."""
    if not pricing:
        return (NO_PRICE,), f"${NO_PRICE}"
    prices = [float(_NOT_PRICE.sub("", part)) for part in _string(pricing).split("$")[1:]]
    if not prices:
        raise ValueError(f"the price {str(pricing)[:40]!r} has no $")
    if max(prices) > 1e12:
        raise ValueError(f"the price {str(pricing)[:40]!r} is no price")
    if len(prices) == 1:
        return (prices[0],), f"${prices[0]}"
    return (prices[0], prices[1]), f"${prices[0]} to ${prices[1]}"


def _options(customization: object) -> dict[str, tuple[str, ...]]:
    options: dict[str, tuple[str, ...]] = {}
    if isinstance(customization, dict):
        for name, contents in customization.items():
            if contents is not None:
                values = (_string(content["value"]) for content in contents)
                options[_string(name).lower()] = tuple(value.strip().replace("/", " | ").lower() for value in values)
    elif customization:
        raise TypeError(f"customization_options is an object or empty, not {str(customization)[:40]!r}")
    return options

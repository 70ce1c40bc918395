"""A made-up shop of any size: the same seed gives the same products, and a larger shop begins with the smaller one."""

from __future__ import annotations

import itertools
import json
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sad_env.data import Progress, silent
from sad_env.files import atomic_text
from sad_env.webshop.catalogue import MemoryCatalogue
from sad_env.webshop.products import Product, read_product
from sad_env.webshop.reward import matches_itself
from sad_env.webshop.vocabulary import BRAND_ENDS, BRAND_STARTS, DEPARTMENTS, OPTIONS, SERIES, Department, Kind

SIZE = 1_000
"""Products of the default shop."""

INSTRUCTED = 5_000
"""No more products than this have an instruction, so that the goals of a shop of millions fit into memory."""

_DIGITS = string.digits + string.ascii_uppercase
_ASINS = 36**9
_LETTERS_DROPPED = 0.06


@dataclass(frozen=True)
class CatalogueEntry:
    """A generated product as the original's three files have it.

    Attributes:
        item: of items_shuffle.json.
        about: of items_ins.json.
        human: of items_human_ins.json, empty for most products.
    """

    item: dict[str, Any]
    about: dict[str, Any]
    human: list[dict[str, Any]]


def generated_catalogue(seed: int, size: int = SIZE) -> MemoryCatalogue:
    """The generated shop in memory."""
    products: list[Product] = []
    human: dict[str, list[dict[str, Any]]] = {}
    for number, entry in enumerate(itertools.islice(entries(seed), size)):
        products.append(read_product(number, entry.item, entry.about))
        if entry.human:
            human[entry.item["asin"]] = entry.human
    return MemoryCatalogue(products, human)


def write_files(folder: Path, size: int, seed: int, progress: Progress = silent) -> list[str]:
    """Write the first `size` products in the original's three files; memory does not grow with them.

    Returns:
        The asins of the products that have an instruction, `INSTRUCTED` at most.
    """
    instructed = []
    names = ("items_shuffle.json", "items_ins_v2.json", "items_human_ins.json")
    with (
        atomic_text(folder / names[0]) as items,
        atomic_text(folder / names[1]) as about,
        atomic_text(folder / names[2]) as human,
    ):
        pieces = (_Listing(items, "[]"), _Listing(about, "{}"), _Listing(human, "{}"))
        for number, entry in enumerate(itertools.islice(entries(seed), size), 1):
            name = json.dumps(entry.item["asin"])
            pieces[0].add(json.dumps(entry.item, ensure_ascii=False))
            pieces[1].add(f"{name}: {json.dumps(entry.about)}")
            if entry.about.get("instruction"):
                instructed.append(entry.item["asin"])
            if entry.human:
                pieces[2].add(f"{name}: {json.dumps(entry.human)}")
            if number % 1_000 == 0 or number == size:
                progress("generating products", number, size)
        for piece in pieces:
            piece.close()
    return instructed


class _Listing:
    """A JSON array or object that is written one entry at a time."""

    def __init__(self, file: Any, brackets: str) -> None:
        self._file, self._brackets, self._before = file, brackets, brackets[0]

    def add(self, text: str) -> None:
        self._file.write(f"{self._before}\n{text}")
        self._before = ","

    def close(self) -> None:
        self._file.write(f"{self._before if self._before != ',' else ''}\n{self._brackets[1]}\n")


def entries(seed: int) -> Iterator[CatalogueEntry]:
    """Products without end: families of one to five that differ in little, scattered over the shop.

    Siblings share brand and kind; each has its own series name, lacks something that another has, and has its own
    options and prices. About one product in ten is a distractor that names another kind of product, one in sixteen
    has a misspelt title, one in eleven has no price and one in seven a range.
    """
    number = 0
    for block in itertools.count():
        draw = random.Random(f"webshop {seed} {block}")
        made = [entry for _ in range(40) for entry in _family(draw)]
        draw.shuffle(made)
        for item, about in made:
            item["asin"] = _asin(number, seed)
            item["page"] = number // 100
            human = _human(draw, item, about) if number < INSTRUCTED and about.get("instruction") else []
            if number >= INSTRUCTED:
                about.pop("instruction", None)
                about.pop("instruction_attributes", None)
            yield CatalogueEntry(item, about, human)
            number += 1


def _asin(number: int, seed: int) -> str:
    """A name that no other number has: the factor has no divisor in common with the count of names."""
    value = (number * 48_271_000_000_019 + seed * 7_919 + 12_345) % _ASINS
    digits = []
    for _ in range(9):
        value, digit = divmod(value, 36)
        digits.append(_DIGITS[digit])
    return "B" + "".join(digits)


def _family(draw: random.Random) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    department = draw.choice(DEPARTMENTS)
    kind = draw.choice(department.kinds)
    brand = draw.choice(BRAND_STARTS) + draw.choice(BRAND_ENDS)
    shared = draw.sample(department.attributes, 6)
    size = draw.choice((1, 2, 2, 3, 3, 4, 5))
    for series in draw.sample(SERIES, size):
        lacking = draw.sample(shared, draw.choice((0, 1, 2)) if size > 1 else 0)
        attributes = [attribute for attribute in shared if attribute not in lacking]
        yield _product(draw, department, kind, f"{brand} {series}", attributes)


def _product(
    draw: random.Random, department: Department, kind: Kind, name: str, attributes: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    title_attributes = attributes[: draw.choice((0, 1, 2))]
    use = draw.choice(department.uses)
    options = _options(draw, kind)
    item = {
        "name": _title(draw, department, kind, name, title_attributes, use),
        "full_description": _description(draw, department, kind, name, attributes, use),
        "pricing": _pricing(draw, kind),
        "images": [],
        "product_category": f"{department.path} › {kind.path}",
        "average_rating": "",
        "small_description": _features(draw, attributes, use),
        "customization_options": options or "",
        "category": department.name,
        "query": kind.query,
    }
    # What the shop knows of a product is not all that its pages say, as in the original.
    known = draw.sample(attributes, max(2, len(attributes) - draw.choice((0, 1, 2))))
    about: dict[str, Any] = {"attributes": known}
    values = [value["value"] for contents in options.values() for value in contents]
    if draw.random() < 0.45 and all(matches_itself(value) for value in values):
        wanted = draw.sample(known, draw.choice((1, 2, 2, 3)) if len(known) > 2 else 1)
        about |= {"instruction": _instruction(kind, wanted), "instruction_attributes": wanted}
    return item, about


def _instruction(kind: Kind, wanted: list[str]) -> str:
    before, after = (wanted[:-1], f" with {wanted[-1]}") if len(wanted) > 1 else (wanted, "")
    return f"Find me {', '.join(before)} {kind.query}{after}"


def _title(draw: random.Random, department: Department, kind: Kind, name: str, attributes: list[str], use: str) -> str:
    noun = _misspelt(draw, kind.noun) if draw.random() < _LETTERS_DROPPED else kind.noun
    extra = ", ".join(attribute.title() for attribute in attributes)
    text = f"{name} {draw.choice(department.adjectives)} {noun}"
    text += f", {extra}" if extra else ""
    return f"{text} for {use.title()}" if draw.random() < 0.4 else text


def _misspelt(draw: random.Random, text: str) -> str:
    place = draw.randrange(1, len(text) - 1)
    return text[:place] + text[place + 1 :]


def _description(
    draw: random.Random, department: Department, kind: Kind, name: str, attributes: list[str], use: str
) -> str:
    praised = draw.sample(attributes, min(len(attributes), draw.choice((2, 3))))
    noun = kind.noun.lower()
    opening = draw.choice(
        (
            f"{name}: {noun} made for {use}.",
            f"Meet {name}, our {noun} that fits {use}.",
            f"Our {name} {noun} line was designed with {use} in mind.",
        )
    )
    middle = f" It is known for being {' and '.join(praised)}."
    if draw.random() < 0.1:
        other = draw.choice(department.kinds)
        return f"{opening}{middle} Goes well with {other.query}; see also our {other.noun.lower()}."
    return opening + middle + draw.choice(("", " A thoughtful gift for family and friends.", " Contact us any time."))


def _features(draw: random.Random, attributes: list[str], use: str) -> list[str]:
    ways = (
        "{}: what our customers mention first.",
        "Made to be {}, day after day.",
        "Designed with {} in mind.",
        "{}.",
    )
    features = [draw.choice(ways).format(attribute).capitalize() for attribute in attributes]
    draw.shuffle(features)
    return [*features, f"A good choice for {use}."]


def _options(draw: random.Random, kind: Kind) -> dict[str, list[dict[str, Any]]]:
    options = {}
    for pool in kind.options:
        name, values = OPTIONS[pool]
        chosen = set(draw.sample(values, draw.randint(2, min(4, len(values)))))
        options[name] = [{"value": value} for value in values if value in chosen]
    return options


def _pricing(draw: random.Random, kind: Kind) -> str | None:
    low, high = kind.price
    price = round(draw.uniform(low, high)) - draw.choice((0.01, 0.05, 0.5))
    chance = draw.random()
    if chance < 1 / 11:
        return None
    return f"${price:.2f}${price * draw.uniform(1.1, 1.5):.2f}" if chance < 0.25 else f"${price:.2f}"


def _human(draw: random.Random, item: dict[str, Any], about: dict[str, Any]) -> list[dict[str, Any]]:
    """An instruction in a person's words, for one product in three that has a synthetic one."""
    if draw.random() > 1 / 3:
        return []
    wanted = about["instruction_attributes"][:2]
    options = [draw.choice(contents)["value"] for contents in (item["customization_options"] or {}).values()]
    opening = draw.choice(("i am looking for", "i need", "can you find me", "i would like", "please help me find"))
    text = f"{opening} {item['query']} that are {' and '.join(wanted)}"
    if options:
        text += draw.choice((" in {}", ", and i want {}", ", preferably {}")).format(" and ".join(options))
    return [
        {
            "asin": item["asin"],
            "instruction": text + ".",
            "attributes": about["attributes"],
            "options": options,
            "instruction_attributes": wanted,
            "instruction_options": options,
        }
    ]

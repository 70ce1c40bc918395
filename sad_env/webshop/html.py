"""The shop's pages as HTML of our own design, with the URLs and names of elements of the original."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from sad_env.safe_text import visible
from sad_env.webshop.pages import BACK, BUY, NEXT, PER_PAGE, PREVIOUS, SUB_PAGES, ShopPage, options_json
from sad_env.webshop.session import WebShopSession


def _finalize(value: Any) -> Any:
    # Templates escape markup; this keeps invisible and control characters from reaching a browser as they are.
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@functools.lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("sad_env.webshop", "templates"),
        autoescape=True,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


SCRIPT = """
document.addEventListener("change", event => {
  const url = event.target.dataset.url;
  if (url) { window.location.assign(url); }
});
"""
"""All that runs in a visitor's browser: choosing an option opens the page on which it is chosen."""

_SCRIPT_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()


def path(*parts: str | Sequence[str]) -> str:
    """A URL path of these parts, each quoted; the words of a sequence are joined by '+'.

    >>> path("item_page", ["a", "b+c"], "d/e")
    '/item_page/a+b%2Bc/d%2Fe'
    """
    words = ([part] if isinstance(part, str) else part for part in parts)
    return "/" + "/".join("+".join(quote(word.encode("utf-8", "replace"), safe="") for word in part) for part in words)


def render_page(session: WebShopSession, *, images: bool = False, bar: str = "") -> str:
    """The page that a session is on, as a whole HTML document.

    Args:
        session: whose page.
        images: show the products' pictures, which are fetched from the publisher's servers by whoever looks.
        bar: a line above the page, beside a button that asks for another task; none where it is empty.
    """
    page = session.page
    name = {"": "search"}.get(page.kind, page.kind)
    fields: dict[str, Any] = {"instruction": session.goal.text, "home": path(session.name), **_frame(images, bar)}
    return _environment().get_template(f"{name}.html").render(**fields, **_fields(session, page))


def render_finished(heading: str, facts: Sequence[tuple[str, str]], following: str) -> str:
    """The page after a purchase by a person.

    Args:
        heading: the first line.
        facts: labels and what came out.
        following: path of the next task; no button leads there where it is empty.
    """
    fields = {"heading": heading, "facts": facts, "next": following}
    return _environment().get_template("finished.html").render(**fields, **_frame(images=False, bar=""))


def page_links(session: WebShopSession) -> dict[str, str]:
    """The paths that the present page's buttons and links lead to, each with the action that does the same."""
    page = session.page
    if page.kind not in ("search_results", "item_page", "item_sub_page"):
        return {}
    fields, links = _fields(session, page), {path(session.name): f"click[{BACK.lower()}]"}
    if page.kind == "search_results":
        links |= {link: f"click[{product.asin.lower()}]" for product, link in fields["products"]}
        turns = {fields["previous"]: PREVIOUS, fields["next"]: NEXT}
    elif page.kind == "item_page":
        links |= {link: f"click[{value.lower()}]" for _, values in fields["groups"] for value, link, _ in values}
        links |= {link: f"click[{tab.lower()}]" for tab, link in fields["tabs"]}
        turns = {fields["buy"]: BUY, fields["results"]: PREVIOUS}
    else:
        turns = {fields["item"]: PREVIOUS}
    links |= {link: f"click[{button.lower()}]" for link, button in turns.items()}
    return {link: action for link, action in links.items() if action[6:-1] in session.clickables}


def _frame(images: bool, bar: str) -> dict[str, Any]:
    return {"script": Markup(SCRIPT), "script_hash": _SCRIPT_HASH, "images": images, "bar": bar}


def _fields(session: WebShopSession, page: ShopPage) -> dict[str, Any]:
    keywords, number = session.keywords or [""], str(session.page_number)
    results = ("search_results", session.name, keywords)
    if page.kind == "search_results":
        first = (session.page_number - 1) * PER_PAGE
        products = session.found[max(first, 0) : max(first, 0) + PER_PAGE]
        return {
            "total": len(session.found),
            "number": session.page_number,
            "previous": path(*results, str(session.page_number - 1)),
            "next": path(*results, str(session.page_number + 1)),
            "products": [
                (product, path("item_page", session.name, product.asin, keywords, number, "{}")) for product in products
            ],
        }
    if page.kind in ("item_page", "item_sub_page"):
        product = session.product()
        chosen = json.dumps(session.options)
        item = (session.name, product.asin, keywords, number)
        tabs = [*SUB_PAGES, *(["Attributes"] if session.shop.show_attributes else [])]
        return {
            "product": product,
            "tabs": [(tab, path("item_sub_page", *item, tab, chosen)) for tab in tabs],
            "groups": _groups(session, item),
            "buy": path("done", session.name, product.asin, chosen),
            "results": path(*results, number),
            "item": path("item_page", *item, chosen),
            "texts": [node.text for node in page.nodes[_after_previous(page) :] if node.kind == "text"],
        }
    if page.kind == "done":
        outcome = session.outcome
        reward = outcome.reward if outcome else 0.0
        # options_json has already made < > & and ' harmless; the quotation marks need no escape outside of attributes.
        return {"asin": session.asin, "options": Markup(visible(options_json(session.options))), "reward": repr(reward)}
    return {}


def _after_previous(page: ShopPage) -> int:
    return next((index + 1 for index, node in enumerate(page.nodes) if node.text == PREVIOUS), 0)


def _groups(
    session: WebShopSession, item: tuple[str | Sequence[str], ...]
) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Option names with their values, the page that choosing each leads to, and whether it is chosen."""
    groups = []
    for name, values in session.product().options.items():
        links = [path("item_page", *item, json.dumps({**session.options, name: value})) for value in values]
        chosen = [session.options.get(name) == value for value in values]
        groups.append((name, list(zip(values, links, chosen, strict=True))))
    return groups

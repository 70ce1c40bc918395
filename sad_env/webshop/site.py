"""The shop as a web site on this machine, for people and for browser agents."""

from __future__ import annotations

import hashlib
import http.server
import itertools
import random
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from sad_env.errors import ConfigError
from sad_env.json_lines import parse_json
from sad_env.local_server import RefusingHandler
from sad_env.webshop import pages
from sad_env.webshop.html import path, render_page
from sad_env.webshop.session import Shop, WebShopSession

_LONGEST_FORM = 1 << 16
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class SiteResponse(NamedTuple):
    """What the site answers.

    Attributes:
        status: of HTTP.
        body: an HTML document, or one line of text where something is wrong.
        location: where to go instead, with status 303.
    """

    status: HTTPStatus
    body: str = ""
    location: str = ""


class Site:
    """The shop's pages by URL.

    The URLs are the original's: ``/SESSION``, ``/search_results/SESSION/KEYWORDS/PAGE``,
    ``/item_page/SESSION/ASIN/KEYWORDS/PAGE/OPTIONS``, ``/item_sub_page/SESSION/ASIN/KEYWORDS/PAGE/TAB/OPTIONS`` and
    ``/done/SESSION/ASIN/OPTIONS``, options as a JSON object. Everything a page shows follows from its URL, so the
    site keeps nothing between requests, and visitors cannot disturb one another. A session named ``fixed_N`` has goal
    N; any other name has one of the goals, always the same. ``/`` leads to a new session.

    Args:
        shop: the shop.
        images: show the products' pictures.
        seed: of the names of new sessions, and of which goal a name has.
    """

    def __init__(self, shop: Shop, *, images: bool = False, seed: int = 0) -> None:
        self.shop, self.images, self.seed = shop, images, seed
        self._visits = itertools.count()

    def answer(self, target: str, form: Mapping[str, str] | None = None) -> SiteResponse:
        """The answer to a request.

        Args:
            target: path of the request as it was sent, quoted.
            form: fields of a POST; a "search_query" at a session's first page searches.
        """
        try:
            parts = [part for part in urlsplit(target).path.split("/") if part]
        except ValueError:
            return SiteResponse(HTTPStatus.NOT_FOUND, "no such page: not a path")
        if not parts:
            draw = random.Random(f"{self.seed} {next(self._visits)}")
            return SiteResponse(HTTPStatus.SEE_OTHER, location=path("".join(draw.choices(_LETTERS, k=10))))
        query = (form or {}).get("search_query", "").strip().lower()
        if len(parts) == 1 and query:
            keywords = query.split(" ")
            return SiteResponse(HTTPStatus.SEE_OTHER, location=path("search_results", unquote(parts[0]), keywords, "1"))
        try:
            session = self._visit(parts)
        except (ValueError, LookupError) as error:
            return SiteResponse(HTTPStatus.NOT_FOUND, f"no such page: {type(error).__name__}")
        return SiteResponse(HTTPStatus.OK, render_page(session, images=self.images))

    def _visit(self, parts: list[str]) -> WebShopSession:
        """The session that is on the page of a URL.

        Raises:
            ValueError: a URL of no page.
            LookupError: no such product or goal.
        """
        if len(parts) == 1:
            return self._session(unquote(parts[0]))
        kind, session = parts[0], self._session(unquote(parts[1]))
        if kind == "search_results" and len(parts) == 4:
            self._search(session, parts[2], parts[3])
        elif kind == "item_page" and len(parts) == 6:
            self._open(session, parts[2], parts[5], parts[3:5])
            session.show_item()
        elif kind == "item_sub_page" and len(parts) == 7:
            tab = unquote(parts[5])
            if tab not in (*pages.SUB_PAGES, *([pages.ATTRIBUTES] if self.shop.show_attributes else [])):
                raise ValueError("no such tab")
            self._open(session, parts[2], parts[6], parts[3:5])
            session.show_tab(tab)
        elif kind == "done" and len(parts) == 4:
            self._open(session, parts[2], parts[3], None)
            session.buy()
        else:
            raise ValueError("no such kind of page")
        return session

    def _session(self, name: str) -> WebShopSession:
        goals = self.shop.goals.goals
        if name.startswith("fixed_"):
            number = int(name[len("fixed_") :])
            if not 0 <= number < len(goals):
                raise LookupError("no such goal")
        else:
            digest = hashlib.sha256(f"{self.seed} {name}".encode("utf-8", "surrogatepass")).digest()
            number = int.from_bytes(digest[:8], "big") % len(goals)
        return WebShopSession(self.shop, goals[number], name, random.Random(f"{self.seed} {name}"))

    def _search(self, session: WebShopSession, keywords: str, number: str) -> None:
        if not session.search(" ".join(unquote(word) for word in keywords.split("+"))):
            raise ValueError("a search that breaks down")
        page = int(number)
        if not 1 <= page <= 1_000_000:
            raise ValueError("no such page of results")
        if page > 1:
            session.show_results(page)

    def _open(self, session: WebShopSession, asin: str, options: str, trail: list[str] | None) -> None:
        product = self.shop.catalogue.get(unquote(asin))
        if product is None:
            raise LookupError("no such product")
        if trail is not None:
            session.keywords = [unquote(word) for word in trail[0].split("+")]
            session.page_number = int(trail[1])
        session.asin = product.asin
        chosen = parse_json(unquote(options))
        if not isinstance(chosen, dict):
            raise ValueError("options are a JSON object")
        session.options = {name: value for name, value in chosen.items() if value in product.options.get(name, ())}


class AnsweringSite(Protocol):
    """What a server asks for its pages."""

    def answer(self, target: str, form: Mapping[str, str] | None = None) -> SiteResponse:
        """The answer to a request, see `Site.answer`."""
        ...


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, port: int, site: AnsweringSite) -> None:
        self.site = site
        super().__init__(("127.0.0.1", port), _SiteHandler)


class _SiteHandler(RefusingHandler):
    server: _Server

    def do_GET(self) -> None:  # noqa: N802
        """Pages, and where new visitors go."""
        if reason := self.foreign():
            self.refuse(HTTPStatus.FORBIDDEN, reason)
        else:
            self._send(self.server.site.answer(self.path))

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:  # noqa: N802
        """The search form, and the buttons, which are forms without fields."""
        if reason := self.foreign():
            self.refuse(HTTPStatus.FORBIDDEN, reason)
            return
        body = self.body(_LONGEST_FORM) if "Content-Length" in self.headers else b""
        if body is None:
            return
        try:
            fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
        except ValueError:
            fields = {}
        self._send(self.server.site.answer(self.path, {name: values[0] for name, values in fields.items()}))

    def _send(self, answer: SiteResponse) -> None:
        kind = "text/html" if answer.status is HTTPStatus.OK else "text/plain"
        # With "no-referrer" browsers would send the page's own forms with the Origin "null".
        headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
        headers |= {"Location": answer.location} if answer.location else {}
        body = answer.body.encode("utf-8", "backslashreplace")
        self.reply(answer.status, f"{kind}; charset=utf-8", body, headers)


def server(site: AnsweringSite, port: int) -> http.server.ThreadingHTTPServer:
    """An HTTP server for `site` on this machine only; port 0 takes any free one.

    Raises:
        ConfigError: the port is taken.
    """
    try:
        return _Server(port, site)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot serve on port {port}: {error}; choose another with --port") from None

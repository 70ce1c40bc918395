from __future__ import annotations

import http.client
import random
import shutil
import threading
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from bs4.element import NavigableString, PageElement

from sad_env.errors import ConfigError
from sad_env.webshop.html import render_page
from sad_env.webshop.session import Shop, WebShopSession
from sad_env.webshop.shops import own_options
from sad_env.webshop.site import Site, server

_UNSEEN = {"style", "script", "head", "title", "meta", "[document]"}


def _seen(html: str) -> list[str]:
    """The visible texts of a page, as the original's text environment takes them from HTML."""
    found = []
    for node in BeautifulSoup(html, "html.parser").find_all(string=True):
        parent: PageElement | None = node.parent
        plain = type(node) is NavigableString
        if plain and parent is not None and parent.name not in _UNSEEN and node.strip():  # type: ignore[attr-defined]
            found.append(" ".join(node.split()))
    return found


@pytest.mark.parametrize("which", ["generated", "official"])
def test_a_browser_shows_what_the_text_mode_says(which: str, request: pytest.FixtureRequest) -> None:
    shop: Shop = request.getfixturevalue(which)
    draw = random.Random(5)
    kinds = set()
    for goal in draw.sample(shop.goals.goals, 12):
        session = WebShopSession(shop, goal, "visitor")
        for _ in range(25):
            names = [name for name in session.clickables if name != "search"]
            session.act(f"click[{draw.choice(names)}]" if names else f"search[{goal.query}]")
            kinds.add(session.page.kind)
            expected = [" ".join(node.text.split()) for node in session.page.nodes if node.text.strip()]
            assert _seen(render_page(session)) == expected
    assert kinds == {"", "search_results", "item_page", "item_sub_page", "done"}


def _link(page: str, selector: str, text: str) -> str:
    """Where the element with this text leads: a link, or the form around a button."""
    for element in BeautifulSoup(page, "html.parser").select(selector):
        if element.get_text().strip() == text:
            form = element if element.name == "a" else element.find_parent("form")
            assert form is not None
            return str(form["href"] if element.name == "a" else form["action"])
    raise AssertionError(f"no {text!r} on the page")


def test_a_visitor_can_search_choose_and_buy_by_following_links(generated: Shop) -> None:
    site = Site(generated)
    goal = generated.goals.goals[3]
    product = generated.catalogue.get(goal.asin)
    assert product is not None
    first = site.answer("/fixed_3")
    assert goal.text in BeautifulSoup(first.body, "html.parser").get_text()
    form = BeautifulSoup(first.body, "html.parser").find("form")
    assert form is not None
    sent = site.answer(str(form["action"]), {"search_query": product.title})
    assert sent.status is HTTPStatus.SEE_OTHER
    results = site.answer(sent.location)
    item = site.answer(_link(results.body, "a.product-link", goal.asin))
    for value in own_options(goal).values():
        field = BeautifulSoup(item.body, "html.parser").find("input", {"value": value})
        assert field is not None
        item = site.answer(str(field["data-url"]))
        chosen = [one["value"] for one in BeautifulSoup(item.body, "html.parser").find_all("input", checked=True)]
        assert value in chosen
    tab = site.answer(_link(item.body, "button", "Features"))
    item = site.answer(_link(tab.body, "button", "< Prev"))
    done = site.answer(_link(item.body, "button", "Buy Now"))
    assert "1.0" in _seen(done.body)
    back = site.answer(_link(item.body, "button", "Back to Search"), {})
    assert _seen(back.body) == _seen(first.body)


def test_names_of_elements_are_the_originals(generated: Shop) -> None:
    site = Site(generated)
    search = BeautifulSoup(site.answer("/fixed_0").body, "html.parser")
    assert search.select_one("input#search_input[name=search_query]")
    assert search.select_one("#instruction-text")
    results = BeautifulSoup(site.answer("/search_results/fixed_0/lamps/1").body, "html.parser")
    assert len(results.select("a.product-link")) == 10
    assert results.select_one("button.btn.btn-success")
    item = site.answer(f"/item_page/fixed_0/{generated.goals.goals[0].asin}/lamps/1/%7B%7D").body
    assert BeautifulSoup(item, "html.parser").select_one("button.purchase")


def test_addresses_that_are_none_are_not_found(generated: Shop) -> None:
    asin = generated.goals.goals[0].asin
    for target in (f"/item_page/x/{asin}/k/1/{'[' * 30_000}", "http://[::1/x"):
        assert Site(generated).answer(target).status is HTTPStatus.NOT_FOUND


def test_sessions_have_goals_and_new_visitors_new_sessions(generated: Shop) -> None:
    site = Site(generated)
    one, other = site.answer("/").location, site.answer("/").location
    assert one != other
    assert site.answer(one) == site.answer(one)
    assert site.answer("/fixed_99999999").status is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "target",
    [
        "/fixed_x", "/fixed_-1", "/a/b", "/search_results/s/x/0", "/search_results/s/x/nan",
        "/search_results/s/%3Ca%3E/1",
        "/search_results/s/x/99999999999", "/item_page/s/nothing/x/1/%7B%7D", "/item_page/s/B/x/1/[",
        "/done/s/nothing/%7B%7D", "/%00", "/" + quote("<script>alert(1)</script>"), "//", "/%ff%fe",
        "/done/s/x/" + "[" * 9000,
        "/item_page/s/x/y/1/" + "9" * 5000, "?", "*", "/../../etc/passwd", "http://elsewhere/x",
    ],
)  # fmt: skip
def test_odd_urls_are_answered(target: str, generated: Shop) -> None:
    answer = Site(generated).answer(target)
    assert answer.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.SEE_OTHER)
    assert "<script>alert" not in answer.body


def test_options_that_the_product_has_not_are_not_bought(generated: Shop) -> None:
    site = Site(generated)
    asin = generated.goals.goals[0].asin
    for options in ('{"color": "invented"}', '{"a": {"b": 1}}', '{"color": ["x"]}', "{}"):
        assert "{}" in _seen(site.answer(f"/done/fixed_0/{asin}/{quote(options)}").body)


@pytest.fixture
def address(generated: Shop) -> Iterator[tuple[str, int]]:
    with server(Site(generated), 0) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield "127.0.0.1", running.server_address[1]
        running.shutdown()
        thread.join()


def test_the_server_answers_posts_gets_and_too_long_forms(address: tuple[str, int]) -> None:
    def ask(method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(*address, timeout=10)
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.text = answer.read().decode()  # type: ignore[attr-defined]
        connection.close()
        return answer

    assert ask("GET", "/").getheader("Location", "").startswith("/")
    sent = ask("POST", "/fixed_1", "search_query=red+dress")
    assert (sent.status, sent.getheader("Location")) == (303, "/search_results/fixed_1/red+dress/1")
    page = ask("GET", "/search_results/fixed_1/red+dress/1")
    assert "Total results" in page.text  # type: ignore[attr-defined]
    assert "default-src 'none'" in page.text  # type: ignore[attr-defined]
    assert ask("POST", "/fixed_1", "x" * 70_000).status == 413
    assert ask("GET", "/no/such").status == 404
    assert ask("HEAD", "/fixed_1").status == 200
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for method in ("GET", "POST"):
            connection = http.client.HTTPConnection(*address, timeout=10)
            connection.request(method, "/fixed_1", headers=headers)
            refused = connection.getresponse()
            assert (refused.status, refused.getheader("Connection")) == (403, "close")
            connection.close()
    with pytest.raises(ConfigError, match="cannot serve on port"):
        server(Site.__new__(Site), address[1])


@pytest.mark.browser
def test_a_browser_agent_buys_a_product(address: tuple[str, int], generated: Shop) -> None:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    driver_path = shutil.which("chromedriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not driver_path or not chromium:
        pytest.skip("no Chromium with its driver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver_path))
    driver.implicitly_wait(30)  # a click returns before the next page is there
    try:
        goal = generated.goals.goals[3]
        product = generated.catalogue.get(goal.asin)
        assert product is not None
        driver.get(f"http://{address[0]}:{address[1]}/fixed_3")
        driver.find_element("id", "search_input").send_keys(product.title)
        driver.find_element("css selector", "button[type=submit]").click()
        driver.find_element("link text", goal.asin).click()
        for name, value in own_options(goal).items():
            label = driver.find_element(
                "xpath", f"//input[@name='{name}' and @value='{value}']/following-sibling::label"
            )
            label.click()
            checked = driver.find_element("xpath", f"//input[@name='{name}' and @value='{value}']")
            assert checked.is_selected()
        assert "item_page" in driver.current_url
        driver.find_element("css selector", "button.purchase").click()
        assert "Your score (min 0.0, max 1.0)\n1.0" in driver.find_element("id", "stats").text
    finally:
        driver.quit()

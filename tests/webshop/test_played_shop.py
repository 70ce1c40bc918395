"""A person shops in a browser: every click is an action, and the episode is the one that an agent would have played."""

from __future__ import annotations

import html
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from sad_env.errors import ConfigError
from sad_env.records import read_trajectories
from sad_env.webshop.env import WebShopEnv
from sad_env.webshop.played_shop import NEXT, PlayedShop


@pytest.fixture(scope="module")
def env() -> WebShopEnv:
    return WebShopEnv(view="original")


def click(shop: PlayedShop, target: str, form: dict[str, str] | None = None) -> str:
    """The page after a request, redirects followed."""
    answer = shop.answer(target, form)
    while answer.status is HTTPStatus.SEE_OTHER:
        answer = shop.answer(answer.location)
    assert answer.status is HTTPStatus.OK
    return answer.body


def link(page: str, label: str) -> str:
    """Where a button, a product or an option with this label leads."""
    for pattern in (
        rf'<form method="post" action="([^"]+)"[^>]*><button[^>]*>{re.escape(html.escape(label))}</button>',
        rf'<a href="([^"]+)" class="product-link">{re.escape(label)}</a>',
        rf'value="{re.escape(html.escape(label))}" data-url="([^"]+)"',
    ):
        if found := re.search(pattern, page):
            return html.unescape(found[1])
    raise AssertionError(f"no {label!r} on the page")


def follow(shop: PlayedShop, action: str) -> str:
    """Take an action as a person does."""
    page = shop.answer("/").body
    name, _, argument = action.removesuffix("]").partition("[")
    if name == "search":
        return click(shop, link_of_search(page), {"search_query": argument})
    return click(shop, link(page, argument))


def link_of_search(page: str) -> str:
    (found,) = re.findall(r'<form role="search" method="post" action="([^"]+)"', page)
    return html.unescape(found)


@pytest.mark.parametrize("number", [0, 7, 40])
def test_an_oracles_clicks_win_and_are_recorded_like_an_agents(env: WebShopEnv, tmp_path: Path, number: int) -> None:
    task = env.panel.task_ids[number]
    env.reset(options={"task_id": task})
    plan = env.oracle()
    assert plan is not None
    out = tmp_path / "human.jsonl"
    shop = PlayedShop(env, [task], out, seed=3)
    page = ""
    for action in plan:
        page = follow(shop, action)
    (episode,) = read_trajectories(out)
    assert [step.action.lower() for step in episode.steps] == [action.lower() for action in plan]
    assert (episode.agent, episode.task_id, episode.success, episode.score, episode.seed) == (
        "human",
        task,
        True,
        1.0,
        3,
    )
    assert "Your score" in page
    assert "1 of 1" in page
    assert "MTurk" not in page
    assert "None" not in page
    again = WebShopEnv(view="original")
    observation, _ = again.reset(seed=3, options={"task_id": task})
    assert observation == episode.observation
    for step in episode.steps:
        assert again.step(step.action)[0] == step.observation


def test_tabs_pages_and_buttons_back_are_actions(env: WebShopEnv, tmp_path: Path) -> None:
    shop = PlayedShop(env, env.panel.task_ids[:1], tmp_path / "human.jsonl")
    follow(shop, "search[shirt]")
    follow(shop, "click[Next >]")
    page = follow(shop, "click[< Prev]")
    (first, *_) = re.findall(r'class="product-link">([^<]+)</a>', page)
    follow(shop, f"click[{first}]")
    follow(shop, "click[Description]")
    follow(shop, "click[< Prev]")
    follow(shop, "click[< Prev]")
    page = follow(shop, "click[Back to Search]")
    assert 'role="search"' in page
    taken = ["search[shirt]", "click[next >]", "click[< prev]", f"click[{first.lower()}]", "click[description]"]
    assert [step.action for step in shop._steps] == [*taken, "click[< prev]", "click[< prev]", "click[back to search]"]
    assert all(step.valid for step in shop._steps)


def test_a_link_of_an_older_page_changes_nothing(env: WebShopEnv, tmp_path: Path) -> None:
    shop = PlayedShop(env, env.panel.task_ids[:1], tmp_path / "human.jsonl")
    results = follow(shop, "search[shirt]")
    (first, second, *_) = re.findall(r'class="product-link">([^<]+)</a>', results)
    item = follow(shop, f"click[{first}]")
    assert click(shop, link(results, second)) == item
    assert click(shop, "/no/such/page") == item
    assert len(shop._steps) == 2


def test_the_next_task_is_offered_until_there_is_none(env: WebShopEnv, tmp_path: Path) -> None:
    out = tmp_path / "human.jsonl"
    shop = PlayedShop(env, env.panel.task_ids[:2], out)
    assert env.panel.task_ids[0] in shop.answer("/").body
    click(shop, NEXT)  # a link that is only looked at asks for nothing
    assert env.panel.task_ids[0] in shop.answer("/").body
    page = click(shop, NEXT, {})
    assert env.panel.task_ids[1] in page
    assert not out.exists()
    assert "You have played all tasks." in click(shop, NEXT, {})


def test_the_short_view_and_an_empty_list_are_refused(env: WebShopEnv, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="original view"):
        PlayedShop(WebShopEnv(), ["x"], tmp_path / "a")
    with pytest.raises(ConfigError, match="no task"):
        PlayedShop(env, [], tmp_path / "a")
    with pytest.raises(IsADirectoryError):
        PlayedShop(env, env.panel.task_ids[:1], tmp_path)


def test_a_purchase_that_cannot_be_recorded_says_so_in_its_page(env: WebShopEnv, tmp_path: Path) -> None:
    out = tmp_path / "human.jsonl"
    shop = PlayedShop(env, env.panel.task_ids[:1], out)
    out.mkdir()
    page = follow(shop, "search[shirt]")
    (first, *_) = re.findall(r'class="product-link">([^<]+)</a>', page)
    follow(shop, f"click[{first}]")
    page = follow(shop, "click[Buy Now]")
    assert "Thank you for shopping with us!" in page
    assert "nothing: [Errno" in page

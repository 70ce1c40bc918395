from __future__ import annotations

import copy
import json
import random
import string
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from sad_env.errors import DataError
from sad_env.webshop.env import WebShopEnv
from sad_env.webshop.goals import make_goals
from sad_env.webshop.html import render_page
from sad_env.webshop.nouns import nouns
from sad_env.webshop.official import load_catalogue
from sad_env.webshop.react import ReactSession
from sad_env.webshop.session import Shop, WebShopSession
from sad_env.webshop.shops import open_shop
from sad_env.webshop.store import build_catalogue

ITEM: dict[str, Any] = {
    "asin": "B000000001",
    "name": "Plain Lamp",
    "full_description": "A lamp.",
    "small_description": ["It shines."],
    "pricing": "$9.99",
    "images": ["https://example.org/x.jpg"],
    "customization_options": {"Color": [{"value": "Red/Blue"}, {"value": "green"}], "None": None},
    "product_category": "Home › Lamps",
    "category": "garden",
    "query": " Lamps ",
}
ABOUT = {"attributes": ["bright light"], "instruction": "Find me lamps", "instruction_attributes": ["bright light"]}
SCRIPT = "<script>alert(1)</script>"


def _folder(tmp_path: Path, items: list[Any], about: object = None) -> Path:
    (tmp_path / "items_shuffle.json").write_text(json.dumps(items))
    if about is not None:
        (tmp_path / "items_ins_v2.json").write_text(json.dumps(about))
    return tmp_path


def _item(**changes: object) -> dict[str, Any]:
    return copy.deepcopy(ITEM) | changes


def test_an_entry_is_read_by_the_originals_rules(tmp_path: Path) -> None:
    items = [
        _item(),
        _item(name="the same asin again"),
        _item(asin="nan"),
        _item(asin="B0000000012"),
        _item(asin="B2", pricing="$1,299.00$5$7", small_description="one", customization_options=""),
        _item(asin="B3", pricing=None),
    ]
    catalogue = load_catalogue(_folder(tmp_path, items, {"B000000001": ABOUT}))
    assert [catalogue.at(number).asin for number in range(len(catalogue))] == ["B000000001", "B2", "B3"]
    first, second, third = (catalogue.at(number) for number in range(3))
    assert (first.title, first.options, first.query) == ("Plain Lamp", {"color": ("red | blue", "green")}, "lamps")
    assert (second.price_tag, second.bullets, second.attributes) == ("$1299.0 to $5.0", ("one",), ("DUMMY_ATTR",))
    assert third.price_tag == "$100.0"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"asin": "<b>x</b>"}, "an asin is one to ten letters and digits"),
        ({"asin": 5}, "an asin is one to ten letters and digits"),
        ({"asin": None}, "an asin is one to ten letters and digits"),
        ({"name": None}, "a text was due, not 'None'"),
        ({"pricing": "$NaN"}, "could not convert string to float"),
        ({"pricing": "free"}, "has no \\$"),
        ({"pricing": 9.99}, "a text was due"),
        ({"pricing": "$" + "9" * 400}, "is no price"),
        ({"full_description": "x" * 1_000_001}, "1,000,001 characters; at most 1,000,000"),
        ({"customization_options": {"a": [{"worth": "b"}]}}, "KeyError"),
        ({"customization_options": ["a"]}, "an object or empty"),
        ({"small_description": {"a": 1}}, "a text was due"),
        ({"images": 5}, "TypeError"),
    ],
)
def test_an_entry_that_cannot_be_read_is_refused_in_one_line(
    changes: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        load_catalogue(_folder(tmp_path, [_item(asin="B1"), _item(**changes)]))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "product 1 (" in str(caught.value)


@pytest.mark.parametrize("items", [[5], ["x"], [None], {"a": 1}])
def test_products_that_are_no_objects_are_refused(items: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        load_catalogue(_folder(tmp_path, items))


def test_nan_and_infinity_are_no_json_here(tmp_path: Path) -> None:
    (tmp_path / "items_shuffle.json").write_text(json.dumps([_item(pricing=float("nan"))]))
    with pytest.raises(DataError, match="NaN is no number"):
        load_catalogue(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"instruction": 5},
        {"instruction_attributes": None},
        {"instruction_attributes": ["bright", 5]},
        {"instruction_options": [{"size": "5"}]},
    ],
)
def test_a_damaged_file_of_human_instructions_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    _folder(tmp_path, [_item()], {"B000000001": ABOUT})
    human = {"instruction": "a lamp", "instruction_attributes": ["bright"], "instruction_options": []} | changes
    (tmp_path / "items_human_ins.json").write_text(json.dumps({"B000000001": [human]}))
    with pytest.raises(DataError, match="has no list of instructions"):
        load_catalogue(tmp_path)


def test_a_product_with_an_option_that_has_no_values_has_no_goal_and_takes_its_draw(tmp_path: Path) -> None:
    items = [_item(asin="B1", customization_options={"size": []}), _item(asin="B2")]
    about = {"B1": ABOUT | {"instruction_attributes": ["warm light"]}, "B2": ABOUT}
    empty = make_goals(load_catalogue(_folder(tmp_path, items, about))).goals
    assert [goal.asin for goal in empty] == ["B2", "B2"]
    items[0]["customization_options"] = {}
    whole = make_goals(load_catalogue(_folder(tmp_path, items, about))).goals
    assert {goal.price_limit for goal in whole if goal.asin == "B2"} == {goal.price_limit for goal in empty}


def test_half_a_character_is_read_alike_from_files_and_store(tmp_path: Path) -> None:
    folder = _folder(tmp_path, [_item(name="Lamp \ud800")], {"B000000001": ABOUT, "\ud800": ABOUT})
    store = build_catalogue(folder, tmp_path / "store")
    assert store.at(0) == load_catalogue(folder).at(0)
    assert store.at(0).title == "Lamp ?"


def _hostile_shop(tmp_path: Path) -> Shop:
    evil = f"{SCRIPT}\x1b[2J\x00\u202e&<img src=x onerror=y>\"'"
    item = _item(
        name=evil,
        full_description=evil,
        small_description=[evil],
        images=['javascript:alert(1)" onerror="x'],
        customization_options={evil: [{"value": evil}], 'a"b': [{"value": "plain"}]},
        category=evil,
        query=evil,
        product_category=evil,
    )
    about = {"attributes": [evil], "instruction": evil, "instruction_attributes": [evil]}
    return open_shop(str(_folder(tmp_path, [item], {"B000000001": about})))[1]


def test_markup_and_controls_of_a_catalogue_never_reach_a_browser_raw(tmp_path: Path) -> None:
    shop = _hostile_shop(tmp_path)
    session = WebShopSession(shop, shop.goals.goals[0], f"{SCRIPT}\x1b")
    seen = [render_page(session, images=True)]
    for action in ("search[alert]", "click[b000000001]", "click[plain]", "click[features]", "click[< prev]"):
        session.act(action)
        seen.append(render_page(session, images=True))
    for value in list(session.clickables):
        if value.startswith("<script"):
            session.act(f"click[{value}]")
    session.buy()
    seen.append(render_page(session, images=True))
    for page in seen:
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert 'onerror="' not in page
        assert not set(page) & {"\x1b", "\x00", "\u202e"}
    assert "&lt;script&gt;alert(1)" in seen[1]


def test_both_views_play_a_hostile_catalogue(tmp_path: Path) -> None:
    folder = _hostile_shop(tmp_path) and str(tmp_path)
    for view in ("react", "original"):
        env = WebShopEnv(data=folder, split="all", view=view)  # type: ignore[arg-type]
        env.reset(seed=0)
        for action in ("search[alert]", "click[B000000001]", "click[plain]", "click[Buy Now]"):
            result = env.step(action)
        assert result[2] is True


@hypothesis.given(strategies.text(max_size=300))
def test_nouns_of_any_name_can_be_told(name: str) -> None:
    assert all(isinstance(word, str) and word for word in nouns(name))


# --- fuzz -------------------------------------------------------------------------------------------------------


def _actions(draw: random.Random, session: WebShopSession | ReactSession, count: int) -> list[str]:
    """Arbitrary strings, half of them near to what can be done on the page."""
    page = list(session.clickables) if isinstance(session, WebShopSession) else session.possible()
    words = [
        *page,
        "search_results",
        "item_page",
        "item_sub_page",
        "done",
        "<r>",
        "<a> x",
        "<c>",
        "<c> garden",
        "<q> x",
        "",
    ]
    alphabet = string.printable + "é💥\u202e\ud800[]<>/'\""
    made = []
    for _ in range(count):
        noise = "".join(draw.choices(alphabet, k=draw.randint(0, 30)))
        word = draw.choice(words)
        made.append(
            draw.choice(
                (noise, f"click[{word}]", f"search[{word}]", f"search[{noise}]", f"click[{noise}]", f"{noise}[{word}]")
            )
        )
    return made


def _fuzz(shop: Shop, count: int, seed: int) -> None:
    draw = random.Random(seed)
    goals = shop.goals.goals
    before = [shop.catalogue.at(number) for number in range(20)]
    sessions: list[WebShopSession | ReactSession] = [
        WebShopSession(shop, goals[0], "a"),
        WebShopSession(shop, goals[1], "b"),
    ]
    sessions += [ReactSession(shop, goals[2]), ReactSession(shop, goals[3])]
    untouched = WebShopSession(shop, goals[4], "watched")
    snapshot = (untouched.text(), untouched.rich_text(), untouched.url)
    while count > 0:
        session = draw.choice(sessions)
        for action in _actions(draw, session, 10):
            count -= 1
            result = session.act(action)
            assert 0.0 <= result.reward <= 1.0
            text = session.text() + session.rich_text() if isinstance(session, WebShopSession) else session.observation
            assert isinstance(text, str)
            if isinstance(session, ReactSession) and result.done:
                session.__post_init__()
    assert (untouched.text(), untouched.rich_text(), untouched.url) == snapshot
    assert [shop.catalogue.at(number) for number in range(20)] == before
    assert {session.goal for session in sessions} == set(goals[:4])


def test_arbitrary_actions_never_raise_and_never_touch_another_session(generated: Shop) -> None:
    _fuzz(generated, 6_000, seed=1)


@pytest.mark.slow
def test_a_hundred_thousand_arbitrary_actions_never_raise(generated: Shop, official: Shop) -> None:
    _fuzz(generated, 50_000, seed=2)
    _fuzz(official, 50_000, seed=3)

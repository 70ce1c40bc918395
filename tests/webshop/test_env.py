from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import sad_env
from sad_env.checks import check_world
from sad_env.errors import ConfigError, DataError, UnknownNameError
from sad_env.webshop import pages
from sad_env.webshop.env import WebShopEnv
from sad_env.webshop.products import Product
from sad_env.webshop.react import INVALID, ReactSession
from sad_env.webshop.session import Shop, WebShopSession, parse_action
from sad_env.webshop.shops import SHOPS_SPLIT, make_panel, open_shop, task_number


@pytest.mark.parametrize(
    "options",
    [{}, {"view": "original"}, {"view": "original", "observation_mode": "text_rich", "strict": True}],
    ids=["react", "original", "strict"],
)
def test_the_world_keeps_the_contract(options: dict[str, object]) -> None:
    check_world(lambda: sad_env.make("webshop", **options))


def test_the_contract_holds_on_the_official_products_and_for_human_goals(official_folder: Path) -> None:
    check_world(lambda: WebShopEnv(data=str(official_folder), view="original"))
    check_world(lambda: WebShopEnv(goals="human"))


@pytest.mark.parametrize("view", ["react", "original"])
def test_the_oracle_earns_the_whole_reward_in_every_generated_test_task(view: str) -> None:
    env = sad_env.make("webshop", view=view)
    for task in env.panel.head(200).task_ids:
        env.reset(options={"task_id": task})
        plan = env.oracle()
        assert plan is not None
        for action in plan:
            _, reward, done, _, info = env.step(action)
        assert (reward, done, info["success"]) == (1.0, True, True)


def test_no_product_is_in_two_splits_and_the_original_splits_share_most(official: Shop) -> None:
    panels = {split: make_panel("given", official, split) for split in ("train", "eval", "test")}
    products = {split: {task.partition("-")[2] for task in panel.task_ids} for split, panel in panels.items()}
    assert sum(len(panel.task_ids) for panel in panels.values()) == len(official.goals.goals) == 6910
    assert not products["train"] & products["test"]
    assert not products["train"] & products["eval"]
    assert not products["eval"] & products["test"]
    by_index = {split: make_panel("given", official, f"index-{split}") for split in ("test", "eval", "train")}
    assert [len(panel.task_ids) for panel in by_index.values()] == [500, 1000, 5410]
    assert {task_number(task) for task in by_index["test"].task_ids} == set(range(500))
    train = {task.partition("-")[2] for task in by_index["train"].task_ids}
    shared = sum(task.partition("-")[2] in train for task in by_index["test"].task_ids) / 500
    assert shared == pytest.approx(0.958, abs=0.01)


def test_training_shops_share_no_product_with_one_another_or_with_the_shop_of_the_other_splits() -> None:
    env = WebShopEnv(split=SHOPS_SPLIT)
    assert len(env.panel.task_ids) == 10_000
    catalogues = [open_shop("generated")[1].catalogue]
    for shop in (0, 1, 49):
        for goal in (0, 199):
            env.reset(options={"task_id": f"shop{shop:02d}-{goal:06d}"})
            plan = env.oracle()
            assert plan is not None
            for action in plan:
                *_, info = env.step(action)
            assert info["success"]
        catalogues.append(env.shop.catalogue)
    products = [catalogue.at(number).asin for catalogue in catalogues for number in range(len(catalogue))]
    assert len(set(products)) == len(products) == 4_000


def test_training_shops_are_generated_ones(official_folder: Path) -> None:
    for options in ({"data": str(official_folder)}, {"goals": "human"}):
        with pytest.raises(ConfigError, match=r"train_shops.*try 'train'"):
            WebShopEnv(split=SHOPS_SPLIT, **options)  # type: ignore[arg-type]


def test_a_panels_description_states_what_can_be_attained(official: Shop) -> None:
    description = make_panel("given", official, "all").description
    assert "6910 goals of 415 products" in description
    assert "reward 1.0 in 93.4% of them, mean 0.9896" in description


def test_actions_are_taken_apart_as_the_original_does() -> None:
    cases = {
        "search[shoes] now": ("search", "shoes"),
        "a[b]c[d]": ("a[b]c", "d"),
        "click[a[b]]": ("click[a", "b]"),
        "  search[x]": ("  search", "x"),
        "search[]": ("search[]", ""),
        "search": ("search", ""),
        "x\nsearch[y]": ("x\nsearch[y]", ""),
        "click[Buy Now]": ("click", "buy now"),
    }
    assert {action: parse_action(action) for action in cases} == cases


def test_strict_answers_what_the_original_lets_pass(generated: Shop) -> None:
    lenient = WebShopEnv(view="original")
    strict = WebShopEnv(view="original", strict=True)
    for env in (lenient, strict):
        env.reset(seed=1)
        env.step("search[shoes]")
    before = lenient.step("nonsense")
    assert before[4]["valid_action"] is False
    assert "Total results" in before[0]
    for action in ("search[boots]", "search[boots] please", "click[next >] now", "click[]", "nonsense"):
        observation, reward, done, _, info = strict.step(action)
        assert observation.startswith("Invalid action. Possible here: click[back to search], click[next >]")
        assert (reward, done, info["valid_action"]) == (0.0, False, False)
    assert strict.step("click[Next >]")[4]["valid_action"] is True
    assert lenient.step("search[boots] please")[4]["valid_action"] is True


def test_observation_modes_show_the_same_page() -> None:
    def observe(mode: str) -> str:
        env = WebShopEnv(view="original", observation_mode=mode)  # type: ignore[arg-type]
        env.reset(seed=3)
        return env.step("search[red dress]")[0]

    assert observe("text").startswith("Instruction: [SEP] ")
    assert "[button] Back to Search [button_]" in observe("text_rich")
    assert observe("html").startswith("<!DOCTYPE html>")
    assert re.fullmatch(r"http://127\.0\.0\.1:3000/search_results/\d+/red\+dress/1", observe("url"))


def test_attributes_are_shown_only_where_asked_for() -> None:
    for show in (False, True):
        env = WebShopEnv(show_attributes=show, seed=5)
        env.reset(seed=0)
        plan = env.oracle()
        assert plan is not None
        for action in plan[:2]:
            info = env.step(action)[4]
        assert ("click[Attributes]" in info["admissible_actions"]) is show


def test_two_environments_share_no_state() -> None:
    one, other = WebShopEnv(), WebShopEnv()
    task = one.panel.task_ids[0]
    one.reset(options={"task_id": task})
    other.reset(options={"task_id": task})
    plan = one.oracle()
    assert plan is not None
    for action in plan:
        other.step("search[something else]")
        result = one.step(action)
    assert result[1] == 1.0


def test_reward_parts_come_with_the_purchase_only(generated: Shop) -> None:
    env = WebShopEnv()
    _, info = env.reset(seed=2)
    plan = env.oracle()
    assert plan is not None
    for action in plan:
        assert "reward_parts" not in info
        info = env.step(action)[4]
    assert info["reward_parts"]["r_att"] == 1.0


def test_a_value_under_two_option_names_belongs_to_the_last(official: Shop) -> None:
    session = WebShopSession(official, official.goals.goals[0], "0")
    session.search("hair towel wrap")
    product = official.catalogue.get("B08G14B779")
    assert product is not None
    both = [name for name, values in product.options.items() if "26 inch x 10 inch" in values]
    session.asin = product.asin
    session.show_item()
    session.act("click[26 inch x 10 inch]")
    assert session.options == {both[-1]: "26 inch x 10 inch"}


def test_reacts_environment_shows_a_page_again_where_a_click_names_nothing(generated: Shop) -> None:
    goal = generated.goals.goals[0]
    session = ReactSession(generated, goal)
    first = session.observation
    for action in ("click[foo]", "click[Search]"):
        assert not session.act(action).understood
        assert session.observation == first
    assert not session.act("click[Buy Now]").understood
    assert session.observation == INVALID
    session.act(f"search[{goal.query}]")
    session.act("click[foo]")
    assert session.observation == INVALID
    session.act(f"click[{session.possible()[1]}]")
    session.act("click[Description]")
    tab = session.observation
    session.act("click[foo]")
    assert session.observation == tab
    session.act("click[Features]")
    assert session.observation == INVALID


def test_in_reacts_environment_a_product_without_options_takes_those_of_the_one_before(official: Shop) -> None:
    def found(query: str) -> tuple[Product | None, Product | None]:
        shown = official.catalogue.ranked(query)[: pages.PER_PAGE]
        return next((one for one in shown if one.options), None), next((one for one in shown if not one.options), None)

    goal = next(goal for goal in official.goals.goals if all(found(goal.query)))
    with_options, without = found(goal.query)
    assert with_options
    assert without
    value = next(value for values in with_options.options.values() for value in values)
    session = ReactSession(official, goal)
    for action in (f"search[{goal.query}]", f"click[{with_options.asin}]", "click[< Prev]", f"click[{without.asin}]"):
        assert session.act(action).understood
    assert f"click[{value}]" not in session.possible()
    assert session.act(f"click[{value}]").understood
    assert session.observation == f"You have clicked {value}."
    # A new search forgets them.
    for action in ("click[Back to Search]", f"search[{goal.query}]", f"click[{without.asin}]"):
        session.act(action)
    assert not session.act(f"click[{value}]").understood


def test_results_of_the_original_view_forget_product_and_options(official: Shop) -> None:
    # The query makes "< Prev" on an item's page pass for that of a results page.
    goal = next(
        goal
        for goal in official.goals.goals
        if any(one.options for one in official.catalogue.ranked(f"search_results {goal.query}")[:10])
    )
    session = WebShopSession(official, goal, "0")
    session.act(f"search[search_results {goal.query}]")
    product = next(one for one in session.found[:10] if one.options)
    value = next(value for values in product.options.values() for value in values)
    session.act(f"click[{product.asin}]")
    session.act(f"click[{value}]")
    assert value in session.options.values()
    session.act("click[< Prev]")
    assert (session.page.kind, session.asin, session.options) == ("search_results", None, {})


def test_the_original_view_draws_goals_by_the_originals_weights(official_folder: Path) -> None:
    env = WebShopEnv(data=str(official_folder), split="all", view="original")
    goals = env.shop.goals.goals
    total = sum(goal.weight for goal in goals)
    asin, count = Counter(goal.asin for goal in goals).most_common(1)[0]
    expected = sum(goal.weight for goal in goals if goal.asin == asin) / total
    assert expected < 0.2 * count / len(goals)
    env.reset(seed=0)
    drawn = sum(task_id.endswith(asin) for task_id in (env._draw_task() for _ in range(4000))) / 4000
    assert abs(drawn - expected) < 4 * (expected / 4000) ** 0.5


def test_wrong_settings_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no view of webshop 'flask'; known: original, react"):
        WebShopEnv(view="flask")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="no split of webshop 'tests': did you mean 'test'"):
        WebShopEnv(split="tests")
    with pytest.raises(UnknownNameError, match="no kind of goals 'humans': did you mean 'human'"):
        WebShopEnv(goals="humans")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="belong to view='original'"):
        WebShopEnv(strict=True)
    with pytest.raises(DataError, match="holds no items_shuffle"):
        WebShopEnv(data=str(tmp_path))
    with pytest.raises(ConfigError, match="call reset"):
        _ = WebShopEnv().goal

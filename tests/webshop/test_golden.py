from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sad_env.webshop.env import WebShopEnv
from sad_env.webshop.goals import GoalSet
from sad_env.webshop.nouns import nouns
from sad_env.webshop.react import ReactSession
from sad_env.webshop.reward import COLORS, judge
from sad_env.webshop.session import Result, Shop, WebShopSession
from sad_env.webshop.shops import open_shop, task_id

Golden = Callable[[str], Iterator[Any]]


def _shops(folder: Path) -> dict[str, Shop]:
    synthetic = open_shop(str(folder))[1]
    return {
        "synthetic": synthetic,
        "human": open_shop(str(folder), goals="human")[1],
        "synthetic+show_attrs": replace(synthetic, show_attributes=True),
    }


def test_every_recorded_episode_of_the_original_is_replayed_to_the_character(
    golden: Golden, official_folder: Path
) -> None:
    shops = _shops(official_folder)
    steps = 0
    for episode in golden("webshop_golden.jsonl.gz"):
        shop = shops[episode["goals"]]
        goal = shop.goals.goals[episode["goal_index"]]
        session = WebShopSession(shop, goal, episode["session"])
        for recorded in episode["steps"]:
            action = recorded["action"]
            result = Result(0.0, False, True) if action is None else session.act(action)
            steps += 1
            if episode["kind"] == "special_random_search" and action is not None:
                # The original drew these products from a generator whose state was not recorded.
                assert recorded["obs_text"].count(" [SEP] ") == session.text().count(" [SEP] ")
                continue
            assert session.text() == recorded["obs_text"]
            assert session.rich_text() == recorded["obs_text_rich"]
            assert list(session.clickables) == recorded["available"]["clickables"]
            assert session.page.has_search_bar == recorded["available"]["has_search_bar"]
            assert (result.reward, result.done) == (recorded["reward"], recorded["done"])
            assert session.url == recorded["url"]
            if "reward_info" in recorded:
                assert session.outcome is not None
                assert session.outcome.parts == recorded["reward_info"]
    assert steps == 3180


def test_every_recorded_episode_of_reacts_loop_is_replayed_to_the_character(golden: Golden, official: Shop) -> None:
    episodes = 0
    for episode in golden("webshop_react.jsonl.gz"):
        session = ReactSession(official, official.goals.goals[episode["goal_index"]])
        drawn = any(step["action"] == "search[<r>]" for step in episode["steps"])
        episodes += 1
        for recorded in episode["steps"]:
            result = Result(0.0, False, True) if recorded["action"] == "reset" else session.act(recorded["action"])
            if drawn and recorded["action"] != "reset":
                continue  # random products, as above
            assert session.observation == recorded["observation"]
            assert (result.reward, result.done) == (recorded["reward"] or 0.0, recorded["done"])
            assert result.understood == ("raises" not in recorded)
    assert episodes == 52


def test_goals_and_prices_are_those_of_the_original_after_seed_233(
    golden: Golden, external_path: Callable[[str], Path], official_folder: Path
) -> None:
    shops = _shops(official_folder)
    for name, kind in (("webshop_goals.jsonl.gz", "synthetic"), ("webshop_goals_human.jsonl.gz", "human")):
        for mine, recorded in zip(shops[kind].goals.goals, golden(name), strict=True):
            options = recorded["goal_options"]
            assert mine.asin == recorded["asin"]
            assert mine.title == recorded["name"]
            assert mine.query == recorded["query"]
            assert mine.product_category == recorded["product_category"]
            assert mine.text == recorded["instruction_text"]
            assert list(mine.attributes) == recorded["attributes"]
            assert mine.options == tuple(options.items() if isinstance(options, dict) else options)
            assert mine.price_limit == recorded["price_upper"]
            assert mine.weight == recorded["weight"]
    prices = json.loads(external_path("golden/webshop_prices.json").read_text())
    shop = shops["synthetic"]
    products = [shop.catalogue.at(number) for number in range(len(shop.catalogue))]
    assert {product.asin: shop.goals.price(product) for product in products} == prices


def test_every_recorded_reward_has_the_same_parts(golden: Golden, official: Shop) -> None:
    def check(recorded: dict[str, Any], asin: str, options: dict[str, str]) -> None:
        product = official.catalogue.get(asin)
        assert product is not None
        goal = official.goals.goals[recorded["goal_index"]]
        outcome = judge(product, official.goals.price(product), options, goal)
        assert (outcome.reward, outcome.parts) == (recorded["reward"], recorded["info"])

    for recorded in golden("webshop_rewards.jsonl.gz"):
        check(recorded, recorded["asin"], recorded["options"])
    for recorded in golden("webshop_own_product_reward.jsonl.gz"):
        goal = official.goals.goals[recorded["goal_index"]]
        check(recorded, goal.asin, dict(goal.options))  # type: ignore[arg-type]


def test_the_noun_table_gives_the_taggers_nouns_of_every_official_name(
    external_path: Callable[[str], Path], official: Shop
) -> None:
    recorded = json.loads(external_path("golden/webshop_nouns.json").read_text())["nouns"]
    products = [official.catalogue.at(number) for number in range(len(official.catalogue))]
    assert {product.asin: list(nouns(product.title)) for product in products} == recorded
    assert list(COLORS) == json.loads(external_path("golden/webshop_colors.json").read_text())["colors"]


def test_earlier_observations_and_actions_stand_before_the_present_one(golden: Golden, official_folder: Path) -> None:
    for variant in golden("webshop_history.jsonl.gz"):
        env = WebShopEnv(
            data=str(official_folder),
            split="all",
            view="original",
            num_prev_obs=variant["num_prev_obs"],
            num_prev_actions=variant["num_prev_actions"],
        )
        number = variant["goal_index"]
        states = [env.reset(options={"task_id": task_id(number, env.shop.goals.goals[number])})[0]]
        states += [env.step(action)[0] for action in variant["actions"]]
        assert states == variant["states"]


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_replay_holds_after_a_second_start_with_another_hash_seed(hash_seed: str, official_folder: Path) -> None:
    tests = [f"{__file__}::{test}" for test in globals() if test.startswith("test_") and "second_start" not in test]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "7 passed" in done.stdout


def test_other_seeds_give_other_prices_and_the_same_ones_again(official_folder: Path) -> None:
    def goals(seed: int) -> GoalSet:
        return open_shop(str(official_folder), seed=seed)[1].goals

    assert goals(1).goals == goals(1).goals
    assert goals(1).drawn.tolist() == goals(1).drawn.tolist() != goals(2).drawn.tolist()

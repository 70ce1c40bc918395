from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path

import pytest

from sad_env.errors import ConfigError
from sad_env.webshop.data import DATA
from sad_env.webshop.generator import SIZE, entries, write_files
from sad_env.webshop.goals import make_goals
from sad_env.webshop.official import load_catalogue
from sad_env.webshop.reward import matches_itself
from sad_env.webshop.session import Shop
from sad_env.webshop.shops import make_panel, open_shop, own_reward
from sad_env.webshop.vocabulary import OPTIONS


def test_every_generated_goals_own_product_reaches_the_whole_reward() -> None:
    for kind in ("synthetic", "human"):
        for seed in (233, 7):
            shop = open_shop("generated", goals=kind, seed=seed)[1]  # type: ignore[arg-type]
            assert len(shop.goals.goals) > 90
            assert all(own_reward(shop, goal) == 1.0 for goal in shop.goals.goals)


def test_a_seed_decides_the_shop_and_a_larger_shop_begins_with_the_smaller(tmp_path: Path) -> None:
    write_files(tmp_path / "one", 120, seed=4)
    write_files(tmp_path / "two", 120, seed=4)
    write_files(tmp_path / "large", 200, seed=4)
    write_files(tmp_path / "other", 120, seed=5)
    texts = {name: (tmp_path / name / "items_shuffle.json").read_text() for name in ("one", "two", "large", "other")}
    assert texts["one"] == texts["two"] != texts["other"]
    assert json.loads(texts["large"])[:120] == json.loads(texts["one"])


def test_the_written_files_give_the_shop_in_memory(tmp_path: Path) -> None:
    write_files(tmp_path, SIZE, seed=233)
    memory = open_shop("generated")[1].catalogue
    read = load_catalogue(tmp_path)
    assert [read.at(number) for number in range(SIZE)] == [memory.at(number) for number in range(SIZE)]
    assert read.human == memory.human


def test_the_shop_has_families_distractors_misspellings_options_and_prices_of_all_kinds(generated: Shop) -> None:
    products = [generated.catalogue.at(number) for number in range(SIZE)]
    assert len({product.asin for product in products}) == SIZE
    assert {product.category for product in products} >= {"fashion", "garden", "electronics", "beauty", "grocery"}
    families = [list(group) for _, group in itertools.groupby(sorted(p.title.split()[0] + p.query for p in products))]
    assert sum(len(family) > 2 for family in families) > 50
    assert sum("see also" in product.description for product in products) > 50
    assert sum(len(product.prices) == 2 for product in products) > 80
    assert sum(product.price_tag == "$100.0" for product in products) > 50
    assert sum(len(product.options) == 2 for product in products) > 300


def test_no_option_of_the_vocabulary_hides_a_colour_word() -> None:
    assert all(matches_itself(value) for _, values in OPTIONS.values() for value in values)
    assert not matches_itself("rectangular")


def test_asins_are_unique_far_beyond_any_shop() -> None:
    some = [entry.item["asin"] for entry in itertools.islice(entries(0), 5_000)]
    assert len(set(some)) == 5_000


@pytest.mark.parametrize("count", [1, 20, 150])
def test_generating_names_the_splits_that_have_goals(count: int, tmp_path: Path) -> None:
    said = DATA.generate(tmp_path, count=count, seed=0, split="train", progress=lambda *_: None)
    made = make_goals(load_catalogue(tmp_path))
    shop, there = Shop(load_catalogue(tmp_path), made), list[str]()
    for split in ("train", "eval", "test"):
        with contextlib.suppress(ConfigError):
            there.append(make_panel("given", shop, split).name)
    assert said.endswith(f"; splits that have goals: {', '.join(there) or 'none'}")


def test_the_data_interface_generates_builds_and_verifies(tmp_path: Path) -> None:
    seen: list[str] = []
    said = DATA.generate(
        tmp_path / "files", count=150, seed=0, split="train", progress=lambda what, done, total: seen.append(what)
    )
    assert "150 products" in said
    assert "150 products in" in DATA.build(tmp_path / "files", tmp_path / "store", progress=lambda *_: None)
    for folder in ("files", "store"):
        found = DATA.verify(tmp_path / folder, progress=lambda *_: None)
        assert found[0] == "150 products, all readable"
        assert found[1].endswith("their own products reach reward 1.0 in 100.0%")
    assert seen

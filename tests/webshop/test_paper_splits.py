"""Splits of the paper's sizes, and a cold start on types of product that training does not hold."""

from __future__ import annotations

import pytest

import sad_env
from sad_env.errors import ConfigError
from sad_env.webshop import shops
from sad_env.webshop.shops import PAPER_SPLITS, TYPE_SPLITS, make_panel, open_shop, task_number


def test_a_cold_start_knows_no_type_of_product_of_its_training() -> None:
    _, shop = open_shop("generated")
    panels = {split: make_panel("generated", shop, split) for split in (*TYPE_SPLITS, "all")}
    types = {
        split: {shop.goals.goals[task_number(task)].query for task in panel.task_ids} for split, panel in panels.items()
    }
    assert not types["cold-start"] & types["cold-start-train"]
    assert types["cold-start"] | types["cold-start-train"] == types["all"]
    assert len(types["cold-start"]) >= 5
    sizes = [len(panels[split].task_ids) for split in TYPE_SPLITS]
    assert sum(sizes) == len(panels["all"].task_ids)
    assert sad_env.make("webshop", split="cold-start").panel == panels["cold-start"]


def test_the_papers_splits_are_of_its_sizes_and_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [part.stop - (part.start or 0) for part in PAPER_SPLITS.values()] == [8000, 2000, 2000]
    _, shop = open_shop("generated")
    with pytest.raises(ConfigError, match="is of 12,000 goals; these data have 2,884"):
        make_panel("generated", shop, "paper-test")
    monkeypatch.setattr(shops, "_PAPER_GOALS", 1200)
    for name, part in PAPER_SPLITS.items():
        monkeypatch.setitem(PAPER_SPLITS, name, slice((part.start or 0) // 10, part.stop // 10))
    found = [set(make_panel("generated", shop, split).task_ids) for split in PAPER_SPLITS]
    assert [len(one) for one in found] == [800, 200, 200]
    assert len(set.union(*found)) == 1200

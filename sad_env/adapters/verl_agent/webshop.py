"""WebShop as verl-agent has it: groups of episodes on one goal, all in this process."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sad_env.adapters.verl_agent.groups import WON, Groups
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.webshop.goals import GoalKind, ShoppingGoal, make_goals
from sad_env.webshop.official import find_files
from sad_env.webshop.session import Shop, WebShopSession
from sad_env.webshop.shops import INDEX_SPLITS, open_shop

_TEST_GOALS = INDEX_SPLITS["index-test"].stop
_OPTIONS = (
    "data",
    "file_path",
    "attr_path",
    "human_goals",
    "num_products",
    "observation_mode",
    "show_attrs",
    "goal_seed",
)
_KEPT_SHOPS = 64


class _Shopper:
    """One episode; after a purchase a new shopper with the same goal is at the door."""

    def __init__(self, shop: Shop, goal: ShoppingGoal, name: str, *, rich: bool) -> None:
        self._shop, self._goal, self._name, self._rich = shop, goal, name, rich
        self._enter()
        self.text = self._look()

    def _enter(self) -> None:
        self._session = WebShopSession(self._shop, self._goal, self._name, random.Random(self._name))

    def _look(self) -> str:
        return self._session.rich_text() if self._rich else self._session.text()

    def step(self, action: str) -> tuple[float, bool]:
        """Take an action; the original's reward, and whether something was bought."""
        result = self._session.act(action)
        self.text = self._look()
        if result.done:
            self._enter()
        return result.reward, result.done

    def available(self) -> dict[str, Any]:
        """What can be done now."""
        return {"has_search_bar": self._session.page.has_search_bar, "clickables": list(self._session.clickables)}


class VerlWebShopEnvs(Groups[_Shopper]):
    """What `build_webshop_envs` gives; its arguments are explained there."""

    def __init__(
        self,
        shop: Shop,
        kind: GoalKind,
        seed: int,
        env_num: int,
        group_n: int,
        *,
        is_train: bool,
        goal_seed: int | None,
        rich: bool,
    ) -> None:
        super().__init__(env_num, group_n)
        self.is_train, self._rich = is_train, rich
        self._draw = np.random.RandomState(seed)
        self._seeds = [seed + group if goal_seed is None else goal_seed for group in range(env_num)]
        self._shop_of = functools.lru_cache(maxsize=_KEPT_SHOPS)(functools.partial(_reshuffled, shop, kind))
        count = len(shop.goals.goals)
        self.goal_idxs = range(_TEST_GOALS, count) if is_train else range(min(_TEST_GOALS, count))
        if len(self.goal_idxs) < env_num:
            raise ConfigError(
                f"{env_num} groups need as many goals; of {count} there are {len(self.goal_idxs)} to draw"
            )

    def reset(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Draw a goal for each group; texts and infos."""
        numbers = self._draw.choice(self.goal_idxs, size=self.env_num, replace=False)
        self._episodes = []
        for number, seed in zip(numbers.tolist(), self._seeds, strict=True):
            shop = self._shop_of(seed)
            goal = shop.goals.goals[number]
            self._episodes += [_Shopper(shop, goal, str(number), rich=self._rich) for _ in range(self.group_n)]
        infos = [{"available_actions": one.available(), "won": False} for one in self._episodes]
        return [one.text for one in self._episodes], infos

    def step(self, actions: Sequence[str]) -> tuple[list[str], list[float], list[bool], list[dict[str, Any]]]:
        """Take one action in each episode.

        Returns:
            Texts, rewards (10 for a purchase of score 1, else 0), dones, infos.

        Raises:
            ResetNeededError: before the first reset.
            ConfigError: not one action for each episode.
        """
        rewards, dones, infos = [], [], []
        for shopper, action in self._paired(actions):
            score, done = shopper.step(action)
            won = done and score == 1.0
            rewards.append(WON if won else 0.0)
            dones.append(done)
            infos.append({"available_actions": shopper.available(), "task_score": score, "won": won})
        return [one.text for one in self._episodes], rewards, dones, infos


def build_webshop_envs(
    seed: int,
    env_num: int,
    group_n: int,
    resources_per_worker: object = None,
    is_train: bool = True,
    env_kwargs: Mapping[str, Any] | None = None,
) -> VerlWebShopEnvs:
    """The groups of verl-agent (arXiv 2505.10978): `env_num` goals at a time, `group_n` episodes of each.

    Draws, texts, clickables, rewards and ends are those of its workers around the original. Each of its workers
    shuffles the goals, and draws prices, with a seed of its own, `seed` plus the number of its group: the goals that
    one group is tested on are others' training goals. That is the default here, too; "goal_seed" ends it. After a
    purchase its workers begin at a random goal, which nothing reads; ours begin at the same goal again.

    Args:
        seed: of the draws.
        env_num: groups.
        group_n: episodes of a group; 1 in tests.
        resources_per_worker: taken and not used: there are no workers.
        is_train: goals from the 501st on, else the first 500.
        env_kwargs: "file_path" (the products; the other files lie beside it) or, instead, "data" (generated, official,
            official:PACK or a folder); "human_goals"; "observation_mode" (text or text_rich); "show_attrs";
            "goal_seed": one order of goals for all groups: 233 has that of the original, with its test goals apart.
            "attr_path" is taken and not used; "num_products" has to be what the data have.

    Raises:
        ConfigError: settings that nobody would follow here; fewer goals than groups.
        DataError: no products.
        UnknownNameError: an entry of `env_kwargs` that is not known.
    """
    options = dict(env_kwargs or {})
    options.pop("seed", None)  # the original writes it in there
    for name in options:
        if name not in _OPTIONS:
            raise UnknownNameError("entry of env_kwargs", str(name), _OPTIONS)
    if group_n > 1 and not is_train:
        raise ConfigError(f"group_n is 1 in tests, where nothing compares the episodes of a group; not {group_n}")
    mode = options.get("observation_mode", "text")
    if mode not in ("text", "text_rich"):
        raise UnknownNameError("observation mode of this WebShop", str(mode), ["text", "text_rich"])
    kind: GoalKind = "human" if options.get("human_goals") else "synthetic"
    _, shop = open_shop(_data(options), goals=kind, show_attributes=bool(options.get("show_attrs")))
    if (products := options.get("num_products")) not in (None, len(shop.catalogue)):
        raise ConfigError(f"num_products {products!r}: the data decide it, which have {len(shop.catalogue)}")
    return VerlWebShopEnvs(
        shop,
        kind,
        seed,
        env_num,
        group_n,
        is_train=is_train,
        goal_seed=options.get("goal_seed"),
        rich=mode == "text_rich",
    )


def _data(options: Mapping[str, Any]) -> str:
    """The world's `data` argument."""
    if data := options.get("data"):
        return str(data)
    if not (named := options.get("file_path")):
        raise ConfigError("give env_kwargs 'data' (generated, official or a folder) or 'file_path' (the products)")
    file = Path(str(named))
    # The original takes the files by name, we a folder, in which the whole shop goes before the small one.
    if (found := find_files(file.parent)["items_shuffle"]).name != file.name:
        raise ConfigError(f"{str(file)!r} lies beside {found.name}: give a folder of one shop as env_kwargs 'data'")
    return str(file.parent)


def _reshuffled(shop: Shop, kind: GoalKind, seed: int) -> Shop:
    """The shop with the goals and prices that a worker of this seed has."""
    goals = make_goals(shop.catalogue, kind, seed, shuffle_seed=seed)
    return Shop(shop.catalogue, goals, shop.show_attributes)

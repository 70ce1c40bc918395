from __future__ import annotations

import random

import pytest

import sad_env
from sad_env.core import TextEnv
from sad_env.webshop.expert import WebShopExpert
from sad_env.webshop.reading import read_instruction, read_page
from sad_env.webshop.shops import open_shop


def _rewards(env: TextEnv, count: int, seed: int = 0) -> tuple[list[float], list[str]]:
    expert, rewards, thoughts = WebShopExpert(seed), [], []
    for task in env.panel.head(min(count, len(env.panel.task_ids))).task_ids:
        observation, info = env.reset(options={"task_id": task})
        expert.begin(observation, info)
        reward = 0.0
        for _ in range(15):
            decision = expert.decide()
            assert expert.decide() == decision
            thoughts.append(decision.reasoning)
            observation, reward, done, _, info = env.step(decision.action)
            if done:
                break
            expert.observe(decision.action, observation, info)
        rewards.append(reward)
    return rewards, thoughts


@pytest.mark.parametrize("view", ["react", "original"])
def test_the_expert_earns_nearly_all_on_generated_goals(view: str) -> None:
    rewards, thoughts = _rewards(sad_env.make("webshop", view=view), 120)
    assert sum(rewards) / len(rewards) >= 0.95
    assert max(len(thought.split()) for thought in thoughts) <= 45
    assert len(set(thoughts)) > len(thoughts) / 3


@pytest.mark.slow
@pytest.mark.parametrize("view", ["react", "original"])
def test_the_expert_keeps_its_bar_on_500_goals_of_the_official_products(view: str, official_folder: object) -> None:
    rewards, _ = _rewards(sad_env.make("webshop", data=str(official_folder), view=view), 500)
    assert len(rewards) == 500
    assert sum(rewards) / 500 >= 0.90
    assert sum(reward == 1.0 for reward in rewards) / 500 >= 0.80


def test_the_expert_plays_human_goals_and_rich_text() -> None:
    human, _ = _rewards(sad_env.make("webshop", goals="human"), 20)
    rich, _ = _rewards(sad_env.make("webshop", view="original", observation_mode="text_rich"), 20)
    assert sum(human) / len(human) > 0.6
    assert sum(rich) / len(rich) > 0.85


def test_the_expert_takes_over_after_anothers_actions() -> None:
    draw = random.Random(3)
    earned = []
    for view in ("react", "original"):
        env, expert = sad_env.make("webshop", view=view), WebShopExpert()
        for task in env.panel.head(20).task_ids:
            observation, info = env.reset(options={"task_id": task})
            expert.begin(observation, info)
            for step in range(15):
                choices = [name for name in info["admissible_actions"] if "Buy Now" not in name]
                action = draw.choice(choices) if step < 4 else expert.decide().action
                observation, reward, done, _, info = env.step(action)
                if done:
                    earned.append(reward)
                    break
                expert.observe(action, observation, info)
    assert len(earned) >= 36
    assert sum(earned) / len(earned) > 0.7


def test_seeds_vary_the_words_and_nothing_else() -> None:
    env = sad_env.make("webshop")
    observation, info = env.reset(seed=1)
    decisions = []
    for seed in range(12):
        expert = WebShopExpert(seed)
        expert.begin(observation, info)
        decisions.append(expert.decide())
    assert len({decision.reasoning for decision in decisions}) > 2
    assert len({decision.action for decision in decisions}) == 1


def test_instructions_are_taken_apart() -> None:
    wish = read_instruction(
        "Find me winter warm women's coats, jackets & vests with long sleeve, faux fur for daily wear"
        " with color: black, and fit type: tall, big, and size: 3x-large, and price lower than 80.00 dollars"
    )
    assert wish.kind == "women's coats, jackets & vests"
    assert wish.attributes == ("winter warm", "long sleeve", "faux fur", "daily wear")
    assert wish.options == (("color", "black"), ("fit type", "tall, big"), ("size", "3x-large"))
    assert wish.limit == 80.0
    human = read_instruction("i need a 120 ml hair mask treatment, and price lower than 30.00 dollars")
    assert (human.kind, human.attributes, human.options) == ("i need a 120 ml hair mask treatment", (), ())
    for text in ("", "Find me ", "Find me x", "with with with", ": , and : ", "Find me , ,"):
        assert read_instruction(text).limit == float("inf")


def test_both_views_are_read_alike() -> None:
    readings = []
    for view, mode in (("react", "text"), ("original", "text"), ("original", "text_rich")):
        env = sad_env.make("webshop", view=view, observation_mode=mode)
        env.reset(options={"task_id": env.panel.task_ids[0]})
        plan = env.oracle()
        assert plan is not None
        observation, _, _, _, info = env.step(plan[0])
        results = read_page(observation, info)
        observation, _, _, _, info = env.step(f"click[{results.products[0].asin}]")
        readings.append((results.kind, results.products[:3], read_page(observation, info)))
    assert readings[0][:2] == readings[1][:2] == readings[2][:2]
    items = [(item.kind, item.title, item.tag, item.options) for *_, item in readings]
    assert items[0] == items[1] == items[2]
    assert open_shop("generated")[1].catalogue.get(readings[0][1][0].asin) is not None

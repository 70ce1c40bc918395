"""Experts for models that begin from nothing: one wording, and thoughts that are true of what is on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from sad_env import registry


class Step(NamedTuple):
    """What was seen before a decision, all observations so far with the first one first, and the decision."""

    seen: list[str]
    thought: str
    action: str


def play(world: str, expert: str, task: int, *, seed: int = 0) -> tuple[list[Step], float]:
    env = registry.make(world, split="train")
    observation, info = env.reset(options={"task_id": env.panel.task_ids[task]})
    policy = registry.make_expert(world, expert, seed=seed)
    policy.begin(observation, info)
    taken, seen, reward = [], [observation], 0.0
    for _ in range(50):
        thought, action = policy.decide()
        taken.append(Step(list(seen), thought, action))
        observation, reward, terminated, truncated, info = env.step(action)
        policy.observe(action, observation, info)
        seen.append(observation)
        if terminated or truncated:
            break
    return taken, reward


def steps(world: str, tasks: int) -> Iterator[Step]:
    for task in range(tasks):
        yield from play(world, "expert-plain", task)[0]


@pytest.mark.parametrize("world", ["alfworld", "webshop"])
def test_words_and_actions_do_not_depend_on_the_seed(world: str) -> None:
    assert play(world, "expert-plain", 0) == play(world, "expert-plain", 0, seed=1)
    assert any(play(world, "expert", task) != play(world, "expert", task, seed=1) for task in range(3))


def test_in_hotpotqa_it_acts_as_the_expert_does() -> None:
    for task in range(3):
        plain, told = play("hotpotqa", "expert-plain", task)[0], play("hotpotqa", "expert", task)[0]
        assert [step.action for step in plain] == [step.action for step in told]


def test_it_wins_about_as_often_as_the_expert() -> None:
    for world, tasks, wanted in (("alfworld", 60, 57), ("webshop", 60, 48)):
        won = sum(play(world, "expert-plain", task)[1] == 1.0 for task in range(tasks))
        assert won >= wanted, f"{world}: {won} of {tasks}"


def test_in_alfworld_the_list_is_read_on_as_the_first_observation_has_it() -> None:
    lists = 0
    for step in steps("alfworld", 60):
        room = step.seen[0].partition("you see ")[2].partition("Your task")[0].replace(", and ", ", ")
        for listed in re.findall(r"The (?:list|rest): (a \S+ \d+(?:, a \S+ \d+)*)", step.thought):
            assert listed in room
            lists += 1
        if "The list:" in step.thought or "The rest:" in step.thought:
            assert step.action == f"go to {re.findall(r'[a-z]+ [0-9]+', step.thought)[-1]}"
    assert lists > 50


def test_in_alfworld_unlikely_places_are_for_a_second_round() -> None:
    expert = registry.make_expert("alfworld", "expert-plain")
    room = "you see a bed 1, a garbagecan 1, a shelf 1, and a toilet 1"
    expert.begin(f"Looking quickly around you, {room}.\n\nYour task is to: put a soapbar in garbagecan.", {})
    thoughts = []
    for _ in range(4):
        thought, action = expert.decide()
        thoughts.append(thought)
        place = action.removeprefix("go to ")
        expert.observe(action, f"You arrive at {place}. On the {place}, you see nothing.", {})
    start = "I look for a soapbar."
    assert thoughts == [
        f"I have to put a soapbar in garbagecan. {start} The list: a bed 1, a garbagecan 1.",
        f"{start} I see nothing. None. The list: a garbagecan 1, a shelf 1, a toilet 1.",
        f"{start} I see nothing. None. The list: a toilet 1, the last. The rest: a bed 1.",
        f"{start} I see nothing. None. The rest: a bed 1, a garbagecan 1, a shelf 1.",
    ]


def test_in_alfworld_what_is_seen_is_read_out_to_the_first_that_is_sought() -> None:
    here = none = 0
    for step in steps("alfworld", 60):
        read = re.search(r"I look for an? (\S+)\. I see (.*?)\. (None)?", step.thought)
        if not read:
            continue
        sought, words, missing = read.groups()
        assert step.seen[-1].partition("you see ")[2].startswith(re.sub(": (?:here|lamp)", "", words))
        assert (": here" in words) == (not missing)
        if missing:
            none += 1
        else:
            assert re.search(rf"a {sought} \d+: here", words)
            first = re.search(r"a (\S+ \d+): here", words)
            assert first is not None
            assert step.action.startswith((f"take {first[1]} from ", f"use {first[1]}"))
            here += 1
    assert here > 30
    assert none > 30


def test_in_alfworld_what_is_called_known_was_seen_there_last() -> None:
    known = 0
    for step in steps("alfworld", 120):
        if told := re.search(r"Known: (.*?)\. [A-Z]", step.thought):
            for thing, place in re.findall(r"(\S+ \d+) at (\S+ \d+)", told[1]):
                sights = [text for text in step.seen[1:] if re.search(rf"(?:On the|The) {place}\b.* you see ", text)]
                assert f"a {thing}" in sights[-1]
                known += 1
    assert known > 20


def test_in_webshop_titles_are_read_and_prices_judged_as_the_page_says() -> None:
    over = within = other = 0
    for step in steps("webshop", 40):
        page = step.seen[-1]
        if "Page 1" not in page:
            continue
        limit = float(re.search(r"lower than ([\d.]+)", step.seen[0])[1])  # type: ignore[index]
        for asin, title, verdict in re.findall(r"(B\w{9}): (.*?), (other|[\d.]+ of [\d.]+ \w+)\.", step.thought):
            shown = page.partition(f"[{asin}]")[2].partition("[B")[0]
            assert title in shown
            if verdict == "other":
                other += 1
                continue
            price, told, judged = re.fullmatch(r"([\d.]+) of ([\d.]+) (\w+)", verdict).groups()  # type: ignore[union-attr]
            assert f"${price}" in shown
            assert float(told) == limit
            assert (float(price) <= limit) == (judged == "within")
            over, within = over + (judged == "over"), within + (judged == "within")
        if step.thought.endswith("I open it."):
            opened = re.fullmatch(r"click\[(B\w{9})\]", step.action)
            assert opened is not None
            assert re.findall(r"(B\w{9}): ", step.thought)[-1] == opened[1]
    assert over > 1
    assert within > 20
    assert other > 5


def test_in_webshop_options_are_read_up_to_the_one_that_is_asked_for() -> None:
    there = missing = 0
    for step in steps("webshop", 40):
        page = step.seen[-1]
        if "[Buy Now]" not in page:
            continue
        offered = " ".join(line.strip() for line in page.splitlines()[3:] if re.match(r"\S.* \[", line))
        for value, read, verdict in re.findall(r"(?:^|\. )([^:.]+): (\w[^:.]* \[.*?) (yes|none)\.", step.thought):
            assert offered.startswith(read)
            assert read.endswith(f"[{value}]") == (verdict == "yes")
            assert (f"[{value}]" in offered) == (verdict == "yes")
            there, missing = there + (verdict == "yes"), missing + (verdict == "none")
    assert there > 20
    assert missing > 5


def test_in_webshop_attributes_are_named_where_they_are_read() -> None:
    found = lacking = 0
    for step in steps("webshop", 40):
        page = step.seen[-1]
        if "[< Prev]" not in page:
            continue
        for words, phrase in re.findall(r"(?:^|, |\. )([^,.()]+) \(([^()]+)\)", step.thought):
            assert words in page
            assert phrase in step.seen[0]
        told = dict(re.findall(r"(?<=\. )([^:.]+): (yes|no)\.", step.thought))
        for phrase, verdict in told.items():
            if f"({phrase})" in step.thought:
                assert verdict == "yes"
                found += 1
            lacking += verdict == "no"
        if "no" in told.values() and "I read on." in step.thought:
            assert step.action in ("click[Features]", "click[Description]")
    assert found > 20
    assert lacking > 20

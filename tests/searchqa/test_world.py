"""The world: contract, both spellings of actions, turn limit, verdicts, info, and the experts in it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

import sad_env
from sad_env.answers import exact_match
from sad_env.checks import check_world
from sad_env.encyclopedia.plans import parse_question
from sad_env.errors import ConfigError, DataError, InfrastructureError, UnknownNameError
from sad_env.searchqa.actions import canonical_action, parse_action
from sad_env.searchqa.env import LONGEST_QUERY, SearchQAEnv
from sad_env.searchqa.passages import WORDS
from sad_env.searchqa.tasks import SHARES, open_questions


def begun(**options: Any) -> tuple[SearchQAEnv, list[str]]:
    """A world whose first episode has begun, and the plan that wins it."""
    env = SearchQAEnv(**options)
    env.reset(seed=0)
    plan = env.oracle()
    assert plan is not None
    return env, plan


def play(env: SearchQAEnv, task: str, expert: str = "expert", first: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """The last info of an episode that the expert plays after these first actions."""
    policy = sad_env.make_expert("searchqa", expert, seed=3)
    observation, info = env.reset(seed=0, options={"task_id": task})
    policy.begin(observation, info)
    waiting, terminated = list(first), False
    while not terminated:
        action = waiting.pop(0) if waiting else policy.decide().action
        observation, _, terminated, _, info = env.step(action)
        policy.observe(action, observation, info)
    return info


def test_the_world_keeps_the_contract() -> None:
    check_world(lambda: sad_env.make("searchqa"), tasks=5)


@pytest.mark.parametrize(
    ("text", "verb", "argument"),
    [
        ("search[Ed Wood]", "search", "Ed Wood"),
        ("  search[a [b] c]\n", "search", "a [b] c"),
        ("<search>Ed Wood</search>", "search", "Ed Wood"),
        ("<think>It was [him].</think>\n<SEARCH> Ed\nWood </SEARCH> and more", "search", "Ed\nWood"),
        ("<search>a</search><answer>b</answer>", "search", "a"),
        ("<answer>12 May</answer>", "answer", "12 May"),
        ("answer[]", "answer", ""),
        ("search[ ]", None, ""),
        ("<search></search>", None, ""),
        ("<search>a</answer>", None, ""),
        ("Search[a]", None, ""),
        ("search[a] now", None, ""),
        ("lookup[a]", None, ""),
    ],
)
def test_actions_are_read_in_both_spellings(text: str, verb: str | None, argument: str) -> None:
    assert parse_action(text) == (verb, argument)


def test_what_models_write_is_turned_into_what_the_world_takes() -> None:
    for written, wanted in (("Search[a]", "search[a]"), ("Answer[b]", "answer[b]"), (" Finish[c]", "answer[c]")):
        assert canonical_action(written) == wanted
    assert canonical_action("<search>a</search>") == "<search>a</search>"


def test_both_spellings_do_the_same() -> None:
    env, plan = begun()
    twin = begun()[0]
    for action in plan:
        verb, argument = parse_action(action)
        assert env.step(action) == twin.step(f"<think>so</think><{verb}>{argument}</{verb}>")


def test_a_search_brings_three_passages_as_search_r1_writes_them() -> None:
    env, plan = begun()
    lines = env.step(plan[0])[0].split("\n")
    assert [line[:12] for line in lines] == ["Doc 1(Title:", "Doc 2(Title:", "Doc 3(Title:"]
    title = parse_action(plan[0]).argument
    assert any(line.startswith(f'Doc {number}(Title: "{title}") ') for number, line in enumerate(lines, 1))
    five, plan = begun(passages=5)
    assert five.step(plan[0])[0].count("Doc ") == 5


def test_a_search_for_words_that_no_passage_has_says_so() -> None:
    env, _ = begun()
    observation, _, _, _, info = env.step("search[xyzzyqq]")
    assert (observation, info["valid_action"]) == ("No passage was found.", True)


def test_the_last_turn_ends_the_episode_when_it_is_no_answer() -> None:
    env, plan = begun()
    for turn in range(3):
        _, reward, terminated, truncated, info = env.step(plan[0])
        assert (reward, terminated, truncated) == (0.0, False, False)
        assert (info["turns_left"], info["forced_finish"]) == (3 - turn, False)
    observation, reward, terminated, truncated, info = env.step("look")
    assert observation.startswith("Invalid action. ")
    assert (reward, terminated, truncated, info["valid_action"]) == (0.0, True, False, False)
    assert (info["success"], info["forced_finish"]) == (False, True)


def test_an_answer_on_the_last_turn_counts() -> None:
    env, plan = begun()
    for _ in range(3):
        env.step("")
    _, reward, terminated, _, info = env.step(plan[-1])
    assert (reward, terminated, info["success"], info["forced_finish"]) == (1.0, True, True, False)


def test_more_turns_are_played_to_their_end_in_vector_environments() -> None:
    env = sad_env.make_vec("searchqa", 1, turns=9)
    env.reset(seed=0)
    ends = [env.step(("search[x]",))[2:4] for _ in range(9)]
    assert [(bool(terminated[0]), bool(truncated[0])) for terminated, truncated in ends] == [(False, False)] * 8 + [
        (True, False)
    ]


def test_info_tells_f1_and_whether_the_answer_was_shown() -> None:
    env, plan = begun()
    assert env.reset(seed=0)[1]["answer_shown"] is False
    assert env.step("search[xyzzyqq]")[4]["answer_shown"] is False
    for action in plan[:-1]:
        info = env.step(action)[4]
    assert info["answer_shown"] is True
    info = env.step(plan[-1][:-1] + " extra]")[4]
    assert (info["em"], info["success"]) == (0.0, False)
    assert 0.0 < info["f1"] < 1.0


class Failing:
    """A retriever that fails once, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def search(self, query: str, k: int) -> list[str]:
        self.asked.append((query, k))
        if len(self.asked) == 1:
            raise InfrastructureError("down")
        return ['"T"\nfirst\nsecond']

    def close(self) -> None: ...


def test_a_search_that_fails_changes_nothing_and_may_be_repeated() -> None:
    source = Failing()
    env, _ = begun(retriever=source)
    with pytest.raises(InfrastructureError):
        env.step("search[a]")
    observation, _, _, _, info = env.step("search[a]")
    assert (observation, info["turns_left"]) == ('Doc 1(Title: "T") first\nsecond', 3)
    env.step(f"search[{'b' * 5000}]")
    assert source.asked[-1] == ("b" * LONGEST_QUERY, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "did you mean 'test'"),
        ({"data": "/no/such/folder"}, "no folder"),
        ({"turns": 0}, "needs a turn"),
        ({"passages": 0}, "needs a turn"),
        ({"retriever": "bm52"}, "'bm25' or a server's address"),
        ({"retriever": "ftp://host"}, "starts with http"),
        ({"retriever": "http://host", "corpus": "x"}, "leave it out"),
        ({"corpus": "/no/such/folder"}, "sad-data build searchqa"),
    ],
)
def test_wrong_settings_are_refused_with_a_hint(options: dict[str, Any], message: str) -> None:
    with pytest.raises((UnknownNameError, ConfigError, DataError), match=message):
        SearchQAEnv(**options)


def test_the_expert_answers_generated_questions_of_all_families() -> None:
    env = SearchQAEnv()
    infos = [play(env, task) for task in env.panel.task_ids[:300]]
    assert sum(info["success"] for info in infos) >= 0.97 * len(infos)
    assert {info["task_type"] for info in infos} == set(SHARES)


def test_the_plain_expert_acts_as_the_expert_does() -> None:
    env = SearchQAEnv()
    for task in env.panel.task_ids[:20]:
        assert play(env, task, "expert-plain") == play(env, task)


def test_the_expert_takes_over_after_any_actions() -> None:
    env = SearchQAEnv(turns=6)
    first = ("search[Nobody at All]", "<search>born in the town</search>")
    won = [play(env, task, first=first)["success"] for task in env.panel.task_ids[:100]]
    assert sum(won) >= 95


def test_experts_say_the_same_thing_twice_and_other_things_with_other_seeds() -> None:
    env = SearchQAEnv()
    observation, info = env.reset(seed=5)
    said = set()
    for seed in range(8):
        expert = sad_env.make_expert("searchqa", seed=seed)
        expert.begin(observation, info)
        assert expert.decide() == expert.decide()
        said.add(expert.decide().reasoning)
    assert len(said) > 2


def test_the_expert_refuses_questions_that_it_cannot_read() -> None:
    with pytest.raises(ConfigError, match="generated questions only"):
        sad_env.make_expert("searchqa").begin("Question: Who is the president of France?", {})


def test_generated_questions_need_three_searches_at_most_and_cannot_be_guessed() -> None:
    questions = open_questions("generated", "test").questions.values()
    families: dict[str, Counter[str]] = defaultdict(Counter)
    for question in questions:
        plan = parse_question(question.text)
        assert plan is not None
        assert sum(len(path.relations) for path in plan.paths) <= 3
        families[question.kind][question.answer] += 1
    assert set(families) == set(SHARES)
    right = 0.0
    for question in questions:
        best = families[question.kind].most_common(1)[0][0]
        choice = question.kind in ("comparison", "yes-no")
        right += 0.5 if choice else exact_match(best, question.answers)
    assert right < 0.10 * len(questions)


def test_generated_passages_have_a_hundred_words_at_most_and_state_the_answers() -> None:
    opened = open_questions("generated", "test")
    texts: dict[str, str] = defaultdict(str)
    for passage in opened.passages:
        title, _, text = passage.contents.partition("\n")
        assert len(text.split()) <= WORDS
        texts[title.strip('"')] += f" {text}"
    assert len({passage.id for passage in opened.passages}) == len(opened.passages)
    for question in opened.questions.values():
        assert all(title in texts for title in question.titles)
        if question.kind in ("one-hop", "bridge-2", "bridge-3"):
            assert question.answer in texts[question.titles[-1]]


def test_the_default_split_is_the_one_that_figures_were_measured_on() -> None:
    """Another world needs new figures, and a new GENERATION."""
    opened = open_questions("generated", "test")
    found = hashlib.sha256()
    for passage in opened.passages:
        found.update(f"{passage.id}\n{passage.contents}\n".encode())
    for question in opened.questions.values():
        found.update(f"{question.id}\n{question.text}\n{question.answers}\n{question.kind}\n".encode())
    assert found.hexdigest() == "46bc1e9c8ed906be5547bd4db1acd60c127f3cafe56f95c6a0de70e7c3d5810b"

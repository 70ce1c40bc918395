"""ReAct's rules: the golden of the original, and each rule by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sad_env.answers import best_f1, exact_match
from sad_env.hotpotqa.actions import canonical_action
from sad_env.hotpotqa.engine import ReActEngine
from sad_env.hotpotqa.mediawiki import read_answer, search_url, unescape
from sad_env.hotpotqa.pages import Page, Similar
from sad_env.hotpotqa.questions import load_questions

BASE = "https://en.wikipedia.org/w/index.php"


class Recorded:
    """A page source that answers with recorded HTML, by the address as ReAct writes it."""

    def __init__(self, responses: Mapping[str, str]) -> None:
        self.responses = responses

    def find(self, entity: str) -> Page | Similar:
        return read_answer(self.responses[f"{BASE}?search={entity.replace(' ', '+')}"])

    def close(self) -> None:
        pass


class Written:
    """A page source over texts, for single rules."""

    def __init__(self, **pages: str) -> None:
        self.pages = pages

    def find(self, entity: str) -> Page | Similar:
        if entity in self.pages:
            return Page(entity, self.pages[entity])
        return Similar(tuple("abcdefg"))

    def close(self) -> None:
        pass


def test_the_golden_of_the_original_is_replayed_without_difference(
    golden: Callable[[str], Iterator[Any]], external_path: Callable[[str], Path]
) -> None:
    questions = load_questions(external_path("data/hotpotqa/hotpot_distractor_100.json"))
    steps = damaged = 0
    for episode in golden("hotpotqa_react.jsonl.gz"):
        question = questions[episode["question_index"]]
        answers = question.answers
        engine = ReActEngine(Recorded(episode["responses"]), question.text, answers)
        assert engine.begin() == episode["reset"]
        for step in episode["steps"]:
            answered = engine.step(step["action"])
            if "raises" in step:
                damaged += 1
                assert engine.damaged
                continue
            steps += 1
            assert answered.observation == step["observation"]
            assert (answered.reward, answered.done) == (step["reward"], step["done"])
            if step["done"]:
                assert engine.answer is not None
                assert exact_match(engine.answer, answers) == step["em"]
                assert best_f1(engine.answer, answers) == step["f1"]
    assert (steps, damaged) == (1129, 11)


def test_search_says_which_titles_come_close_and_keeps_the_page() -> None:
    engine = ReActEngine(Written(Here="It is here. It stays"), "?", ("x",))
    engine.step("search[Here]")
    assert engine.step("search[Gone]").observation == (
        "Could not find Gone. Similar: ['a', 'b', 'c', 'd', 'e']."
    )  # fmt: skip
    assert engine.step("lookup[stays]").observation == "(Result 1 / 1) It stays."


def test_a_disambiguation_page_is_searched_again_in_brackets() -> None:
    engine = ReActEngine(Written(Ed="Ed may refer to: many"), "?", ("x",))
    assert engine.step("search[Ed]").observation.startswith("Could not find [Ed]. Similar: ")


def test_a_source_that_is_ambiguous_for_ever_is_asked_a_few_times_only() -> None:
    class Ambiguous(Written):
        def find(self, entity: str) -> Page:
            return Page(entity, f"{entity} may refer to: many")

    assert ReActEngine(Ambiguous(), "?", ("x",)).step("search[Ed]").observation == "[[Ed]] may refer to: many."


def test_five_sentences_are_shown_and_paragraphs_end_in_two_full_stops() -> None:
    engine = ReActEngine(Written(P="A b. C d.\nE f. G h. I j. K l."), "?", ("x",))
    assert engine.step("search[P]").observation == "A b. C d.. E f. G h. I j."


def test_lookup_goes_on_with_the_same_word_and_starts_anew_with_another() -> None:
    engine = ReActEngine(Written(P="The cat sat. A CAT ran. Dogs"), "?", ("x",))
    assert engine.step("lookup[cat]").observation == "No more results.\n"
    engine.step("search[P]")
    assert engine.step("lookup[cat]").observation == "(Result 1 / 2) The cat sat."
    assert engine.step("lookup[cat]").observation == "(Result 2 / 2) A CAT ran."
    assert engine.step("lookup[cat]").observation == "No more results.\n"
    assert engine.step("lookup[dog]").observation == "(Result 1 / 1) Dogs."
    assert engine.step("lookup[cat]").observation == "(Result 1 / 2) The cat sat."
    engine.step("search[P]")
    assert engine.step("lookup[cat]").observation == "(Result 1 / 2) The cat sat."


@pytest.mark.parametrize(
    ("action", "observation"),
    [
        ("think[x]", "Nice thought."),
        ("", "Invalid action: "),
        ("Search[x]", "Invalid action: Search[x]"),
        ("search[x] now", "Invalid action: search[x] now"),
        ("search[", "Invalid action: search["),
        ("  finish[The X!]  ", "Episode finished, reward = 1\n"),
    ],
)
def test_single_actions(action: str, observation: str) -> None:
    assert ReActEngine(Written(), "?", ("x",)).step(action).observation == observation


def test_a_step_after_the_end_gives_the_end_again() -> None:
    engine = ReActEngine(Written(P="Text of three words"), "?", ("x",))
    end = engine.step("finish[x]")
    assert engine.step("search[P]") == end
    assert engine.page is None


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Search[Ed Wood]", "search[Ed Wood]"),
        ("Lookup[a]", "lookup[a]"),
        ("Answer[yes]", "finish[yes]"),
        ("answer[yes]", "finish[yes]"),
        ("Finish[42]", "finish[42]"),
        ("SEARCH[x]", "sEARCH[x]"),
        (" search[x] ", "search[x]"),
        ("", ""),
        ("Answer: yes", "answer: yes"),
    ],
)
def test_the_agent_layer_forgives_what_reacts_loop_forgives(written: str, canonical: str) -> None:
    assert canonical_action(written) == canonical


def test_short_paragraphs_fall_away_and_lists_come_after_paragraphs() -> None:
    page = read_answer("<h1 id='firstHeading'>T</h1><ul><li>one two three</li></ul><p>a b</p><p>x y z</p>")
    assert page == Page("T", "x y z\none two three\n")


@pytest.mark.parametrize("text", ["\\x", "\\u4e2d", "\\N{nothing}", "é\\x41\\xff"])
def test_what_the_original_dies_on_stays_as_it_came_and_is_counted(text: str) -> None:
    assert unescape(text) == (text, False)
    page = read_answer(f"<p>one two {text} three</p>")
    assert isinstance(page, Page)
    assert page.damaged == 1


def test_an_address_asks_for_what_the_agent_wrote() -> None:
    assert search_url(BASE, "Ed Wood") == f"{BASE}?search=Ed+Wood"
    assert search_url(BASE, "AT&T #1+2") == f"{BASE}?search=AT%26T+%231%2B2"
    assert search_url(BASE, "\ud800") == f"{BASE}?search=%3F"

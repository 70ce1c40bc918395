"""What holds for any text whatever: nothing that an agent, a page or a question says makes the world fall over."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sad_env.answers import answer_score, normalize_answer
from sad_env.encyclopedia.articles import Article
from sad_env.encyclopedia.plans import parse_question
from sad_env.encyclopedia.reading import read_sentence, split_observation
from sad_env.encyclopedia.titles import normalize_title
from sad_env.hotpotqa.actions import canonical_action, parse_action
from sad_env.hotpotqa.corpus import PoolSource
from sad_env.hotpotqa.engine import ReActEngine
from sad_env.hotpotqa.mediawiki import read_answer, search_url, unescape
from sad_env.hotpotqa.memory import ReadingMemory

TEXT = st.text(st.characters(), max_size=60)
ACTION = st.one_of(
    TEXT, st.builds("{}[{}]".format, st.sampled_from(["search", "lookup", "finish", "think", "Search"]), TEXT)
)
POOL = PoolSource(
    [Article("Ed Wood", ("Ed Wood was a director.", " He wrote.")), Article("Ed", ("Ed may refer to: all",))]
)


@given(st.lists(ACTION, max_size=8))
@settings(deadline=None, max_examples=60)
def test_any_actions_are_answered_and_read(actions: list[str]) -> None:
    engine, memory = ReActEngine(POOL, "?", ("x",)), ReadingMemory()
    for action in actions:
        answered = engine.step(action)
        memory.observe(action, answered.observation)
        assert answered.valid == (parse_action(action).verb is not None) or engine.answer is not None
        assert answered.done == (engine.answer is not None)


@given(TEXT)
@settings(deadline=None, max_examples=60)
def test_any_text_can_be_read(text: str) -> None:
    parse_question(text)
    read_sentence(text)
    split_observation(text)
    read_answer(f"<p>{text}</p>")
    search_url("http://x", text)
    assert isinstance(unescape(text)[0], str)
    assert parse_action(canonical_action(text)).verb in ("search", "lookup", "finish", "think", None)


@given(TEXT)
@settings(deadline=None, max_examples=60)
def test_normal_forms_stay_what_they_are(text: str) -> None:
    assert normalize_answer(normalize_answer(text)) == normalize_answer(text)
    assert answer_score(text, text).em == 1.0
    assert normalize_title(text) == " ".join(normalize_title(text).split())

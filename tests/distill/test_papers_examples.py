"""The worked examples that arXiv 2505.13820v3 prints: appendices C, D.3 and M."""

from __future__ import annotations

import re

import pytest
from sad_distill.commands.overlay import bars, overlay_text
from sad_distill.data.labels import label_text, segment_log
from sad_distill.models.tokenizer import train_tokenizer

from sad_env.records import SpanKind
from sad_env.transcript import form_of

EXCERPT = "Reasoning: I should find the fridge. It's likely in the kitchen.\nAction: goto kitchen"
TOKENS = [
    "Reasoning",
    ":",
    "I",
    "should",
    "find",
    "the",
    "fridge",
    ".",
    "It",
    "'s",
    "likely",
    "in",
    "the",
    "kitchen",
    ".",
]
TOKENS += ["Action", ":", "goto", "kitchen"]
"""As appendix D.3 lists them: 19, of which its masks have only 18 entries (14 of reasoning, where it lists 15)."""


def test_the_masks_of_appendix_d3() -> None:
    spans = segment_log(EXCERPT)
    places = [match.span() for match in re.finditer(r"'s|\w+|[^\w\s]", EXCERPT)]
    assert [EXCERPT[start:end] for start, end in places] == TOKENS
    kinds = [next(span.kind for span in spans if span.start <= end - 1 < span.end) for _, end in places]
    reason = [int(kind is SpanKind.REASON) for kind in kinds]
    act = [int(kind is SpanKind.ACT) for kind in kinds]
    assert reason == [1] * 15 + [0] * 4
    assert act == [0] * 15 + [1] * 4
    assert max(r + a for r, a in zip(reason, act, strict=True)) == 1
    # The headers are supervised there, though the regular expressions capture the bodies alone.
    assert [EXCERPT[span.body : span.end].strip() for span in spans] == [
        "I should find the fridge. It's likely in the kitchen.",
        "goto kitchen",
    ]


def test_the_linearised_episode_is_as_printed() -> None:
    """Eq. 3 and 10: [REASON] r [ACT] a [OBS] o for each step, as the form `tags` renders it."""
    steps = (
        ("I will first check the table.", "search[tray]", "You see a tray."),
        ("Now I will pick it up.", "pickup[tray]", "Tray in inventory."),
    )
    form = form_of("tags")
    written = "".join(form.render(reason, act).text + form.observation(seen) for reason, act, seen in steps)
    assert " ".join(written.split()) == (
        "[REASON] I will first check the table. [ACT] search[tray] [OBS] You see a tray. "
        "[REASON] Now I will pick it up. [ACT] pickup[tray] [OBS] Tray in inventory."
    )


def test_the_two_steps_of_appendix_m_have_one_kind_a_token() -> None:
    text = (
        "[REASON] I will first check the table. [ACT] search[tray] [OBS] You see a tray.\n"
        "[REASON] Now I will pick it up. [ACT] pickup[tray] [OBS] Tray in inventory.\n"
    )
    spans = form_of("tags").spans(text)
    labelled = label_text(train_tokenizer([text]), text, spans)
    assert re.sub(r"(.)\1+", r"\1", labelled.labels) == "RAORAO"
    assert "N" not in labelled.labels  # Eq. 12 and 26: exactly one of the three
    assert len(labelled.labels) == len(labelled.ids)


def test_the_two_phases_of_hotpotqa() -> None:
    text = "Reasoning: A wrote it.\nAnswer: perhaps\nReasoning: A was born in B.\nAnswer: B\n\nend"
    spans = segment_log(text, two_phase=True)
    assert [(span.kind.value, text[span.body : span.end]) for span in spans] == [
        ("R", "Reasoning: A wrote it.\nAnswer: perhaps\nReasoning: A was born in B.\n"),
        ("A", "B\n"),
        ("N", "\nend"),
    ]
    assert [span.kind.value for span in segment_log(text)] == ["R", "A", "R", "A"]  # line by line
    assert [span.kind.value for span in segment_log("no answer", two_phase=True)] == ["R"]
    assert segment_log("", two_phase=True) == ()


def test_an_overlay_without_colours_says_kinds_by_letters() -> None:
    tokenizer = train_tokenizer([EXCERPT])
    segments = [label_text(tokenizer, EXCERPT, segment_log(EXCERPT))]
    lettered = overlay_text(tokenizer, segments, letters=True).plain
    assert lettered == EXCERPT.replace("Reasoning:", "⟨R⟩Reasoning:").replace("Action:", "⟨A⟩Action:")
    assert overlay_text(tokenizer, segments).plain == EXCERPT


def test_frequencies_of_a_histogram_sum_to_one() -> None:
    lines = bars([1, 2, 2, 3, 3, 3, 9, 9, 10, 11])
    assert sum(float(line.split()[-1]) for line in lines) == pytest.approx(1.0)

"""Every token has one label, every supervised token stands in one row, and nothing is lost on the way."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sad_agents.windowing import Windowing
from sad_distill.data.labels import Labelled, label_offsets, label_text, label_trajectory, segment_log
from sad_distill.data.rows import Episode, rows_of
from sad_distill.models.tokenizer import END, train_tokenizer
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError
from sad_env.records import Span, SpanKind, Trajectory
from sad_env.transcript import compose, render, segment

WORDS = ["cabinet 12", "the red mug", "é", "💥", "\t", "  ", "search[blue shoes]", "$19.99", END, "Action: ", "don't"]


def random_text(draw: random.Random, pieces: int = 8) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, pieces)))


def random_trajectory(base: Trajectory, seed: int) -> Trajectory:
    draw = random.Random(seed)
    steps = []
    for step in base.steps * draw.randrange(1, 4):
        rendering = compose(random_text(draw), random_text(draw, 4))
        steps.append(
            step.model_copy(
                update={
                    "completion": rendering.text,
                    "spans": rendering.spans,
                    "observation": "\n".join(random_text(draw, 20) for _ in range(draw.randrange(1, 3))),
                }
            )
        )
    return base.model_copy(update={"steps": tuple(steps), "prompt": random_text(draw) if draw.random() < 0.3 else ""})


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=150, deadline=None)
def test_the_nano_tokenizer_loses_nothing(toy_tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert toy_tokenizer.decode(toy_tokenizer.encode(text, split_special_tokens=True)) == text


def test_the_nano_tokenizer_cuts_numbers_into_pairs_and_survives_its_file(
    toy_tokenizer: PreTrainedTokenizerFast, tmp_path: object
) -> None:
    tokenizer = train_tokenizer(["go to cabinet 12 in 1942\n"] * 9, 300)
    tokenizer.save_pretrained(str(tmp_path))
    again = PreTrainedTokenizerFast.from_pretrained(str(tmp_path))
    assert [again.decode([i]) for i in again.encode(" cabinet 12 in 1942\n")] == [
        *(" cabinet", " 12", " in", " 19", "42", "\n")
    ]
    assert again.encode("go to cabinet 12 in 1942\n") == tokenizer.encode("go to cabinet 12 in 1942\n")
    with pytest.raises(ConfigError, match="at least 257"):
        train_tokenizer([""], 10)


def test_an_end_mark_in_foreign_text_is_plain_text(toy_tokenizer: PreTrainedTokenizerFast) -> None:
    labelled = label_text(toy_tokenizer, END, [Span(kind=SpanKind.OBS, start=0, end=len(END), body=0)])
    assert toy_tokenizer.eos_token_id not in labelled.ids
    assert set(labelled.labels) == {"O"}


def test_a_token_on_a_border_goes_to_the_span_of_its_last_character() -> None:
    spans = [Span(kind=SpanKind.REASON, start=0, end=4, body=0), Span(kind=SpanKind.ACT, start=4, end=8, body=4)]
    # 2-5 crosses; (4, 4) is a blank whose offsets were trimmed and stands for character 3.
    assert label_offsets([(0, 0), (0, 2), (2, 5), (4, 4), (5, 8)], spans) == ("NRARA", 1)


def test_ids_that_were_sampled_keep_their_own_labels(
    toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    step = toy_episodes[0].steps[0]
    read = label_text(toy_tokenizer, step.completion, step.spans)
    odd = tuple(i for ch in step.completion for i in toy_tokenizer.encode(ch))
    labels = "".join(span.kind.value * (span.end - span.start) for span in segment(step.completion))
    sampled = toy_episodes[0].model_copy(
        update={"steps": (step.model_copy(update={"token_ids": odd, "token_labels": labels}),)}
    )
    assert label_trajectory(toy_tokenizer, sampled)[2] == Labelled(odd, labels)
    assert label_trajectory(toy_tokenizer, toy_episodes[0])[2] == read


@pytest.mark.parametrize(("budget", "room"), [(16, 4), (48, 24), (96, 20), (400, 96)])
def test_every_supervised_token_stands_in_exactly_one_row(
    toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast, budget: int, room: int
) -> None:
    for seed in range(40):
        trajectory = random_trajectory(toy_episodes[seed], seed)
        episode = Episode.of(toy_tokenizer, trajectory)
        rows = list(rows_of(episode, Windowing(budget, room)))
        assert all(len(row.ids) <= budget for row in rows)
        for label in "RA":
            whole = [i for one in episode.completions for i, k in zip(one.ids, one.labels, strict=True) if k == label]
            cut = [i for row in rows for i, k in zip(row.ids, row.labels, strict=True) if k == label]
            assert cut == whole
        for row in rows:
            for unit in row.units:
                assert "N" not in row.labels[unit.start : unit.end]


def test_an_episode_that_fits_is_one_row_with_all_its_text(
    toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    trajectory = toy_episodes[3]
    (row,) = rows_of(Episode.of(toy_tokenizer, trajectory), Windowing(1000, 96))
    text = render(trajectory).text
    assert text.startswith(toy_tokenizer.decode(row.ids))
    assert [toy_tokenizer.decode(row.ids[u.start : u.end]) for u in row.units] == [
        step.completion for step in trajectory.steps
    ]
    assert row.labels[0] == "O"


def test_the_splitter_of_foreign_logs_inverts_our_renderer(toy_episodes: list[Trajectory]) -> None:
    for trajectory in toy_episodes:
        for style in ("lines", "tags"):
            rendering = render(trajectory, style)
            found = [(s.kind, s.start, s.end) for s in segment_log(rendering.text)]
            assert found == [(s.kind, s.start, s.end) for s in rendering.spans if s.end > s.start]

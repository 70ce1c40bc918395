from __future__ import annotations

import pytest
from sad_agents.sampling import ngram_draft
from sad_agents.sampling.ngram_draft import CONTEXT, NgramDraft


def learn(table: NgramDraft, ids: list[int]) -> None:
    for index in range(CONTEXT, len(ids)):
        table.learn(tuple(ids[index - CONTEXT : index]), ids[index])


def test_a_phrase_seen_often_is_guessed_whole_and_one_seen_once_is_begun() -> None:
    table, phrase = NgramDraft(), list(range(10, 22))
    learn(table, phrase)
    before = tuple(phrase[:CONTEXT])
    assert table.guess(before, 8) == phrase[CONTEXT : CONTEXT + 1]
    for _ in range(9):
        learn(table, phrase)
    assert table.guess(before, 8) == phrase[CONTEXT:]
    assert table.guess(before, 3) == phrase[CONTEXT : CONTEXT + 3]
    assert table.guess(before, 0) == []


def test_the_latest_continuation_replaces_another() -> None:
    table, before = NgramDraft(), (1, 2, 3, 4)
    for token in (5, 5, 5, 6):
        table.learn(before, token)
    assert table.guess(before, 4) == [6]


def test_unknown_contexts_give_no_guess() -> None:
    assert NgramDraft().guess((1, 2, 3, 4), 4) == []
    assert NgramDraft().guess((1,), 4) == []


def test_the_table_begins_anew_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngram_draft, "_CAPACITY", 10)
    table = NgramDraft()
    learn(table, list(range(100)))
    assert table.guess((0, 1, 2, 3), 1) == []
    assert table.guess((94, 95, 96, 97), 1) == [98]

"""Scores against figures recorded from the official script (the record says which commit and how)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sad_env.answers import answer_score, best_f1, exact_match
from sad_env.errors import DataError
from sad_env.hotpotqa.scoring import evaluate, supporting_fact_score

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "official_scores.json").read_text())


def test_answer_scores_are_the_official_ones() -> None:
    assert len(RECORDED["answers"]) > 70
    for prediction, answer, *official in RECORDED["answers"]:
        assert list(answer_score(prediction, answer)) == official


@pytest.mark.parametrize("number", range(len(RECORDED["sets"])))
def test_evaluations_are_the_official_ones(number: int) -> None:
    recorded = RECORDED["sets"][number]
    assert evaluate(recorded["predictions"], recorded["gold"]) == pytest.approx(recorded["metrics"], abs=1e-12)


def test_an_alias_is_as_good_as_the_answer() -> None:
    assert exact_match("the ed wood", ["Edward Wood", "Ed Wood"])
    assert not exact_match("Ed", ["Edward Wood", "Ed Wood"])
    assert best_f1("Ed Wood", ["Edward Wood", "Ed Wood"]) == 1.0


def test_no_facts_on_either_side_are_a_match_without_f1() -> None:
    assert supporting_fact_score([], []) == (1.0, 0.0, 0.0, 0.0)


def test_there_is_no_mean_of_no_questions() -> None:
    with pytest.raises(DataError):
        evaluate({"answer": {}, "sp": {}}, [])

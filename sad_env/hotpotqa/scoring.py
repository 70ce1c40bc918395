"""The official metrics of HotPotQA: answers, supporting facts, and both together (hotpot_evaluate_v1.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sad_env.answers import Score, answer_score
from sad_env.errors import DataError


def supporting_fact_score(prediction: Iterable[Sequence[Any]], facts: Iterable[Sequence[Any]]) -> Score:
    """Official supporting-fact score over sets of (title, sentence number).

    >>> supporting_fact_score([("Ed Wood", 0)], [("Ed Wood", 0), ("Tim Burton", 1)])
    Score(em=0.0, f1=0.6666666666666666, precision=1.0, recall=0.5)
    """
    guess, gold = {tuple(fact) for fact in prediction}, {tuple(fact) for fact in facts}
    same = len(guess & gold)
    precision = same / len(guess) if guess else 0.0
    recall = same / len(gold) if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return Score(float(guess == gold), f1, precision, recall)


def joint_score(answer: Score, facts: Score) -> Score:
    """Official joint score: precisions and recalls multiply."""
    precision, recall = answer.precision * facts.precision, answer.recall * facts.recall
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return Score(answer.em * facts.em, f1, precision, recall)


def evaluate(predictions: Mapping[str, Mapping[str, Any]], gold: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The official evaluation of a prediction file.

    Args:
        predictions: ``{"answer": {id: str}, "sp": {id: [[title, sentence number], ...]}}``.
        gold: questions in the official schema.

    Returns:
        Means over all questions under the official names (em, f1, prec, recall; sp_...; joint_...). A question
        without prediction counts as zero.

    Raises:
        DataError: there is no question.
    """
    if not gold:
        raise DataError("an evaluation needs at least one question")
    totals = {f"{part}{name}": 0.0 for part in ("", "sp_", "joint_") for name in ("em", "f1", "prec", "recall")}
    answers, facts = predictions["answer"], predictions["sp"]
    for question in gold:
        name = question["_id"]
        parts: dict[str, Score] = {}
        if name in answers:
            parts[""] = answer_score(answers[name], question["answer"])
        if name in facts:
            parts["sp_"] = supporting_fact_score(facts[name], question["supporting_facts"])
        if len(parts) == 2:
            parts["joint_"] = joint_score(parts[""], parts["sp_"])
        for part, score in parts.items():
            for key, value in zip(("em", "f1", "prec", "recall"), score, strict=True):
                totals[part + key] += value
    return {key: total / len(gold) for key, total in totals.items()}

"""How a short answer is compared with gold ones: the normalisation, exact match and F1 of SQuAD and HotPotQA."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_VERDICTS = ("yes", "no", "noanswer")


class Score(NamedTuple):
    """Exact match and its soft companions, each in [0, 1]."""

    em: float
    f1: float
    precision: float
    recall: float


def normalize_answer(text: str) -> str:
    """Lower case, no ASCII punctuation, no articles, single blanks.

    >>> normalize_answer("The  Beatles!")
    'beatles'
    """
    text = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, answers: Collection[str]) -> bool:
    """True when the prediction equals one of the answers after normalisation."""
    return normalize_answer(prediction) in {normalize_answer(answer) for answer in answers}


def answer_score(prediction: str, answer: str) -> Score:
    """Official answer score; F1 counts words, and is zero when only one side is yes, no or noanswer.

    >>> answer_score("Ed Wood the director", "Ed Wood")
    Score(em=0.0, f1=0.8, precision=0.6666666666666666, recall=1.0)
    """
    guess, gold = normalize_answer(prediction), normalize_answer(answer)
    em = float(guess == gold)
    if guess != gold and (guess in _VERDICTS or gold in _VERDICTS):
        return Score(em, 0.0, 0.0, 0.0)
    guess_words, gold_words = guess.split(), gold.split()
    same = sum((Counter(guess_words) & Counter(gold_words)).values())
    # Two answers that normalise to nothing are equal and still have no word in common: EM 1 and F1 0, officially.
    if same == 0:
        return Score(em, 0.0, 0.0, 0.0)
    precision, recall = same / len(guess_words), same / len(gold_words)
    return Score(em, 2 * precision * recall / (precision + recall), precision, recall)


def best_f1(prediction: str, answers: Iterable[str]) -> float:
    """The highest answer F1 over the names of the answer."""
    return max(answer_score(prediction, answer).f1 for answer in answers)

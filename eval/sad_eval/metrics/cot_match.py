"""CoT match: how much of a reference's reasoning on the same task comes back, in several forms.

Every form gives recall, precision and F1, since recall alone rises with length. Words are lower-cased; S are the
student's, T the reference's.

    words     multiset overlap of all words of the episode: recall = sum_w min(S_w, T_w) / |T|; the default
    sets      the same over sets of words, as the paper prints it
    steps     the same step by step: the words of the reference's i-th step are looked for in the student's i-th step
              only; a step that the other lacks matches nothing. Sums run over all steps before they are divided
    tokens    the multiset overlap of the tokens of a tokenizer, as the paper's appendix C says it; words and signs,
              with their case, where no tokenizer file is given
    rouge_l   the longest common subsequence of the two sequences of words in place of the overlap (ROUGE-L of
              Lin 2004 with beta = 1, an episode's reasoning taken as one sentence)

For any two texts, words >= steps and words >= rouge_l. With several references on a task, `best` takes the one whose
word F1 is highest (by recall the shortest reference would win), and `mean` averages over them.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple

from rapidfuzz.distance import LCSseq

from sad_env.records import Trajectory

Words = collections.Counter[str]

_WORD = re.compile(r"\w+")

_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s]")

SplitTokens = Callable[[str], Sequence[Hashable]]
"""A tokenizer: the tokens of a text."""


def words_and_signs(text: str) -> list[str]:
    """Words and signs of a text: a tokenizer that every run has.

    >>> words_and_signs("The key; go.")
    ['The', 'key', ';', 'go', '.']
    """
    return _WORD_OR_SIGN.findall(text)


class Match(NamedTuple):
    """How well one reasoning matches another."""

    recall: float
    precision: float
    f1: float

    @classmethod
    def of(cls, common: float, student: float, teacher: float) -> Match:
        """From what the two have in common and how much each has. A silent student has recall 0 and precision 0."""
        recall, precision = common / teacher, common / student if student else 0.0
        return cls(recall, precision, 2 * common / (student + teacher))


Similarity = Callable[[str, str], Match]
"""Semantic match of a student's reasoning (first) with a reference's (second)."""


def word_list(text: str) -> list[str]:
    """Lower-cased words in their order.

    >>> word_list("The key, the KEY!")
    ['the', 'key', 'the', 'key']
    """
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Reasoning:
    """All reasoning of one episode, a text for every step; steps without reasoning are empty."""

    steps: tuple[str, ...]

    @classmethod
    def of(cls, trajectory: Trajectory) -> Reasoning:
        """Of a recorded episode."""
        return cls(tuple(step.reasoning for step in trajectory.steps))

    @property
    def text(self) -> str:
        """Step by step, joined by newlines; steps without reasoning are left out."""
        return "\n".join(step for step in self.steps if step)

    @cached_property
    def sequence(self) -> list[str]:
        """All words in their order."""
        return word_list(self.text)

    @cached_property
    def words(self) -> Words:
        """All words with their numbers."""
        return Words(self.sequence)


def match_words(student: Reasoning, teacher: Reasoning) -> Match:
    """Overlap of the two bags of words.

    >>> match_words(Reasoning(("go to the attic",)), Reasoning(("the key is in the attic",)))
    Match(recall=0.3333333333333333, precision=0.5, f1=0.4)
    """
    common = (student.words & teacher.words).total()
    return Match.of(common, len(student.sequence), len(teacher.sequence))


def match_sets(student: Reasoning, teacher: Reasoning) -> Match:
    """Overlap of the two sets of words."""
    return Match.of(len(student.words.keys() & teacher.words.keys()), len(student.words), len(teacher.words))


def match_tokens(student: Reasoning, teacher: Reasoning, split: SplitTokens) -> Match:
    """Overlap of the two bags of tokens: the CoT match rate of appendix C, of one episode.

    >>> match_tokens(Reasoning(("a b c d e f x",)), Reasoning(("a b c d e f g h i",)), words_and_signs).recall
    0.6666666666666666
    """
    mine, its = (collections.Counter(split(one.text)) for one in (student, teacher))
    return Match.of((mine & its).total(), mine.total(), its.total()) if its else Match(0.0, 0.0, 0.0)


def match_steps(student: Reasoning, teacher: Reasoning) -> Match:
    """Overlap of the bags of words of equally numbered steps."""
    common = 0
    for mine, its in zip_longest(student.steps, teacher.steps, fillvalue=""):
        if mine and its:
            common += (Words(word_list(mine)) & Words(word_list(its))).total()
    return Match.of(common, len(student.sequence), len(teacher.sequence))


def match_rouge_l(student: Reasoning, teacher: Reasoning) -> Match:
    """Longest common subsequence of the two sequences of words."""
    common = longest_common_subsequence(student.sequence, teacher.sequence)
    return Match.of(common, len(student.sequence), len(teacher.sequence))


def longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    >>> longest_common_subsequence("a b c d".split(), "b d a".split())
    2
    """
    return int(LCSseq.similarity(one, other))


FORMS: dict[str, Callable[[Reasoning, Reasoning], Match]] = {
    "words": match_words,
    "sets": match_sets,
    "steps": match_steps,
    "rouge_l": match_rouge_l,
}
"""The forms that need nothing but the two reasonings."""


class Against(NamedTuple):
    """A word match with one reference or several.

    Attributes:
        match: with them.
        words: of the reference, for the length of the reasoning over the reference's.
    """

    match: Match
    words: float


@dataclass(frozen=True)
class Agreement:
    """An episode's match with the references of its task.

    Attributes:
        words: of the student.
        first: words of the first reference.
        forms: each form's match with the first reference, "tokens" included; "semantic" where it was asked for.
        best: with the reference of the highest F1; None with a single reference.
        mean: averages over the references; None with a single reference.
    """

    words: int
    first: int
    forms: dict[str, Match]
    best: Against | None = None
    mean: Against | None = None


def agreement(
    student: Reasoning,
    references: Sequence[Reasoning],
    similarity: Similarity | None = None,
    split: SplitTokens = words_and_signs,
) -> Agreement | None:
    """Match an episode with the references of its task; None when none of them holds a word.

    Args:
        student: the episode's reasoning.
        references: of the same task, in their order; silent ones are left out.
        similarity: the semantic form, if it is wanted.
        split: the tokenizer of the form "tokens".
    """
    spoken = [reference for reference in references if reference.sequence]
    if not spoken:
        return None
    first = spoken[0]
    forms = {name: form(student, first) for name, form in FORMS.items()}
    # A student that writes no word is silent, whatever signs it writes.
    forms["tokens"] = match_tokens(student, first, split) if student.sequence else Match(0.0, 0.0, 0.0)
    if similarity is not None:
        forms["semantic"] = similarity(student.text, first.text)
    counts = len(student.sequence), len(first.sequence)
    if len(spoken) == 1:
        return Agreement(*counts, forms)
    found = [Against(match_words(student, one), len(one.sequence)) for one in spoken]
    recall, precision, f1 = (sum(column) / len(found) for column in zip(*(one.match for one in found), strict=True))
    mean = Against(Match(recall, precision, f1), sum(one.words for one in found) / len(found))
    return Agreement(*counts, forms, max(found, key=lambda one: one.match.f1), mean)

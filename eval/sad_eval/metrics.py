"""Metrics: what is read off an episode. Each is a ratio of sums over episodes; a new one is a function and a line.

A metric that does not apply to an episode gives None and leaves that episode out; one that applies to no episode is
absent from the results. An empty list has no mean: `estimate` raises.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from sad_env.errors import DataError
from sad_env.records import SpanKind, Step, Trajectory

WORDS, SAMPLED = "words", "sampled"
"""Ways to count reasoning without a tokenizer file: words and signs of the text; sampled ids by their labels."""

_WORD = re.compile(r"\w+")
_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s]")


class Share(NamedTuple):
    """What one episode adds to a metric: its value is sum(part) / sum(whole)."""

    part: float
    whole: float = 1.0


CountReasoning = Callable[[Step], int]
"""Tokens in the reasoning spans of a step."""


def count_words(text: str) -> int:
    """Words and signs of a text: a tokenizer that every run has.

    >>> count_words("I need the key; go.")
    7
    """
    return len(_WORD_OR_SIGN.findall(text))


def words_of(text: str) -> collections.Counter[str]:
    """Lower-cased words with their numbers.

    >>> sorted(words_of("The key, the KEY!").items())
    [('key', 2), ('the', 2)]
    """
    return collections.Counter(_WORD.findall(text.lower()))


def reasoning_of(trajectory: Trajectory) -> str:
    """All reasoning of an episode, step by step, joined by newlines."""
    return "\n".join(step.reasoning for step in trajectory.steps if step.reasoning)


def reasoning_counter(name: str) -> CountReasoning:
    """How reasoning length is counted.

    Args:
        name: "words": words and signs of the spans' bodies; "sampled": sampled ids labelled as reasoning, the header
            and the final newline included; or the path of a `tokenizer.json`, applied to the bodies.

    Raises:
        DataError: the file cannot be read as a tokenizer.
    """
    if name == SAMPLED:
        return lambda step: step.token_labels.count(SpanKind.REASON.value)
    count = count_words if name == WORDS else _file_counter(Path(name))
    return lambda step: sum(
        count(step.completion[span.body : span.end].strip()) for span in step.spans if span.kind is SpanKind.REASON
    )


def _file_counter(path: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for whatever is wrong
        raise DataError(f"{str(path)!r} is no tokenizer.json: {str(error)[:120]}") from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


@dataclass(frozen=True)
class Reference:
    """Reasoning of the reference run on one task."""

    text: str
    words: collections.Counter[str]

    @classmethod
    def of(cls, trajectory: Trajectory) -> Reference:
        """Of the teacher's episode."""
        text = reasoning_of(trajectory)
        return cls(text, words_of(text))


@dataclass(frozen=True)
class Subject:
    """What a metric sees.

    Attributes:
        trajectory: the episode.
        reasoning: tokens in reasoning spans, a step.
        max_steps: the step limit of the run.
        reference: reasoning of the reference run on the same task, None where there is none.
        similarity: sentence similarity of two reasonings, None unless it was asked for.
    """

    trajectory: Trajectory
    reasoning: tuple[int, ...]
    max_steps: int
    reference: Reference | None = None
    similarity: Callable[[str, str], float] | None = None

    @cached_property
    def words(self) -> collections.Counter[str]:
        """Words of the episode's reasoning."""
        return words_of(reasoning_of(self.trajectory))


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        unit: "share" (0 to 1), or what is counted.
        help: one line for reports and documentation.
        of: what an episode adds, None where the metric does not apply.
        binary: every episode counts 0 or 1, so Wilson's interval applies.
    """

    unit: str
    help: str
    of: Callable[[Subject], Share | None]
    binary: bool = False


class WordMatch(NamedTuple):
    """Overlap of two bags of words."""

    recall: float
    precision: float
    f1: float


def match_words(student: collections.Counter[str], teacher: collections.Counter[str]) -> WordMatch | None:
    """Multiset overlap: sum over words of the smaller count, over the teacher's and the student's numbers of words.

    Returns:
        None when the teacher wrote no word: there is nothing to match. A silent student has recall 0.

    >>> match_words(words_of("go to the attic"), words_of("the key is in the attic"))
    WordMatch(recall=0.3333333333333333, precision=0.5, f1=0.4)
    """
    if not teacher:
        return None
    common = sum((student & teacher).values())
    recall = common / teacher.total()
    precision = common / student.total() if student else 0.0
    return WordMatch(recall, precision, 2 * recall * precision / (recall + precision) if common else 0.0)


def _matched(choose: Callable[[WordMatch], float], *, as_set: bool = False) -> Callable[[Subject], Share | None]:
    def of(subject: Subject) -> Share | None:
        if subject.reference is None:
            return None
        student, teacher = subject.words, subject.reference.words
        if as_set:
            student, teacher = collections.Counter(set(student)), collections.Counter(set(teacher))
        match = match_words(student, teacher)
        return None if match is None else Share(choose(match))

    return of


def _cot_length(subject: Subject) -> Share | None:
    if subject.reference is None or not subject.reference.words:
        return None
    return Share(subject.words.total(), subject.reference.words.total())


def _semantic(subject: Subject) -> Share | None:
    if subject.reference is None or subject.similarity is None or not subject.reference.words:
        return None
    return Share(subject.similarity(reasoning_of(subject.trajectory), subject.reference.text))


def _invalid(subject: Subject) -> Share | None:
    steps = subject.trajectory.steps
    return Share(sum(not (step.parsed and step.valid) for step in steps), len(steps)) if steps else None


def _progress(subject: Subject) -> Share | None:
    known = [step.progress for step in subject.trajectory.steps if step.progress is not None]
    return Share(max(known)) if known else None


def _reason_act_steps(subject: Subject) -> Share:
    return Share(sum(bool(step.reasoning) + bool(step.action) for step in subject.trajectory.steps))


def _steps_at_limit(subject: Subject) -> Share:
    trajectory = subject.trajectory
    return Share(len(trajectory.steps) if trajectory.success else max(subject.max_steps, len(trajectory.steps)))


def _tokens(subject: Subject) -> Share | None:
    total = sum(step.generated_tokens for step in subject.trajectory.steps)
    return Share(total) if total else None


def _agent_seconds(subject: Subject) -> Share | None:
    total = sum(step.agent_seconds for step in subject.trajectory.steps)
    return Share(total) if total else None


METRICS: dict[str, Metric] = {
    "success_rate": Metric(
        "share", "episodes that the world calls a success", lambda s: Share(float(s.trajectory.success)), binary=True
    ),
    "score": Metric("score", "the benchmark's own score", lambda s: Share(s.trajectory.score)),
    "progress": Metric("share", "sub-goals reached at best, where the world has them", _progress),
    "reasoning_per_step": Metric(
        "tokens", "tokens in reasoning spans, a step", lambda s: Share(sum(s.reasoning), len(s.reasoning))
    ),
    "reasoning_per_episode": Metric(
        "tokens", "tokens in reasoning spans, an episode", lambda s: Share(sum(s.reasoning))
    ),
    "cot_match": Metric("share", "words of the reference's reasoning that come back", _matched(lambda m: m.recall)),
    "cot_precision": Metric(
        "share", "words of the reasoning that the reference has too", _matched(lambda m: m.precision)
    ),
    "cot_f1": Metric("share", "harmonic mean of the two", _matched(lambda m: m.f1)),
    "cot_match_sets": Metric(
        "share", "CoT match over sets of words, as the paper prints it", _matched(lambda m: m.recall, as_set=True)
    ),
    "cot_length": Metric("ratio", "words of the reasoning over the reference's", _cot_length),
    "cot_semantic": Metric("share", "CoT match by sentence embeddings", _semantic),
    "environment_steps": Metric("steps", "steps in the world", lambda s: Share(len(s.trajectory.steps))),
    "environment_steps_at_limit": Metric(
        "steps", "steps in the world, an unsuccessful episode counted at the limit", _steps_at_limit
    ),
    "reasoning_and_action_steps": Metric("steps", "reasonings and actions, each one step", _reason_act_steps),
    "generated_tokens": Metric("tokens", "tokens a model produced, an episode", _tokens),
    "invalid_actions": Metric("share", "steps whose action could not be used", _invalid),
    "agent_seconds": Metric("s", "wall time of the agent, an episode, where it is measured", _agent_seconds),
    "world_seconds": Metric(
        "s", "wall time of the world, an episode", lambda s: Share(sum(x.world_seconds for x in s.trajectory.steps))
    ),
    "seconds": Metric("s", "wall time of an episode", lambda s: Share(s.trajectory.seconds)),
}
"""All metrics by name, in the order of reports."""


def shares(subject: Subject) -> dict[str, Share]:
    """What an episode adds to each metric that applies to it."""
    found = {name: metric.of(subject) for name, metric in METRICS.items()}
    return {name: share for name, share in found.items() if share is not None and share.whole > 0}

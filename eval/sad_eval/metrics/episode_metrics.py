"""Metrics of an episode. Each is a ratio of sums over episodes; a new one is a function and a line, or a plug-in.

A metric that does not apply to an episode gives None and leaves that episode out; one that applies to no episode is
absent from the results. An empty list has no mean: `estimate` raises.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sad_env.errors import ConfigError, DataError
from sad_env.records import SpanKind, Step, Trajectory
from sad_env.registry import load_entries
from sad_env.transcript import reasoning_text
from sad_eval.metrics.cot_match import Agreement, Reasoning, Similarity, SplitTokens, agreement, words_and_signs

WORDS, SAMPLED = "words", "sampled"
"""Ways to count reasoning without a tokenizer file: words and signs of the text; sampled ids by their labels."""


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
    return len(words_and_signs(text))


def reasoning_counter(name: str) -> CountReasoning:
    """How reasoning length is counted.

    Args:
        name: "words": words and signs of the spans' bodies; "sampled": sampled ids labelled as reasoning, the header
            and the final newline included (see `countable`); or the path of a `tokenizer.json`, applied to the bodies.

    Raises:
        DataError: the file cannot be read as a tokenizer.
    """
    if name == SAMPLED:
        return lambda step: step.token_labels.count(SpanKind.REASON.value)
    split = token_splitter(name)
    return lambda step: sum(
        len(split(reasoning_text(step.completion, span))) for span in step.spans if span.kind is SpanKind.REASON
    )


def countable(name: str, trajectory: Trajectory) -> bool:
    """Whether a counter can count the reasoning of an episode: sampled ids have to be there."""
    return name != SAMPLED or all(step.token_ids for step in trajectory.steps if step.completion)


def token_splitter(name: str) -> SplitTokens:
    """The tokenizer that a counter's name means for texts: a `tokenizer.json`, else words and signs.

    Raises:
        DataError: the file cannot be read as a tokenizer.
    """
    if name in (WORDS, SAMPLED):
        return words_and_signs
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(name)
    except Exception as error:  # the library raises bare Exception for whatever is wrong
        raise DataError(f"{name!r} is no tokenizer.json: {str(error)[:120]}") from None

    def split(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    return split


@dataclass(frozen=True)
class EpisodeView:
    """What a metric sees.

    Attributes:
        trajectory: the episode.
        reasoning: tokens in reasoning spans, a step; None where they cannot be counted.
        max_steps: the step limit of the run.
        references: what the reference runs thought on the same task.
        similarity: semantic match of two reasonings, None unless it was asked for.
        split: the tokenizer of CoT match over tokens.
    """

    trajectory: Trajectory
    reasoning: tuple[int, ...] | None
    max_steps: int
    references: Sequence[Reasoning] = ()
    similarity: Similarity | None = None
    split: SplitTokens = words_and_signs

    @functools.cached_property
    def agreement(self) -> Agreement | None:
        """Match with the references; None where there is none that speaks."""
        if not self.references:
            return None
        return agreement(Reasoning.of(self.trajectory), self.references, self.similarity, self.split)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        unit: "share" (0 to 1), or what is counted.
        help: one line for reports and documentation.
        of: what an episode adds, None where the metric does not apply.
        binary: every episode counts 0 or 1, so Wilson's interval applies.
        further: one form of several; results and reports of one run hold it, comparisons on a terminal leave it out.
    """

    unit: str
    help: str
    of: Callable[[EpisodeView], Share | None]
    binary: bool = False
    further: bool = False


def _matched(form: str, part: str) -> Callable[[EpisodeView], Share | None]:
    """One of recall, precision and F1 of one form of CoT match."""

    def of(episode: EpisodeView) -> Share | None:
        found = episode.agreement
        match = None if found is None else found.forms.get(form)
        return None if match is None else Share(getattr(match, part))

    return of


def _cot_length(episode: EpisodeView) -> Share | None:
    found = episode.agreement
    return None if found is None else Share(found.words, found.first)


def _of_several(which: str, part: str) -> Callable[[EpisodeView], Share | None]:
    """A figure of the best reference or of the mean over them: recall, precision, F1, or length over theirs."""

    def of(episode: EpisodeView) -> Share | None:
        found = episode.agreement
        against = None if found is None else getattr(found, which)
        if found is None or against is None:
            return None
        return Share(found.words, against.words) if part == "length" else Share(getattr(against.match, part))

    return of


def _reasoning_per_step(episode: EpisodeView) -> Share | None:
    return None if episode.reasoning is None else Share(sum(episode.reasoning), len(episode.reasoning))


def _reasoning_per_episode(episode: EpisodeView) -> Share | None:
    return None if episode.reasoning is None else Share(sum(episode.reasoning))


def _invalid(episode: EpisodeView) -> Share | None:
    steps = episode.trajectory.steps
    return Share(sum(not (step.parsed and step.valid) for step in steps), len(steps)) if steps else None


def _progress(episode: EpisodeView) -> Share | None:
    known = [step.progress for step in episode.trajectory.steps if step.progress is not None]
    return Share(max(known)) if known else None


def _reason_act_steps(episode: EpisodeView) -> Share:
    return Share(sum(bool(step.reasoning) + bool(step.action) for step in episode.trajectory.steps))


def _steps_at_limit(episode: EpisodeView) -> Share:
    trajectory = episode.trajectory
    return Share(len(trajectory.steps) if trajectory.success else max(episode.max_steps, len(trajectory.steps)))


def _tokens(episode: EpisodeView) -> Share | None:
    total = sum(step.generated_tokens for step in episode.trajectory.steps)
    return Share(total) if total else None


def _agent_seconds(episode: EpisodeView) -> Share | None:
    total = sum(step.agent_seconds for step in episode.trajectory.steps)
    return Share(total) if total else None


_SUFFIXES = {"recall": "", "precision": "_precision", "f1": "_f1"}

_FORMS = {
    "sets": ("cot_match_sets", "words as sets"),
    "tokens": ("cot_match_tokens", "tokens of the tokenizer file, else words and signs (appendix C)"),
    "steps": ("cot_match_steps", "words, step by step"),
    "rouge_l": ("cot_rouge_l", "longest common subsequence of words"),
    "semantic": ("cot_semantic", "sentence embeddings"),
}
"""Names and meanings of the forms of CoT match besides the default."""

_SEVERAL = {
    "best": ("cot_match_best", "words, against the task's reference of the highest F1"),
    "mean": ("cot_match_mean", "words, mean over the task's references"),
}


def _cot_metrics() -> dict[str, Metric]:
    """CoT match in all forms, each with precision and F1."""
    found = {
        "cot_match": Metric("share", "words of the reference's reasoning that come back", _matched("words", "recall")),
        "cot_precision": Metric(
            "share", "words of the reasoning that the reference has too", _matched("words", "precision")
        ),
        "cot_f1": Metric("share", "harmonic mean of the two", _matched("words", "f1")),
        "cot_length": Metric("ratio", "words of the reasoning over the reference's", _cot_length),
    }
    for form, (name, meaning) in _FORMS.items():
        for part, suffix in _SUFFIXES.items():
            found[name + suffix] = Metric("share", f"{part}: {meaning}", _matched(form, part), further=True)
    for which, (name, meaning) in _SEVERAL.items():
        for part, suffix in _SUFFIXES.items():
            found[name + suffix] = Metric("share", f"{part}: {meaning}", _of_several(which, part), further=True)
        found[f"{name}_length"] = Metric(
            "ratio", f"length over the reference's: {meaning}", _of_several(which, "length"), further=True
        )
    return found


METRICS: dict[str, Metric] = {
    "success_rate": Metric(
        "share", "episodes that the world calls a success", lambda s: Share(float(s.trajectory.success)), binary=True
    ),
    "score": Metric("score", "the benchmark's own score", lambda s: Share(s.trajectory.score)),
    "progress": Metric("share", "sub-goals reached at best, where the world has them", _progress),
    "reasoning_per_step": Metric("tokens", "tokens in reasoning spans, a step", _reasoning_per_step),
    "reasoning_per_episode": Metric("tokens", "tokens in reasoning spans, an episode", _reasoning_per_episode),
    **_cot_metrics(),
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
"""All metrics by name, in the order of reports; those of other distributions come last."""

PLUGIN_GROUP = "sad_eval.metrics"
"""Entry-point group of other distributions; each entry names a `Metric`, and the metric has the entry's name."""


def register(name: str, metric: Metric) -> None:
    """Add a metric to the results of all runs that are scored from now on.

    Raises:
        ConfigError: no plain name, or another metric has it.
        TypeError: no `Metric`.
    """
    if not re.fullmatch("[a-z][a-z0-9_]{0,39}", name):
        raise ConfigError(f"a metric's name is lower-case letters, digits and '_', at most 40, not {name[:60]!r}")
    if not isinstance(metric, Metric):
        raise TypeError(f"the metric {name} is a Metric, not {type(metric).__name__}")
    if METRICS.setdefault(name, metric) is not metric:
        raise ConfigError(f"there is a metric {name!r} already: choose another name")


@functools.cache
def load_plugins() -> dict[str, str]:
    """Register the metrics of other installed distributions; returns what `sad_env.registry.load_entries` does."""
    return load_entries(PLUGIN_GROUP, register)


def shares(episode: EpisodeView) -> dict[str, Share]:
    """What an episode adds to each metric that applies to it."""
    found = {name: metric.of(episode) for name, metric in METRICS.items()}
    return {name: share for name, share in found.items() if share is not None and share.whole > 0}

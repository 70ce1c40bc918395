"""The paper's claims, and what this study says of each: held, did not hold, undecided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sad_eval.metrics.statistics import holm
from sad_eval.study.comparisons import MethodComparison, compare_methods
from sad_eval.study.methods import BASELINES, METHODS, method_of
from sad_eval.study.results import COLUMNS, WorldResults
from sad_eval.study.statistics import Effect

LEVEL = 0.05
CLAIMED = ("success", "reasoning", "cot_f1", "steps")
"""The paper's four metrics."""


class Claim(NamedTuple):
    """A statement that the first method is better than the second in a metric."""

    heading: str
    text: str
    first: str
    second: str
    column: str


class Verdict(NamedTuple):
    """A claim and its result.

    Attributes:
        claim: the claim.
        comparison: of its two methods.
        p: of the overall difference, corrected over all claims (Holm); None where nothing was measured.
    """

    claim: Claim
    comparison: MethodComparison
    p: float | None

    @property
    def word(self) -> str:
        """The verdict."""
        overall = self.comparison.overall
        if overall is None or self.p is None:
            return "not measured"
        if self.p > LEVEL:
            return "undecided"
        return "held" if overall.value * self.comparison.gain > 0 else "did not hold, the opposite did"

    @property
    def line(self) -> str:
        """The verdict with its figures."""
        overall = self.comparison.overall
        if overall is None or self.p is None:
            return f"- {self.claim.text}: **{self.word}**."
        scale = COLUMNS[self.claim.column].scale
        worlds = "; ".join(f"{name} {figure(effect, scale)}" for name, effect in self.comparison.worlds.items())
        return (
            f"- {self.claim.text}: **{self.word}**. {figure(overall, scale)} {unit(self.claim.column)},"
            f" p = {self.p:.3f}; detectable: {scale * overall.resolution:.1f}. {worlds}."
        )


def claims() -> Iterator[Claim]:
    """All claims that a study can test."""
    for baseline in BASELINES:
        sad = counterpart(baseline)
        for column in CLAIMED:
            title = COLUMNS[column].title.partition(",")[0]
            better = "" if COLUMNS[column].higher else " (fewer)"
            text = f"{METHODS[sad].title}, is ahead of {METHODS[baseline].title} in {title}{better}"
            yield Claim(f"SAD is ahead of {METHODS[baseline].title}", text, sad, baseline, column)
    for other in ("sad-1-2", "sad-2-1"):
        text = f"1 : 1 beats {METHODS[other].title[5:]} in success"
        yield Claim("λ 1 : 1 is best", text, "sad-offline", other, "success")
    text = "with the curriculum success is higher"
    yield Claim("The curriculum helps", text, "sad-curriculum", "sad-offline", "success")
    for other, text in (
        ("sad-random-mask", "masks dealt at random lower success"),
        ("sad-no-reasoning", "without the reasoning term success is lower"),
        ("sad-no-action", "without the action term success is lower"),
    ):
        yield Claim("Masks and both terms are needed", text, "sad-offline", other, "success")


def counterpart(method: str) -> str:
    """The SAD method that differs from a baseline in the loss alone.

    >>> counterpart("minillm"), counterpart("seqkd")
    ('sad-online', 'sad-offline')
    """
    return "sad-online" if method_of(method).online else "sad-offline"


def verdicts(worlds: Sequence[WorldResults]) -> list[Verdict]:
    """Every claim against the results; p values are corrected for the number of claims that were measured."""
    tested = [(claim, compare_methods(worlds, claim.first, claim.second, claim.column)) for claim in claims()]
    corrected = iter(holm([found.overall.p for _, found in tested if found.overall is not None]))
    return [Verdict(claim, found, None if found.overall is None else next(corrected)) for claim, found in tested]


def claims_text(worlds: Sequence[WorldResults]) -> str:
    """The section on claims."""
    found = verdicts(worlds)
    measured = sum(verdict.p is not None for verdict in found)
    lines = ["## The paper's claims\n"]
    if measured:
        lines.append(
            f'Each line is one of {measured} tests; p values are corrected over them (Holm). "Held" and "did not hold"'
            f' mean p of at most {LEVEL}; a claim with a higher p is "undecided". Differences are first minus second,'
            ' with 95 % intervals, over all sizes and seeds: the mean over the worlds, then each world. "Detectable"'
            " is the difference that such a test would find in four cases of five."
        )
    heading = ""
    for verdict in found:
        if verdict.p is None:
            continue
        if verdict.claim.heading != heading:
            heading = verdict.claim.heading
            lines.append(f"\n**{heading}.**\n")
        lines.append(verdict.line)
    if measured < len(found):
        lines.append(f"\nNot measured, since their methods were not run to the end: {len(found) - measured} claims.")
    return "\n".join(lines) + "\n"


def figure(effect: Effect, scale: float) -> str:
    """A difference with its interval.

    >>> figure(Effect(0.05, -0.01, 0.11, 0.1, 0.03), 100)
    '+5.0 [-1.0, +11.0]'
    """
    return f"{scale * effect.value:+.1f} [{scale * effect.low:+.1f}, {scale * effect.high:+.1f}]"


def outcome(effect: Effect, p: float) -> str:
    """What a corrected test says of the first of two methods: "ahead", "behind", or "undecided" above `LEVEL`.

    >>> outcome(Effect(0.05, -0.01, 0.11, 0.01, 0.03), 0.06)
    'undecided'
    """
    return "undecided" if p > LEVEL else "ahead" if effect.value > 0 else "behind"


def unit(column: str) -> str:
    """The unit of a difference."""
    if COLUMNS[column].scale == 100:
        return "points"
    return {"reasoning": "tokens", "steps": "steps"}[column]

"""The paper's claims, and what this study says of each: held, did not hold, cannot be told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sad_eval.study.arms import ARMS, BASELINES
from sad_eval.study.comparisons import Comparison, compare
from sad_eval.study.results import METRICS, WorldResults
from sad_eval.study.statistics import Difference, holm

LEVEL = 0.05
CLAIMED = ("success", "reasoning", "cot_f1", "steps")
"""The paper's four metrics."""


class Claim(NamedTuple):
    """One statement: the first way is better than the second in a metric."""

    heading: str
    text: str
    first: str
    second: str
    metric: str


class Verdict(NamedTuple):
    """A claim and what came out.

    Attributes:
        claim: the claim.
        comparison: of its two ways.
        p: of the overall difference, corrected over all claims (Holm); None where nothing was measured.
    """

    claim: Claim
    comparison: Comparison
    p: float | None

    @property
    def word(self) -> str:
        """The verdict."""
        overall = self.comparison.overall
        if overall is None or self.p is None:
            return "not measured"
        if self.p > LEVEL:
            return "cannot be told"
        return "held" if overall.value * self.comparison.gain > 0 else "did not hold, the opposite did"

    @property
    def line(self) -> str:
        """The verdict with its figures."""
        overall = self.comparison.overall
        if overall is None or self.p is None:
            return f"- {self.claim.text}: **{self.word}**."
        metric = METRICS[self.claim.metric]
        worlds = "; ".join(f"{name} {figure(one, metric.scale)}" for name, one in self.comparison.worlds.items())
        return (
            f"- {self.claim.text}: **{self.word}**. {figure(overall, metric.scale)} {unit(self.claim.metric)},"
            f" p = {self.p:.3f}; detectable: {metric.scale * overall.resolution:.1f}. {worlds}."
        )


def claims() -> Iterator[Claim]:
    """All claims that a study can speak of."""
    for baseline in BASELINES:
        sad = counterpart(baseline)
        for metric in CLAIMED:
            title = METRICS[metric].title.partition(",")[0]
            better = "" if METRICS[metric].higher else " (fewer)"
            text = f"{ARMS[sad].title}, is ahead of {ARMS[baseline].title} in {title}{better}"
            yield Claim(f"SAD is ahead of {ARMS[baseline].title}", text, sad, baseline, metric)
    for other in ("sad-1-2", "sad-2-1"):
        yield Claim(
            "λ 1 : 1 is best", f"1 : 1 beats {ARMS[other].title[5:]} in success", "sad-offline", other, "success"
        )
    yield Claim(
        "The curriculum helps", "with the curriculum success is higher", "sad-curriculum", "sad-offline", "success"
    )
    for other, text in (
        ("sad-random-mask", "masks dealt at random lower success"),
        ("sad-no-reasoning", "without the reasoning term success is lower"),
        ("sad-no-action", "without the action term success is lower"),
    ):
        yield Claim("Masks and both terms are needed", text, "sad-offline", other, "success")


def counterpart(arm: str) -> str:
    """The SAD arm that differs from a baseline in the loss alone.

    >>> counterpart("minillm"), counterpart("seqkd")
    ('sad-online', 'sad-offline')
    """
    return "sad-online" if ARMS[arm].online else "sad-offline"


def verdicts(worlds: Sequence[WorldResults]) -> list[Verdict]:
    """Every claim against the results; chances are corrected for being as many as were measured."""
    made = [(claim, compare(worlds, claim.first, claim.second, claim.metric)) for claim in claims()]
    corrected = iter(holm([one.overall.p for _, one in made if one.overall is not None]))
    return [Verdict(claim, one, None if one.overall is None else next(corrected)) for claim, one in made]


def claims_text(worlds: Sequence[WorldResults]) -> str:
    """The section on claims."""
    found = verdicts(worlds)
    measured = sum(verdict.p is not None for verdict in found)
    lines = ["## The paper's claims\n"]
    if measured:
        lines.append(
            f'Each line is one of {measured} tests; p values are corrected over them (Holm). "Held" and "did not hold"'
            f' mean p of at most {LEVEL}, otherwise it "cannot be told". Differences are first minus second, with'
            ' 95 % intervals, over all sizes and seeds: the mean over the worlds, then each world. "Detectable" is the'
            " difference that such a test would find in four cases of five."
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
        lines.append(f"\nNot measured, since their ways were not run to the end: {len(found) - measured} claims.")
    return "\n".join(lines) + "\n"


def figure(one: Difference, scale: float) -> str:
    """A difference with its interval.

    >>> figure(Difference(0.05, -0.01, 0.11, 0.1, 0.03), 100)
    '+5.0 [-1.0, +11.0]'
    """
    return f"{scale * one.value:+.1f} [{scale * one.low:+.1f}, {scale * one.high:+.1f}]"


def unit(metric: str) -> str:
    """What a difference is counted in."""
    if METRICS[metric].scale == 100:
        return "points"
    return {"reasoning": "tokens", "steps": "steps"}[metric]

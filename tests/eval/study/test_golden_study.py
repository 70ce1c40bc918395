"""The report of a study that an earlier version ran is made again: every figure equal to the printed digit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sad_eval.study.report import write_report

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")

REWORDED = {
    # "arm" and "way" are called what the field calls them
    "| student | way |": "| student | method |",
    "| way | hotpotqa": "| method | hotpotqa",
    "Tests of SAD against each way, success": "Tests of SAD against each method, success",
    "updates of each way, offline": "updates of each method, offline",
    "(ways).": "(methods).",
    "all ways of a world are measured": "all methods of a world are measured",
    # a plain word for a verdict
    'otherwise it "cannot be told".': 'a claim with a higher p is "undecided".',
    "mean p of at most 0.05, ": "mean p of at most 0.05; ",
    "**cannot be told**": "**undecided**",
}
"""Phrases of the old report and what is written now; none of them holds a figure that changes."""


RENUMBERED = {
    # under the numbers that the paper prints
    "(the paper's Tables 5 and 6)": "(of the paper's Table 5)",
    "Weight of reasoning to weight of action (Table 13)": (
        "Weight of reasoning to weight of action (Tables 6 and 12 vary it, without 1 : 2)"
    ),
    "Curriculum (Table 15)": "Curriculum (Tables 13 and 14)",
}
"""The same, with numbers of the paper's tables: no figures either."""


def numbers(text: str) -> list[str]:
    return NUMBER.findall(text)


def test_numbers_are_found_where_a_report_has_them() -> None:
    line = "+0.0 [-5.6, +15.6] points, p = 1.000; toy layers:3 0: 4/2 (p 0.69); 14,147 tokens | 1e-05"
    expected = ["+0.0", "-5.6", "+15.6", "1.000", "3", "0", "4", "2", "0.69", "14,147", "1e-05"]
    assert numbers(line) == expected


def test_the_report_is_made_again_figure_by_figure(
    golden_study: Path, published: dict[str, str], as_before: Callable[[str, str], str]
) -> None:
    write_report(golden_study)
    for name in ("results.csv", "tests.csv"):
        assert as_before(name, (golden_study / name).read_text(encoding="utf-8")) == published[name]
    before = published["README.md"]
    for old, new in RENUMBERED.items():
        assert old in before
        before = before.replace(old, new)
    figures = numbers(before)
    for old, new in REWORDED.items():
        assert old in before
        assert numbers(old) == numbers(new)
        before = before.replace(old, new)
    now = as_before("README.md", (golden_study / "README.md").read_text(encoding="utf-8"))
    assert now.split() == before.split()  # lines of the last section are broken at other words
    assert numbers(now) == figures
    assert len(numbers(now)) > 1000

"""Every number has one implementation: functions of one statistic or similarity are defined in one module only."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("sad_env", "agents/sad_agents", "distill/sad_distill", "eval/sad_eval", "leaderboard/sad_leaderboard")
STATISTICS, SIMILARITY = "eval/sad_eval/metrics/statistics.py", "eval/sad_eval/metrics/cot_match.py"
HOMES = {
    "wilson": STATISTICS,
    "mcnemar": STATISTICS,
    "holm": STATISTICS,
    "bootstrap": STATISTICS,
    "resampled": STATISTICS,
    "match": SIMILARITY,
    "longest_common_subsequence": SIMILARITY,
    "lcs": None,
}
"""By a word of the function's name; None where a library does it."""
ANOTHER_THING = {"exact_match"}
"""Functions with such a name that compute something else: the score of an answer in HotPotQA."""


def functions() -> dict[str, set[str]]:
    """Modules by the name of a function or a method that they define."""
    found: dict[str, set[str]] = defaultdict(set)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef) and node.name not in ANOTHER_THING:
                    found[node.name].add(str(path.relative_to(ROOT)))
    return found


def test_each_statistic_is_defined_in_one_module() -> None:
    defined = functions()
    for word, home in HOMES.items():
        named = re.compile(rf"(?:^|_){word}(?:_|$)")
        modules = {module for name, found in defined.items() if named.search(name) for module in found}
        assert modules == ({home} if home else set()), word

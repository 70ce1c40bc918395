"""The end of an evaluation: the report on standard output, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sad_env.errors import IncompleteError
from sad_env.safe_text import console, one_line, safe_text
from sad_eval.metrics.episode_metrics import METRICS
from sad_eval.records import Estimate, Results
from sad_eval.report.numbers import interval_text, value_text

_COLUMNS_WITH_INTERVALS = 3


def exit_code(results: Results) -> int:
    """0 when every episode is scored, 3 while some are owed."""
    return 0 if results.status == "complete" else IncompleteError.exit_code


def to_json(runs: Sequence[Results]) -> str:
    """The results of one run as JSON, those of several as a list."""
    documents = [results.model_dump(mode="json") for results in runs]
    return json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, allow_nan=False)


def side_by_side(columns: Sequence[tuple[str, Results]]) -> None:
    """Print several runs' metrics in one table, one column a run; up to three with their 95 % intervals."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for name, _ in columns:
        table.add_column(safe_text(one_line(name, 24)), justify="right")
    names = dict.fromkeys(name for _, results in columns for name in results.metrics if _main(name))
    intervals = len(columns) <= _COLUMNS_WITH_INTERVALS
    for name in names:
        cells = [_cell(name, results.metrics.get(name), interval=intervals) for _, results in columns]
        table.add_row(safe_text(name.replace("_", " ")), *cells)
    console().print(Padding(table, (1, 0, 0, 0)))


def _main(name: str) -> bool:
    """Neither a time nor one form of several."""
    return not name.endswith("seconds") and not (name in METRICS and METRICS[name].further)


def _cell(name: str, estimate: Estimate | None, *, interval: bool) -> Text:
    if estimate is None:
        return Text("—", style="dim")
    text = safe_text(value_text(name, estimate))
    return text.append(f"\n[{interval_text(name, estimate)}]", "dim") if interval else text

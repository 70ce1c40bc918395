"""The end of an evaluation: the report on standard output, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sad_env.errors import IncompleteError
from sad_env.safe_text import console, one_line, safe_text
from sad_eval.metrics import METRICS
from sad_eval.report.numbers import interval_text, value_text
from sad_eval.report.terminal import print_report
from sad_eval.run_folder import Estimate, Results

_COLUMNS_WITH_INTERVALS = 3


def exit_code(results: Results) -> int:
    """0 when every episode is scored, 3 while some are owed."""
    return 0 if results.status == "complete" else IncompleteError.exit_code


def show(results: Results, *, as_json: bool = False) -> None:
    """Print one run's results: a report, or JSON."""
    if as_json:
        print(json.dumps(results.model_dump(mode="json"), indent=2, allow_nan=False))
    else:
        print_report(results, console())


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

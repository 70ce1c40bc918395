"""A report as data and as tables: JSON of a published schema, LaTeX and Markdown of metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from sad_env.errors import ConfigError
from sad_env.files import atomic_text
from sad_eval.records import Results
from sad_eval.report.escape import Cell, markdown_cell
from sad_eval.report.model import Report, RunReport
from sad_eval.report.numbers import interval_text, unit_text, value_text
from sad_eval.report.tables import latex_table, markdown_table

TABLE_METRICS = (
    "success_rate",
    "score",
    "reasoning_per_step",
    "cot_match",
    "cot_precision",
    "cot_f1",
    "cot_length",
    "environment_steps",
    "invalid_actions",
    "generated_tokens",
)
"""Metrics of the LaTeX and Markdown tables, where a run has them; the other forms hold all."""

_COUNTED = "reasoning_per_step"
"""The one whose unit is the run's choice (`--tokenizer`), so that every unit has a column."""


def to_json(report: Report) -> str:
    """The report as JSON of schema `sad_eval.report.model.json_schema`."""
    return json.dumps(report.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"


def results_json(runs: Sequence[Results]) -> str:
    """The results of one run as JSON, those of several as a list."""
    documents = [results.model_dump(mode="json") for results in runs]
    return json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, allow_nan=False)


def to_latex(report: Report) -> str:
    """Metrics by run, one line a run, with their intervals."""
    header, rows = _metrics(report)
    return latex_table(header, rows, _caption(report))


def to_markdown(report: Report) -> str:
    """Metrics by run, one line a run, and the panel they were measured on."""
    header, rows = _metrics(report)
    return f"{markdown_table(header, rows)}\n{markdown_cell(_caption(report))}\n"


def _metrics(report: Report) -> tuple[list[str], list[list[Cell]]]:
    columns = [
        (name, unit)
        for name in TABLE_METRICS
        for unit in dict.fromkeys(_unit(name, run.results) for run in report.runs if name in run.results.metrics)
    ]
    names = [name.replace("_", " ") + (f", {unit}" if unit else "") for name, unit in columns]
    return ["run", "agent", "panel", "n", *names], [_row(run, columns) for run in report.runs]


def _unit(name: str, results: Results) -> str:
    """The unit that a column names; "" where it is the same in all runs."""
    return unit_text(name, results) if name == _COUNTED else ""


def _row(run: RunReport, columns: list[tuple[str, str]]) -> list[Cell]:
    results = run.results
    cells: list[Cell] = [run.name, run.agent, f"{run.world} {run.panel} ({run.data})", results.scored]
    return [*cells, *(_cell(name, results) if _unit(name, results) == unit else None for name, unit in columns)]


def _cell(name: str, results: Results) -> Cell:
    estimate = results.metrics.get(name)
    return None if estimate is None else f"{value_text(name, estimate)} [{interval_text(name, estimate)}]"


def _caption(report: Report) -> str:
    panels = dict.fromkeys(f"{run.world} {run.panel}, sha256 {run.panel_sha256[:12]}" for run in report.runs)
    owed = sum(run.results.owed for run in report.runs)
    incomplete = f" INCOMPLETE: {owed} episodes are owed." if owed else ""
    units = {unit_text(_COUNTED, run.results) for run in report.runs if _COUNTED in run.results.metrics}
    mixed = " Lengths of reasoning in different units do not compare." if len(units) > 1 else ""
    return f"95 % intervals in brackets. Panels: {'; '.join(panels)}.{mixed}{incomplete}"


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Replace a file by these pieces of text, one after the other.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        with atomic_text(path) as file:
            file.writelines(pieces)
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror}") from None

"""The report in the terminal: what came out, between what bounds, how the episodes ended, and what to do next."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sad_env.records import Status
from sad_env.safe_text import one_line, safe_text
from sad_eval.report.model import RunReport
from sad_eval.report.numbers import interval_text, value_text

STYLES = {
    Status.SUCCESS.value: "green",
    Status.FAILURE.value: "red",
    Status.MAX_STEPS.value: "yellow",
}
"""Endings that have a colour of their own; the others are magenta."""

_BAR = 24


def print_report(run: RunReport, console: Console) -> None:
    """Print the report of one run."""
    console.print(render(run))


def render(run: RunReport) -> RenderableType:
    """The report of one run, for a rich console."""
    results = run.results
    blocks: list[RenderableType] = [_head(run)]
    if results.status != "complete":
        blocks.append(_owed(run))
    blocks += [safe_text(f"! {remark}", style="yellow") for remark in results.remarks]
    if results.metrics:
        blocks.append(Padding(_metrics(run), (1, 0, 0, 0)))
    blocks.append(Padding(_endings(run), (1, 0, 0, 0)))
    if len(results.by_task_type) > 1:
        blocks.append(Padding(_task_types(run), (1, 0, 0, 0)))
    return Group(*blocks)


def _head(run: RunReport) -> Text:
    text = safe_text(one_line(run.agent, 60), style="bold")
    facts = (
        f"{run.world} · panel {run.panel} · {run.data} data · {run.results.scored} of {run.results.planned} episodes"
    )
    return text.append("  ").append_text(safe_text(one_line(facts, 200), style="dim"))


def _owed(run: RunReport) -> Text:
    results = run.results
    text = f"INCOMPLETE: {results.owed} of {results.planned} episodes are owed"
    if results.bounds:
        text += f"; the success rate lies between {results.bounds[0]:.1%} and {results.bounds[1]:.1%}"
    return safe_text(f"{text}.", style="bold yellow")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=index > 0)
    return table


def _metrics(run: RunReport) -> Table:
    table = _table("metric", "value", "95 % interval", "n", "unit")
    for name, estimate in run.results.metrics.items():
        style = "bold" if name == "success_rate" else ""
        cells = (name.replace("_", " "), value_text(name, estimate), interval_text(name, estimate), f"{estimate.n:,}")
        table.add_row(
            *(safe_text(one_line(cell, 60), style) for cell in cells), safe_text(one_line(estimate.unit, 40), "dim")
        )
    return table


def _endings(run: RunReport) -> Table:
    table = _table("ended by", "", "episodes")
    most = max([*run.results.counts.values(), 1])
    for status in Status:
        count = run.results.counts.get(status.value, 0)
        if count:
            bar = Text("━" * max(1, round(_BAR * count / most)), style=STYLES.get(status.value, "magenta"))
            table.add_row(status.value.replace("_", " "), bar, f"{count:,}")
    table.columns[1].justify = "left"
    return table


def _task_types(run: RunReport) -> Table:
    table = _table("task type", "success", "95 % interval", "n")
    for kind, metrics in run.results.by_task_type.items():
        if rate := metrics.get("success_rate"):
            cells = (value_text("success_rate", rate), interval_text("success_rate", rate), f"{rate.n:,}")
            table.add_row(safe_text(one_line(kind, 60)), *cells)
    return table

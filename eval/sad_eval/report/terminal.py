"""The report in the terminal: what came out, between what bounds, how the episodes ended. It fits 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from sad_env.records import Status
from sad_env.safe_text import one_line, safe_text
from sad_eval.metrics.episode_metrics import METRICS
from sad_eval.records import Estimate, Results
from sad_eval.report.numbers import interval_text, unit_text, value_text

STYLES = {
    Status.SUCCESS.value: "green",
    Status.FAILURE.value: "red",
    Status.MAX_STEPS.value: "yellow",
}
"""Endings that have a colour of their own; the others are magenta."""

GROUPS: tuple[tuple[str, dict[str, str]], ...] = (
    ("", {"success_rate": "success", "score": "score", "progress": "sub-goals reached"}),
    (
        "reasoning length",
        {"reasoning_per_step": "a step", "reasoning_per_episode": "an episode"},
    ),
    (
        "CoT match",
        {
            "cot_match": "recall of words",
            "cot_precision": "precision",
            "cot_f1": "F1",
            "cot_length": "length over reference's",
        },
    ),
    (
        "steps",
        {
            "environment_steps": "in the world",
            "environment_steps_at_limit": "  failures counted as the limit",
            "reasoning_and_action_steps": "reasonings + actions",
            "invalid_actions": "invalid actions",
        },
    ),
    (
        "cost of an episode",
        {
            "generated_tokens": "tokens generated",
            "agent_seconds": "agent, seconds",
            "world_seconds": "world, seconds",
            "seconds": "wall, seconds",
        },
    ),
)
"""Metrics in the order of the report, by heading; those that are not named here come last, under their own names."""

FORMS = {
    "cot_match_sets": "sets",
    "cot_match_tokens": "tokens (paper)",
    "cot_match_steps": "by step",
    "cot_rouge_l": "ROUGE-L",
    "cot_semantic": "semantic",
    "cot_match_best": "best reference",
    "cot_match_mean": "mean reference",
}
"""Further forms of CoT match, a row each: the name of the recall; those of precision, F1 and length begin with it."""

_BAR = 20

_COLUMNS_WITH_INTERVALS = 3
"""Runs side by side at most that still have their intervals on 80 columns."""


def print_report(results: Results, console: Console) -> None:
    """Print the report of one run."""
    console.print(render(results))


def render(results: Results) -> RenderableType:
    """The report of one run, for a rich console."""
    blocks: list[RenderableType] = [Rule(style="dim"), *_head(results)]
    if results.metrics:
        blocks.append(_spaced(_metrics(results)))
    if any(name in results.metrics for name in FORMS):
        blocks.append(_spaced(_forms(results)))
    blocks.append(_spaced(_endings(results)))
    if len(results.by_task_type) > 1:
        blocks.append(_spaced(_task_types(results)))
    if results.remarks:
        blocks.append(_spaced(Group(*(safe_text(remark, "dim") for remark in results.remarks))))
    return Group(*blocks)


def _spaced(block: RenderableType) -> RenderableType:
    return Padding(block, (1, 0, 0, 0))


def _head(results: Results) -> list[RenderableType]:
    title = safe_text(one_line(results.agent, 48), "bold")
    title.append("  in  ", "dim").append_text(safe_text(one_line(results.world, 30), "bold"))
    facts = f"panel {results.panel} · {results.data} data · {results.scored:,} of {results.planned:,} episodes scored"
    blocks: list[RenderableType] = [title, safe_text(one_line(facts, 200), "dim")]
    if results.status != "complete":
        text = f"INCOMPLETE: {results.owed:,} of {results.planned:,} episodes are owed"
        if results.bounds:
            text += f"; success lies between {results.bounds[0]:.1%} and {results.bounds[1]:.1%}"
        blocks.append(safe_text(f"{text}.", "bold yellow"))
    return blocks


def plain_table(*columns: str, gap: int = 3, left: Sequence[int] = (0,)) -> Table:
    """A table without lines: figures flush right, and the columns numbered in `left` flush left."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, gap, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index in left else "right", no_wrap=index not in left)
    return table


def _metrics(results: Results) -> Table:
    table = plain_table("", "value", "95 % interval", "n")
    named = {name for _, names in GROUPS for name in names}
    others = {
        name: name.replace("pass_hat_", "pass^").replace("_", " ")
        for name in results.metrics
        if name not in named and not name.startswith(tuple(FORMS))
    }
    for heading, names in (*GROUPS, ("more", others)):
        rows = [(label, name) for name, label in names.items() if name in results.metrics]
        if rows and heading:
            table.add_row(_heading(heading, results))
        for label, name in rows:
            _metric_row(table, f"  {label}" if heading else label, name, results.metrics[name])
    return table


def _forms(results: Results) -> Table:
    table = plain_table("other forms", "recall, %", "precision, %", "F1, %", "length", gap=2)
    for name, label in FORMS.items():
        if name in results.metrics:
            cells = [_share_cell(results.metrics.get(name + suffix)) for suffix in ("", "_precision", "_f1")]
            length = results.metrics.get(f"{name}_length") or results.metrics.get("cot_length")
            table.add_row(label, *cells, _value("cot_length", length))
    return table


def _value(name: str, estimate: Estimate | None) -> str:
    """Results are read from a file, which may lack any metric."""
    return value_text(name, estimate) if estimate else "–"


def _share_cell(estimate: Estimate | None) -> Text:
    if estimate is None:
        return Text("–")
    text = Text(f"{100 * estimate.value:.1f}")
    return text.append(f" {100 * estimate.low:.1f}–{100 * estimate.high:.1f}", "dim")


def _heading(heading: str, results: Results) -> Text:
    text = Text(heading)
    if heading == "reasoning length" and results.tokenizer:
        text.append_text(safe_text(f" ({unit_text('reasoning_per_step', results)})", "dim"))
    if heading == "CoT match" and results.reference:
        text.append_text(safe_text(f" (with {one_line(results.reference, 24)})", "dim"))
    return text


def _metric_row(table: Table, label: str, name: str, estimate: Estimate) -> None:
    style = "bold green" if name == "success_rate" else ""
    interval = safe_text(interval_text(name, estimate), "dim")
    table.add_row(
        safe_text(label[:40], style),
        safe_text(value_text(name, estimate), style),
        interval,
        f"{estimate.n:,}",
    )


def _bar(count: int, most: int, style: str) -> Text:
    return Text("━" * max(1, round(_BAR * count / most)), style=style)


def _endings(results: Results) -> Table:
    table = plain_table("ended by", "episodes", "", left=(0, 2))
    most = max([*results.counts.values(), 1])
    for status in Status:
        if count := results.counts.get(status.value, 0):
            bar = _bar(count, most, STYLES.get(status.value, "magenta"))
            table.add_row(status.value.replace("_", " "), f"{count:,}", bar)
    return table


def _task_types(results: Results) -> Table:
    table = plain_table("task type", "success", "95 % interval", "steps", "n")
    for kind, metrics in results.by_task_type.items():
        rate = metrics.get("success_rate")
        if rate is None:
            continue
        table.add_row(
            safe_text(one_line(kind or "(none)", 40)),
            value_text("success_rate", rate),
            safe_text(interval_text("success_rate", rate), "dim"),
            _value("environment_steps", metrics.get("environment_steps")),
            f"{rate.n:,}",
        )
    return table


def side_by_side(columns: Sequence[tuple[str, Results]], console: Console) -> None:
    """Print several runs' metrics in one table, one column a run; up to three with their 95 % intervals."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for name, _ in columns:
        table.add_column(safe_text(one_line(name, 24)), justify="right")
    rows = dict.fromkeys(_row(name, results) for _, results in columns for name in results.metrics if _main(name))
    intervals = len(columns) <= _COLUMNS_WITH_INTERVALS
    for name, unit in rows:
        own = [results.metrics.get(name) if _row(name, results) == (name, unit) else None for _, results in columns]
        cells = [_cell(name, estimate, interval=intervals) for estimate in own]
        table.add_row(safe_text(name.replace("_", " ") + (f", {unit}" if unit else "")), *cells)
    console.print(Padding(table, (1, 0, 0, 0)))


def _row(name: str, results: Results) -> tuple[str, str]:
    """A metric and the unit its row has: lengths of reasoning in different units have rows of their own."""
    return name, unit_text(name, results) if name.startswith("reasoning_per_") else ""


def _main(name: str) -> bool:
    """Neither a time nor one form of several."""
    return not name.endswith("seconds") and not (name in METRICS and METRICS[name].further)


def _cell(name: str, estimate: Estimate | None, *, interval: bool) -> Text:
    if estimate is None:
        return Text("—", style="dim")
    text = safe_text(value_text(name, estimate))
    return text.append(f"\n[{interval_text(name, estimate)}]", "dim") if interval else text

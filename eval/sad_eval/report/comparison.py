"""A comparison of runs as it is printed: the runs, and every pair of them with its metrics and flips."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.padding import Padding

from sad_env.safe_text import one_line, safe_text
from sad_eval.analysis.compare import Comparison, Pair
from sad_eval.metrics.episode_metrics import METRICS
from sad_eval.report.terminal import plain_table


def print_comparison(comparison: Comparison, out: Console, *, flips: int) -> None:
    """Print a comparison: the runs, then every pair of them."""
    out.print(
        safe_text(
            f"{comparison.world} · {comparison.panel} · {comparison.episodes:,} paired episodes"
            f" of {comparison.tasks:,} tasks",
            "bold",
        )
    )
    for remark in comparison.remarks:
        out.print(safe_text(f"! {remark}", "yellow"))
    table = plain_table("run", "success", "95 % interval", "rank", "tied with", left=(0, 4))
    for run in comparison.runs:
        table.add_row(
            safe_text(one_line(run.name, 40)),
            f"{run.success_rate:.1%}",
            f"{run.low:.1%} – {run.high:.1%}",
            run.rank,
            safe_text(one_line(", ".join(run.tied) or "none", 60), "dim"),
        )
    out.print(Padding(table, (1, 0, 0, 0)))
    values = {run.name: run.values for run in comparison.runs}
    for pair in comparison.pairs:
        _print_pair(pair, values, out, flips)


def verdict(pair: Pair) -> str:
    """What a pair of runs shows, in one sentence."""
    rate = pair.differences["success_rate"]
    n = pair.both + pair.only_first + pair.only_second + pair.neither
    if not pair.only_first and not pair.only_second:
        return (
            f"they solve the same {pair.both:,} of {n:,} tasks" if pair.both else f"neither solves any of {n:,} tasks"
        )
    if not pair.separable:
        seen = f"{100 * rate.value:+.0f} points"
        return f"{n:,} pairs do not separate them: {seen} can be chance (p = {pair.p_adjusted:.2g})"
    better = pair.second if rate.value > 0 else pair.first
    return f"{one_line(better, 40)} succeeds more often, by {100 * abs(rate.value):.1f} points on these tasks"


def _print_pair(pair: Pair, values: Mapping[str, Mapping[str, float]], out: Console, flips: int) -> None:
    out.print()
    out.print(safe_text(f"{one_line(pair.first, 40)} → {one_line(pair.second, 40)}", "bold"))
    counts = f"both {pair.both:,} · only first {pair.only_first:,} · only second {pair.only_second:,}"
    out.print(safe_text(f"{counts} · neither {pair.neither:,} · {pair.test} p = {pair.p_adjusted:.3g}"))
    out.print(safe_text(verdict(pair) + ".", "green" if pair.separable else "yellow"))
    table = plain_table("metric", "first", "second", "difference", "95 % interval", gap=2)
    for name, difference in pair.differences.items():
        if METRICS[name].further:
            continue
        share = METRICS[name].unit == "share"
        scale, digits = (100, 1) if share else (1, 3 if abs(values[pair.first][name]) < 100 else 1)
        ours, theirs = (f"{scale * values[run][name]:,.{digits}f}" for run in (pair.first, pair.second))
        value, low, high = (f"{scale * number:+,.{digits}f}" for number in difference)
        style = "" if difference.low <= 0 <= difference.high else "bold"
        # Whatever tokenizer the runs were counted with, here all reasoning is counted in words.
        unit = ", %" if share else ", words" if METRICS[name].unit == "tokens" and "reasoning" in name else ""
        label = name.replace("_", " ") + unit
        table.add_row(safe_text(label, style), ours, theirs, value, f"{low} – {high}")
    out.print(Padding(table, (1, 0, 0, 0)))
    for sign, who in (("+", pair.second), ("-", pair.first)):
        tasks = pair.flips[sign]
        if tasks and flips:
            out.print(safe_text(f"only {one_line(who, 40)} solved:", "dim"))
            for task in tasks[:flips]:
                out.print(safe_text(f"  {sign} {one_line(task, 100)}"), soft_wrap=True)
            if len(tasks) > flips:
                out.print(safe_text(f"  … and {len(tasks) - flips:,} more (--flips {len(tasks)})", "dim"))

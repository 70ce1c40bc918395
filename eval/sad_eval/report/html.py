"""One self-contained HTML file: escaped throughout, without scripts, forbidden by its own policy to load anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jinja2 import Environment

from sad_env import html
from sad_env.charts import BOX
from sad_env.records import Status
from sad_env.safe_text import one_line
from sad_eval.report import plots
from sad_eval.report.model import Report, RunReport, build_report, shown_trajectories
from sad_eval.report.numbers import interval_text, plain, unit_text, value_text
from sad_eval.report.overlay import span_texts
from sad_eval.runs.run_folder import RunFolder

HEADLINE = (
    ("success_rate", "success"),
    ("score", "score"),
    ("environment_steps", "steps an episode"),
    ("reasoning_per_step", "reasoning a step"),
    ("cot_match", "CoT match"),
    ("invalid_actions", "invalid actions"),
)


def environment(package: str = "sad_eval.report") -> Environment:
    """The environment of a package's templates, which print figures, intervals, units and spans."""
    result = html.environment(package)
    result.globals.update(figure=plain, spans=span_texts, value=value_text, interval=interval_text, unit=unit_text)
    return result


def render_html(runs: Sequence[RunFolder], *, episodes: int = 200, report: Report | None = None) -> Iterator[str]:
    """The report of one or several runs as pieces of HTML, to be written one after the other.

    Args:
        runs: the run folders; each must have results.
        episodes: how many episodes of each run can be clicked through.
        report: `build_report` of the runs, where it is there already.
    """
    report = report or build_report(runs)
    items = []
    for run, item in zip(runs, report.runs, strict=True):
        trajectories, total = shown_trajectories(run, episodes)
        about = {"endings": endings(item), "facts": facts(item)}
        items.append({"run": item, "shown": trajectories, "total": total, **about})
    figures = [plot for plot in (plots.steps_plot(report.runs), plots.size_plot(report.runs)) if plot]
    template = environment().get_template("report.html.j2")
    yield from template.generate(
        title=_title(report),
        lead=_lead(report),
        runs=items,
        plots=figures,
        mixed=len({(run.world, run.data, run.panel_sha256) for run in report.runs}) > 1,
        box=BOX,
        headline=HEADLINE,
    )


def endings(run: RunReport) -> list[tuple[str, int]]:
    """Endings that occurred, in the order of `Status`, and how often."""
    return [(status.value, run.results.counts[status.value]) for status in Status if run.results.counts.get(status)]


def facts(run: RunReport) -> list[tuple[str, str]]:
    """Where the figures come from, line by line; empty facts are left out by the template."""
    limits = ", ".join(f"{name} {value:g}" for name, value in run.limits.items() if value is not None)
    commit = f"{run.commit}{' with uncommitted changes' if run.dirty else ''}"
    parameters = f" · {run.parameters:,} parameters" if run.parameters else ""
    return [
        ("agent", f"{run.agent}{parameters}"),
        ("checkpoint sha256", run.agent_sha256),
        ("world and data", f"{run.world} · {run.data}"),
        ("panel", f"{run.panel} · sha256 {run.panel_sha256}"),
        ("about the panel", run.panel_description),
        ("seed and repeats", f"seed {run.seed}, {run.repeats} a task"),
        ("limits", limits),
        ("command", run.command),
        ("commit", commit),
        ("versions", ", ".join(f"{name} {value}" for name, value in sorted(run.versions.items()))),
        ("begun", run.created),
        ("reasoning counted in", run.results.tokenizer),
        ("CoT match against", run.results.reference),
    ]


def _title(report: Report) -> str:
    if len(report.runs) > 1:
        return f"{len(report.runs)} runs compared"
    run = report.runs[0]
    return one_line(f"{run.agent} on {run.world}", 120)


def _lead(report: Report) -> str:
    names = dict.fromkeys(f"{run.world}, panel {run.panel}, {run.data} data" for run in report.runs)
    if len(report.runs) > 1:
        return one_line("; ".join(names), 400)
    run = report.runs[0]
    return one_line(
        f"{run.name}: {next(iter(names))}, {run.results.scored} of {run.results.planned} episodes scored", 400
    )

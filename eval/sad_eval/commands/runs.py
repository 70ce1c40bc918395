"""`sad-eval runs` and `sad-eval view`: the runs of a folder, as a table and as a page to browse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from sad_env import cli
from sad_env.safe_text import console, one_line, safe_text, visible
from sad_eval.report.export import write_pieces
from sad_eval.report.numbers import interval_text, value_text
from sad_eval.report.run_index import FoundRuns, ListedRun, find_runs
from sad_eval.report.terminal import plain_table
from sad_eval.report.view import render_view


@dataclass(frozen=True)
class RunsSettings:
    """List the runs in a folder and below it, the newest first.

    $ sad-eval runs
    $ sad-eval runs FOLDER --json
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = Path("runs")
    """Where to look."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class ViewSettings:
    """Write all runs of a folder as one page to browse: agents by worlds, episodes, two agents on one task, curves.

    $ sad-eval view runs
    $ sad-eval view runs --out page.html
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = Path("runs")
    """Where to look, folders below it included."""
    out: Path | None = None
    """Output page (HTML); view.html in FOLDER when left out."""


def run_runs(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval runs`."""
    settings = cli.parse(RunsSettings, arguments, prog="sad-eval runs")
    found = find_runs(settings.folder)
    if settings.json:
        print(json.dumps([_plain(one) for one in found.runs], indent=2))
    else:
        print_runs(found, console())
    return 0


def run_view(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval view`."""
    settings = cli.parse(ViewSettings, arguments, prog="sad-eval view")
    found = find_runs(settings.folder)
    out = settings.out or settings.folder / "view.html"
    write_pieces(out, render_view(found, settings.folder))
    runs, trainings = len(found.runs), len(found.trainings)
    print(visible(f"wrote {out}: {runs:,} runs, {trainings:,} trainings, {out.stat().st_size / 1e6:.1f} MB"))
    return 0


def print_runs(found: FoundRuns, out: Console) -> None:
    """Print the table: a run a line, with what it was and what came out."""
    table: Table = plain_table("run", "agent", "world", "success", "95 % interval", "begun", gap=2, left=(0, 1, 2, 5))
    for one in found.runs:
        manifest, rate = one.run.manifest, one.results.metrics.get("success_rate") if one.results else None
        whole = one.results is not None and one.results.status == "complete"
        table.add_row(
            safe_text(one_line(one.name, 40)),
            safe_text(one_line(manifest.agent, 24)),
            safe_text(one_line(manifest.world, 16)),
            value_text("success_rate", rate) if rate else "none",
            (interval_text("success_rate", rate) if rate else "") if whole else safe_text("INCOMPLETE", "yellow"),
            safe_text(one_line(manifest.created, 40)[:16].replace("T", " "), "dim"),
        )
    if found.runs:
        out.print(table)
    if found.trainings:
        names = ", ".join(one_line(path.as_posix(), 60) for path in found.trainings)
        out.print(safe_text(f"training runs (curves in training.html): {names}", "dim"), soft_wrap=True)
    for remark in found.remarks:
        out.print(safe_text(f"! {remark}", "yellow"), soft_wrap=True)


def _plain(one: ListedRun) -> dict[str, object]:
    manifest = one.run.manifest
    return {
        "name": one.name,
        **{name: getattr(manifest, name) for name in ("agent", "world", "data", "created", "seed", "repeats")},
        "panel": manifest.panel.name,
        "results": one.results.model_dump(mode="json") if one.results else None,
    }

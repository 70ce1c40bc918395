"""The report of a study: tables, tests, claims, plots and CSV from what lies in its folder."""

from __future__ import annotations

from pathlib import Path

from sad_distill.files import write_text
from sad_distill.study.results import read_study
from sad_distill.study.tables import main_table


def write_report(out: Path) -> Path:
    """Write `README.md` and what it shows; returns its path."""
    worlds = read_study(out)
    parts = [f"# Study {out.name}\n", *(main_table(world) for world in worlds)]
    path = out / "README.md"
    write_text(path, "\n".join(parts))
    return path

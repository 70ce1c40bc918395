"""Which runs a folder holds: evaluations by their manifests, training runs by their metrics."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sad_env.curves import METRICS
from sad_env.errors import DataError
from sad_env.safe_text import one_line
from sad_eval.records import Results
from sad_eval.runs.run_folder import MANIFEST, RunFolder

DEPTH = 5
"""Folders inside one another that are looked into."""


@dataclass(frozen=True)
class ListedRun:
    """One evaluation.

    Attributes:
        run: its folder.
        name: of the folder, relative to the one that was searched.
        results: as they were last written; None where nothing was scored yet.
    """

    run: RunFolder
    name: str
    results: Results | None


@dataclass(frozen=True)
class FoundRuns:
    """What a folder holds.

    Attributes:
        runs: evaluations, the newest first.
        trainings: folders of training runs, relative to the one that was searched, by name.
        remarks: what could not be read, and why.
    """

    runs: tuple[ListedRun, ...]
    trainings: tuple[Path, ...]
    remarks: tuple[str, ...]


def find_runs(folder: Path) -> FoundRuns:
    """All runs in a folder and in those below it; links are not followed, hidden folders not entered.

    Raises:
        DataError: no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise DataError(f"{one_line(str(folder))!r} is no folder")
    runs, trainings, remarks = [], [], []
    for where, below, files in os.walk(folder):
        path = Path(where)
        relative = path.relative_to(folder)
        below[:] = sorted(name for name in below if not name.startswith(".") and len(relative.parts) < DEPTH)
        if METRICS in files:
            trainings.append(relative)
        if MANIFEST in files:
            try:
                run = RunFolder.open(path)
                name = relative.as_posix() if relative.parts else path.resolve().name
                runs.append(ListedRun(run, name, run.results() if (path / "results.json").exists() else None))
            except DataError as error:
                remarks.append(one_line(str(error), 200))
    if not runs and not trainings:
        more = f": {remarks[0]}" if remarks else "; `sad-eval --out FOLDER/NAME` and `sad-distill` make them"
        raise DataError(f"{one_line(str(folder))!r} holds no run{more}")
    runs.sort(key=lambda one: (one.run.manifest.created, one.name), reverse=True)
    return FoundRuns(tuple(runs), tuple(trainings), tuple(remarks))

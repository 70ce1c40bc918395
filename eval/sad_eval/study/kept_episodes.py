"""The episodes of a study's evaluations, compressed, next to its report, so that every figure can be made again.

`OUT/WORLD/episodes/RUN.jsonl.gz` holds a manifest, the results without their metrics, and a line for each episode, all
in the format of a run folder. Wall times and lists of admissible actions, which no figure needs, are left out.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from pathlib import Path
from typing import NamedTuple

from sad_env.errors import DataError
from sad_env.files import write_bytes
from sad_env.records import Step, parse_record
from sad_eval.records import EpisodeLine, Manifest, Results
from sad_eval.runs.run_folder import EPISODES, RESULTS, RunFolder


class RecordedRun(NamedTuple):
    """An evaluation read back, from its run folder or from a kept file."""

    manifest: Manifest
    results: Results
    episodes: tuple[EpisodeLine, ...]


def kept_file(world: Path, run: str) -> Path:
    """Where the episodes of an evaluation are kept, `world` being the folder of a study's world."""
    return world / "episodes" / f"{run}.jsonl.gz"


def keep_episodes(folder: Path, path: Path) -> None:
    """Write the episodes of a run folder to a kept file; equal episodes give equal bytes.

    Raises:
        DataError: a file of the run cannot be read.
    """
    run = RunFolder.open(folder)
    results = run.results().model_copy(update={"metrics": {}, "by_task_type": {}})
    lines = [json.dumps(document.model_dump(mode="json"), allow_nan=False) for document in (run.manifest, results)]
    lines += [_without_times(line).to_json() for line in sorted(run.episodes(), key=lambda line: line.id)]
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        file.write("".join(line + "\n" for line in lines).encode())
    write_bytes(path, packed.getvalue())


def read_run(world: Path, run: str) -> RecordedRun | None:
    """An evaluation from its run folder, or from the kept file where that is gone; None without both.

    Raises:
        DataError: a file cannot be read.
    """
    folder, path = world / "eval" / run, kept_file(world, run)
    if (folder / RESULTS).exists() and (folder / EPISODES).exists():
        found = RunFolder.open(folder)
        return RecordedRun(found.manifest, found.results(), tuple(found.episodes()))
    if not path.exists():
        return None
    try:
        with gzip.open(path) as file:
            manifest, results, *episodes = file.read().splitlines()
        return RecordedRun(
            parse_record(Manifest, manifest),
            parse_record(Results, results),
            tuple(parse_record(EpisodeLine, line) for line in episodes),
        )
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: these are no kept episodes: {error}") from None


def _without_times(line: EpisodeLine) -> EpisodeLine:
    steps = tuple(_slim(step) for step in line.trajectory.steps)
    attempts = tuple(attempt.model_copy(update={"seconds": 0.0}) for attempt in line.attempts)
    trajectory = line.trajectory.model_copy(update={"steps": steps, "seconds": 0.0})
    return line.model_copy(update={"trajectory": trajectory, "attempts": attempts})


def _slim(step: Step) -> Step:
    return step.model_copy(update={"admissible": None, "agent_seconds": 0.0, "world_seconds": 0.0})

"""Tables for other programs: a line an episode with all metrics, and a line a step; as CSV or Parquet."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sad_env.errors import ConfigError, DataError
from sad_env.files import atomic_bytes, atomic_text
from sad_env.records import SpanKind
from sad_env.safe_text import one_line
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.metrics.episode_metrics import METRICS
from sad_eval.report.escape import Cell, csv_cell
from sad_eval.report.model import EpisodeSummary, summary
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.score import sums_for

_RUN = ("run", "agent", "world", "data", "panel")
_FIGURES = tuple(name for name in EpisodeSummary.model_fields if name not in METRICS)

STEP_COLUMNS = (
    *_RUN,
    *("task_id", "seed", "repeat", "step", "reasoning", "action", "observation", "reward", "parsed", "valid"),
    *("admissible", "progress", "generated_tokens", "reasoning_tokens", "action_tokens"),
    *("agent_seconds", "world_seconds"),
)
"""Columns of the table of steps; `admissible` is how many actions were, tokens by kind are those of sampled labels."""

_LINES = 2_000
"""Lines of a Parquet row group: what is held in memory at once."""

Line = dict[str, Cell]


def episode_columns() -> tuple[str, ...]:
    """Columns of the table of episodes: the figures of `EpisodeSummary`, then every metric by its name."""
    return (*_RUN, *_FIGURES, *METRICS)


def episode_lines(runs: Sequence[RunFolder]) -> Iterator[Line]:
    """One line an episode; a metric that does not apply to it is None. Shares are of 1, lengths in the run's unit."""
    for run in runs:
        sums, head = _sums(run), _head(run)
        for line in run.episodes():
            sums.add(line)
            figures = summary(line).model_dump(mode="json")
            told = {name: int(value) if isinstance(value, bool) else value for name, value in figures.items()}
            yield {**head, **{name: told[name] for name in _FIGURES}, **sums.last()}


def step_lines(runs: Sequence[RunFolder]) -> Iterator[Line]:
    """One line a step."""
    for run in runs:
        head = _head(run)
        for line in run.episodes():
            one = line.trajectory
            for number, step in enumerate(one.steps, start=1):
                labels = step.token_labels
                yield {
                    **head,
                    "task_id": one.task_id,
                    "seed": one.seed,
                    "repeat": one.repeat,
                    "step": number,
                    **{name: getattr(step, name) for name in ("reasoning", "action", "observation", "reward")},
                    "parsed": int(step.parsed),
                    "valid": int(step.valid),
                    "progress": step.progress,
                    "admissible": None if step.admissible is None else len(step.admissible),
                    "generated_tokens": step.generated_tokens,
                    "reasoning_tokens": labels.count(SpanKind.REASON.value) if labels else None,
                    "action_tokens": labels.count(SpanKind.ACT.value) if labels else None,
                    "agent_seconds": step.agent_seconds,
                    "world_seconds": step.world_seconds,
                }


def write_table(path: Path, columns: Sequence[str], lines: Iterable[Line]) -> None:
    """Write a table: Parquet where the name ends in .parquet, else CSV.

    Raises:
        ConfigError: it cannot be written, or Parquet is asked for without pyarrow.
    """
    write = _write_parquet if path.suffix == ".parquet" else _write_csv
    try:
        write(path, columns, lines)
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def _write_csv(path: Path, columns: Sequence[str], lines: Iterable[Line]) -> None:
    with atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([csv_cell(line.get(column)) for column in columns] for line in lines)


def _write_parquet(path: Path, columns: Sequence[str], lines: Iterable[Line]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigError(
            f"{path.name}: Parquet needs pyarrow (pip install pyarrow); a name in .csv does not"
        ) from None
    schema = pyarrow.schema([(column, _parquet_kind(pyarrow, column)) for column in columns])
    ahead = iter(lines)
    with atomic_bytes(path) as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        while part := list(itertools.islice(ahead, _LINES)):
            cells = [{name: _plain_text(value) for name, value in line.items()} for line in part]
            writer.write_table(pyarrow.Table.from_pylist(cells, schema=schema))


def _plain_text(value: Cell) -> Cell:
    """Parquet's texts are UTF-8, which half a character is not."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


_WHOLE = {"seed", "repeat", "step", "steps", "attempts", "success", "parsed", "valid", "admissible"}
_WHOLE |= {"reasoning_tokens", "action_tokens"}
_WORDS = {*_RUN, "task_id", "task_type", "status", "chain", "reasoning", "action", "observation"}


def _parquet_kind(pyarrow: Any, column: str) -> Any:
    return pyarrow.string() if column in _WORDS else pyarrow.int64() if column in _WHOLE else pyarrow.float64()


def _head(run: RunFolder) -> Line:
    manifest = run.manifest
    name = run.path.resolve().name
    return dict(zip(_RUN, (name, manifest.agent, manifest.world, manifest.data, manifest.panel.name), strict=True))


def _sums(run: RunFolder) -> MetricSums:
    """Metrics as the run was last scored; without CoT match where its reference is not here any more."""
    results = run.results()
    changes = {"reference": results.reference, "tokenizer": results.tokenizer or "auto"}
    try:
        return sums_for(run.manifest, **changes)
    except (ConfigError, DataError) as error:
        print(f"no CoT match in the table: {one_line(str(error), 200)}", file=sys.stderr)
        return sums_for(run.manifest, **{**changes, "reference": ""})

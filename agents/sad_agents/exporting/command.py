"""`sad-collect export`: trajectories for other programs to train on and to look at."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sad_agents.exporting.atif import atif_document
from sad_agents.exporting.inspect_log import SUFFIXES, write_inspect
from sad_agents.exporting.messages import chat_row, step_rows
from sad_agents.exporting.parquet import write_parquet
from sad_agents.hub import check_push, push
from sad_env import cli
from sad_env.errors import ConfigError, DataError
from sad_env.files import atomic_text, part_folder, sync_folder
from sad_env.json_lines import RecordError, parse_json, read_lines
from sad_env.records import Trajectory
from sad_env.safe_text import one_line


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Write trajectories in a layout that other programs read.

    $ sad-collect export expert.jsonl --to messages --out chats.jsonl
    $ sad-collect export expert.jsonl --to parquet --rows steps --out my-dataset

    Episodes of all files go into one output, in their order. `sad-collect import` reads atif and messages back.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files of trajectories, or episodes.jsonl of an evaluation."""
    to: Literal["atif", "messages", "parquet", "inspect"]
    """Layout: atif, messages (JSON lines), parquet (a folder with a card), inspect (.eval or .json of inspect_ai)."""
    out: Path
    """Output file, of parquet a folder."""
    rows: Literal["episodes", "steps"] = "episodes"
    """For messages and parquet: a chat an episode, or a prompt with its completion a step."""
    push_to_hub: Annotated[str, tyro.conf.arg(metavar="OWNER/NAME")] = ""
    """Also upload the folder of parquet to this data set of the Hugging Face hub (HF_TOKEN, HF_ENDPOINT)."""
    private: bool = False
    """A repository that --push-to-hub makes is private."""


def run_export(arguments: Sequence[str] | None = None) -> int:
    """`sad-collect export`; returns the exit code.

    Raises:
        ConfigError: settings that do not fit, the output is there already, or a package is missing.
        DataError: no episode, or a file that is none of trajectories.
    """
    parsed = cli.read(ExportSettings, arguments, prog="sad-collect export")
    settings = parsed.settings
    if settings.to in ("atif", "inspect"):
        parsed.refuse_ignored({"rows": f"{settings.to} has an episode as a whole"})
    if settings.to != "parquet":
        parsed.refuse_ignored({"push_to_hub": "the hub has data sets of parquet files: give --to parquet"})
    check_push(settings.push_to_hub, private=settings.private)
    if not settings.files:
        raise ConfigError("sad-collect export needs a file of trajectories")
    if settings.out.exists():
        raise ConfigError(f"{one_line(str(settings.out), 120)} exists: name another --out")
    for file in settings.files:
        if not file.is_file():
            raise DataError(f"no file {one_line(str(file), 120)!r}")
    if settings.to == "inspect" and settings.out.suffix not in SUFFIXES:
        raise ConfigError(f"--out {one_line(str(settings.out), 80)!r}: a log of inspect_ai ends with .eval or .json")
    count = _WRITERS[settings.to](settings)
    print(f"{count:,} {_unit(settings)} written to {one_line(str(settings.out), 120)}")
    if settings.push_to_hub:
        address = push(settings.out, settings.push_to_hub, private=settings.private, kind="dataset")
        print(f"on the hub: {one_line(address, 200)}")
    return 0


def _unit(settings: ExportSettings) -> str:
    return "steps" if settings.rows == "steps" else "episodes"


def _episodes(settings: ExportSettings) -> Iterator[Trajectory]:
    """All of them; at least one."""
    episode = None
    for file in settings.files:
        for episode in _read(file):
            yield episode
    if episode is None:
        raise DataError(f"no episode in {', '.join(one_line(str(file), 120) for file in settings.files)}")


def _read(file: Path) -> Iterator[Trajectory]:
    """Trajectories of a file, or those in the episodes of an evaluation's folder."""
    for number, line in read_lines(file, unended=True):
        try:
            value = parse_json(line)
            inside = value.get("trajectory") if isinstance(value, dict) else None
            yield Trajectory.from_json(json.dumps(inside) if isinstance(inside, dict) else line)
        except RecordError as error:
            raise RecordError(f"{file}:{number}: {error}") from None


def _rows(settings: ExportSettings) -> Iterator[Mapping[str, Any]]:
    for episode in _episodes(settings):
        if settings.rows == "steps":
            yield from step_rows(episode)
        else:
            yield chat_row(episode)


def _write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with atomic_text(path) as out:
        for value in values:
            out.write(json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n")
            count += 1
    return count


def _write_folder(settings: ExportSettings) -> int:
    with part_folder(settings.out) as scratch:
        count = write_parquet(scratch, _rows(settings))
        _install(scratch, settings.out)
    return count


def _write_log(settings: ExportSettings) -> int:
    newest = max(file.stat().st_mtime for file in settings.files)
    when = datetime.datetime.fromtimestamp(newest, datetime.timezone.utc)
    with part_folder(settings.out) as scratch:
        log = scratch / settings.out.name
        count = write_inspect(log, _episodes(settings), when)
        _install(log, settings.out)
    return count


def _install(made: Path, target: Path) -> None:
    """Give what is whole its name."""
    if made.is_dir():
        made.chmod(0o755)  # temporary folders are private
    made.rename(target)
    sync_folder(target.parent)


_WRITERS: Mapping[str, Callable[[ExportSettings], int]] = {
    "atif": lambda settings: _write_lines(settings.out, map(atif_document, _episodes(settings))),
    "messages": lambda settings: _write_lines(settings.out, _rows(settings)),
    "parquet": _write_folder,
    "inspect": _write_log,
}

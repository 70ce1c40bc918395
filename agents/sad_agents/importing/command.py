"""`sad-collect import`: what other programs recorded, as trajectories to train on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sad_agents.importing.atif import read_atif
from sad_agents.importing.episodes import LoggedEpisode, named_form, trajectory_of
from sad_agents.importing.logs import read_paper, read_react
from sad_agents.importing.messages import read_messages
from sad_env import cli, registry
from sad_env.errors import ConfigError, DataError
from sad_env.files import atomic_text
from sad_env.records import FormName, Trajectory
from sad_env.safe_text import one_line

LAYOUTS: Mapping[str, Callable[[Path, str], Iterator[tuple[int, LoggedEpisode | str]]]] = {
    "react": read_react,
    "messages": read_messages,
    "atif": read_atif,
    "paper": read_paper,
}
"""Readers by name: each takes a file and a world, and gives line numbers with episodes or with reasons."""

_FORMS: Mapping[str, FormName] = {"react": "lines", "messages": "think", "atif": "lines", "paper": "tags"}
"""The form that a layout is nearest to."""

_MOST_FAULTS = 20
"""Lines that cannot be read are told one by one up to here."""


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """Make trajectories of what another program recorded.

    $ sad-collect import runs.jsonl --from messages --env webshop --out webshop.jsonl
    $ sad-collect import log.txt --from react --env hotpotqa --out hotpotqa.jsonl

    What the file does not say, such as success, stays unknown. Lines that cannot be read are told with the reason, the
    others are written, and the exit code is 5.
    """

    file: Annotated[Path, tyro.conf.Positional]
    """File to read: .jsonl, .json, or a text."""
    from_: Annotated[Literal["react", "messages", "atif", "paper"], tyro.conf.arg(name="from")]
    """Layout of the file: react (Thought, Action, Observation), messages (chats), atif, paper ([REASON], [ACT])."""
    env: str
    """World whose tasks they are."""
    out: Path
    """Output file of the trajectories (JSON lines)."""
    form: Literal["auto", "lines", "tags", "think"] = "auto"
    """How the trajectories are written; auto: as `sad-collect export` says in the file; else lines for react and atif,
    think for messages, tags for paper."""


def run_import(arguments: Sequence[str] | None = None) -> int:
    """`sad-collect import`; returns the exit code.

    Raises:
        ConfigError: the output is there already.
        DataError: no episode could be read.
        UnknownNameError: no such world.
    """
    settings = cli.parse(ImportSettings, arguments, prog="sad-collect import")
    registry.world(settings.env)
    if settings.out.exists():
        raise ConfigError(f"{one_line(str(settings.out), 120)} exists: name another --out")
    if not settings.file.is_file():
        raise DataError(f"no file {one_line(str(settings.file), 120)!r}")
    faults: list[str] = []
    kept = open_ended = 0
    with atomic_text(settings.out) as out:
        for one in _read(settings, faults):
            out.write(one.to_json() + "\n")
            kept += 1
            open_ended += "success" in one.unknown
        if not kept:
            _tell(settings.file, faults)
            raise DataError(
                f"{one_line(str(settings.file), 120)!r} holds no episode that --from {settings.from_} reads"
            )
    _tell(settings.file, faults)
    unknown = f"; whether {open_ended:,} of them succeeded is not said" if open_ended else ""
    print(f"{kept:,} trajectories written to {one_line(str(settings.out), 120)}{unknown}")
    return DataError.exit_code if faults else 0


def _read(settings: ImportSettings, faults: list[str]) -> Iterator[Trajectory]:
    """The episodes that can be read; `faults` gets a line for each of the others."""
    for number, found in LAYOUTS[settings.from_](settings.file, settings.env):
        if isinstance(found, LoggedEpisode):
            name = f"{settings.file.stem}:{number}"
            own = named_form(found.facts) or _FORMS[settings.from_]
            form = own if settings.form == "auto" else settings.form
            try:
                yield trajectory_of(found, world=settings.env, form=form, name=name)
                continue
            except ValueError as error:  # a RecordError, or what pydantic says of a value
                found = str(error)
        faults.append(f"{number}: {one_line(found, 200)}")


def _tell(file: Path, faults: Sequence[str]) -> None:
    for fault in faults[:_MOST_FAULTS]:
        print(f"{one_line(str(file), 120)}:{fault}", file=sys.stderr)
    if len(faults) > _MOST_FAULTS:
        print(f"and {len(faults) - _MOST_FAULTS:,} more lines that cannot be read", file=sys.stderr)

"""`sad-leaderboard`: add a run, verify entries, build the board."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro
from sad_eval.records import EpisodeLine
from sad_eval.report.model import parameters_of
from sad_eval.runs.run_folder import RunFolder

from sad_env import cli
from sad_env.errors import ConfigError, DataError, UnknownNameError
from sad_env.files import sweep_parts, write_text
from sad_env.progress import ProgressReport, announced, shown
from sad_env.records import Record
from sad_env.safe_text import one_line, visible
from sad_leaderboard import render
from sad_leaderboard.add import add, default_name
from sad_leaderboard.board import Board, build_board
from sad_leaderboard.entries import entry_folders
from sad_leaderboard.printed import paper_tables
from sad_leaderboard.published import published_rows
from sad_leaderboard.rerun import rerunner
from sad_leaderboard.schema import Entry, Level
from sad_leaderboard.verify import Rerun, Verification, duplicates, verify

PROG = "sad-leaderboard"
ENTRIES = Path("leaderboard/entries")

LevelName = Literal["claimed", "recomputed", "replayed", "rerun"]

USAGE = f"""usage: {PROG} add | verify | build | schema

Make entries of the leaderboard from runs, check them, and write the board.

$ {PROG} add runs/NAME --title "My agent" --submitter Me
$ {PROG} verify --level replayed
$ {PROG} build --out board

Commands, each with --help:
  add RUN   Make an entry folder from a complete run.
  verify    Check entries, by replay if asked.
  build     Write the board as Markdown, HTML and JSON.
  schema    Print the JSON Schemas of the formats.

Exit codes: 0 done, 2 usage, 3 owed episodes, 5 an entry fails."""


@dataclass(frozen=True)
class AddConfig:
    """Make an entry folder from a complete run.

    $ sad-leaderboard add runs/expert --title "Expert policy" --submitter "sad-env"
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder in which nothing is owed."""
    title: str
    """What the agent is called on the board."""
    submitter: str
    """Person or group."""
    name: str = ""
    """Name of the entry's folder; made from agent, world and panel when left out."""
    description: str = ""
    """One line."""
    link: str = ""
    """https address of a paper, checkpoint or code."""
    track: Literal["standard", "privileged"] = "standard"
    """privileged: it saw hidden state or gold answers."""
    parameters: int | None = None
    """Number of the model's parameters; from the run when left out."""
    submitted: str = ""
    """YYYY-MM-DD; today when left out."""
    root: Path = ENTRIES
    """Folder of the entries."""


@dataclass(frozen=True)
class VerifyConfig:
    """Check entries and print the level that each reaches.

    $ sad-leaderboard verify --level replayed
    """

    entries: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[ENTRY ...]")] = ()
    """Entry folders; all of the board when none is named."""
    level: LevelName = "recomputed"
    """How far entries are checked. claimed: files whole; recomputed: figures follow from the episodes; replayed: the
    world says the same again; rerun: the agent does the same again."""
    agent: str = ""
    """Who acts in a rerun: the entry's agent on this machine, as for `sad-eval --agent`."""
    data: str = ""
    """generated, official, official:PACK, or a folder: for the replay, where the entry does not say."""
    root: Path = ENTRIES
    """Folder of the entries."""


@dataclass(frozen=True)
class BuildConfig:
    """Write the board as Markdown, HTML and JSON.

    $ sad-leaderboard build --out board
    """

    root: Path = ENTRIES
    """Folder of the entries."""
    out: Path = Path("board")
    """Output folder of board.md, board.html and board.json."""
    level: Literal["recomputed", "replayed"] = "recomputed"
    """How far entries are checked; the board shows the level that each reached and leaves out those that fail."""
    data: str = ""
    """generated, official, official:PACK, or a folder: for the replay, where entries do not say."""


@dataclass(frozen=True)
class SchemaConfig:
    """Print the JSON Schemas of entry.json, of the lines of episodes.jsonl and of board.json.

    $ sad-leaderboard schema > schemas.json
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return cli.run(PROG, lambda: _dispatch(list(sys.argv[1:] if arguments is None else arguments)))


def _dispatch(arguments: list[str]) -> int:
    commands: dict[str, Callable[[list[str]], int]] = {
        "add": lambda rest: run_add(cli.parse(AddConfig, rest, prog=f"{PROG} add")),
        "verify": lambda rest: run_verify(_checked(cli.read(VerifyConfig, rest, prog=f"{PROG} verify"))),
        "build": lambda rest: run_build(_checked(cli.read(BuildConfig, rest, prog=f"{PROG} build"))),
        "schema": lambda rest: run_schema(cli.parse(SchemaConfig, rest, prog=f"{PROG} schema")),
    }
    if not arguments or arguments[0] in ("-h", "--help", "--help-all"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        cli.print_version(PROG)
        return 0
    if arguments[0] not in commands:
        raise UnknownNameError("command", one_line(arguments[0], 40), commands)
    with announced(f"{PROG} {arguments[0]}: working"):
        return commands[arguments[0]](arguments[1:])


Checking = TypeVar("Checking", VerifyConfig, BuildConfig)


def _checked(parsed: cli.ParsedSettings[Checking]) -> Checking:
    level = parsed.settings.level
    if level in ("claimed", "recomputed"):
        parsed.refuse_ignored({"data": f"--level {level} plays nothing again: give --level replayed"})
    if level != "rerun":
        parsed.refuse_ignored({"agent": f"--level {level} runs no agent: give --level rerun"})
    return parsed.settings


def run_add(config: AddConfig) -> int:
    """`sad-leaderboard add`."""
    run = RunFolder.open(config.run)
    folder = add(
        run,
        config.root,
        config.name or default_name(run),
        title=config.title,
        submitter=config.submitter,
        submitted=config.submitted or datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        description=config.description,
        link=config.link,
        track=config.track,
        parameters=config.parameters or parameters_of(run.manifest),
    )
    print(visible(f"wrote {folder}; check it with `{PROG} verify {folder} --level replayed`"))
    return 0


def run_verify(config: VerifyConfig) -> int:
    """`sad-leaderboard verify`."""
    wanted = Level[config.level.upper()]
    if wanted is Level.RERUN and not config.agent:
        raise ConfigError("--level rerun needs --agent: the checkpoint that the entry names, e.g. --agent student.pt")
    folders = config.entries or entry_folders(config.root)
    with shown() as progress:
        again = rerunner(config.agent, data=config.data, progress=progress) if config.agent else None
        checked = _verified(folders, wanted, config.data, progress, again)
    if not checked:
        print(visible(f"no entry in {config.root}"))
    for entry in checked:
        _print(entry, wanted)
    for line in duplicates(
        [entry.submission for entry in checked if _reached(entry, Level.RECOMPUTED) and entry.submission]
    ):
        print(visible(f"look: {line}"))
    _refuse([entry for entry in checked if not _reached(entry, wanted)], len(checked))
    return 0


def run_build(config: BuildConfig) -> int:
    """`sad-leaderboard build`."""
    wanted = Level[config.level.upper()]
    with shown() as progress:
        checked = _verified(entry_folders(config.root), wanted, config.data, progress)
    good = [entry for entry in checked if _reached(entry, Level.RECOMPUTED) and not entry.refuted]
    bad = [entry for entry in checked if not _reached(entry, wanted)]
    remarks = [_left_out(entry) for entry in bad if entry.refuted]
    board = build_board(
        good,
        published_rows(),
        remarks + duplicates([entry.submission for entry in good if entry.submission]),
        printed=paper_tables(),
    )
    forms = {"board.md": render.to_markdown, "board.html": render.to_html, "board.json": render.to_json}
    sweep_parts(config.out)
    for name, form in forms.items():
        write_text(config.out / name, form(board))
    print(visible(f"wrote {config.out}/board.md, board.html, board.json: {len(good)} entries"))
    for entry in bad:
        _print(entry, wanted)
    _refuse(bad, len(checked))
    return 0


def _verified(
    folders: Sequence[Path], wanted: Level, data: str, progress: ProgressReport, rerun: Rerun | None = None
) -> list[Verification]:
    """The checked entries; progress counts them besides the episodes of each."""
    checked = []
    for number, folder in enumerate(folders):
        progress("entries", number, len(folders))
        checked.append(verify(folder, wanted, data=data, rerun=rerun, progress=progress))
    progress("entries", len(folders), len(folders))
    return checked


def run_schema(_: SchemaConfig) -> int:
    """`sad-leaderboard schema`."""
    formats: dict[str, type[Record]] = {"entry.json": Entry, "episodes.jsonl": EpisodeLine, "board.json": Board}
    print(json.dumps({name: record.model_json_schema() for name, record in formats.items()}, indent=2))
    return 0


def _reached(entry: Verification, level: Level) -> bool:
    return entry.level is not None and entry.level >= level


def _left_out(entry: Verification) -> str:
    reached = "refused" if entry.level is None else f"{entry.level.label} only"
    return f"{one_line(entry.name, 80)} ({reached}) is left out: {one_line(entry.findings[0], 200)}"


def _print(entry: Verification, wanted: Level) -> None:
    reached = "refused" if entry.level is None else entry.level.label
    mark = "ok " if _reached(entry, wanted) else "BAD"
    print(visible(f"{mark} {reached:<10} {one_line(entry.name, 80)}"))
    for finding in entry.findings:
        print(visible(f"      {one_line(finding, 300)}"))


def _refuse(bad: Sequence[Verification], total: int) -> None:
    if bad:
        raise DataError(
            f"{len(bad)} of {total} entries do not hold: {', '.join(one_line(entry.name, 40) for entry in bad[:5])}"
        )


if __name__ == "__main__":
    sys.exit(main())

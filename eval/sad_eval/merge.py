"""`sad-eval merge`: the parts of a sharded run become one run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sad_env import cli
from sad_env.errors import ConfigError, DataError, IncompleteError
from sad_env.safe_text import console, one_line
from sad_eval.finish import exit_code
from sad_eval.report.terminal import print_report
from sad_eval.run_folder import EPISODES, MANIFEST, OWED, EpisodeKey, Results, Resumption, RunFolder
from sad_eval.scoring import score

_COMMAND = "sad-eval merge"


@dataclass(frozen=True)
class MergeSettings:
    """Join the parts of a run that was made with --shard.

    $ sad-eval --agent student.pt --env alfworld --out runs/big --shard 3/16     (on machine 3 of 16)
    $ sad-eval merge runs/big
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The folder that was given as --out; its parts lie in it, and the joined run will."""


def part_name(shard: tuple[int, int]) -> str:
    """Folder of a part within its run.

    >>> part_name((3, 16))
    'part-0003-of-0016'
    """
    return f"part-{shard[0]:04d}-of-{shard[1]:04d}"


def merge(folder: Path) -> Results:
    """Join all parts below `folder` into one run in `folder`; a second time replaces the first.

    Raises:
        DataError: there are no parts, or an episode stands in two of them.
        ConfigError: parts of different runs, or a whole run already lies there.
        IncompleteError: parts are missing.
    """
    parts = [RunFolder.open(path.parent) for path in sorted(folder.glob(f"part-*/{MANIFEST}"))]
    if not parts:
        raise DataError(f"{one_line(str(folder))!r} holds no part of a run (part-*/{MANIFEST})")
    first = parts[0].manifest
    for part in parts:
        if part.manifest.identity_sha256 != first.identity_sha256:
            raise ConfigError(f"{part.path.name} and {parts[0].path.name} are parts of different runs")
    _all_there(folder, parts)
    if (folder / MANIFEST).exists() and not RunFolder.open(folder).manifest.command.startswith(_COMMAND):
        raise ConfigError(f"a run that was not joined from parts lies in {one_line(str(folder))!r}: move it away")
    command = f"{_COMMAND} {shlex.quote(str(folder))}"
    whole = {"shard": (1, 1), "command": command, "resumptions": tuple(_calls(parts))}
    run = RunFolder.create(folder, first.model_copy(update=whole))
    return _join(run, parts)


def _calls(parts: Sequence[RunFolder]) -> Iterator[Resumption]:
    """All calls that played episodes of any part, but for the one that began the first part."""
    for part in parts:
        if part is not parts[0]:
            yield part.manifest.resumption(scored=0)
        yield from part.manifest.resumptions


def _all_there(folder: Path, parts: Sequence[RunFolder]) -> None:
    shards = {part.manifest.shard for part in parts}
    if len({count for _, count in shards}) > 1:
        raise ConfigError(f"{one_line(str(folder))!r} holds parts of runs that were cut into different numbers")
    count = parts[0].manifest.shard[1]
    missing = sorted(set(range(1, count + 1)) - {number for number, _ in shards})
    if missing:
        listed = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise IncompleteError(f"parts {listed} of {count} are missing in {one_line(str(folder))!r}: run them first")


def _join(run: RunFolder, parts: Sequence[RunFolder]) -> Results:
    with run.lock():
        for name in (EPISODES, OWED):
            (run.path / name).unlink(missing_ok=True)
        seen: set[EpisodeKey] = set()
        episodes, owed = run.writers()
        with episodes, owed:
            for part in parts:
                for line in part.episodes():
                    if line.id in seen:
                        raise DataError(f"{part.path}: the episode {line.id} stands in another part too")
                    seen.add(line.id)
                    episodes.append(line.to_json())
                for line in part.owed_attempts():
                    owed.append(line.to_json())
        results = score(run)
        run.write_results(results)
    return results


def run_merge(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval merge`."""
    settings = cli.parse(MergeSettings, arguments, prog="sad-eval merge")
    results = merge(settings.run)
    print_report(results, console())
    return exit_code(results)

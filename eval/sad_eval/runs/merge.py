"""The parts of a sharded run become one run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sad_env.errors import ConfigError, DataError, IncompleteError
from sad_env.files import atomic_text
from sad_env.safe_text import one_line
from sad_eval.records import EpisodeKey, Manifest, Results, Resumption
from sad_eval.runs.run_folder import EPISODES, MANIFEST, OWED, RunFolder
from sad_eval.runs.score import score

_COMMAND = "sad-eval merge"


def part_name(shard: tuple[int, int]) -> str:
    """Folder of a part within its run.

    >>> part_name((3, 16))
    'part-0003-of-0016'
    """
    return f"part-{shard[0]:04d}-of-{shard[1]:04d}"


def merge(folder: Path) -> Results:
    """Join all parts below `folder` into one run in `folder`.

    Called again, it reads the parts again, and keeps the episodes that were played in the joined run itself.

    Raises:
        DataError: there are no parts, or an episode is in two of them.
        ConfigError: parts of different runs, or another run already lies there or is being played there.
        IncompleteError: parts are missing.
    """
    found = [RunFolder.open(path.parent) for path in sorted(folder.glob(f"part-*/{MANIFEST}"))]
    parts = [part for part in found if part.path.name == part_name(part.manifest.shard)]  # --new keeps former ones
    if not parts:
        raise DataError(f"{one_line(str(folder))!r} holds no part of a run (part-*/{MANIFEST})")
    first = parts[0].manifest
    for part in parts:
        if part.manifest.identity_sha256 != first.identity_sha256:
            raise ConfigError(f"{part.path.name} and {parts[0].path.name} are parts of different runs")
    _all_there(folder, parts)
    run = RunFolder(folder)
    with run.lock():
        command = f"{_COMMAND} {shlex.quote(str(folder))}"
        calls = list(_calls(parts))
        calls += [one for one in _joined_before(folder, first) if one not in calls]
        whole = {"shard": (1, 1), "command": command, "resumptions": tuple(calls)}
        RunFolder.create(folder, first.model_copy(update=whole))
        _rewrite(folder / EPISODES, _episodes(run, parts))
        _rewrite(folder / OWED, dict.fromkeys(one.to_json() for each in (*parts, run) for one in each.owed_attempts()))
        results = score(run)
        run.write_results(results)
    return results


def _joined_before(folder: Path, first: Manifest) -> tuple[Resumption, ...]:
    """The later calls of the run that an earlier join has left, if one has.

    Raises:
        ConfigError: it is another run.
    """
    if not (folder / MANIFEST).exists():
        return ()
    manifest = RunFolder.open(folder).manifest
    if not manifest.command.startswith(_COMMAND):
        raise ConfigError(f"a run that was not joined from parts lies in {one_line(str(folder))!r}: move it away")
    if manifest.identity_sha256 != first.identity_sha256:
        raise ConfigError(f"a run that was joined from other parts lies in {one_line(str(folder))!r}: move it away")
    return manifest.resumptions


def _calls(parts: Sequence[RunFolder]) -> Iterator[Resumption]:
    """All calls that played episodes of any part, except the call that began the first part."""
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


def _episodes(run: RunFolder, parts: Sequence[RunFolder]) -> Iterator[str]:
    """The parts' episodes, and then those that only the joined run has."""
    seen: set[EpisodeKey] = set()
    for part in parts:
        for line in part.episodes():
            if line.id in seen:
                raise DataError(f"{part.path}: the episode {line.id} stands in another part too")
            seen.add(line.id)
            yield line.to_json()
    for line in run.episodes():
        if line.id not in seen:
            yield line.to_json()


def _rewrite(path: Path, lines: Iterable[str]) -> None:
    """Replace the file in one step: it may hold the only copy of an episode."""
    with atomic_text(path) as file:
        for line in lines:
            file.write(line + "\n")

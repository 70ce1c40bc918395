"""From a run folder to an entry folder."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from sad_eval.records import EpisodeKey, EpisodeLine
from sad_eval.runs.run_folder import EPISODES as RUN_EPISODES
from sad_eval.runs.run_folder import RunFolder

from sad_env.errors import ConfigError, IncompleteError
from sad_env.files import part_folder, safe_name, sha256_file, sweep_parts, sync_folder
from sad_env.json_lines import read_lines
from sad_env.records import Record, parse_record
from sad_env.safe_text import one_line
from sad_leaderboard.entries import EntryError, read_submission
from sad_leaderboard.recompute import recompute
from sad_leaderboard.schema import ENTRY, EPISODES, MANIFEST, RESULTS, Entry


def default_name(run: RunFolder) -> str:
    """A name for the entry of a run: agent, world, panel, and the beginning of the run's identity."""
    manifest = run.manifest
    words = "-".join((manifest.agent, manifest.world, manifest.panel.name))
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", words).strip("-.")[:50].strip("-.")
    return safe_name(f"{plain or 'entry'}-{manifest.identity_sha256[:8]}", "entry")


def add(run: RunFolder, board: Path, name: str, **said: object) -> Path:
    """Write the entry folder of a complete run.

    Args:
        run: the run; every planned episode must be scored.
        board: the folder of the entries.
        name: name of the entry's folder.
        said: fields of `Entry`, without `files`.

    Returns:
        The new folder. It passes the level "recomputed", or it is not written.

    Raises:
        IncompleteError: episodes are owed.
        ConfigError: the name is taken: entries are never replaced, a new version is a new entry.
        EntryError: the run does not pass.
    """
    safe_name(name, "entry")
    if run.results().status != "complete":
        raise IncompleteError(f"{run.results().owed} episodes are owed: run the same `sad-eval` command again first")
    target = board / name
    taken = f"the entry {name!r} exists; entries are never replaced: choose another --name"
    if target.exists() or target.is_symlink():
        raise ConfigError(taken)
    with part_folder(target) as scratch:
        sweep_parts(board)
        # The folder has its final name while it is checked, so that messages name it.
        folder = scratch / name
        folder.mkdir(mode=0o755)
        _write(folder, run, said)
        findings = recompute(read_submission(folder)).findings
        if findings:
            raise EntryError(f"{name}: {findings[0]}")
        try:
            os.rename(folder, target)
        except OSError:
            if target.exists():  # another process has added it meanwhile
                raise ConfigError(taken) from None
            raise
        sync_folder(board)
    return target


def _write(folder: Path, run: RunFolder, said: dict[str, object]) -> None:
    _json(folder / MANIFEST, run.manifest)
    _json(folder / RESULTS, run.results())
    # No name and no time in the header: the same run gives the same file.
    with open(folder / EPISODES, "wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        for line in _in_order(run):
            packed.write(line.to_json().encode() + b"\n")
    files = {name: sha256_file(folder / name) for name in (MANIFEST, RESULTS, EPISODES)}
    try:
        entry = Entry.model_validate({**said, "files": files})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"the entry's {where}: {one_line(first['msg'], 200)}") from None
    _json(folder / ENTRY, entry)


def _in_order(run: RunFolder) -> Iterator[EpisodeLine]:
    """The episodes by key. Only keys and offsets are held in memory: a run may hold more episodes than fit."""
    path, offset = run.path / RUN_EPISODES, 0
    index: list[tuple[EpisodeKey, int]] = []
    for (_, content), line in zip(read_lines(path), run.episodes(), strict=True):
        index.append((line.id, offset))
        offset += len(content) + 1
    index.sort()
    with open(path, "rb") as file:
        for _, offset in index:
            file.seek(offset)
            yield parse_record(EpisodeLine, file.readline())


def _json(path: Path, document: Record) -> None:
    path.write_text(json.dumps(document.model_dump(mode="json"), indent=1, allow_nan=False) + "\n", encoding="utf-8")

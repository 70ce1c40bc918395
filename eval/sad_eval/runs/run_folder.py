"""The run folder: what an evaluation leaves on disk, and the only code that reads and writes it.

    manifest.json    what was run: versions, commit, data, checkpoint and panel by hash, the resolved settings
    episodes.jsonl   one self-contained line for every scored episode, in the order of their ends
    owed.jsonl       one line for every attempt that cannot be scored (a crash, a timeout, Ctrl-C)
    results.json     metrics with their intervals, computed from the episodes
    settings.toml    the same settings as a file for `--config`

A key (task, seed, repeat) occurs in episodes.jsonl at most once; an episode is owed as long as its key does not.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from sad_env.errors import DataError
from sad_env.files import exclusive, write_text
from sad_env.json_lines import JsonLinesWriter, RecordError, read_lines
from sad_env.records import Record, parse_record
from sad_env.safe_text import one_line
from sad_eval.records import EpisodeKey, EpisodeLine, Manifest, Results, Resumption, identity_sha256

MANIFEST, EPISODES, OWED, RESULTS, SETTINGS, LOCK = (
    "manifest.json",
    "episodes.jsonl",
    "owed.jsonl",
    "results.json",
    "settings.toml",
    ".lock",
)

MAX_DOCUMENT_BYTES = 64 * 2**20
"""A larger manifest or results file is refused before it is parsed."""

SYNC_SECONDS = 0.5
"""Episodes go to the disk this often at most: on a busy disk a sync costs more than a toy episode. What a power cut
takes is played again; a killed process loses nothing."""

AnyDocument = TypeVar("AnyDocument", bound=Record)


class RunFolder:
    """A run on disk. Open an existing one with `RunFolder.open`, begin one with `RunFolder.create`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._manifest: Manifest | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """An existing run.

        Raises:
            DataError: no such folder, or it holds no readable manifest.
        """
        run = cls(path)
        if not (run.path / MANIFEST).is_file():
            missing = f"there is no {MANIFEST} in it" if run.path.exists() else "no such file or folder"
            raise DataError(f"{one_line(str(path))!r} is no run folder: {missing}")
        run.manifest  # noqa: B018  (reads and checks it)
        return run

    @classmethod
    def create(cls, path: str | os.PathLike[str], manifest: Manifest) -> RunFolder:
        """Begin a run: write its manifest into a new or empty folder."""
        run = cls(path)
        run._write(MANIFEST, manifest)
        return run

    @property
    def manifest(self) -> Manifest:
        """The manifest, read once.

        Raises:
            DataError: unreadable, or of another version.
        """
        if self._manifest is None:
            self._manifest = self._read(MANIFEST, Manifest)
        return self._manifest

    def add_resumption(self, resumption: Resumption) -> None:
        """Add a later call to the manifest; hold `lock`."""
        grown = self.manifest.model_copy(update={"resumptions": (*self.manifest.resumptions, resumption)})
        self._write(MANIFEST, grown)
        self._manifest = grown

    def extend(self, wanted: Manifest) -> None:
        """Let the manifest plan the episodes of a larger one as well, and record the call; hold `lock`.

        Args:
            wanted: of a run that differs by more tasks or more repeats alone.
        """
        old = self.manifest
        sizes = {name: wanted.identity[name] for name in ("panel", "panel_sha256", "repeats")}
        identity = {**old.identity, **sizes}
        settings = {name: wanted.settings[name] for name in ("panel", "episodes", "repeats")}
        scored = sum(1 for _ in self._numbered(EPISODES))
        grown = old.model_copy(
            update={
                "panel": wanted.panel,
                "repeats": wanted.repeats,
                "identity": identity,
                "identity_sha256": identity_sha256(identity),
                "settings": {**old.settings, **settings},
                "resumptions": (*old.resumptions, wanted.resumption(scored)),
            }
        )
        self._write(MANIFEST, grown)
        self._manifest = grown

    def discard(self) -> None:
        """Remove a run in which nothing was played; hold `lock`. Files of others, and a folder that has some, stay."""
        for name in (EPISODES, OWED):
            if (self.path / name).exists() and (self.path / name).stat().st_size:
                return
        for name in (EPISODES, OWED, RESULTS, SETTINGS, MANIFEST, LOCK):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def episodes(self) -> Iterator[EpisodeLine]:
        """Scored episodes in the order of their ends; a torn last line is not among them.

        Raises:
            DataError: a line that is no episode of this run, or an episode that occurs twice.
        """
        seen: set[EpisodeKey] = set()
        tasks = frozenset(self.manifest.panel.task_ids)
        split = self.manifest.identity.get("world split")
        for number, line in self._lines(EPISODES):
            where = f"{self.path / EPISODES}:{number}"
            if line.id in seen:
                raise DataError(f"{where}: the episode {line.id} stands twice")
            if line.trajectory.status.owed:
                raise DataError(f"{where}: {line.trajectory.status.value} is no scored ending")
            if line.key.task_id not in tasks or not self._has_draw(line):
                raise DataError(f"{where}: the episode {line.id} is not one of this run")
            if split is not None and line.trajectory.split != split:
                raise DataError(
                    f"{where}: an episode of the split {one_line(line.trajectory.split, 40)!r}; the run is of {split!r}"
                )
            seen.add(line.id)
            yield line

    def owed_attempts(self) -> Iterator[EpisodeLine]:
        """All attempts that could not be scored, in order; later attempts may have succeeded."""
        for _, line in self._lines(OWED):
            yield line

    def results(self) -> Results:
        """The results as they were last written.

        Raises:
            DataError: there are none yet, or they cannot be read.
        """
        if not (self.path / RESULTS).exists():
            path = one_line(str(self.path))
            raise DataError(f"{path!r} has no results yet: run the same command again, or `sad-eval rescore`")
        return self._read(RESULTS, Results)

    def write_results(self, results: Results) -> None:
        """Replace results.json in one step."""
        self._write(RESULTS, results)

    def writers(self) -> tuple[JsonLinesWriter, JsonLinesWriter]:
        """Writers of episodes.jsonl and owed.jsonl; hold `lock` while they are open."""
        return (
            JsonLinesWriter(self.path / EPISODES, sync_seconds=SYNC_SECONDS),
            JsonLinesWriter(self.path / OWED, sync_seconds=SYNC_SECONDS),
        )

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Held by the process that adds to the run; there is one at a time."""
        return exclusive(self.path / LOCK, f"the run {one_line(str(self.path))!r}")

    def _has_draw(self, line: EpisodeLine) -> bool:
        """Whether seed and repeat of an episode are planned."""
        return line.key.seed == self.manifest.seed and 0 <= line.key.repeat < self.manifest.repeats

    def _lines(self, name: str) -> Iterator[tuple[int, EpisodeLine]]:
        """Number and content of each line, which has to be of this run's world, data and agent."""
        ours = (self.manifest.world, self.manifest.data, self.manifest.agent)
        for number, text in self._numbered(name):
            try:
                line = parse_record(EpisodeLine, text)
            except RecordError as error:
                raise DataError(f"{self.path / name}:{number}: {error}") from None
            # A world that failed before its first word, or a worker that was lost, has not said what its data are.
            data = line.trajectory.data or ours[1]
            said = (line.trajectory.world, data, line.trajectory.agent)
            if said != ours:
                listed, wanted = (one_line(" · ".join(one), 80) for one in (said, ours))
                raise DataError(f"{self.path / name}:{number}: an episode of {listed}; the run is of {wanted}")
            yield number, line

    def _numbered(self, name: str) -> Iterator[tuple[int, bytes]]:
        path = self.path / name
        if not path.exists():
            return
        try:
            yield from read_lines(path)
        except RecordError as error:
            raise DataError(str(error)) from None

    def _read(self, name: str, kind: type[AnyDocument]) -> AnyDocument:
        path = self.path / name
        try:
            if path.stat().st_size > MAX_DOCUMENT_BYTES:
                raise DataError(f"{path}: larger than {MAX_DOCUMENT_BYTES:,} bytes")
            return parse_record(kind, path.read_bytes())
        except OSError as error:
            raise DataError(f"cannot read {one_line(str(path))!r}: {error.strerror}") from None
        except RecordError as error:
            raise DataError(f"{path}: {error}") from None

    def _write(self, name: str, document: Record) -> None:
        write_text(self.path / name, json.dumps(document.model_dump(mode="json"), indent=2, allow_nan=False) + "\n")

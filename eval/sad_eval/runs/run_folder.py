"""The run folder: what an evaluation leaves on disk, and the only code that reads and writes it.

    manifest.json    what was run: versions, commit, data, checkpoint and panel by hash, the resolved settings
    episodes.jsonl   one self-contained line for every scored episode, in the order of their ends
    owed.jsonl       one line for every attempt that says nothing of the agent (a crash, a timeout, Ctrl-C)
    results.json     metrics with their intervals, computed from the episodes and never the other way round
    settings.toml    the same settings as a file for `--config`

A key (task, seed, repeat) stands in episodes.jsonl at most once. It is owed while it does not stand there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import Strict, model_validator
from pydantic_core import PydanticSerializationError

from sad_env.errors import DataError
from sad_env.files import atomic_text, exclusive
from sad_env.json_lines import JsonLinesWriter, RecordError, read_lines
from sad_env.records import Many, Record, Status, Trajectory, observation_chain, parse_record
from sad_env.safe_text import one_line

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


class EpisodeKey(NamedTuple):
    """What names an episode within a run."""

    task_id: str
    seed: int
    repeat: int


class Key(Record):
    """An `EpisodeKey` as it stands in a file."""

    task_id: str
    seed: int
    repeat: int


class Attempt(Record):
    """One try at an episode."""

    status: Annotated[Status, Strict(False)]
    error: str = ""
    seconds: float = 0.0


class EpisodeLine(Record):
    """One line of episodes.jsonl or owed.jsonl: an episode and all that is needed to check it."""

    schema_version: Literal[1] = 1
    key: Key
    chain: str
    """`sad_env.records.observation_chain` of the trajectory."""
    attempts: Many[Attempt]
    """All tries up to and including this one; only the last can be scored."""
    trajectory: Trajectory

    @model_validator(mode="after")
    def _agrees(self) -> EpisodeLine:
        mine = (self.key.task_id, self.key.seed, self.key.repeat)
        if mine != (self.trajectory.task_id, self.trajectory.seed, self.trajectory.repeat):
            raise ValueError("key and trajectory name different episodes")
        if not self.attempts or self.attempts[-1].status is not self.trajectory.status:
            raise ValueError("the last attempt is not the trajectory's ending")
        if any(not attempt.status.owed for attempt in self.attempts[:-1]):
            raise ValueError("an episode was played again after it had been scored")
        return self

    @classmethod
    def of(cls, trajectory: Trajectory, earlier: tuple[Attempt, ...] = ()) -> EpisodeLine:
        """The line of a finished episode that was tried `earlier` times in vain."""
        key = Key(task_id=trajectory.task_id, seed=trajectory.seed, repeat=trajectory.repeat)
        last = Attempt(status=trajectory.status, error=trajectory.error, seconds=trajectory.seconds)
        return cls(key=key, chain=observation_chain(trajectory), attempts=(*earlier, last), trajectory=trajectory)

    @property
    def id(self) -> EpisodeKey:
        """The key as a hashable tuple."""
        return EpisodeKey(self.key.task_id, self.key.seed, self.key.repeat)

    def chain_holds(self) -> bool:
        """True when the recorded chain is that of the recorded trajectory."""
        return self.chain == observation_chain(self.trajectory)

    def to_json(self) -> str:
        """One line of JSON, in ASCII: what models write may hold controls that a terminal obeys."""
        try:
            text = self.model_dump_json()  # four times as fast, but it escapes no letter and takes no half character
        except PydanticSerializationError:
            text = ""
        if text and text.isascii():
            return text
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=True, separators=(",", ":"), allow_nan=False)


class PanelRecord(Record):
    """The tasks of a run."""

    name: str
    sha256: str
    task_ids: Many[str]
    description: str = ""


class Resumption(Record):
    """A later call that played episodes of a run, and what it played them with."""

    at: str
    """UTC, ISO 8601."""
    command: str
    scored: int
    """Episodes that were scored before."""
    versions: dict[str, str]
    commit: str = ""
    dirty: bool | None = None
    platform: str = ""


class Manifest(Record):
    """What a run is; written before its first episode. Only `resumptions` grow."""

    schema_version: Literal[1] = 1
    created: str
    """UTC, ISO 8601."""
    command: str
    """The command that began the run, quoted for a shell."""
    world: str
    data: str
    """generated, official or given."""
    data_sha256: str
    """Of the world's data, where it has any."""
    panel: PanelRecord
    agent: str
    """Name of the agent as trajectories carry it."""
    agent_sha256: str = ""
    """Of the checkpoint, where there is one."""
    prompt_sha256: str = ""
    """Of the text before the first observation, where the agent has a fixed one."""
    seed: int
    repeats: int
    limits: dict[str, float | int | None]
    """max_steps, max_tokens, max_seconds, ...; null where there is none."""
    shard: Annotated[tuple[int, int], Strict(False)] = (1, 1)
    """Which part of how many; the panel is always the whole one."""
    identity: dict[str, Any]
    """What decides the episodes; two runs with the same identity are the same run."""
    identity_sha256: str
    settings: dict[str, Any]
    """All settings of the command, defaults filled in."""
    versions: dict[str, str]
    commit: str = ""
    dirty: bool | None = None
    """Whether the checkout had uncommitted changes; null outside a checkout."""
    platform: str = ""
    resumptions: Many[Resumption] = ()

    @model_validator(mode="after")
    def _is_a_part(self) -> Manifest:
        part, parts = self.shard
        if not 1 <= part <= parts:
            raise ValueError(f"a shard is part i of n with i from 1 to n, not {part} of {parts}")
        return self

    def resumption(self, scored: int) -> Resumption:
        """This manifest's making as a later call of a run that has `scored` episodes already."""
        return Resumption(
            at=self.created,
            command=self.command,
            scored=scored,
            versions=self.versions,
            commit=self.commit,
            dirty=self.dirty,
            platform=self.platform,
        )

    def changes(self) -> list[str]:
        """What was not the same in all calls that played episodes, e.g. "numpy 2.1.0, 2.2.0"; versions and commit."""
        calls: tuple[Manifest | Resumption, ...] = (self, *self.resumptions)
        told: dict[str, list[str]] = {}
        for call in calls:
            commit = (call.commit[:10] or "none") + ("+" if call.dirty else "")
            for name, value in {**call.versions, "commit": commit}.items():
                told.setdefault(name, []).append(value)
        for values in told.values():
            if len(values) < len(calls):
                values.append("none")
        return [f"{name} {', '.join(dict.fromkeys(told[name]))}" for name in sorted(told) if len(set(told[name])) > 1]

    def planned(self) -> list[EpisodeKey]:
        """Keys of all episodes of this run (of this shard), in the order in which they are begun."""
        keys = [
            EpisodeKey(task_id, self.seed, repeat) for repeat in range(self.repeats) for task_id in self.panel.task_ids
        ]
        part, parts = self.shard
        return keys[part - 1 :: parts]


class Estimate(Record):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Episodes that the figure is made of."""
    interval: str = ""
    """How low and high were found."""
    unit: str = ""


class Results(Record):
    """results.json."""

    schema_version: Literal[1] = 1
    status: Literal["complete", "incomplete"]
    world: str
    data: str
    panel: str
    panel_sha256: str
    agent: str
    planned: int
    scored: int
    owed: int
    counts: dict[str, int]
    """Episodes per ending, scored endings and owed ones; every ending is listed."""
    metrics: dict[str, Estimate]
    """By name; a metric that does not apply to the run is absent, never 0. Empty when nothing is scored."""
    by_task_type: dict[str, dict[str, Estimate]]
    bounds: Annotated[tuple[float, float], Strict(False)] | None = None
    """Success rate if all owed episodes failed, and if all succeeded; null when nothing is owed."""
    tokenizer: str = ""
    """What reasoning length is counted in."""
    reference: str = ""
    """The run whose reasoning CoT match compares with."""
    remarks: Many[str] = ()
    """Whole sentences a reader should not miss."""


class RunFolder:
    """A run on disk. Open an existing one with `RunFolder.open`, begin one with `RunFolder.create`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

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

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            DataError: unreadable, or of another version.
        """
        return self._read(MANIFEST, Manifest)

    def add_resumption(self, resumption: Resumption) -> None:
        """Write a later call down in the manifest; hold `lock`."""
        manifest = self.manifest
        grown = manifest.model_copy(update={"resumptions": (*manifest.resumptions, resumption)})
        self._write(MANIFEST, grown)
        self.__dict__["manifest"] = grown  # what `cached_property` would read again

    def episodes(self) -> Iterator[EpisodeLine]:
        """Scored episodes in the order of their ends; a torn last line is not among them.

        Raises:
            DataError: a line that is no episode of this run, or an episode that stands twice.
        """
        seen: set[EpisodeKey] = set()
        for number, line in self._lines(EPISODES):
            if line.id in seen:
                raise DataError(f"{self.path / EPISODES}:{number}: the episode {line.id} stands twice")
            if line.trajectory.status.owed:
                raise DataError(f"{self.path / EPISODES}:{number}: {line.trajectory.status.value} is no scored ending")
            seen.add(line.id)
            yield line

    def owed_attempts(self) -> Iterator[EpisodeLine]:
        """All attempts that could not be scored, in order; many of them have been made good since."""
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
        """Held by the one process that adds to the run."""
        return exclusive(self.path / LOCK, f"the run {one_line(str(self.path))!r}")

    def _lines(self, name: str) -> Iterator[tuple[int, EpisodeLine]]:
        path = self.path / name
        if not path.exists():
            return
        try:
            for number, line in read_lines(path):
                try:
                    yield number, parse_record(EpisodeLine, line)
                except RecordError as error:
                    raise DataError(f"{path}:{number}: {error}") from None
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
        text = json.dumps(document.model_dump(mode="json"), indent=2, allow_nan=False)
        with atomic_text(self.path / name) as file:
            file.write(text + "\n")

"""Records of an evaluation: keys and lines of episodes, the manifest, estimates and results. Nothing is read here."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Strict, model_validator
from pydantic_core import PydanticSerializationError

from sad_env.errors import IncompleteError
from sad_env.records import Many, Record, Status, Trajectory, observation_chain


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class EpisodeKey(NamedTuple):
    """What names an episode within a run."""

    task_id: str
    seed: int
    repeat: int


class Key(Record):
    """An `EpisodeKey` in a file."""

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
        key = (self.key.task_id, self.key.seed, self.key.repeat)
        if key != (self.trajectory.task_id, self.trajectory.seed, self.trajectory.repeat):
            raise ValueError("key and trajectory name different episodes")
        if not self.attempts or self.attempts[-1].status is not self.trajectory.status:
            raise ValueError("the last attempt is not the trajectory's ending")
        if any(not attempt.status.owed for attempt in self.attempts[:-1]):
            raise ValueError("an episode was played again after it had been scored")
        return self

    @classmethod
    def of(cls, trajectory: Trajectory, earlier: tuple[Attempt, ...] = ()) -> EpisodeLine:
        """The line of a finished episode, after the `earlier` tries at it that could not be scored."""
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
    """What a run is; written before its first episode. Then `resumptions` grow; panel and repeats may be extended."""

    schema_version: Literal[1] = 1
    created: Annotated[str, AfterValidator(_moment)]
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
        names = ("command", "versions", "commit", "dirty", "platform")
        return Resumption(at=self.created, scored=scored, **{name: getattr(self, name) for name in names})

    def changes(self) -> list[str]:
        """What was not the same in all calls that played episodes, e.g. "numpy 2.1.0, 2.2.0"; versions and commit."""
        calls: tuple[Manifest | Resumption, ...] = (self, *self.resumptions)
        seen: dict[str, list[str]] = {}
        for call in calls:
            commit = (call.commit[:10] or "none") + ("+" if call.dirty else "")
            for name, value in {**call.versions, "commit": commit}.items():
                seen.setdefault(name, []).append(value)
        for values in seen.values():
            if len(values) < len(calls):
                values.append("none")
        return [f"{name} {', '.join(dict.fromkeys(seen[name]))}" for name in sorted(seen) if len(set(seen[name])) > 1]

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
    """How low and high were computed."""
    unit: str = ""

    @classmethod
    def around(cls, value: float, ends: tuple[float, float], n: int, interval: str, unit: str) -> Estimate:
        """A value and the ends of its interval, widened to hold it: a mean of draws may round past its own value."""
        return cls(value=value, low=min(ends[0], value), high=max(ends[1], value), n=n, interval=interval, unit=unit)


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


def identity_sha256(identity: dict[str, Any]) -> str:
    """Hex sha256 of what decides a run's episodes."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()


def exit_code(results: Results) -> int:
    """0 when every episode is scored, 3 while some are owed."""
    return 0 if results.status == "complete" else IncompleteError.exit_code

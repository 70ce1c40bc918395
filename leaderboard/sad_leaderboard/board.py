"""The board: entries of one world, panel, kind of data and track side by side, with ranks that admit ties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sad_eval.records import Estimate

from sad_env.records import Many, Record
from sad_leaderboard.published import PublishedRow
from sad_leaderboard.recompute import BOARD_METRICS
from sad_leaderboard.verify import Verification


class Row(Record):
    """One entry."""

    rank: int
    """1 + the number of entries of the table whose whole interval lies above this one's."""
    name: str
    title: str
    submitter: str
    submitted: str
    description: str
    link: str
    parameters: int | None
    level: Literal["recomputed", "replayed", "rerun"]
    episodes: int
    repeats: int
    metrics: dict[str, Estimate]
    """Recomputed; a metric that does not follow from the episodes is absent."""
    agent_sha256: str
    versions: dict[str, str]


class Table(Record):
    """All entries that may be compared."""

    world: str
    data: str
    panel: str
    panel_sha256: str
    description: str
    track: Literal["standard", "privileged"]
    rows: Many[Row]


class Board(Record):
    """The JSON form of the leaderboard."""

    schema_version: Literal[1] = 1
    tables: Many[Table]
    published: Many[PublishedRow]
    """Numbers printed elsewhere; nobody here has checked them, and they are not ranked."""
    remarks: Many[str] = ()
    """E.g. entries that share episodes."""


def json_schema() -> dict[str, Any]:
    """JSON Schema of `Board`."""
    return Board.model_json_schema()


def build_board(
    verified: Sequence[Verification], published: Sequence[PublishedRow] = (), remarks: Sequence[str] = ()
) -> Board:
    """The board of entries that reached at least the level "recomputed"; others are left out."""
    groups: dict[tuple[str, str, str, str, str], list[Verification]] = {}
    for one in verified:
        if one.submission is None or one.results is None:
            continue
        manifest = one.submission.manifest
        key = (
            manifest.world,
            manifest.panel.name,
            manifest.data,
            one.submission.entry.track,
            manifest.panel.sha256,
        )
        groups.setdefault(key, []).append(one)
    # "standard" stands before "privileged" though the alphabet has it otherwise.
    order = sorted(groups, key=lambda key: (*key[:3], key[3] != "standard", key[4]))
    return Board(tables=tuple(_table(groups[key]) for key in order), published=tuple(published), remarks=tuple(remarks))


def ranks(intervals: Sequence[tuple[float, float]]) -> list[int]:
    """Rank of each interval: 1 + the number of those that lie wholly above it. Overlapping intervals can tie.

    >>> ranks([(0.8, 0.9), (0.7, 0.85), (0.1, 0.2)])
    [1, 1, 3]
    """
    return [1 + sum(low > high for low, _ in intervals) for _, high in intervals]


def _table(group: Sequence[Verification]) -> Table:
    first = group[0].submission
    assert first is not None
    rates = [_rate(one) for one in group]
    places = ranks([(rate.low, rate.high) for rate in rates])
    rows = [_row(one, place) for one, place in zip(group, places, strict=True)]
    rows.sort(key=lambda row: (-row.metrics["success_rate"].value, row.rank, row.name))
    manifest = first.manifest
    return Table(
        world=manifest.world,
        data=manifest.data,
        panel=manifest.panel.name,
        panel_sha256=manifest.panel.sha256,
        description=manifest.panel.description,
        track=first.entry.track,
        rows=tuple(rows),
    )


def _rate(one: Verification) -> Estimate:
    assert one.results is not None
    return one.results.metrics["success_rate"]


def _row(one: Verification, rank: int) -> Row:
    submission, results = one.submission, one.results
    assert submission is not None
    assert results is not None
    assert one.level is not None
    entry, manifest = submission.entry, submission.manifest
    return Row.model_validate({
        "rank": rank,
        "name": submission.name,
        "title": entry.title,
        "submitter": entry.submitter,
        "submitted": entry.submitted,
        "description": entry.description,
        "link": entry.link,
        "parameters": entry.parameters,
        "level": one.level.label,
        "episodes": results.scored,
        "repeats": manifest.repeats,
        "metrics": {name: results.metrics[name] for name in BOARD_METRICS if name in results.metrics},
        "agent_sha256": manifest.agent_sha256,
        "versions": manifest.versions,
    })  # fmt: skip

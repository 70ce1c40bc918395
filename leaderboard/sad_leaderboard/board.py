"""The board: a table for each world, panel, kind of data and track, with ranks that can tie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sad_eval.records import Estimate, PanelRecord

from sad_env.records import Many, Record
from sad_leaderboard.conditions import conditions
from sad_leaderboard.entries import Submission
from sad_leaderboard.printed import PaperTables
from sad_leaderboard.published import PublishedRow
from sad_leaderboard.recompute import BOARD_METRICS
from sad_leaderboard.schema import Level
from sad_leaderboard.verify import Verification


class BoardRow(Record):
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
    """The panel's name; entries may know the same tasks under other names, e.g. "test-1000" for all of "test"."""
    panel_sha256: str
    description: str
    track: str
    """standard or privileged, with the run's conditions, e.g. "standard, perturb typos"."""
    rows: Many[BoardRow]


class Board(Record):
    """The JSON form of the leaderboard."""

    schema_version: Literal[1] = 1
    tables: Many[Table]
    published: Many[PublishedRow]
    """Numbers printed elsewhere, unchecked and unranked."""
    printed: PaperTables | None = None
    """The paper's tables as printed, unverified: no entry of the board, without ranks."""
    remarks: Many[str] = ()
    """E.g. entries that were left out, and entries that share episodes."""


def build_board(
    verified: Sequence[Verification],
    published: Sequence[PublishedRow] = (),
    remarks: Sequence[str] = (),
    printed: PaperTables | None = None,
) -> Board:
    """The board of the entries that reached the level "recomputed" and that no check contradicts."""
    groups: dict[tuple[str, str, str, str, str], list[Verification]] = {}
    for entry in verified:
        if entry.submission is not None and entry.results is not None and not entry.refuted:
            manifest = entry.submission.manifest
            # Two folders of given data may hold different tasks under the same ids.
            files = manifest.data_sha256 if manifest.data == "given" else ""
            key = (manifest.world, manifest.data, files, manifest.panel.sha256, track_of(entry.submission))
            groups.setdefault(key, []).append(entry)
    tables = [_table(group, track) for (*_, track), group in groups.items()]
    # Tracks are in the order of the alphabet, but for those of standard entries, which come before privileged ones.
    tables.sort(
        key=lambda table: (table.world, table.panel, table.data, table.track[0] != "s", table.track, table.panel_sha256)
    )
    return Board(tables=tuple(tables), published=tuple(published), printed=printed, remarks=tuple(remarks))


def track_of(submission: Submission) -> str:
    """The track an entry is ranked on: what it saw, and its conditions."""
    return ", ".join((submission.entry.track, *conditions(submission.manifest)))


def ranks(intervals: Sequence[tuple[float, float]]) -> list[int]:
    """Rank of each interval: 1 + the number of those that lie wholly above it. Overlapping intervals can tie.

    >>> ranks([(0.8, 0.9), (0.7, 0.85), (0.1, 0.2)])
    [1, 1, 3]
    """
    return [1 + sum(low > high for low, _ in intervals) for _, high in intervals]


def _table(group: Sequence[Verification], track: str) -> Table:
    first = group[0].submission
    assert first is not None
    rates = [_rate(entry) for entry in group]
    places = ranks([(rate.low, rate.high) for rate in rates])
    rows = [_row(entry, place) for entry, place in zip(group, places, strict=True)]
    rows.sort(key=lambda row: (-row.metrics["success_rate"].value, row.rank, row.name))
    panel = _named_panel(group)
    return Table(
        world=first.manifest.world,
        data=first.manifest.data,
        panel=panel.name,
        panel_sha256=panel.sha256,
        description=panel.description,
        track=track,
        rows=tuple(rows),
    )


def _named_panel(group: Sequence[Verification]) -> PanelRecord:
    """The panel under the shortest of its names, "test" before "test-1000", among the entries checked furthest."""
    best = max(entry.level or Level.CLAIMED for entry in group)
    panels = [entry.submission.manifest.panel for entry in group if entry.submission and entry.level == best]
    return min(panels, key=lambda panel: (len(panel.name), panel.name))


def _rate(checked: Verification) -> Estimate:
    assert checked.results is not None
    return checked.results.metrics["success_rate"]


def _row(checked: Verification, rank: int) -> BoardRow:
    submission, results = checked.submission, checked.results
    assert submission is not None
    assert results is not None
    assert checked.level is not None
    entry, manifest = submission.entry, submission.manifest
    return BoardRow.model_validate(
        {
            **entry.model_dump(include={"title", "submitter", "submitted", "description", "link", "parameters"}),
            **manifest.model_dump(include={"repeats", "agent_sha256", "versions"}),
            "rank": rank,
            "name": submission.name,
            "level": checked.level.label,
            "episodes": results.scored,
            "metrics": {name: results.metrics[name] for name in BOARD_METRICS if name in results.metrics},
        }
    )

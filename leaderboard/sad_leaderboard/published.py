"""Numbers that papers print: shown below the tables, marked as unchecked, never ranked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sad_env.records import Many, Record, parse_record

PUBLISHED = Path(__file__).parent / "published.json"


class PublishedRow(Record):
    """One printed number."""

    schema_version: Literal[1] = 1
    world: str
    system: str
    metric: str
    value: float
    """As printed, in the unit of `unit`."""
    unit: str
    source: str
    """Where it is printed."""
    remark: str = ""
    """What a reader must know before comparing."""


class _File(Record):
    schema_version: Literal[1] = 1
    rows: Many[PublishedRow]


def published_rows(path: Path = PUBLISHED) -> tuple[PublishedRow, ...]:
    """The rows of the file that ships with the package, or of another.

    Raises:
        RecordError: not of the schema.
    """
    return parse_record(_File, path.read_bytes()).rows

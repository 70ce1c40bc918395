"""The paper's main tables as printed: beside the board, unverified, without ranks, with what contradicts them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sad_env.records import Many, Record, parse_record

PAPER_TABLES = Path(__file__).parent / "paper_tables.json"

METRICS = ("success, %", "reasoning length, tokens", "CoT match, %", "latency, steps")
WORLDS = ("alfworld", "webshop", "hotpotqa")

Values = Annotated[Many[float], Field(min_length=len(METRICS) * len(WORLDS), max_length=len(METRICS) * len(WORLDS))]
"""By metric and, within it, by world, in the order of `METRICS` and `WORLDS`."""


class PrintedRow(Record):
    """A row of a table of the paper."""

    method: str
    """As printed."""
    values: Values
    elsewhere: Values | None = None
    """What the paper's Tables 8 to 11 print for the same run, where it is something else."""


class PrintedTable(Record):
    """A table of the paper."""

    number: int
    source: str
    about: str
    rows: Many[PrintedRow]


class PaperTables(Record):
    """Tables 3 and 4 of arXiv 2505.13820v3, and where the paper contradicts itself."""

    schema_version: int = 1
    tables: Many[PrintedTable]
    contradictions: Many[str]


def paper_tables() -> PaperTables:
    """The tables that ship with the package."""
    return parse_record(PaperTables, PAPER_TABLES.read_bytes())


def shown_rows(table: PrintedTable) -> list[tuple[str, ...]]:
    """Method and values as text; a value that the paper prints otherwise elsewhere is followed by that, in brackets."""
    rows = []
    for row in table.rows:
        others = row.elsewhere or row.values
        cells = [
            f"{one:.1f}" if one == two else f"{one:.1f} [{two:.1f}]"
            for one, two in zip(row.values, others, strict=True)
        ]
        rows.append((row.method, *cells))
    return rows

"""The paper's tables in its own layout: its rows and columns, with what a study has measured, or dashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sad_eval.study.results import WorldResults
from sad_eval.study.tables import cell, markdown

_METRICS = {
    "Task success": "success",
    "Reasoning length": "reasoning",
    "CoT match rate": "cot_recall",
    "Episode latency": "steps",
}
_ABLATED = {"Succ (%)": "success", "CoT (%)": "cot_recall", "Episode latency": "steps"}
"""Columns of the paper, and of a study; what they count is in docs/paper.md."""


class PaperRow(NamedTuple):
    """A row of an ablation.

    Attributes:
        cells: what stands before the figures.
        method: of the study.
    """

    cells: tuple[str, ...]
    method: str


_RATIOS = [
    PaperRow(("1.0 : 0.0",), "paper-only-reasoning"),
    PaperRow(("0.0 : 1.0",), "paper-only-action"),
    PaperRow(("0.5 : 1.0",), "paper-0.5-1"),
    PaperRow(("1.0 : 1.0",), "paper-ours"),
    PaperRow(("2.0 : 1.0",), "paper-2-1"),
    PaperRow(("Token-level baseline",), "paper-token"),
]
_CURRICULUM = [
    PaperRow(("w/o curriculum sampling",), "paper-no-curriculum"),
    PaperRow(("w/ curriculum sampling",), "paper-ours"),
    PaperRow(("Token-level baseline",), "paper-token"),
    PaperRow(("KD baseline",), "paper-kd"),
    PaperRow(("SeqKD baseline",), "paper-seqkd"),
]
ABLATIONS: dict[str, tuple[tuple[str, ...], list[PaperRow]]] = {
    "5": (
        ("Method", "Reason", "Action", "Segm"),
        [
            PaperRow(("Full segment-aware (ours)", "✓", "✓", "✓"), "paper-ours"),
            PaperRow(("Only reasoning supervision", "✓", "✗", "✓"), "paper-only-reasoning"),
            PaperRow(("Only action supervision", "✗", "✓", "✓"), "paper-only-action"),
            PaperRow(("No span segmentation", "✓", "✓", "✗"), "paper-no-segmentation"),
            PaperRow(("Random span masking", "✓", "✓", "∼ (random)"), "paper-random-masking"),
        ],
    ),
    "6": (("CoT : Act ratio",), _RATIOS),
    "12": (("CoT : Act ratio",), _RATIOS),
    "13": (("Training setting",), _CURRICULUM),
    "14": (("Training setting",), _CURRICULUM),
    "15": (
        ("γ (entropy weight)",),
        [
            PaperRow(("0.0 (no curriculum)",), "paper-no-curriculum"),
            PaperRow(("0.5",), "paper-entropy-0.5"),
            PaperRow(("1.0",), "paper-ours"),
            PaperRow(("2.0",), "paper-entropy-2.0"),
        ],
    ),
}
"""Columns before the figures, and rows, of the tables of ablations by number."""

MAIN = ("3", "4")
_MAIN_ROWS = {
    "paper-kd": "KD-{}",
    "paper-seqkd": "SeqKD-{}",
    "paper-token": "Token-{}",
    "paper-ours": "Ours ({})",
}


def methods_of(table: str) -> list[str]:
    """The methods whose runs a table prints, each once."""
    rows = _MAIN_ROWS if table in MAIN else [row.method for row in ABLATIONS[table][1]]
    return list(dict.fromkeys(rows))


def printed_table(
    table: str,
    worlds: Sequence[str],
    students: Sequence[str],
    labels: Mapping[str, str],
    results: Mapping[str, WorldResults] | None = None,
) -> str:
    """A table in the paper's layout, in Markdown.

    Args:
        table: its number.
        worlds: by name, in order.
        students: sizes; an ablation has those that it ran on.
        labels: what a student is called in it.
        results: by world; without them all figures are dashes.
    """
    found = results or {}
    if table in MAIN:
        header = ["Method", *(f"{title}: {world}" for title in _METRICS for world in worlds)]
        rows = list(_main_rows(worlds, students, labels, found))
    else:
        before, printed = ABLATIONS[table]
        header = [*before, *(f"{title}: {world}" for world in worlds for title in _ABLATED)]
        rows = [
            [
                *row.cells,
                *(
                    _figure(found, world, students, row.method, column)
                    for world in worlds
                    for column in _ABLATED.values()
                ),
            ]
            for row in printed
        ]
    return f"### Table {table} of the paper\n\n{markdown(header, rows)}\n"


def _main_rows(
    worlds: Sequence[str], students: Sequence[str], labels: Mapping[str, str], found: Mapping[str, WorldResults]
) -> Iterator[list[str]]:
    for name, title in (("teacher-prompted", "Teacher, prompted"), ("teacher", "Teacher")):
        cells = [
            cell([found[world].evaluations[name]], column)
            if world in found and name in found[world].evaluations
            else "—"
            for column in _METRICS.values()
            for world in worlds
        ]
        yield [title, *cells]
    for size in students:
        for method, title in _MAIN_ROWS.items():
            cells = [_figure(found, world, [size], method, column) for column in _METRICS.values() for world in worlds]
            yield [title.format(labels.get(size, size)), *cells]


def _figure(found: Mapping[str, WorldResults], world: str, sizes: Sequence[str], method: str, column: str) -> str:
    if world not in found:
        return "—"
    return cell([one for size in sizes for one in found[world].runs(size, method).values()], column)

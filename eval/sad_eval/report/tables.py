"""One table, written as LaTeX or Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from sad_eval.report.escape import Cell, latex_cell, markdown_cell


def latex_table(header: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str) -> str:
    """The table as a LaTeX `table` that needs the package booktabs."""
    lines = [
        r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}",
        r"\begin{table}",
        rf"\caption{{{latex_cell(caption)}}}",
        rf"\begin{{tabular}}{{{_alignment(header, rows)}}}",
        r"\toprule",
        " & ".join(latex_cell(cell) for cell in header) + r" \\",
        r"\midrule",
        *(" & ".join(latex_cell(cell) for cell in row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """The table in GitHub's Markdown; columns of figures are set flush right."""
    marks = ["---:" if mark == "r" else "---" for mark in _alignment(header, rows)]
    lines = [header, *rows]
    texts = ["| " + " | ".join(markdown_cell(cell) for cell in line) + " |" for line in lines]
    return "\n".join([texts[0], "| " + " | ".join(marks) + " |", *texts[1:]]) + "\n"


def _alignment(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """One letter a column: r where every cell is a figure, l elsewhere."""
    columns = range(len(header))
    return "".join("l" if any(isinstance(row[column], str) for row in rows) else "r" for column in columns)

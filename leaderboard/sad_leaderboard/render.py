"""The board as a page, as Markdown, and as JSON."""

from __future__ import annotations

import json
import re

from sad_eval.report.escape import Cell, markdown_cell
from sad_eval.report.html import environment
from sad_eval.report.numbers import interval_text, plain, value_text
from sad_eval.report.tables import markdown_table

from sad_leaderboard.board import Board, BoardRow, Table
from sad_leaderboard.printed import METRICS, WORLDS, PaperTables, shown_rows

TITLE = "sad-env leaderboard"
PRINTED = "Printed in the paper, unverified"
PRINTED_REMARK = (
    "Tables 3 and 4 as they are printed. Neither episodes nor checkpoints are public and the tasks are not those of the"
    " tables above, so nothing here was checked, is ranked, or compares with an entry. In square brackets: what Tables"
    " 8 to 11 print for the same run."
)


_ARXIV = re.compile(r"arXiv ([0-9]{4}\.[0-9]{4,5}(?:v[0-9]+)?)")


def source_link(source: str) -> str:
    """Where a source can be read, "" where that is not known.

    >>> source_link("arXiv 2505.13820v3, Table 3")
    'https://arxiv.org/abs/2505.13820v3'
    """
    found = _ARXIV.match(source)
    return f"https://arxiv.org/abs/{found[1]}" if found else ""


def has_score(table: Table) -> bool:
    """Whether the benchmark's own score says more than success does, as WebShop's does."""
    rates = [(row.metrics["success_rate"].value, row.metrics["score"]) for row in table.rows if "score" in row.metrics]
    return any(score.value != rate for rate, score in rates)


def to_json(board: Board) -> str:
    """The board as JSON; `sad-leaderboard schema` prints its schema."""
    return json.dumps(board.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"


def to_html(board: Board) -> str:
    """One self-contained page; its script sorts and filters the tables, which are whole without it."""
    template = environment("sad_leaderboard").get_template("board.html.j2")
    return template.render(
        board=board,
        title=TITLE,
        heading=PRINTED,
        remark=PRINTED_REMARK,
        metrics=METRICS,
        worlds=WORLDS,
        has_score=has_score,
        source_link=source_link,
        printed=[(table, shown_rows(table)) for table in board.printed.tables] if board.printed else [],
    )


def to_markdown(board: Board) -> str:
    """Tables in GitHub's Markdown."""
    blocks = [
        f"# {TITLE}\n",
        "Figures are computed from the entries' episodes. A rank is one more than the number of entries whose whole\n"
        "95 % interval lies above: overlapping intervals share it.\n",
    ]
    for table in board.tables:
        blocks.append(_table(table))
    if board.published:
        header = ["world", "system", "metric", "printed", "source", "remark"]
        rows: list[list[Cell]] = [
            [row.world, row.system, row.metric, f"{plain(row.value)} {row.unit}", row.source, row.remark]
            for row in board.published
        ]
        blocks.append(f"## Printed elsewhere, unchecked and unranked\n\n{markdown_table(header, rows)}")
    if board.printed:
        blocks.append(_printed(board.printed))
    if board.remarks:
        blocks.append("## To look at\n\n" + "".join(f"- {markdown_cell(remark)}\n" for remark in board.remarks))
    return "\n".join(blocks)


def _printed(paper: PaperTables) -> str:
    lines = [f"## {PRINTED}\n", f"{PRINTED_REMARK}\n"]
    for table in paper.tables:
        header = ["method", *(f"{world}: {metric}" for metric in METRICS for world in WORLDS)]
        rows: list[list[Cell]] = [list(row) for row in shown_rows(table)]
        lines.append(
            f"### {markdown_cell(table.source)}\n\n{markdown_cell(table.about)}.\n\n{markdown_table(header, rows)}"
        )
    contradictions = "".join(f"- {markdown_cell(one)}\n" for one in paper.contradictions)
    return "\n".join([*lines, f"### Where the paper contradicts itself\n\n{contradictions}"])


def _table(table: Table) -> str:
    track = f" · {table.track}" if table.track != "standard" else ""
    head = f"## {markdown_cell(f'{table.world} · {table.panel} · {table.data} data{track}')}\n"
    description = f"\n{markdown_cell(table.description)}\n" if table.description else ""
    figures = [*(["score"] if has_score(table) else []), "environment_steps", "reasoning_per_step"]
    header = ["rank", "agent", "by", "success", "95 % interval", *(_HEADS[name] for name in figures)]
    header += ["episodes", "checked"]
    lines = [_row(row, figures) for row in table.rows]
    return f"{head}{description}\n{markdown_table(header, lines)}\npanel sha256 `{table.panel_sha256[:16]}`\n"


_HEADS = {"score": "score", "environment_steps": "steps", "reasoning_per_step": "reasoning words a step"}


def _row(row: BoardRow, figures: list[str]) -> list[Cell]:
    rate = row.metrics["success_rate"]
    return [
        row.rank,
        row.title,
        f"{row.submitter}, {row.submitted}",
        value_text("success_rate", rate),
        interval_text("success_rate", rate),
        *(value_text(name, row.metrics[name]) if name in row.metrics else "–" for name in figures),
        row.episodes,
        row.level,
    ]

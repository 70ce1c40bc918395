from __future__ import annotations

import re

from sad_leaderboard.board import Board
from sad_leaderboard.printed import METRICS, WORLDS, paper_tables, shown_rows
from sad_leaderboard.render import PRINTED, to_html, to_json, to_markdown


def test_both_tables_are_whole() -> None:
    three, four = paper_tables().tables
    assert (three.number, len(three.rows)) == (3, 13)
    assert (four.number, len(four.rows)) == (4, 23)
    ours = next(row for row in three.rows if row.method == "Ours (340M)")
    assert ours.values == (56.3, 54.7, 65.5, 9.8, 13.1, 12.2, 71.5, 66.9, 74.0, 7.1, 8.7, 7.0)
    assert len(METRICS) * len(WORLDS) == len(ours.values)


def test_table_4_shows_what_tables_8_to_11_print_instead() -> None:
    four = paper_tables().tables[1]
    others = {row.method for row in four.rows if row.elsewhere}
    assert others == {
        f"{method} ({size})" for method in ("KD", "SeqKD") for size in ("OPT-1.3B", "OPT-2.7B", "OPT-6.7B", "LLaMA-7B")
    }
    shown = {row[0]: row[1:] for row in shown_rows(four)}
    assert shown["KD (OPT-1.3B)"][:2] == ("45.3 [42.5]", "40.7 [38.1]")
    assert shown["Ours (OPT-1.3B)"][0] == "52.3"


def test_printed_rows_are_never_among_the_entries() -> None:
    board = Board(tables=(), published=(), printed=paper_tables())
    page, markdown = to_html(board), to_markdown(board)
    for text in (page, markdown):
        assert PRINTED in text
        head, _, section = text.partition(PRINTED)
        assert "Ours (340M)" not in head
        assert "Ours (340M)" in section
        assert "rank</th>" not in section
        assert "| rank |" not in section
    assert "No entry yet." in page
    assert len(re.findall(r"^\| (?:KD|SeqKD|Token|Ours|Teacher)", markdown, re.MULTILINE)) == 36
    assert Board.model_validate_json(to_json(board)).printed == board.printed
    for contradiction in paper_tables().contradictions:
        assert contradiction.split(";")[0][:40] in page


def test_a_board_of_before_is_read() -> None:
    assert Board.model_validate_json('{"schema_version": 1, "tables": [], "published": []}').printed is None

"""What submitters write reaches the board's page, its Markdown and the terminal as text, never as markup or control."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.add import add
from sad_leaderboard.command import main

MARKUP = {
    "script": "<script>alert(1)</script>",
    "a tag in an attribute": '"><img src=x onerror=alert(1)>',
    "a template": "{{ 7*7 }}{% raw %}",
    "a table cell": "a | b | 1 | 100.0 %",
    "a Markdown link": "[click](javascript:alert(1))",
    "a Markdown image": "![x](https://e.org/pixel.png)",
    "an entity": "&lt;b&gt;",
    "a heading": "# best",
    "rich markup": "[bold red]best[/bold red]",
    "half a comment": "--> <!--",
}


@pytest.fixture(scope="module")
def run(toy_run: Callable[..., RunFolder]) -> RunFolder:
    return toy_run(episodes=2)


@pytest.mark.parametrize("name", MARKUP)
def test_markup_of_a_submitter_is_text(
    name: str, run: RunFolder, tmp_path: Path, without_script: Callable[[str], str]
) -> None:
    text = MARKUP[name]
    words = ["--title", text, "--submitter", text, "--description", text, "--submitted", "2026-01-01"]
    assert main(["add", str(run.path), *words, "--root", str(tmp_path / "entries")]) == 0
    assert main(["build", "--root", str(tmp_path / "entries"), "--out", str(tmp_path / "board")]) == 0
    page, markdown = ((tmp_path / "board" / form).read_text() for form in ("board.html", "board.md"))
    page = without_script(page)
    for raw in ("<script>", "<img", "<!--", "<b>best"):
        assert raw not in page
        assert raw not in markdown
    assert ("{{ 7*7 }}" in page) == (name == "a template")
    (row,) = [line for line in markdown.splitlines() if line.startswith("| 1 |")]
    assert row.replace(r"\|", "").count("|") == 10
    assert "](" not in row.replace(r"\](", "")
    assert json.loads((tmp_path / "board" / "board.json").read_text())["tables"][0]["rows"][0]["title"] == text


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "\u202eyrtne", "<b>x", "x" * 200])
def test_a_folder_name_of_controls_is_shown_as_text(
    name: str,
    run: RunFolder,
    tmp_path: Path,
    harmless: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = add(run, tmp_path / "entries", "entry", title="x", submitter="y", submitted="2026-01-01")
    shutil.copytree(folder, folder.with_name(name))
    assert main(["build", "--root", str(folder.parent), "--out", str(tmp_path / "board")]) == 5
    shown = capsys.readouterr()
    for text in (
        shown.out,
        shown.err,
        *((tmp_path / "board" / form).read_text() for form in ("board.html", "board.md")),
    ):
        harmless(text)
        assert "<b>x" not in text or text in (shown.out, shown.err)
    board = json.loads((tmp_path / "board" / "board.json").read_text())
    assert [row["name"] for row in board["tables"][0]["rows"]] == ["entry"]
    assert "(refused) is left out" in board["remarks"][0]


def test_a_board_folder_may_hold_other_files(run: RunFolder, tmp_path: Path) -> None:
    folder = add(run, tmp_path / "entries", "entry", title="x", submitter="y", submitted="2026-01-01")
    (folder.parent / "README.md").write_text("notes")
    (folder.parent / ".git").mkdir()
    assert main(["build", "--root", str(folder.parent), "--out", str(tmp_path / "board")]) == 0


def test_a_link_out_of_the_board_is_refused(run: RunFolder, tmp_path: Path) -> None:
    folder = add(run, tmp_path / "elsewhere", "entry", title="x", submitter="y", submitted="2026-01-01")
    (tmp_path / "entries").mkdir()
    (tmp_path / "entries" / "entry").symlink_to(folder, target_is_directory=True)
    (tmp_path / "entries" / "loop").symlink_to(tmp_path / "entries")
    assert main(["build", "--root", str(tmp_path / "entries"), "--out", str(tmp_path / "board")]) == 5
    board = json.loads((tmp_path / "board" / "board.json").read_text())
    assert (board["tables"], len(board["remarks"])) == ([], 2)

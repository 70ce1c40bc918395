"""The board: what stands beside what, in which order, and in which words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.add import add, default_name
from sad_leaderboard.board import Board, build_board, ranks
from sad_leaderboard.command import main
from sad_leaderboard.published import published_rows
from sad_leaderboard.render import has_score, source_link, to_html, to_json, to_markdown
from sad_leaderboard.schema import FILES, Level
from sad_leaderboard.verify import Verification, verify

from sad_env.errors import ConfigError
from sad_env.files import part_folder
from sad_env.records import parse_record

MakeRun = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def runs(toy_run: MakeRun) -> dict[str, RunFolder]:
    return {
        "expert": toy_run(episodes=20),
        "chance": toy_run("random", episodes=20),
        "null": toy_run("null", episodes=20),
        "small": toy_run(episodes=5),
    }


@pytest.fixture(scope="module")
def entries(runs: dict[str, RunFolder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = tmp_path_factory.mktemp("entries")
    for name, run in runs.items():
        add(run, board, name, title=f"The {name}", submitter="tests", submitted="2026-01-01")
    add(runs["expert"], board, "twin", title="A twin", submitter="tests", submitted="2026-01-02", parameters=2_000_000)
    add(runs["expert"], board, "seer", title="A seer", submitter="tests", submitted="2026-01-01", track="privileged")
    return board


@pytest.fixture(scope="module")
def board(entries: Path) -> Board:
    return build_board([verify(path, Level.RECOMPUTED) for path in sorted(entries.iterdir())], published_rows())


def test_panels_and_tracks_are_never_mixed(board: Board) -> None:
    tables = [(table.panel, table.track, [row.name for row in table.rows]) for table in board.tables]
    assert tables == [
        ("test-20", "standard", ["expert", "twin", "chance", "null"]),
        ("test-20", "privileged", ["seer"]),
        ("test-5", "standard", ["small"]),
    ]


def test_equal_results_share_a_rank_and_the_next_counts_both(board: Board) -> None:
    assert [row.rank for row in board.tables[0].rows] == [1, 1, 3, 4]


def test_what_the_system_or_the_form_refuses_is_told_in_one_line(
    runs: dict[str, RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(runs["small"].path)
    add = ["add", run, "--submitter", "me", "--root", str(tmp_path)]
    for words, message in (
        (["build", "--root", str(tmp_path), "--out", "/dev/null/board"], "cannot open '/dev/null/board"),
        (
            ["add", run, "--title", "x", "--submitter", "me", "--root", "/dev/null/x"],
            "cannot open '/dev/null/x'",
        ),
        ([*add, "--title", ""], "the entry's title: "),
        ([*add, "--title", "x", "--link", "javascript:alert(1)"], "the entry's link: "),
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert "input_value" not in error


def test_ranks_are_ties_exactly_where_intervals_overlap() -> None:
    assert ranks([(0.5, 0.9), (0.4, 0.6), (0.1, 0.45), (0.0, 0.05)]) == [1, 1, 2, 4]
    assert ranks([(0.5, 0.5), (0.5, 0.5)]) == [1, 1]
    assert ranks([]) == []


def test_an_entry_below_recomputed_has_no_row(entries: Path) -> None:
    claimed = verify(entries / "expert", Level.CLAIMED)
    assert build_board([claimed, Verification("nothing", None)]).tables == ()


def test_json_reads_back(board: Board) -> None:
    assert parse_record(Board, to_json(board)) == board


def test_markdown_and_page_hold_every_row(board: Board) -> None:
    for text in (to_markdown(board), to_html(board)):
        for table in board.tables:
            for row in table.rows:
                assert row.title in text
        assert "recomputed" in text
        assert "Printed elsewhere, unchecked" in text
        assert "arXiv 2505.13820v3" in text
    assert "2,000,000 parameters" in to_html(board)


def test_an_empty_board_is_a_page_too() -> None:
    assert "No entry yet." in to_html(Board(tables=(), published=()))


def test_the_same_run_gives_the_same_bytes(runs: dict[str, RunFolder], tmp_path: Path) -> None:
    said = {"title": "x", "submitter": "y", "submitted": "2026-01-01"}
    first, second = (add(runs["expert"], tmp_path / part, "entry", **said) for part in ("a", "b"))
    assert sorted(path.name for path in first.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_default_name_may_name_a_folder(runs: dict[str, RunFolder]) -> None:
    name = default_name(runs["expert"])
    assert name.startswith("expert-toy-test-20-")


def test_the_commands_add_verify_and_build(
    runs: dict[str, RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = ["--root", str(tmp_path / "entries")]
    assert main(["add", str(runs["chance"].path), "--title", "Chance", "--submitter", "me", *entries]) == 0
    assert main(["verify", "--level", "replayed", *entries]) == 0
    assert "ok  replayed" in capsys.readouterr().out
    assert main(["build", "--level", "replayed", "--out", str(tmp_path / "board"), *entries]) == 0
    made = json.loads((tmp_path / "board" / "board.json").read_text())
    assert made["tables"][0]["rows"][0]["level"] == "replayed"
    assert sorted(path.name for path in (tmp_path / "board").iterdir()) == ["board.html", "board.json", "board.md"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["bulid"], 2, "did you mean 'build'"),
        (["build", "--root", "nowhere"], 5, "no folder 'nowhere'"),
        (["add", "nowhere", "--title", "x", "--submitter", "y"], 5, "is no run folder"),
        (["add", "RUN", "--title", "x\x1b[2J", "--submitter", "y"], 2, "one line of visible characters"),
        (["add", "RUN", "--title", "x", "--submitter", "y", "--name", "../x"], 2, "use letters, digits"),
        (["add", "RUN", "--title", "x", "--submitter", "y", "--link", "http://x.org"], 2, "https://"),
        (["verify", "--level", "rerun", "--root", "BOARD"], 2, "needs --agent"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    words: list[str],
    code: int,
    message: str,
    runs: dict[str, RunFolder],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = {"RUN": str(runs["expert"].path), "BOARD": str(tmp_path)}
    words = [known.get(word, word) for word in words]
    if words[0] == "add":
        words += ["--root", str(tmp_path / "entries")]
    assert main(words) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", [["verify"], ["build", "--out", "BOARD"]])
def test_long_checks_show_how_far_they_are(
    command: list[str],
    entries: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sad_env.progress.SECONDS_BETWEEN_LINES", 0.0)
    words = [str(tmp_path) if word == "BOARD" else word for word in command]
    assert main([*words, "--root", str(entries), "--level", "replayed"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert any(line.startswith("recompute small  5/5") for line in told)
    assert any(line.startswith("replay small  5/5") for line in told)


def test_two_that_add_one_name_at_the_same_time_give_one_entry(
    runs: dict[str, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        add(runs["chance"], tmp_path, "entry", title="The other", submitter="tests", submitted="2026-01-01")
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(ConfigError, match="the entry 'entry' exists; entries are never replaced"):
        add(runs["expert"], tmp_path, "entry", title="Mine", submitter="tests", submitted="2026-01-01")
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]
    assert json.loads((tmp_path / "entry" / "entry.json").read_text())["title"] == "The other"


def test_adding_sweeps_what_a_killed_process_left_and_leaves_what_a_living_one_writes(
    runs: dict[str, RunFolder], tmp_path: Path
) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with part_folder(tmp_path / "entry") as living:
        dead = tmp_path / living.name.replace(f"-{os.getpid()}.", f"-{child.pid}.")
        dead.mkdir()
        (dead / "episodes.jsonl.gz").touch()
        add(runs["chance"], tmp_path, "entry", title="Mine", submitter="tests", submitted="2026-01-01")
        assert living.exists()
        assert not dead.exists()


def test_a_score_that_says_more_than_success_has_a_column(toy_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    run = toy_run(episodes=3)
    add(run, tmp_path / "entries", "entry", title="x", submitter="y", submitted="2026-01-01")
    board = build_board([verify(tmp_path / "entries" / "entry", Level.RECOMPUTED)])
    (table,) = board.tables
    assert not has_score(table)
    assert '<th scope="col" class="figure">score</th>' not in to_html(board)
    row = table.rows[0]
    partial = row.metrics["score"].model_copy(update={"value": 0.625, "low": 0.5})
    changed = table.model_copy(
        update={"rows": (row.model_copy(update={"metrics": {**row.metrics, "score": partial}}),)}
    )
    board = board.model_copy(update={"tables": (changed,)})
    assert has_score(changed)
    assert '<th scope="col" class="figure">score</th>' in to_html(board)
    assert ">0.625</td>" in to_html(board)
    assert "| score |" in to_markdown(board)
    assert "| 0.625 |" in to_markdown(board)


def test_a_cited_paper_is_a_link_and_other_sources_are_not() -> None:
    assert source_link("arXiv 2505.13820v3") == "https://arxiv.org/abs/2505.13820v3"
    assert source_link("arXiv of somebody") == source_link("javascript:alert(1)") == ""

"""What shares a table and what does not: aliases of a panel, and conditions that set a run apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_eval.records import identity_sha256
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.add import add
from sad_leaderboard.board import Board, build_board
from sad_leaderboard.conditions import condition_faults, conditions
from sad_leaderboard.render import to_html, to_markdown
from sad_leaderboard.schema import Level
from sad_leaderboard.verify import verify

from sad_env.errors import ConfigError
from sad_env.files import sha256_file
from sad_env.panels import Panel

Document = dict[str, Any]
SAID = {"title": "x", "submitter": "tests", "submitted": "2026-01-01"}


@pytest.fixture(scope="module")
def run(toy_run: Callable[..., RunFolder]) -> RunFolder:
    return toy_run(episodes=12)


def aliased(folder: Path, name: str) -> Path:
    """A copy of an entry whose panel has another name, sealed again."""
    copy = folder.with_name(f"{folder.name}-{name}")
    shutil.copytree(folder, copy)
    for file in ("manifest", "results"):
        document: Document = json.loads((copy / f"{file}.json").read_text())
        if file == "manifest":
            document["panel"]["name"] = document["identity"]["panel"] = name
            document["identity_sha256"] = identity_sha256(document["identity"])
        else:
            document["panel"] = name
        (copy / f"{file}.json").write_text(json.dumps(document))
    entry = json.loads((copy / "entry.json").read_text())
    entry["files"] = {file: sha256_file(copy / file) for file in entry["files"]}
    (copy / "entry.json").write_text(json.dumps(entry))
    return copy


def board_of(root: Path, level: Level = Level.REPLAYED) -> Board:
    return build_board([verify(path, level) for path in sorted(root.iterdir())])


def test_aliases_of_a_part_of_a_panel_share_its_table(run: RunFolder, tmp_path: Path) -> None:
    aliased(add(run, tmp_path, "plain", **SAID), "test-012")
    for level in (Level.RECOMPUTED, Level.REPLAYED):
        (table,) = board_of(tmp_path, level).tables
        assert (table.panel, [row.name for row in table.rows]) == ("test-12", ["plain", "plain-test-012"])


@pytest.mark.parametrize("alias", ["test-100", "test-0", "test-0000100"])
def test_aliases_of_a_whole_panel_share_its_table(
    alias: str, toy_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    aliased(add(toy_run(episodes=0), tmp_path, "plain", **SAID), alias)
    (table,) = board_of(tmp_path, Level.RECOMPUTED).tables
    assert (table.panel, len(table.rows)) == ("test", 2)


def test_a_perturbed_run_has_a_table_of_its_own_that_names_it(
    run: RunFolder, toy_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    add(run, tmp_path, "plain", **SAID)
    add(toy_run("expert", "--perturb", "rephrase"), tmp_path, "reworded", **SAID)
    board = board_of(tmp_path)
    assert [(table.track, [row.name for row in table.rows]) for table in board.tables] == [
        ("standard", ["plain"]),
        ("standard, perturb rephrase", ["reworded"]),
    ]
    for text in (to_markdown(board), to_html(board)):
        assert "perturb rephrase" in text


def test_first_thoughts_of_others_give_a_table_of_its_own(
    run: RunFolder, toy_run: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "eval")
    thoughts = tmp_path / "thoughts.jsonl"
    thoughts.write_text(next(run.episodes()).trajectory.to_json() + "\n")
    add(run, tmp_path / "board", "plain", **SAID)
    add(toy_run("slow_agent:SlowExpert", "--first-thoughts", str(thoughts)), tmp_path / "board", "given", **SAID)
    tracks = [table.track for table in board_of(tmp_path / "board").tables]
    assert tracks == ["standard", f"standard, first thoughts {sha256_file(thoughts)[:12]}"]


def test_a_run_with_world_options_has_a_table_of_its_own_and_is_replayed_with_them(
    toy_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    from sad_eval.commands.evaluate import main

    runs = {
        "plain": [],
        "revealed": ["--options", "reveal=true", "turns=9"],
        "spelled-otherwise": ["--options", "turns=9", "reveal=1"],
        "usual": ["--options", "reveal=false", "turns=7"],
    }
    for name, options in runs.items():
        words = ["--env", "hotpotqa", "--agent", "expert", "--episodes", "2", "--workers", "0", "--quiet"]
        assert main([*words, "--out", str(tmp_path / name), *options]) == 0
        add(RunFolder.open(tmp_path / name), tmp_path / "board", name, **SAID)
    board = board_of(tmp_path / "board")
    assert [(table.track, [(row.name, row.level) for row in table.rows]) for table in board.tables] == [
        ("standard", [("plain", "replayed"), ("usual", "replayed")]),
        ("standard, reveal=True, turns=9", [("revealed", "replayed"), ("spelled-otherwise", "replayed")]),
    ]


def test_a_plain_run_has_no_conditions(run: RunFolder) -> None:
    assert conditions(run.manifest) == []
    assert condition_faults(run.manifest) == []


def test_the_hash_of_a_panel_is_what_it_was() -> None:
    import hashlib

    panel = Panel.of("toy", "generated", "test", ["b", "a"])
    assert panel.sha256 == hashlib.sha256(b"toy\na\nb").hexdigest()


@pytest.mark.parametrize(("world", "tasks"), [("toy", ["a\nb"]), ("toy\na", ["b"]), ("toy", ["a", "\n"])])
def test_no_two_panels_have_one_hash_by_a_newline_in_a_name(world: str, tasks: list[str]) -> None:
    with pytest.raises(ConfigError, match="holds a newline"):
        Panel.of(world, "generated", "test", tasks)


def test_a_name_without_an_encoding_is_refused() -> None:
    with pytest.raises(ConfigError, match="holds a lone surrogate"):
        Panel.of("toy", "generated", "test", ["\ud800"])

"""An entry is played again on the data that its hash names, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.commands.evaluate import main as evaluate
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.add import add
from sad_leaderboard.command import main
from sad_leaderboard.rerun import rerunner
from sad_leaderboard.schema import Level
from sad_leaderboard.verify import verify

from sad_env.webshop.generator import write_files

SAID = {"title": "x", "submitter": "tests", "submitted": "2026-01-01"}


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where two official packs lie, of other products each."""
    monkeypatch.setenv("SAD_ENV_DATA", str(tmp_path / "data"))
    for seed, name in enumerate(("small", "full")):
        write_files(tmp_path / "data" / "webshop" / name, 60, seed=seed)
    return tmp_path / "data" / "webshop"


@pytest.fixture
def entry_of(tmp_path: Path) -> Callable[[str, str], Path]:
    """Makes an entry of a run on these data."""

    def make(data: str, name: str) -> Path:
        run = tmp_path / "runs" / name
        words = ["--env", "webshop", "--agent", "expert", "--episodes", "2", "--workers", "0", "--quiet"]
        assert evaluate([*words, "--data", data, "--out", str(run)]) == 0
        return add(RunFolder.open(run), tmp_path / "board", name, **SAID)

    return make


def test_entries_of_several_packs_are_replayed_each_on_its_own(
    packs: Path, entry_of: Callable[[str, str], Path], tmp_path: Path
) -> None:
    entries = {name: entry_of(f"official:{name}", name) for name in ("small", "full")}
    built = ["build", "--root", str(tmp_path / "board"), "--out", str(tmp_path / "out"), "--level", "replayed"]
    assert main(built) == 0
    shutil.rmtree(packs / "small")
    found = {name: verify(entry, Level.REPLAYED) for name, entry in entries.items()}
    assert {name: (one.level, one.refuted) for name, one in found.items()} == {
        "small": (Level.RECOMPUTED, False),
        "full": (Level.REPLAYED, False),
    }
    assert "'official:full': not the entry's data: the sha256 differ" in found["small"].findings[0]
    assert main(built) == 5
    tables = json.loads((tmp_path / "out" / "board.json").read_text())["tables"]
    assert {row["name"]: row["level"] for table in tables for row in table["rows"]} == {
        "small": "recomputed",
        "full": "replayed",
    }


def test_a_pack_that_is_named_is_the_one_that_is_taken(packs: Path, entry_of: Callable[[str, str], Path]) -> None:
    entry = entry_of("official:full", "full")
    assert verify(entry, Level.REPLAYED, data="official:full").level is Level.REPLAYED
    assert verify(entry, Level.REPLAYED, data="official").level is Level.REPLAYED
    found = verify(entry, Level.REPLAYED, data="official:small")
    assert (found.level, found.refuted) == (Level.RECOMPUTED, False)
    shutil.rmtree(packs)
    found = verify(entry, Level.REPLAYED)
    assert (found.level, found.refuted) == (Level.RECOMPUTED, False)
    assert "run `sad-data fetch webshop`" in found.findings[0]


def test_an_entry_of_another_pack_than_the_default_is_rerun_on_it(
    packs: Path, entry_of: Callable[[str, str], Path]
) -> None:
    found = verify(entry_of("official:full", "full"), Level.RERUN, rerun=rerunner("expert", workers=0))
    assert (found.level, found.findings) == (Level.RERUN, ())


def test_a_folder_that_is_named_is_for_entries_of_given_data(
    packs: Path, entry_of: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder = str(packs / "full")
    entry_of(folder, "given")
    entry_of("generated", "generated")
    entry_of("official:small", "official")
    words = ["build", "--root", str(tmp_path / "board"), "--out", str(tmp_path / "out"), "--level", "replayed"]
    assert main([*words, "--data", folder]) == 0
    for data, reason in {
        "": "name the folder with --data",
        "official:full": "name the folder with --data",
        str(packs / "small"): "not the entry's data",
        str(packs / "none"): "no folder",
    }.items():
        found = verify(tmp_path / "board" / "given", Level.REPLAYED, data=data)
        assert (found.level, found.refuted) == (Level.RECOMPUTED, False)
        assert reason in found.findings[0]

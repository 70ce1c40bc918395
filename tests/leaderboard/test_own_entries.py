"""The project's own rows hold as anybody's would have to."""

from __future__ import annotations

from pathlib import Path

import pytest
from sad_leaderboard.command import main
from sad_leaderboard.schema import Level
from sad_leaderboard.verify import verify

ENTRIES = Path(__file__).parents[2] / "leaderboard" / "entries"


@pytest.mark.parametrize("level", [Level.RECOMPUTED, pytest.param(Level.REPLAYED, marks=pytest.mark.slow)], ids=str)
def test_every_entry_reaches_its_level(level: Level, subtests: pytest.Subtests) -> None:
    entries = sorted(path for path in ENTRIES.iterdir() if path.is_dir())
    assert entries
    for entry in entries:
        with subtests.test(entry.name):
            outcome = verify(entry, level)
            assert (outcome.level, outcome.findings) == (level, ())


@pytest.mark.slow
def test_the_board_that_is_shown_is_the_one_that_the_entries_give(tmp_path: Path) -> None:
    assert main(["build", "--root", str(ENTRIES), "--out", str(tmp_path), "--level", "replayed"]) == 0
    assert (tmp_path / "board.md").read_text() == (ENTRIES.parent / "board.md").read_text()

"""Search-QA through the harness: results by data set, episodes that a retrieval server owes, a replay of the entry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sad_eval.commands.evaluate import main
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard import command as leaderboard

from sad_env.data_command import main as data


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_results_are_listed_by_data_set(folder: Path) -> None:
    assert data(["generate", "searchqa", "--count", "30", "--split", "test", "--out", "made", "--quiet"]) == 0
    lines = [json.loads(line) for line in Path("made/test.jsonl").read_text().splitlines()]
    named = [line | {"data_source": ("nq", "musique")[number % 2]} for number, line in enumerate(lines)]
    Path("made/test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in named))
    words = ["--env", "searchqa", "--agent", "expert", "--data", "made", "--workers", "0", "--quiet", "--out", "run"]
    assert main([*words, "--episodes", "0"]) == 0
    results = RunFolder.open("run").results()
    assert {kind: metrics["success_rate"].n for kind, metrics in results.by_task_type.items()} == {
        "musique": 15,
        "nq": 15,
    }
    assert results.metrics["success_rate"].value >= 0.9


def test_a_generated_run_replays_on_the_board(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "searchqa", "--agent", "expert", "--workers", "0", "--quiet", "--out", "run", "--episodes", "5"]
    assert main(words) == 0
    assert leaderboard.main(["add", "run", "--title", "E", "--submitter", "me", "--root", "entries"]) == 0
    assert leaderboard.main(["verify", "--root", "entries", "--level", "replayed"]) == 0
    assert "ok  replayed" in capsys.readouterr().out


@pytest.mark.slow  # it waits before it asks again
def test_episodes_of_a_server_that_is_not_there_are_owed(folder: Path) -> None:
    words = ["--env", "searchqa", "--agent", "expert", "--workers", "0", "--quiet", "--out", "run", "--episodes", "1"]
    assert main([*words, "--options", "retriever=http://127.0.0.1:9"]) == 3
    assert (results := RunFolder.open("run").results()).status == "incomplete"
    assert results.scored == 0

"""Two evaluations of one folder at the same time, lines of other runs in it, and commands that play nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.runs.run_folder import RunFolder

HERE = Path(__file__).parent
Evaluate = Callable[..., int]
TOY = ("--env", "toy", "--episodes", "6", "--workers", "0", "--out", "run")


@pytest.mark.slow
def test_of_two_hundred_pairs_that_start_together_none_is_mixed() -> None:
    done = subprocess.run([sys.executable, HERE / "pairs.py", "200"], capture_output=True, text=True, check=True)
    endings = json.loads(done.stdout)
    assert sum(endings.values()) == 200
    assert set(endings) <= {
        "different: one refused in one line",
        "equal: one refused in one line",
        "equal: both fine",
    }


def test_a_second_agent_is_refused_before_it_writes_anything(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    """The settings file used to be the second one's although the first one played."""
    Path("run").mkdir()
    with RunFolder("run").lock():
        assert evaluate(*TOY, "--agent", "random") == 2
        assert [path.name for path in Path("run").iterdir()] == [".lock"]
    assert "another process is at work on the run 'run'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--agent", "random"), "an episode of toy · generated · random; the run is of toy · generated · expert"),
        (("--agent", "expert", "--seed", "1"), "is not one of this run"),
        (("--agent", "expert", "--repeats", "2"), "is not one of this run"),
        (("--agent", "expert", "--panel", "train"), "is not one of this run"),
    ],
)
def test_lines_of_another_run_are_refused(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    assert evaluate(*TOY, "--agent", "expert") == 0
    assert evaluate(*TOY, *words, "--out", "other") == 0
    others = Path("other/episodes.jsonl").read_text().splitlines(keepends=True)
    last = max(others, key=lambda line: int(json.loads(line)["key"]["repeat"]))
    kept = Path("run/episodes.jsonl").read_text().splitlines(keepends=True)[:-1]
    Path("run/episodes.jsonl").write_text("".join([*kept, last]))
    capsys.readouterr()
    for command in ((*TOY, "--agent", "expert"), ("rescore", "run"), ("report", "run")):
        assert evaluate(*command) == 5
        error = capsys.readouterr().err
        assert why in error
        assert error.count("\n") == 1
    Path("run/episodes.jsonl").write_text("".join(kept))
    if "random" in words:
        Path("run/owed.jsonl").write_text(last)
        assert evaluate(*TOY, "--agent", "expert") == 5
        assert why in capsys.readouterr().err


def test_an_episode_of_another_split_is_refused(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*TOY, "--agent", "expert") == 0
    path = Path("run/episodes.jsonl")
    path.write_text(path.read_text().replace('"split":"test"', '"split":"train"', 1))
    assert evaluate("rescore", "run") == 5
    assert "an episode of the split 'train'; the run is of 'test'" in capsys.readouterr().err


def test_a_call_that_plays_nothing_says_so(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*TOY, "--agent", "expert")
    assert evaluate(*words) == 0
    assert "nothing played" not in capsys.readouterr().err
    begun = RunFolder.open("run").manifest.created
    assert evaluate(*words) == 0
    said = f"nothing played: results of {begun} in run; --new plays again\n"
    assert capsys.readouterr().err == said
    assert evaluate(*words, "--json") == 0
    assert capsys.readouterr().err == said
    assert evaluate("robustness", *words[:-4], "--out", "all", "--agent", "expert", "--quiet") == 0
    assert "nothing played" not in capsys.readouterr().err
    assert evaluate("robustness", *words[:-4], "--out", "all", "--agent", "expert", "--quiet") == 0
    error = capsys.readouterr().err
    assert error.count("nothing played: results of ") == error.count("\n") == 5
    assert "in all/typos; --new plays again" in error


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--agent", "nobody"), 2),
        (("--agent", "openai:http://127.0.0.1:9/v1#m", "--patience", "1"), 3),
        (("--agent", "missing.pt"), 4),
        (("--agent", "expert", "--panel", "nowhere"), 2),
        (("--agent", "expert", "--reference", "nowhere"), 5),
        (("--agent", "expert", "--tokenizer", "nowhere.json"), 5),
        (("--agent", "expert", "--backend", "moon"), 2),
    ],
)
def test_a_command_that_fails_before_it_plays_leaves_nothing(
    evaluate: Evaluate, words: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sad_env.http.time.sleep", lambda seconds: None)  # between tries
    assert evaluate(*TOY, *words) == code
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_which_nothing_could_be_played_is_taken_away_but_not_what_else_is_there(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise OSError(5, "Input/output error", "world.bin")

    monkeypatch.setattr("sad_eval.commands.evaluate.evaluate", broken)
    assert evaluate(*TOY, "--agent", "expert") == 2
    assert list(tmp_path.iterdir()) == []
    Path("run").mkdir()
    Path("run/notes.txt").write_text("mine")
    assert evaluate(*TOY, "--agent", "expert") == 2
    assert [path.name for path in Path("run").iterdir()] == ["notes.txt"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert evaluate(*TOY, "--agent", "expert") == 0
    monkeypatch.setattr("sad_eval.commands.evaluate.evaluate", broken)
    assert evaluate(*TOY, "--agent", "expert") == 2
    assert RunFolder.open("run").results().scored == 6


def test_a_finished_run_grows_by_tasks_and_by_tries(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--env", "toy", "--agent", "random", "--workers", "0")
    assert evaluate(*words, "--episodes", "20", "--out", "at-once", "--repeats", "2") == 0
    assert evaluate(*words, "--episodes", "5", "--out", "run") == 0
    first = {line.id: line.chain for line in RunFolder.open("run").episodes()}
    assert evaluate(*words, "--episodes", "20", "--out", "run") == 0
    capsys.readouterr()
    assert evaluate(*words, "--episodes", "20", "--repeats", "2", "--out", "run") == 0
    grown, whole = RunFolder.open("run"), RunFolder.open("at-once")
    chains = {line.id: line.chain for line in grown.episodes()}
    assert chains == {line.id: line.chain for line in whole.episodes()}
    assert first.items() <= chains.items()
    assert [one.scored for one in grown.manifest.resumptions] == [5, 20]
    assert "--repeats 2" in grown.manifest.resumptions[-1].command
    assert grown.manifest.identity == whole.manifest.identity
    assert grown.manifest.identity_sha256 == whole.manifest.identity_sha256
    assert grown.results().panel_sha256 == whole.results().panel_sha256
    assert (grown.results().panel, grown.results().scored) == ("test-20", 40)
    assert evaluate("--config", "run/settings.toml") == 0
    assert "nothing played" in capsys.readouterr().err
    for fewer in (("--episodes", "5", "--repeats", "2"), ("--episodes", "20")):
        assert evaluate(*words, *fewer, "--out", "run") == 2
        error = capsys.readouterr().err
        assert "a run may grow but not shrink" in error
        assert error.count("\n") == 1
    assert evaluate(*words, "--episodes", "30", "--repeats", "1", "--out", "run") == 2
    assert "was run with panel 'test-20', not 'test-30'" in capsys.readouterr().err
    assert RunFolder.open("run").manifest == grown.manifest


def test_parts_of_a_run_do_not_grow(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    """More episodes are cut into other parts."""
    words = ("--env", "toy", "--agent", "expert", "--workers", "0", "--out", "run", "--shard", "1/2")
    assert evaluate(*words, "--episodes", "4") == 0
    assert evaluate(*words, "--episodes", "6") == 2
    assert "was run with panel 'test-4', not 'test-6'" in capsys.readouterr().err


def test_a_run_that_grew_holds_at_the_level_replayed(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    from sad_leaderboard.command import main as leaderboard

    words = ("--env", "toy", "--agent", "expert", "--workers", "0", "--out", "run")
    assert evaluate(*words, "--episodes", "5") == 0
    assert evaluate(*words, "--episodes", "10", "--repeats", "2") == 0
    assert leaderboard(["add", "run", "--title", "T", "--submitter", "S", "--root", "board", "--name", "grown"]) == 0
    capsys.readouterr()
    assert leaderboard(["verify", "--root", "board", "--level", "replayed"]) == 0
    assert "replayed" in capsys.readouterr().out
    shutil.rmtree("board")

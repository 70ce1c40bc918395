"""A setting that a command does not use, as the others are, is refused in one line and code 2."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        ("sad_env.data_command", "list --seed 1", "--seed 1 has no effect: list does not use it"),
        ("sad_env.data_command", "verify alfworld --count 5", "--count 5 has no effect: verify does not use it"),
        ("sad_env.data_command", "generate webshop --source x", "--source x has no effect: generate does not use it"),
        ("sad_agents.collect", "--env toy --out x --agent random --top-p 0.5", "--top-p 0.5 has no effect"),
        ("sad_agents.collect", "--env toy --out x --votes 3", "--votes 3 has no effect: agent 'expert' is no model"),
        ("sad_eval.commands.evaluate", "--env toy --agent null --shots 1", "--shots 1 has no effect: agent 'null'"),
        ("sad_eval.commands.evaluate", "--env toy --agent oracle --context 9", "--context 9 has no effect"),
        ("sad_eval.commands.evaluate", "robustness --env toy --agent expert --prompt x", "--prompt x has no effect"),
        ("sad_eval.commands.play", "runs/x --panel test", "--panel test has no effect: it is for a world"),
        ("sad_eval.commands.play", "--env toy --plain", "--plain has no effect: it is for a recorded run"),
        ("sad_eval.commands.play", "--env webshop --port 1", "--port 1 has no effect: it is the port of --serve"),
        ("sad_eval.commands.evaluate", "report runs/x --episodes 3", "--episodes 3 has no effect: only the HTML page"),
        (
            "sad_leaderboard.command",
            "verify --data x",
            "--data x has no effect: --level recomputed plays nothing again",
        ),
        ("sad_leaderboard.command", "verify --agent x --level replayed", "--agent x has no effect: --level replayed"),
        ("sad_leaderboard.command", "build --data x", "--data x has no effect: --level recomputed"),
    ],
)
def test_settings_without_effect_are_refused(
    module: str,
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert importlib.import_module(module).main(words.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())

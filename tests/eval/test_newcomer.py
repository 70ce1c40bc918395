"""The newcomer's path of docs/evaluation.md, command by command, with the students that ship with the package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sad_agents.catalogue import ships_student

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"
WORLDS = ("alfworld", "webshop", "hotpotqa")


def path() -> list[str]:
    """The commands under the heading, without their dollar signs."""
    section = GUIDE.read_text(encoding="utf-8").partition("## From nothing to a board\n")[2].partition("\n## ")[0]
    return re.findall(r"^\$ (.+)$", section, re.MULTILINE)


def test_the_path_goes_from_the_doctor_over_all_worlds_to_a_board() -> None:
    commands = path()
    assert commands[0] == "sad-eval doctor"
    for world in WORLDS:
        assert sum(f"--agent nano --env {world} " in command for command in commands) == 1
        assert any(command.startswith(f"sad-eval compare runs/expert-{world} runs/nano-") for command in commands)
    assert commands[-1].startswith("sad-leaderboard build")


@pytest.mark.slow
def test_a_newcomer_gets_from_nothing_to_a_board(tmp_path: Path) -> None:
    missing = [world for world in WORLDS if not ships_student(world)]
    if missing:
        pytest.skip(f"this checkout ships no student for {', '.join(missing)}")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SAD_ENV_DATA": str(tmp_path / "data"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    said = {}
    for command in path():
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        said[command] = done.stdout
    for command, out in said.items():
        if command.startswith("sad-eval compare"):
            assert "20 paired episodes" in out
            assert "cot match" in out
        if command.startswith("sad-play"):
            assert "Action: " in out
    board = json.loads((tmp_path / "board" / "board.json").read_text())
    (table,) = board["tables"]
    assert [row["level"] for row in table["rows"]] == ["replayed", "replayed"]
    assert {row["title"] for row in table["rows"]} == {"Nano student", "Expert policy"}

"""What the README shows can be run: `test_wheels.py` runs every command; here all Python of the guides."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
GUIDES = ("README.md", "docs/distillation.md", "docs/evaluation.md")
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>.+?) -->\n)?```console\n(?P<body>.*?)```", re.DOTALL)


def commands() -> list[str]:
    """Lines that start with a dollar sign, of every block that is not marked as not run."""
    return [
        line[2:]
        for block in BLOCK.finditer(README.read_text(encoding="utf-8"))
        if block["reason"] is None
        for line in block["body"].splitlines()
        if line.startswith("$ ")
    ]


def test_every_block_that_is_not_run_says_why_and_every_program_is_ours_or_pythons() -> None:
    programs = {shlex.split(command)[0] for command in commands()}
    assert programs <= {"sad-data", "sad-collect", "sad-distill", "sad-eval", "sad-play", "sad-leaderboard", "python"}
    assert programs >= {"sad-eval", "sad-play", "sad-leaderboard"}


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guides_python_runs_from_its_beginning_to_its_end(guide: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / guide).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    environment = os.environ | {"SAD_ENV_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", "\n".join(blocks)]
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]

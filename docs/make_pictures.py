"""Draws the README's pictures from real output: `python docs/make_pictures.py`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
PICTURES = {
    "report.svg": "sad-eval --agent expert --env alfworld --episodes 40 --out runs/expert",
    "labels.svg": "sad-collect --env toy --episodes 20 --quiet --out expert.jsonl"
    " && sad-distill inspect --trajectories expert.jsonl --limit 20",
}


def draw(command: str, target: Path) -> None:
    """Run `command` as on a colour terminal of 84 columns and write what it prints as SVG."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FORCE_COLOR": "1",
        "COLUMNS": "84",
        "TERM": "xterm-256color",
    }
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    console = Console(record=True, width=84, file=io.StringIO())
    console.print(Text.from_ansi(f"$ {command}\n{done.stdout.rstrip()}"))
    console.save_svg(str(target), title="sad-eval")


if __name__ == "__main__":
    for name, command in PICTURES.items():
        draw(command, HERE / name)
        print(HERE / name)

"""Draws the README's pictures from real runs: `python docs/make_pictures.py [FOLDER]`, in about five minutes.

The runs are those of the tutorial, whose commands are run in FOLDER (a temporary one when left out; those whose product
is there are not run again), and one of ALFWorld. Pages are photographed by a headless Chromium; the playback needs
`sad-env-core[play]`.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text
from sad_eval.commands.play import load
from sad_eval.playback.app import PlaybackApp
from sad_eval.report.run_index import find_runs
from sad_eval.runs.run_folder import RunFolder

HERE = Path(__file__).resolve().parent
TERMINAL = {
    "report.svg": "sad-eval --agent nano --env alfworld --episodes 40 --out runs/nano-alfworld",
    "labels.svg": "sad-distill inspect --trajectories toy.jsonl --limit 20",
}
"""Pictures of what a command prints."""

RUNS = {
    "runs/nano-alfworld/results.json": TERMINAL["report.svg"],
    "runs/expert-alfworld/results.json": TERMINAL["report.svg"].replace("nano", "expert"),
    "toy.jsonl": "sad-collect --env toy --episodes 20 --quiet --out toy.jsonl",
    "alfworld.html": "sad-eval report runs/expert-alfworld runs/nano-alfworld --html alfworld.html",
    "view.html": "sad-eval view runs --out view.html",
    **{
        f"entries/{run}": f"sad-leaderboard add runs/{run} --root entries --name {run} --title '{title}' --submitter me"
        for run, title in (("expert", "Expert"), ("expert-alfworld", "Expert"), ("nano-alfworld", "Nano student"))
    },
    "ranked/board.html": "sad-leaderboard build --root entries --out ranked --level replayed",
}
"""Further commands and what they make."""

PAGES = {
    "report.png": ("alfworld.html", 1200, 900),
    "view.png": ("view.html#{pair}", 1200, 900),
    "training.png": ("runs/student/training.html", 1200, 900),
    "board.png": ("ranked/board.html", 1200, 900),
}
"""Pictures of pages: which, at which place, and how many pixels of it; {pair}: a task that one agent won alone."""

FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def run(command: str, folder: Path) -> str:
    """What a command prints on a colour terminal of 84 columns."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FORCE_COLOR": "1",
        "COLUMNS": "84",
        "TERM": "xterm-256color",
    }
    print(f"$ {command}", flush=True)
    words = ["bash", "-c", command]
    return subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def make_runs(folder: Path) -> None:
    """Run what is not there yet."""
    tutorial = (HERE / "tutorial.md").read_text(encoding="utf-8")
    for command in re.findall(r"^\$ (.*)$", tutorial, re.MULTILINE):
        product = re.search(r"--(?:out|html) (\S+)", command)
        added = "leaderboard add" in command and (folder / "entries").exists()
        if not added and not (product and (folder / product[1]).exists()):
            run(command, folder)
    for product, command in RUNS.items():
        if not (folder / product).exists():
            run(command, folder)


def write(name: str, svg: str) -> None:
    """A picture without the fonts that it would ask the network for."""
    (HERE / name).write_text(FONTS.sub("", svg), encoding="utf-8")
    print(HERE / name)


def print_terminal(name: str, command: str, folder: Path) -> None:
    """What a command prints, as SVG."""
    console = Console(record=True, width=84, file=io.StringIO())
    console.print(Text.from_ansi(f"$ {command}\n{run(command, folder).rstrip()}"))
    write(name, console.export_svg(title=command.partition(" ")[0]))


async def print_playback(folder: Path) -> None:
    """The full screen in the middle of an episode, as SVG."""
    episodes = load(folder / "runs/nano-alfworld")
    chosen = next(one for one in episodes if one.success and 6 <= len(one.steps) <= 8)
    app = PlaybackApp(episodes, title="nano-alfworld", task_id=chosen.task_id)
    async with app.run_test(size=(116, 30)) as pilot:
        for _ in range(4):
            await pilot.press("a")
        await pilot.pause()
        write("playback.svg", app.export_screenshot(title="sad-play runs/nano-alfworld"))


def pair(folder: Path) -> str:
    """The place in view.html of a task of ALFWorld that the expert won and the student did not."""
    names = [one.name for one in find_runs(folder / "runs").runs]
    lines = {
        name: [*RunFolder.open(folder / "runs" / name).episodes()] for name in ("expert-alfworld", "nano-alfworld")
    }
    won, lost = ({one.key.task_id: place for place, one in enumerate(some)} for some in lines.values())
    student = lines["nano-alfworld"]
    task = min(task for task in won if not student[lost[task]].trajectory.success)
    return f"/pair/{names.index('expert-alfworld')}/{won[task]}/{names.index('nano-alfworld')}/{lost[task]}"


def photograph(name: str, page: str, width: int, height: int, folder: Path) -> None:
    """The top of a page, as PNG."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("make_pictures: no Chromium found")
    path, _, place = page.partition("#")
    address = (folder / path).resolve().as_uri() + (f"#{place}" if place else "")
    settings = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000"]
    size = [f"--window-size={width},{height}", "--force-device-scale-factor=1.25", f"--screenshot={HERE / name}"]
    subprocess.run([browser, *settings, *size, address], stderr=subprocess.DEVNULL, check=True)
    print(HERE / name)


def main(folder: Path) -> None:
    """Make the runs and draw."""
    folder.mkdir(parents=True, exist_ok=True)
    make_runs(folder)
    for name, command in TERMINAL.items():
        print_terminal(name, command, folder)
    asyncio.run(print_playback(folder))
    for name, (page, width, height) in PAGES.items():
        photograph(name, page.format(pair=pair(folder)), width, height, folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))

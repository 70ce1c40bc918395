"""ALFWorld: our engine against the original (alfworld on textworld), same games, same commands, one run.

    python benchmarks/alfworld_vs_textworld.py --data FOLDER

FOLDER holds the official games (json_2.1.1/valid_seen or valid_seen). Without --data the fetched official pack is
used, and without that, generated games. Times are seconds of one process's CPU; the original has finished its
imports and a first game before anything is timed. What both engines answer is compared on the way.
"""

from __future__ import annotations

import argparse
import gc
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

from sad_env.alfworld.data import DATA
from sad_env.alfworld.env import ALFWorldEnv
from sad_env.alfworld.game import Game
from sad_env.alfworld.problem import GAME_FILE, read_game
from sad_env.alfworld.reference import ReferenceEngine, ReferenceSession
from sad_env.alfworld.session import ALFWorldSession
from sad_env.alfworld.sources import open_store
from sad_env.alfworld.store import FolderStore
from sad_env.data import pack_folder, silent

STEPS = 12
ROUNDS = 200
"""Ours is too quick for the clock, so each thing is done this often and divided."""


def official_files(data: str | None, split: str, scratch: Path) -> tuple[str, list[Path]]:
    """What is played, and its game files."""
    source = Path(data) if data else pack_folder("alfworld", DATA.packs[0].name)
    if data or source.is_dir():
        store = open_store(source, split)
        if isinstance(store, FolderStore):
            return "official", [store.folder / task_id / GAME_FILE for task_id in store.task_ids]
        for task_id in store.task_ids:
            (scratch / task_id).mkdir(parents=True)
            (scratch / task_id / GAME_FILE).write_text(store.text(task_id))
        return "official", [scratch / task_id / GAME_FILE for task_id in store.task_ids]
    DATA.generate(scratch, count=140, seed=0, split=split, progress=silent)
    return "generated", sorted(scratch.glob(f"*/*/*/{GAME_FILE}"))


def timed(work: Callable[[], object], rounds: int = 1) -> float:
    """CPU seconds of one call."""
    gc.collect()
    start = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - start) / rounds


def commands_for(path: Path) -> list[str]:
    """The walkthrough's first half and then a random walk, the same for both engines."""
    game = Game(read_game(path))
    session, draw = ALFWorldSession(game), random.Random(path.parent.name)
    commands = list(game.walkthrough[: STEPS // 2])
    for command in commands:
        session.step(command)
    while len(commands) < STEPS:
        commands.append(draw.choice(session.admissible()))
        session.step(commands[-1])
    return commands


class Ours:
    """One game in our engine."""

    def cold(self, path: Path) -> object:
        """From the file to the first observation and the admissible commands."""
        self.game = Game(read_game(path))
        return self.warm()

    def warm(self) -> object:
        """The same game again."""
        self.session = ALFWorldSession(self.game)
        return self.session.opening, self.session.admissible()


class Original:
    """One game in the original."""

    def __init__(self) -> None:
        self.engine = ReferenceEngine()

    def cold(self, path: Path) -> object:
        """From the file to the first observation and the admissible commands."""
        self.session = self.engine.begin(path.read_text())
        return self.session.opening, self.session.admissible()

    def warm(self) -> object:
        """The same game again."""
        self.session = self.engine.again()
        return self.session.opening, self.session.admissible()


def play(session: ALFWorldSession | ReferenceSession, commands: list[str]) -> list[object]:
    """Observation, admissible commands and verdict after each command."""
    return [(session.step(command), session.admissible(), session.won) for command in commands]


def memory_of_open_games(paths: list[Path], count: int) -> float:
    """Megabytes that `count` open games take; the peak of the process, so this is measured first."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = [ALFWorldSession(Game(read_game(paths[number % len(paths)]))) for number in range(count)]
    assert len(kept) == count
    unit = 1 if sys.platform == "darwin" else 1024
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of official games")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--games", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        kind, paths = official_files(options.data, options.split, Path(scratch))
        megabytes = memory_of_open_games(paths, 1000)
        chosen = random.Random(0).sample(paths, min(options.games, len(paths)))
        compare(kind, chosen)
        print(f"1,000 open games of ours: {megabytes:.0f} MB")
        face(options.data or "generated", options.split)


def compare(kind: str, paths: list[Path]) -> None:
    """Play each game on both sides and print the table."""
    ours, original = Ours(), Original()
    original.cold(paths[0])
    figures: dict[str, list[tuple[float, float]]] = {"cold reset": [], "warm reset": [], "step": []}
    for number, path in enumerate(paths, 1):
        commands = commands_for(path)
        assert ours.cold(path) == original.cold(path)
        pair = (timed(lambda: ours.cold(path), 20), timed(lambda: original.cold(path)))  # noqa: B023 -- called at once
        figures["cold reset"].append(pair)
        figures["warm reset"].append((timed(ours.warm, ROUNDS), timed(original.warm)))
        state = ours.session.state

        def replay(commands: list[str] = commands, state: object = state) -> None:
            ours.session.state = state  # type: ignore[assignment]
            play(ours.session, commands)

        fast, slow = timed(replay, ROUNDS), timed(lambda: play(original.session, commands))  # noqa: B023
        figures["step"].append((fast / STEPS, slow / STEPS))
        ours.warm(), original.warm()
        assert play(ours.session, commands) == play(original.session, commands), path
        print(f"\r{number}/{len(paths)} games", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{len(paths)} {kind} games, {STEPS} commands each; Python {platform.python_version()}, {platform.machine()}")
    print(f"{'':12}{'ours':>14}{'original':>14}{'ratio of means':>17}{'of medians':>13}")
    for name, pairs in figures.items():
        fast, slow = zip(*pairs, strict=True)
        row = f"{name:12}{mean(fast) * 1e6:11.1f} µs{mean(slow) * 1e3:11.1f} ms"
        print(f"{row}{mean(slow) / mean(fast):17,.0f}{median(slow) / median(fast):13,.0f}")


def face(data: str, split: str) -> None:
    """What the Gymnasium face adds to our step."""
    env = ALFWorldEnv(data=data, split=split)
    draw = random.Random(0)
    _, info = env.reset(seed=0)

    def wander() -> None:
        nonlocal info
        *_, terminated, _, info = env.step(draw.choice(info["admissible_actions"]))
        if terminated:
            _, info = env.reset()

    print(f"a step through ALFWorldEnv: {timed(wander, 5000) * 1e6:.1f} µs")


if __name__ == "__main__":
    main()

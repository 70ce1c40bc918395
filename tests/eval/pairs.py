"""Pairs of evaluations that start at the same moment on one new folder: `python tests/eval/pairs.py [PAIRS]`.

The processes are forked from one that has imported everything and wait for each other, so that they meet in the first
milliseconds of a run. Half of the pairs are of different agents, half of equal commands. Prints counts as JSON.
"""

from __future__ import annotations

import collections
import json
import multiprocessing
import os
import sys
import tempfile
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sad_eval.commands.evaluate import main
from sad_eval.runs.run_folder import RunFolder

WORDS = ("--env", "toy", "--episodes", "3", "--workers", "0", "--out", "run")


def play(folder: Path, agent: str, number: int, barrier: Barrier) -> None:
    """What one process of a pair does."""
    os.chdir(folder)
    with open(f"{number}.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        barrier.wait()
        code = main([*WORDS, "--agent", agent, "--quiet"])
    os._exit(code)


def pair(folder: Path, agents: tuple[str, str]) -> str:
    """Run a pair; returns how it ended, in a few words."""
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(2)
    processes = [fork.Process(target=play, args=(folder, agent, n, barrier)) for n, agent in enumerate(agents)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    codes = sorted(process.exitcode if process.exitcode is not None else -1 for process in processes)
    run = RunFolder.open(folder / "run")
    lines = list(run.episodes())
    left = sorted(path.name for path in (folder / "run").iterdir())
    whole = {line.id for line in lines} == set(run.manifest.planned()) and run.results().status == "complete"
    named = f'agent = "{run.manifest.agent}"' in (folder / "run" / "settings.toml").read_text()
    mixed = {line.trajectory.agent for line in lines} != {run.manifest.agent} or not named
    if mixed or not whole or any(name.endswith(".part") for name in left):
        return f"MIXED OR DAMAGED: {codes}, {left}"
    said = [(folder / f"{n}.log").read_text() for n in range(2)]
    if codes == [0, 2] and sum(text.count("\n") == 1 and text.startswith("sad-eval: ") for text in said) == 1:
        return "one refused in one line"
    if codes == [0, 0] and agents[0] == agents[1]:
        return "both fine"
    return f"WRONG CODES: {codes} {said}"


def run_pairs(count: int) -> dict[str, int]:
    """Run so many pairs; returns how often each ending came."""
    endings: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for agent in ("expert", "random"):  # imports what is imported late
            assert main(["--env", "toy", "--agent", agent, "--episodes", "1", "--workers", "0", "--quiet"]) == 0
        for number in range(count):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            agents = ("expert", "random") if number % 2 else ("expert", "expert")
            endings[f"{'different' if number % 2 else 'equal'}: {pair(folder, agents)}"] += 1
        os.chdir("/")
    return dict(endings)


if __name__ == "__main__":
    print(json.dumps(run_pairs(int(sys.argv[1]) if len(sys.argv) > 1 else 200)))

"""The harness under load: episodes a second, overhead of a step, memory, and how fast the results open.

    python benchmarks/harness.py [--episodes 10000]

Plays episodes of 8 turns of the toy world with a scripted model, through the whole harness: rollout, ReAct agent,
records, hash chain, one synced line an episode, metrics with bootstrap intervals. The bare loop next to it sends the
same actions to the same world, in one process, and keeps nothing.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from sad_agents.agent_options import AgentOptions
from sad_agents.loading import react_agent
from sad_agents.model import ScriptedModel
from sad_agents.rollout.rollout import Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.records import Manifest, PanelRecord, identity_sha256
from sad_eval.runs.harness import evaluate
from sad_eval.runs.run_folder import RunFolder

from sad_env import registry

TURNS = 8
ROOMS = ("attic", "cellar", "kitchen")
COMPLETIONS = [
    f"Reasoning: I have not found it yet; the {ROOMS[turn % 3]} is next on my way.\nAction: go to {ROOMS[turn % 3]}\n"
    for turn in range(TURNS)
]


class Memory(threading.Thread):
    """Samples the resident set of this process while it lives, in MiB with seconds since the start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: list[tuple[float, float]] = []
        self.over = threading.Event()

    def run(self) -> None:
        """Sample until it is over."""
        began = time.monotonic()
        while not self.over.wait(0.25):
            self.samples.append((time.monotonic() - began, resident()))


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds() -> float:
    """CPU time of this process and of the workers that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def bare_loop(episodes: int) -> tuple[float, float]:
    """Wall and CPU seconds for the same actions in the same world without a harness."""
    world = registry.make("toy")
    tasks = world.panel.task_ids
    actions = [text.split("Action: ")[1].strip() for text in COMPLETIONS]
    began, used = time.perf_counter(), cpu_seconds()
    for number in range(episodes):
        world.reset(seed=0, options={"task_id": tasks[number % len(tasks)]})
        for action in actions:
            world.step(action)
    return time.perf_counter() - began, cpu_seconds() - used


def new_run(folder: Path, episodes: int) -> RunFolder:
    panel = registry.make("toy").panel
    manifest = Manifest(
        created="",
        command="benchmarks/harness.py",
        world="toy",
        data=panel.data,
        data_sha256="",
        panel=PanelRecord(name=panel.name, sha256=panel.sha256, task_ids=panel.task_ids),
        agent="scripted",
        seed=0,
        repeats=-(-episodes // len(panel.task_ids)),
        limits={"max_steps": TURNS},
        identity={},
        identity_sha256=identity_sha256({}),
        settings={},
        versions={},
    )
    return RunFolder.create(folder, manifest)


def play(folder: Path, episodes: int, workers: int) -> tuple[float, float, list[tuple[float, float]]]:
    """Wall and CPU seconds of one evaluation, and the memory over it."""
    run = new_run(folder, episodes)
    agent = react_agent(ScriptedModel(COMPLETIONS), "toy", AgentOptions())
    limits = Limits(max_steps=TURNS)
    memory = Memory()
    memory.start()
    began, used = time.perf_counter(), cpu_seconds()
    outcome = evaluate(
        run,
        functools.partial(rollout, agent, world=WorldRecipe("toy"), live=16, workers=workers, limits=limits),
        MetricSums(TURNS),
    )
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - used
    memory.over.set()
    memory.join()
    assert outcome.results.status == "complete", outcome
    assert outcome.results.metrics["environment_steps"].value == TURNS
    return seconds, cpu, memory.samples


def seconds_to_open(folder: Path) -> dict[str, float]:
    began = time.perf_counter()
    RunFolder.open(folder).results()
    opened = time.perf_counter() - began
    began = time.perf_counter()
    code = "import sys; from sad_eval.runs.run_folder import RunFolder; RunFolder.open(sys.argv[1]).results()"
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    return {"results, s": opened, "results in a new process, s": time.perf_counter() - began}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--episodes", type=int, default=10_000)
    episodes = arguments.parse_args().episodes
    folder = Path(tempfile.mkdtemp(prefix="sad-bench-"))
    try:
        play(folder / "warm", 200, 0)
        bare, bare_cpu = bare_loop(episodes)
        report: dict[str, object] = {"episodes": episodes, "turns": TURNS, "bare loop, s": round(bare, 3)}
        for workers in (0, 2):
            seconds, cpu, samples = play(folder / str(workers), episodes, workers)
            warm = [mib for at, mib in samples if at > seconds / 10]
            report[f"workers {workers}"] = {
                "episodes a second": round(episodes / seconds, 1),
                "overhead of a step, ms": round(1000 * (seconds - bare) / (episodes * TURNS), 4),
                "overhead of a step, CPU ms, workers included": round(1000 * (cpu - bare_cpu) / (episodes * TURNS), 4),
                "memory after the first tenth, MiB": [round(min(warm), 1), round(max(warm), 1)],
                "memory, largest less smallest, MiB": round(max(warm) - min(warm), 1),
                "episodes.jsonl, MiB": round((folder / str(workers) / "episodes.jsonl").stat().st_size / 2**20, 1),
                **{name: round(value, 3) for name, value in seconds_to_open(folder / str(workers)).items()},
            }
        print(json.dumps(report, indent=2))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

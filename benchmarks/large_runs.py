"""Memory and time of what reads a finished run of many episodes: rescore, report, leaderboard add, verify and build.

    python benchmarks/large_runs.py [--episodes 100000]

Writes a run folder of that many episodes, each a task of its own: real episodes of the toy world under other task
names, half of them won. Every command then runs in a process of its own, whose peak memory the system reports.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sad_agents import catalogue
from sad_agents.agent_options import AgentOptions
from sad_agents.rollout.rollout import Job, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_eval.records import EpisodeLine, PanelRecord, identity_sha256
from sad_eval.runs.plan import make_plan
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.settings import EvalSettings

from sad_env.panels import Panel
from sad_env.records import Trajectory

EPISODES_OF_EACH = 20
"""Different episodes of the expert and of the random agent that are written again and again."""


def main() -> int:
    """Make the run, measure the commands, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100_000, metavar="N")
    count = parser.parse_args().episodes
    with tempfile.TemporaryDirectory() as scratch:
        run, board = Path(scratch) / "run", Path(scratch) / "entries"
        write_run(run, count)
        size = (run / "episodes.jsonl").stat().st_size
        print(f"{count:,} episodes, {size / 2**20:,.0f} MiB of episodes.jsonl")
        print(f"{'command':<12}{'seconds':>10}{'of CPU':>10}{'peak MiB':>10}{'exit':>6}")
        said = ["--title", "Large", "--submitter", "benchmark", "--root", str(board), "--name", "large"]
        for name, words in {
            "rescore": ["sad_eval", "rescore", str(run)],
            "add": ["sad_leaderboard", "add", str(run), *said],
            "verify": ["sad_leaderboard", "verify", "--root", str(board)],
            "build": ["sad_leaderboard", "build", "--root", str(board), "--out", str(Path(scratch) / "board")],
            "report": ["sad_eval", "report", str(run)],
            "html": ["sad_eval", "report", str(run), "--html", str(Path(scratch) / "report.html")],
        }.items():
            seconds, busy, peak, code = measured(words, Path(scratch))
            print(f"{name:<12}{seconds:>10.1f}{busy:>10.1f}{peak:>10.0f}{code:>6}", flush=True)
    return 0


def measured(words: Sequence[str], folder: Path) -> tuple[float, float, float, int]:
    """Wall seconds, seconds of CPU time, peak MiB and exit code of `python -m WORDS`, run in `folder`."""
    began = time.perf_counter()
    with open(folder / "output.txt", "wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        print((folder / "output.txt").read_text(errors="replace")[-500:], file=sys.stderr)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10, code


def write_run(folder: Path, count: int) -> None:
    """A run folder of `count` episodes of given data, with its manifest and without results."""
    panel = Panel.of("toy", "given", "large", [f"task-{number:06}" for number in range(count)])
    plan = make_plan(EvalSettings(env="toy", agent="expert", out=str(folder)), "test", command="benchmark")
    record = PanelRecord(name=panel.name, sha256=panel.sha256, task_ids=panel.task_ids)
    facts = {"data": "given", "panel": panel.name, "panel_sha256": panel.sha256}
    identity = {**plan.manifest.identity, **facts}
    run = RunFolder.create(
        folder,
        plan.manifest.model_copy(
            update={
                "data": "given",
                "panel": record,
                "identity": identity,
                "identity_sha256": identity_sha256(identity),
            }
        ),
    )
    played = [episode for pair in zip(episodes("expert"), episodes("random"), strict=True) for episode in pair]
    with open(run.path / "episodes.jsonl", "w", encoding="utf-8") as file:
        for number, task in enumerate(panel.task_ids):
            episode = played[number % len(played)].model_copy(
                update={"task_id": task, "data": "given", "agent": "expert"}
            )
            file.write(EpisodeLine.of(episode).to_json() + "\n")


def episodes(agent: str) -> list[Trajectory]:
    """Real episodes of the toy world."""
    recipe = WorldRecipe.of("toy", "generated", "test")
    jobs = [Job(f"test-{number:04}") for number in range(EPISODES_OF_EACH)]
    actor = catalogue.resolve(agent, "toy", AgentOptions())
    return [finished.trajectory for finished in rollout(actor, jobs, recipe)]


if __name__ == "__main__":
    sys.exit(main())

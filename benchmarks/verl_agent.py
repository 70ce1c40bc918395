"""ALFWorld for verl-agent: our drop-in against the worker around textworld that it holds, in one run.

    python benchmarks/verl_agent.py [--data FOLDER]

FOLDER holds the official games (json_2.1.1/); without it, generated games are played. Both play the same games, ours
in groups of 8, each member with commands of its own; the original plays those of the first, and what both answer to
them is compared on the way. The worker is made by alfworld's own `init_env`, as there, but in this process: that there
is no Ray between, and no other process, is to its advantage. Times are seconds of CPU. A group of ours compiles its
game once, and eight episodes share that.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import platform
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from sad_env.adapters.verl_agent.alfworld import GameList, VerlALFWorldEnvs
from sad_env.alfworld.data import DATA
from sad_env.alfworld.store import FolderStore
from sad_env.data import silent

MEMBERS = 8
STEPS = 20
SEED = 42

Answer = tuple[str, float, bool, list[str]]


def originals(split: Path) -> Any:
    """What a worker of verl-agent holds: one environment of batch size 1."""
    from alfworld.agents.environment.alfred_tw_env import AlfredTWEnv

    base = AlfredTWEnv.__new__(AlfredTWEnv)
    base.train_eval = "train"
    base.config = {
        "env": {"domain_randomization": False, "expert_type": "handcoded"},
        "general": {"training_method": "dqn"},
        "rl": {"training": {"max_nb_steps_per_episode": 50}},
    }
    base.game_files = [str(split / task_id / "game.tw-pddl") for task_id in FolderStore(split).task_ids]
    return base.init_env(batch_size=1)


def commands_of(split: Path, seed: int) -> list[list[str]]:
    """At every step one command for each member of the group with this seed: each walks at random by itself."""
    store = FolderStore(split)
    envs = VerlALFWorldEnvs(GameList(store, store.task_ids, "", 50), seed, 1, MEMBERS)
    envs.reset()
    draw, steps = random.Random(seed), []
    for _ in range(STEPS):
        steps.append([draw.choice(known or ["look"]) for known in envs.get_admissible_commands])
        envs.step(steps[-1])
    return steps


def play_original(worker: Any, plan: list[list[str]]) -> tuple[float, float, list[Answer]]:
    """CPU seconds of the reset and of the steps, and what the first member was answered."""
    began = time.process_time()
    worker.reset()
    middle = time.process_time()
    answers = []
    for commands in plan:
        texts, _, dones, infos = worker.step(commands[:1])
        answers.append((texts[0], 10.0 * infos["won"][0], dones[0], infos["admissible_commands"][0]))
    return middle - began, time.process_time() - middle, answers


def play_ours(envs: VerlALFWorldEnvs, plan: list[list[str]]) -> tuple[float, float, list[Answer]]:
    """As `play_original`, for a group of eight episodes at once."""
    began = time.process_time()
    envs.reset()
    middle = time.process_time()
    answers = []
    for commands in plan:
        texts, _, rewards, dones, infos = envs.step(commands)
        answers.append((texts[0], rewards[0], dones[0], infos[0]["admissible_commands"]))
    return middle - began, time.process_time() - middle, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of official games")
    parser.add_argument("--groups", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.data:
            split = arguments.data / "json_2.1.1" / "train"
        else:
            split = Path(scratch) / "train"
            DATA.generate(Path(scratch), count=20, seed=0, split="train", progress=silent)
        print("official games" if arguments.data else "generated games")
        compare(split, arguments.groups)


def compare(split: Path, count: int) -> None:
    """Play this many groups of a split's games on both sides and print the table."""
    store = FolderStore(split)
    plans = [commands_of(split, SEED + group) for group in range(count)]
    said, output = sys.argv, sys.stdout
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worker = originals(split)
        worker.seed(SEED)
        play_original(worker, plans[0])  # its imports and first compilation
        theirs = []
        for group, plan in enumerate(plans):
            worker.seed(SEED + group)
            theirs.append(play_original(worker, plan))
    sys.argv, sys.stdout = said, output
    games = GameList(store, store.task_ids, "", 50)
    ours = [play_ours(VerlALFWorldEnvs(games, SEED + group, 1, MEMBERS), plan) for group, plan in enumerate(plans)]
    different = sum(
        one != other for (*_, a), (*_, b) in zip(theirs, ours, strict=True) for one, other in zip(a, b, strict=True)
    )
    print(f"Python {platform.python_version()}, {count} groups of {MEMBERS}, {STEPS} steps")
    print(f"answers of the first member that differ: {different} of {count * STEPS}")
    print(f"{'CPU ms per episode':>24} {'worker':>12} {'drop-in':>12} {'times':>8}")
    for place, name in enumerate(("reset", f"{STEPS} steps")):
        their = 1e3 * sum(one[place] for one in theirs) / count
        our = 1e3 * sum(one[place] for one in ours) / count / MEMBERS
        print(f"{name:>24} {their:>12.2f} {our:>12.3f} {their / our:>8.0f}")
    their = sum(sum(one[:2]) for one in theirs) / count
    our = sum(sum(one[:2]) for one in ours) / count / MEMBERS
    print(f"{'both':>24} {1e3 * their:>12.2f} {1e3 * our:>12.3f} {their / our:>8.0f}")
    print(f"steps/s of one core: worker {STEPS / their:.1f}, drop-in {STEPS / our:,.0f} (resets included)")


if __name__ == "__main__":
    main()

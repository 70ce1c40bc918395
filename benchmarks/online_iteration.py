"""One online iteration: 16 episodes of a student in a world, scored by an 8 M teacher, one update.

    python benchmarks/online_iteration.py                          # makes a 2 M student for ALFWorld by a short SFT
    python benchmarks/online_iteration.py --env webshop --student nano-0.7m
    python benchmarks/online_iteration.py --student student.pt     # or takes one that is there

The split is printed: the student's acting, the world, the teacher's scoring, the update. The teacher is a random 8 M
model unless one is given: what it says costs the same. Seconds are of this process's CPU; wall time is printed in
brackets. A better student needs fewer steps, so that its iterations are shorter.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from sad_agents.checkpoints import load_student, save_student
from sad_agents.policies import ExpertAgent
from sad_agents.rollout.rollout import Job, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_distill.config import TrainConfig
from sad_distill.models.nano import from_scratch
from sad_distill.training.run import Run

from sad_env import registry
from sad_env.settings import replaced


def make_student(folder: Path, env: str, size: str, updates: int) -> Path:
    """A student that has learned to write the template, from 400 expert episodes."""
    tasks = registry.make(env, split="train").panel.task_ids[:400]
    episodes = folder / "expert.jsonl"
    with episodes.open("w") as file:
        jobs = [Job(task) for task in tasks]
        for finished in rollout(ExpertAgent(env), jobs, WorldRecipe(env, {"split": "train"})):
            file.write(finished.trajectory.to_json() + "\n")
    config = replaced(
        TrainConfig(out=str(folder / "start")),
        env=env,
        student=size,
        trajectories=(str(episodes),),
        method="sft",
        mode="offline",
        steps=updates,
        batch=16,
        micro_batch=4,
        learning_rate=3e-3,
        context=768,
        precision="bf16",
    )
    return Run(config).train()


def student_and_teacher(folder: Path, env: str, student: str, updates: int, teacher: str = "") -> tuple[Path, Path]:
    """Their files: a student that is there or of this size, and a teacher that is there or random, of 8 M."""
    path = Path(student)
    if path.suffix != ".pt":
        path = make_student(folder, env, student, updates)
    if teacher:
        return path, Path(teacher)
    made, tokenizer = folder / "teacher.pt", load_student(path).tokenizer
    save_student(made, from_scratch("nano-8m", tokenizer), tokenizer, {})
    return path, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="alfworld", help="world")
    parser.add_argument("--student", default="nano-2m", help="student.pt, or the size of one that is made")
    parser.add_argument("--teacher", default="")
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--updates", type=int, default=60, help="of the short SFT")
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        student, teacher = student_and_teacher(folder, given.env, given.student, given.updates, given.teacher)
        config = replaced(
            TrainConfig(out=str(folder / "online")),
            env=given.env,
            student=str(student),
            teacher=str(teacher),
            steps=given.iterations,
            micro_batch=4,
            context=768,
            precision=given.precision,
        )
        marks = [(time.perf_counter(), time.process_time())]
        run = Run(config, lambda *_: marks.append((time.perf_counter(), time.process_time())))
        marks[0] = (time.perf_counter(), time.process_time())
        run.train()
        lines = [json.loads(line) for line in (folder / "online" / "metrics.jsonl").read_text().splitlines()]
    for index, line in enumerate(lines):
        wall, cpu = (marks[index + 1][clock] - marks[index][clock] for clock in (0, 1))
        print(f"iteration {index}: {cpu:.1f} s CPU ({wall:.1f} s wall)  {split(line, cpu)}")
        print(
            f"  {line['rollout_steps']:.1f} steps an episode, {line['rollout_tokens']:.0f} tokens sampled,"
            f" success {line['rollout_success']:.2f}; {line['tokens']:.0f} tokens scored and learned from"
        )


def split(line: dict[str, float], cpu: float) -> str:
    """CPU seconds by part, from the parts' shares of the wall time: on a busy machine all parts wait alike."""
    parts = {
        "acting": line["act_seconds"],
        "env": line["world_seconds"],
        "scoring": line["score_seconds"],
        "updating": line["update_seconds"],
    }
    whole = sum(parts.values())
    return "  ".join(f"{name} {cpu * seconds / whole:.2f}" for name, seconds in parts.items())


if __name__ == "__main__":
    main()

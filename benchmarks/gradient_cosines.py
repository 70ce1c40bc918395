"""How alike two ways of distilling are: cosines of their gradients on the same rows, at a study's start.

    python benchmarks/gradient_cosines.py --study studies/nano --world webshop --size nano-0.7m --batches 10

Needs the weights and the teacher's episodes of a study that was run here; without them it says so and ends.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from sad_distill.config import TrainConfig
from sad_distill.training.recorded import order_of
from sad_distill.training.run import Run
from torch.nn.functional import cosine_similarity

from sad_env.settings import replaced

WAYS: dict[str, dict[str, Any]] = {
    "SAD": {},
    "token KL": {"method": "token_flat"},
    "SAD, full support": {"action_support": "full"},
    "SAD, one mean": {"reduction": "token_mean"},
    "SAD, random masks": {"masks": "random"},
    "SAD, λ 1 : 2": {"act_weight": 2.0},
    "SAD, λ 2 : 1": {"reason_weight": 2.0},
    "SAD, no reasoning": {"reason_weight": 0.0},
    "SAD, no action": {"act_weight": 0.0},
    "word-level KD": {"method": "word_kd"},
    "SeqKD": {"method": "seqkd"},
}


def gradients(config: TrainConfig) -> torch.Tensor:
    """One gradient a batch, [batches, parameters]; the student is not moved."""
    run = Run(config)
    learner, order, flat = run.learner, order_of(run.parts), []
    for step in range(config.optimisation.steps):
        rows = [run.rows[index] for index in order(step)]
        learner.student.zero_grad(set_to_none=True)
        learner.add_gradients(rows, learner.objective)
        flat.append(torch.cat([p.grad.flatten() for p in learner.parameters if p.grad is not None]))
    return torch.stack(flat)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="studies/nano")
    parser.add_argument("--world", default="webshop")
    parser.add_argument("--size", default="nano-0.7m")
    parser.add_argument("--batches", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(given.study) / given.world
    teachers = sorted(folder.glob("teacher*/student.pt"))
    student, episodes = folder / f"{given.size}-start-0" / "student.pt", folder / "teacher.jsonl"
    if not (teachers and student.exists() and episodes.exists()):
        print(f"gradient_cosines: skipped, since {folder} holds no weights and episodes: run the study first")
        return
    with tempfile.TemporaryDirectory() as out:
        shared: dict[str, Any] = {
            "student": str(student),
            "teacher": str(teachers[-1]),
            "trajectories": (str(episodes),),
            "env": given.world,
            "mode": "offline",
            "batch": 8,
            "steps": given.batches,
        }
        by_way = {
            name: gradients(replaced(TrainConfig(out=out), **shared, **changes)) for name, changes in WAYS.items()
        }
    base = by_way["SAD"]
    for name, gradient in by_way.items():
        cosine = cosine_similarity(gradient, base, dim=1)
        ratio = (gradient.norm(dim=1) / base.norm(dim=1)).mean()
        print(f"{name:20} cosine {cosine.mean():.3f} (least {cosine.min():.3f})   length {ratio:.2f}")
    pairs = len(base) // 2
    between = cosine_similarity(base[:pairs], base[pairs : 2 * pairs], dim=1).mean()
    print(f"SAD on one batch against SAD on another: {between:.3f}")


if __name__ == "__main__":
    main()

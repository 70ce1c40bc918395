"""Online distillation by turns, and with an actor that plays ahead: wall time of the same updates.

    python benchmarks/actors.py                                   # a 2 M student made by a short SFT; two free cores
    python benchmarks/actors.py --student student.pt --updates 12

Both runs are of one process that learns, on one thread; the second has a further process that plays. The first two
updates are left out: nothing has been played ahead of the first, and both make matrix kernels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from online_iteration import student_and_teacher
from sad_distill.config import TrainConfig
from sad_distill.training.run import Run

from sad_env.settings import replaced

_LEFT_OUT = 2


def seconds_an_update(config: TrainConfig) -> float:
    """Wall time of an update, on the mean."""
    marks: list[float] = []
    Run(config, lambda *_: marks.append(time.perf_counter())).train()
    return (marks[-1] - marks[_LEFT_OUT - 1]) / (len(marks) - _LEFT_OUT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="alfworld", help="world")
    parser.add_argument("--student", default="nano-2m", help="student.pt, or the size of one that is made")
    parser.add_argument("--updates", type=int, default=8, help="of each run")
    parser.add_argument("--sft", type=int, default=60, help="updates of the short SFT")
    parser.add_argument("--rollouts", type=int, default=16, help="episodes of an update")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        student, teacher = student_and_teacher(folder, given.env, given.student, given.sft)
        config = replaced(
            TrainConfig(out=""),
            env=given.env,
            student=str(student),
            teacher=str(teacher),
            steps=max(given.updates, _LEFT_OUT + 1),
            rollouts=given.rollouts,
            micro_batch=4,
            context=768,
            precision="bf16",
        )
        turns, ahead = (
            seconds_an_update(replaced(config, out=str(folder / str(count)), actors=count)) for count in (0, 1)
        )
    print(f"by turns {turns:.2f} s an update, with one actor {ahead:.2f} s: {turns / ahead:.2f} times as fast")


if __name__ == "__main__":
    main()

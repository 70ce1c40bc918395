"""A student that acts by a head is trained on: the head goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.sampling.action_head import LinearHead
from sad_distill.config import TrainConfig
from sad_distill.training.run import Run

from sad_env.errors import ConfigError
from sad_env.records import Trajectory
from sad_env.settings import replaced


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    given = {
        "student": str(files / "start.pt"),
        "teacher": str(files / "teacher.pt"),
        "env": "toy",
        "mode": "offline",
        "steps": 2,
        "batch": 4,
        "context": 200,
        "max_new_tokens": 40,
    }
    return replaced(TrainConfig(out=str(out)), **{**given, **changes})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["linear", "pointer"])
def test_a_head_goes_on_where_its_student_does(
    files: Path, tmp_path: Path, toy_episodes: list[Trajectory], kind: str
) -> None:
    """The next run, or stage, begins with what it learned; a linear one adds the actions that are new."""
    for name, part in (("few", toy_episodes[:4]), ("others", toy_episodes[4:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(one.to_json() + "\n" for one in part))
    few, others = ((str(tmp_path / f"{name}.jsonl"),) for name in ("few", "others"))
    first = Run(settings(files, tmp_path / "one", act_loss=f"{kind}_head", trajectories=few, learning_rate=1e-2))
    student, before = str(first.train()), first.parts.head
    other = settings(files, tmp_path / "two", act_loss=f"{kind}_head", trajectories=others, student=student)
    then = Run(other).parts.head
    if isinstance(before, LinearHead) and isinstance(then, LinearHead):
        assert set(before.actions) < set(then.actions)
        assert before.table.weight.abs().max() > 0
        rows = then.rows(before.actions)
        assert torch.equal(then.table.weight[rows], before.table.weight)
        assert torch.equal(then.table.bias[rows], before.table.bias)
        new = then.rows([action for action in then.actions if action not in before.actions])
        assert not then.table.weight[new].any()
    else:
        assert before is not None
        assert then is not None
        assert all(map(torch.equal, then.parameters(), before.parameters()))
    for teacher in ("self", "base"):
        with pytest.raises(ConfigError, match="has not learned to write actions: name another teacher"):
            Run(replaced(other, out=str(tmp_path / "three"), teacher=teacher, adapters=2))
    with pytest.raises(
        ConfigError, match=f"as it would in mode online: give --act-loss {kind}_head, or --mode offline"
    ):
        Run(replaced(other, out=str(tmp_path / "four"), mode="online", act_loss="divergence"))

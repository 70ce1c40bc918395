"""Teachers that take little memory: in bf16, or the student's own model with its adapters off."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.windowing import Windowing
from sad_distill.data.batch import collate
from sad_distill.data.rows import rows_from
from sad_distill.losses.targets import HiddenTarget
from sad_distill.models.students import with_adapters
from sad_distill.teachers.local import AdaptersOffTeacher, LocalTeacher
from sad_distill.training.run import Run

from sad_env.errors import ConfigError
from sad_env.records import Trajectory
from sad_env.settings import replaced

sys.path.insert(0, str(Path(__file__).parent))
from test_teachers import distillation

# peft uses names that transformers has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def settings(files: Path, out: Path, **changes: Any) -> Any:
    return distillation(files, out, changes.pop("teacher", str(files / "teacher.pt")), **changes)


def test_the_base_with_adapters_off_is_the_model_before(
    toy_episodes: list[Trajectory], toy_tokenizer: Any, tiny_llama: Any
) -> None:
    batch = collate(rows_from(toy_episodes[:3], toy_tokenizer, Windowing(200, 40)))
    before = LocalTeacher(tiny_llama(seed=2), "t").score(batch)
    student = with_adapters(tiny_llama(seed=2), 4)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in student.named_parameters():
            if "lora" in name:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    trainable = {name for name, parameter in student.named_parameters() if parameter.requires_grad}
    student.train()
    count = sum(parameter.numel() for parameter in student.parameters())
    teacher = AdaptersOffTeacher(student, "base")
    target = teacher.score(batch)
    assert isinstance(before, HiddenTarget)
    assert isinstance(target, HiddenTarget)
    torch.testing.assert_close(target.hidden_ND, before.hidden_ND, rtol=0, atol=1e-6)
    index = torch.arange(len(batch.kind_N))
    wanted, found = (one.outcomes(index, None, 1.0, "bucket").log_p for one in (before, target))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert student.training
    assert {name for name, parameter in student.named_parameters() if parameter.requires_grad} == trainable
    assert sum(parameter.numel() for parameter in student.parameters()) == count, "no second copy"
    assert not torch.allclose(batch.states(student.eval())[batch.row_N, batch.from_N], before.hidden_ND, atol=1e-2)


def test_a_student_learns_from_its_own_base_that_is_told_the_solution(files: Path, tmp_path: Path) -> None:
    config = settings(files, tmp_path, adapters=4, steps=2, teacher_context="privileged")
    run = Run(replaced(config, teacher="base"))
    run.train()
    assert run.teacher is not None
    assert run.teacher.name.startswith("base of start-")
    line = (tmp_path / "metrics.jsonl").read_text().splitlines()[0]
    assert '"reason_divergence": 0.0' not in line, "what it is told makes it another teacher"
    with pytest.raises(ConfigError, match="the student without its adapters: give --adapters 16"):
        Run(replaced(config, teacher="base", adapters=0))


def test_precisions_of_teacher_and_student(files: Path, tmp_path: Path) -> None:
    auto = Run(settings(files, tmp_path / "a"))
    assert auto.teacher is not None
    assert auto.teacher.language is not None
    assert auto.teacher.language.model.dtype is torch.float32, "a processor is no faster in bf16"
    half = Run(settings(files, tmp_path / "b", teacher_precision="bf16"))
    assert half.teacher is not None
    assert half.teacher.language is not None
    assert half.teacher.language.model.dtype is torch.bfloat16
    assert half.teacher.scores is not None
    assert half.teacher.scores.setting == "top 0, weights torch.bfloat16", "another key of cached answers"
    half.train()
    with pytest.raises(ConfigError, match="on other teacher_precision: 'bf16', now 'fp32'"):
        Run(settings(files, tmp_path / "b")).train()
    with pytest.raises(ConfigError, match="give --precision bf16"):
        Run(settings(files, tmp_path / "c", student_precision="bf16"))
    layers = Run(settings(files, tmp_path / "d", teacher_precision="bf16", student="layers:1"))
    assert layers.student.model.dtype is torch.float32
    small = Run(settings(files, tmp_path / "e", student_precision="bf16", precision="bf16", adapters=4))
    kinds = {parameter.dtype for parameter in small.student.model.parameters() if parameter.requires_grad}
    assert kinds == {torch.float32}, "adapters move in full precision"
    small.train()

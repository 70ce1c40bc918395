"""What a GPU computes is what a processor computes."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.agent import GREEDY
from sad_agents.sampling.cached_sampler import CachedSampler
from sad_agents.sampling.continuation import SampleRequest
from sad_agents.windowing import Windowing
from sad_distill.config import Optimisation, TrainConfig
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.rows import rows_from
from sad_distill.losses.objective import Objective
from sad_distill.teachers.local import LocalTeacher
from sad_distill.training.learner import Learner
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env.records import Trajectory
from sad_env.settings import replaced

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]

Tiny = Callable[..., Any]


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_an_update_moves_weights_as_on_a_processor(
    toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, optimiser: str
) -> None:
    rows = rows_from(toy_episodes[:8], toy_tokenizer, Windowing(200, 40))
    found = []
    for device in ("cpu", "cuda"):
        student, teacher = (copy.deepcopy(tiny_llama(16, seed=seed)).double().to(device) for seed in (1, 2))
        learner = Learner(
            student,
            Objective(observation_weight=0.5),
            Optimisation(steps=4, learning_rate=1e-3, optimiser=optimiser),  # type: ignore[arg-type]
            teacher=LocalTeacher(teacher, "teacher"),
            supports=ActionSupport(toy_tokenizer),
        )
        metrics = [learner.update(rows, step) for step in range(2)]
        found.append((metrics[-1]["loss"], [p.detach().cpu() for p in learner.parameters]))
    # LLaMA takes sines and norms in float32 whatever it is given, and Muon rounds to bfloat16 on its way.
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_greedy_completions_are_those_of_a_processor(tiny_llama: Tiny) -> None:
    draw, samples = random.Random(1), []
    requests = [SampleRequest(key, [draw.randrange(300) for _ in range(draw.randrange(2, 90))]) for key in range(40)]
    for device in ("cpu", "cuda"):
        model = copy.deepcopy(tiny_llama(24, seed=3)).double().to(device)
        sampler = CachedSampler(
            model, stop=lambda ids: ids[-1] % 7 == 3, stop_ids=frozenset(range(400)), end_ids=frozenset({0})
        )
        turns = [sampler.sample(requests, GREEDY)]
        longer = [
            SampleRequest(one.key, [*one.ids, *sample.ids, 7]) for one, sample in zip(requests, turns[0], strict=True)
        ]
        samples.append([*turns, sampler.sample(longer, GREEDY)])
    assert samples[0] == samples[1]


@pytest.mark.parametrize("changes", [{"method": "sad"}, {"method": "minillm"}, {"precision": "bf16"}], ids=str)
def test_a_student_plays_and_learns_on_a_gpu(files: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    config = replaced(
        TrainConfig(out=str(tmp_path / "run")),
        student=str(files / "start.pt"),
        teacher=str(files / "teacher.pt"),
        env="toy",
        steps=2,
        rollouts=4,
        context=200,
        max_new_tokens=40,
        learning_rate=1e-3,
        device="cuda",
        **changes,
    )
    run = Run(config)
    assert run.learner.device.type == "cuda"
    assert run.train().exists()
    assert run.done == 2

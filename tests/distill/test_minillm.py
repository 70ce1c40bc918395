"""MiniLLM's parts against hand-computed cases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sad_agents.agent import Sampling
from sad_agents.local_model import LocalModel
from sad_agents.model import Piece, Request
from sad_distill.batch import collate
from sad_distill.minillm import Experience, PolicyGradient, clipped, rewards_to_go
from sad_distill.mixture import MixtureModel
from sad_distill.scoring import Measure, score_positions
from sad_distill.teachers.local import LocalTeacher
from sad_distill.windows import Row
from transformers import PreTrainedTokenizerFast

Tiny = Callable[..., Any]


def test_rewards_to_go_are_discounted_and_divided_by_what_is_left() -> None:
    found = rewards_to_go(torch.tensor([1.0, 2.0, 4.0]), 0.5)
    assert found.tolist() == pytest.approx([(1 + 0.5 * 2 + 0.25 * 4) / 3, (2 + 0.5 * 4) / 2, 4.0])


def test_the_clip_stops_what_would_go_too_far() -> None:
    then = torch.tensor([math.log(0.5)] * 4)
    now = torch.tensor([math.log(0.9), math.log(0.9), math.log(0.1), math.log(0.5)], requires_grad=True)
    known = Experience(then, torch.tensor([1.0, -1.0, 1.0, 2.0]), torch.ones(4))
    loss = clipped(now, known, 0.2)
    # ratios 1.8 (clipped at 1.2), 1.8 (not: the advantage is negative), 0.2, 1
    assert loss.item() == pytest.approx(-1.2 + 1.8 - 0.2 - 2.0, abs=1e-6)
    loss.backward()
    assert now.grad is not None
    assert now.grad.tolist() == pytest.approx([0.0, 1.8, -0.2, -2.0], abs=1e-6)


def test_advantages_are_white_and_fresh_rows_have_ratio_one(tiny_llama: Tiny) -> None:
    student, teacher = tiny_llama(seed=1), LocalTeacher(tiny_llama(seed=2), "t")
    rows = [Row((1, 5, 6, 7, 8), "NRRAA", ()), Row((1, 9, 3, 4), "NRAA", ())]
    policy = PolicyGradient()
    policy.remember(student, teacher, rows, torch.device("cpu"))
    advantages = torch.cat([policy._experience[id(row)].advantage for row in rows])
    assert advantages.mean().item() == pytest.approx(0, abs=1e-6)
    assert advantages.std(unbiased=False).item() == pytest.approx(1, abs=1e-3)
    batch = collate(rows)
    scores = score_positions(student, batch.states(student), batch, None, Measure())
    assert policy.count(batch) == 7
    assert policy.sum(student, batch, torch.zeros(0), scores).item() == pytest.approx(
        -advantages.sum().item(), abs=1e-5
    )


def test_the_mixture_samples_with_both_caches_what_it_gives_without(
    tiny_llama: Tiny, toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    student, teacher = tiny_llama(16, 2, seed=1), tiny_llama(24, 3, seed=2)
    mixture = MixtureModel(student, teacher, 0.2)
    model = LocalModel(mixture, toy_tokenizer)
    request = Request("one", (Piece("Observation: hm\n"),), (), "7")
    (completion,) = model.complete([request], Sampling(temperature=0, max_tokens=30))
    ids = toy_tokenizer.encode("Observation: hm\n") + list(completion.ids)
    with torch.no_grad():
        p, q = (m(torch.tensor([ids])).logits[0].softmax(-1) for m in (teacher, student))
    mixed = 0.8 * q + 0.2 * p
    start = len(ids) - len(completion.ids)
    for place in range(start, start + completion.generated):
        assert mixed[place - 1].max() - mixed[place - 1, ids[place]] < 1e-5
    assert teacher.model.layers[0].self_attn.layer_idx == 0

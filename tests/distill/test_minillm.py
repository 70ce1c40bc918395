"""MiniLLM's parts against hand-computed cases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sad_agents.agent import Sampling
from sad_agents.model import Piece, Request
from sad_agents.sampling.local_model import LocalModel
from sad_distill.auxiliary.minillm import RECORDED, policy_plan, rewards_to_go, single_step
from sad_distill.config import Measure, Optimisation
from sad_distill.data.batch import collate
from sad_distill.data.rows import Row
from sad_distill.losses.objective import Objective
from sad_distill.losses.scoring import score_positions
from sad_distill.models.mixture import MixtureModel
from sad_distill.signals.policy import PolicyTerm, clipped
from sad_distill.teachers.local import LocalTeacher
from sad_distill.training.learner import Learner
from transformers import PreTrainedTokenizerFast

Tiny = Callable[..., Any]


def test_rewards_to_go_are_discounted_and_divided_by_what_is_left() -> None:
    found = rewards_to_go(torch.tensor([1.0, 2.0, 4.0]), 0.5)
    assert found.tolist() == pytest.approx([(1 + 0.5 * 2 + 0.25 * 4) / 3, (2 + 0.5 * 4) / 2, 4.0])


def test_the_clip_stops_what_would_go_too_far() -> None:
    then = torch.tensor([math.log(0.5)] * 4)
    now = torch.tensor([math.log(0.9), math.log(0.9), math.log(0.1), math.log(0.5)], requires_grad=True)
    values, cut = clipped((now - then).exp(), torch.tensor([1.0, -1.0, 1.0, 2.0]), 0.2)
    loss = values.sum()
    assert cut.tolist() == [True, False, False, False]
    # ratios 1.8 (clipped at 1.2), 1.8 (not: the advantage is negative), 0.2, 1
    assert loss.item() == pytest.approx(-1.2 + 1.8 - 0.2 - 2.0, abs=1e-6)
    loss.backward()
    assert now.grad is not None
    assert now.grad.tolist() == pytest.approx([0.0, 1.8, -0.2, -2.0], abs=1e-6)


def test_advantages_are_white_and_fresh_rows_have_ratio_one(tiny_llama: Tiny) -> None:
    student, teacher = tiny_llama(seed=1), LocalTeacher(tiny_llama(seed=2), "t")
    rows = [Row((1, 5, 6, 7, 8), "NRRAA", ()), Row((1, 9, 3, 4), "NRAA", ())]
    policy = PolicyTerm(policy_plan(mixing=0.0))
    rows, _ = policy.remember(student, teacher, rows, torch.device("cpu"))
    policy.begin(rows, 0)
    advantages = torch.cat(policy.advantages["minillm"])
    assert advantages.mean().item() == pytest.approx(0, abs=1e-6)
    assert advantages.std(unbiased=False).item() == pytest.approx(1, abs=1e-3)
    batch = collate(rows)
    scores = score_positions(student, batch.states(student), batch, None, Measure())
    assert len(advantages) == 7
    assert policy.sum(student, batch, torch.zeros(0), scores).item() == pytest.approx(
        -advantages.mean().item(), abs=1e-6
    )


def test_probabilities_are_those_of_the_temperature_that_was_sampled_at(tiny_llama: Tiny) -> None:
    """The importance weight is that of the sampler, and rewards are divided by the scaling, as the authors do."""
    heat = 0.3
    student, teacher = tiny_llama(16, seed=1).double(), tiny_llama(24, seed=2).double()
    row = Row((1, 5, 6, 7, 8), "NRRAA", ())
    ids, token = torch.tensor([row.ids]), torch.tensor(row.ids[1:])[:, None]
    with torch.no_grad():
        q, p = ((m(ids).logits[0, :-1] / heat).softmax(-1).gather(1, token)[:, 0].double() for m in (student, teacher))
        mixture = MixtureModel(student, teacher, 0.2, heat)
        sampled = (mixture(input_ids=ids, use_cache=False).logits[0, :-1] / heat).softmax(-1).gather(1, token)[:, 0]
    policy = PolicyTerm(policy_plan(mixing=0.2, temperature=heat, reward_clip=3.0))
    [row], _ = policy.remember(student, LocalTeacher(teacher, "t"), [row], torch.device("cpu"))
    policy.begin([row], 0)
    [known], [advantage] = policy.facts, policy.advantages["minillm"]
    assert known.importance is not None
    torch.testing.assert_close(known.log_q.double(), q.log(), rtol=0, atol=1e-4)
    torch.testing.assert_close(known.importance.double(), q / sampled.double(), rtol=0, atol=1e-4)
    reach = rewards_to_go(((p.log() - q.log()) / 0.5).clamp(-3, 3), 0.95)
    white = (reach - reach.mean()) / reach.std(unbiased=False)
    torch.testing.assert_close(advantage.double(), white, rtol=0, atol=1e-4)
    batch = collate([row])
    states = batch.states(student)
    loss = policy.sum(student, batch, states, score_positions(student, states, batch, None, Measure()))
    ratio = known.importance
    expected = torch.max(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2)).mean()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)
    loss.backward()
    assert student.model.layers[0].mlp.up_proj.weight.grad.abs().sum() > 0


def test_the_single_step_term_is_the_plain_reverse_divergence_at_a_temperature(tiny_llama: Tiny) -> None:
    student, teacher = tiny_llama(16, seed=1).double(), tiny_llama(24, seed=2).double()
    rows = [Row((1, 5, 6, 7, 8), "NRRAA", ()), Row((1, 9, 3, 4), "NRAA", ())]
    learner = Learner(student, single_step(0.5), Optimisation(steps=1), teacher=LocalTeacher(teacher, "t"))
    total = 0.0
    for row in rows:
        with torch.no_grad():
            q, p = ((m(torch.tensor([row.ids])).logits[0, :-1] / 0.5).log_softmax(-1) for m in (student, teacher))
        total += (q.exp() * (q - p)).sum().item()
    assert learner.update(rows, 0)["loss"] == pytest.approx(total / 7, rel=1e-6)


def test_recorded_rows_add_half_likelihood_and_half_divergence(tiny_llama: Tiny) -> None:
    """Their mean is over their own tokens: what they bring does not hang on how much was sampled."""
    rows = [Row((1, 5, 6, 7, 8), "NRRAA", ()), Row((1, 9, 3, 4), "NRAA", ())]
    recorded = [Row((1, 2, 3), "NRA", ())]

    def gradients(sampled: list[Row], beside: list[Row], objective: Objective) -> tuple[torch.Tensor, dict[str, float]]:
        student, teacher = tiny_llama(16, seed=1).double(), tiny_llama(24, seed=2).double()
        plan = Optimisation(steps=1, learning_rate=0.0, clip=0)
        learner = Learner(student, objective, plan, teacher=LocalTeacher(teacher, "t"), recorded=RECORDED)
        metrics = learner.update(sampled, 0, beside)
        return torch.cat([p.grad.flatten() for p in learner.parameters if p.grad is not None]), metrics

    both, metrics = gradients(rows, recorded, single_step(1.0))
    alone, _ = gradients(rows, [], single_step(1.0))
    word_kd, told = gradients(recorded, [], Objective(likelihood=0.5, divergence=0.5, reduction="token_mean"))
    torch.testing.assert_close(both, alone + word_kd, rtol=0, atol=1e-10)
    assert metrics["recorded_loss"] == pytest.approx(told["loss"])
    assert metrics["tokens"] == 9


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

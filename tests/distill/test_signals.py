"""Signals against formulas in double precision, finite differences, hand-made groups and exact gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from sad_distill.config import Measure, Optimisation
from sad_distill.data.batch import collate
from sad_distill.data.rows import Row, Unit
from sad_distill.losses.divergence import divergence
from sad_distill.losses.objective import Objective
from sad_distill.losses.scoring import score_positions
from sad_distill.schedules import ALWAYS, Schedule
from sad_distill.signals.facts import RowFacts, mean_weights
from sad_distill.signals.outcomes import Outcome, group_advantages, leave_one_out, outcomes_of, step_advantages
from sad_distill.signals.policy import PolicyPlan, PolicyTerm, clipped
from sad_distill.signals.table import SIGNALS, turn_weights
from sad_distill.teachers.local import LocalTeacher
from sad_distill.training.learner import Learner
from transformers import GPT2Config, GPT2LMHeadModel

from sad_env.errors import ConfigError
from sad_env.records import Status, Step, Trajectory
from sad_env.transcript import compose

Tiny = Callable[..., Any]
CPU = torch.device("cpu")


def facts(log_q: Any, log_p: Any = None, steps: Any = None, episode: str = "e", **more: Any) -> RowFacts:
    """A row of facts in double precision, all tokens its own and of actions."""
    log_q = torch.as_tensor(log_q, dtype=torch.float64)
    steps = torch.zeros(len(log_q), dtype=torch.long) if steps is None else torch.tensor(steps)
    yes = torch.ones(len(log_q), dtype=torch.bool)
    log_p = None if log_p is None else torch.as_tensor(log_p, dtype=torch.float64)
    return replace(RowFacts(episode, log_q, steps, yes, yes, log_p), **more)


@pytest.fixture
def two() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of a student, with gradient, and a teacher's log-probabilities over nine outcomes."""
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(9, generator=draw, dtype=torch.float64, requires_grad=True)
    return logits, torch.randn(9, generator=draw, dtype=torch.float64).log_softmax(-1)


# --- of the teacher ----------------------------------------------------------------------------------------------


def exact_gradient(logits: torch.Tensor, log_p: torch.Tensor, kind: Any = "reverse") -> torch.Tensor:
    [found] = torch.autograd.grad(divergence(log_p, logits.log_softmax(-1), kind), logits)
    return found


def test_opd_is_in_expectation_the_gradient_of_the_exact_reverse_divergence(two: tuple[Any, Any]) -> None:
    """Summed over all outcomes exactly; drawn 20,000 times, within four standard errors in each component."""
    logits, log_p = two
    q = logits.detach().softmax(-1)
    row = facts(q.log(), log_p)
    assert SIGNALS["opd"].advantage is not None
    [advantage] = SIGNALS["opd"].advantage([row])
    torch.testing.assert_close(advantage, log_p - q.log())

    ratio = (logits.log_softmax(-1) - row.log_q).exp()
    values, _ = clipped(ratio, advantage, 0.2)
    [expected] = torch.autograd.grad((q * values).sum(), logits)
    exact = exact_gradient(logits, log_p)
    torch.testing.assert_close(expected, exact, rtol=0, atol=1e-12)

    drawn = torch.multinomial(q, 20_000, replacement=True, generator=torch.Generator().manual_seed(0))
    values, _ = clipped((logits.log_softmax(-1) - row.log_q).exp()[drawn], advantage[drawn], 0.2)
    [estimate] = torch.autograd.grad(values.mean(), logits)
    each = -advantage[:, None] * (torch.eye(9) - q)  # an outcome's own gradient
    error = ((q[:, None] * each.square()).sum(0) - exact.square()).div(20_000).sqrt()
    assert ((estimate - exact).abs() < 4 * error).all()
    assert (exact.abs() > 4 * error).any()


def test_k3_estimates_the_divergence_and_with_the_ratio_has_its_gradient(two: tuple[Any, Any]) -> None:
    """Without the ratio (GRPO's anchor) the gradient of k3 is the forward divergence's, as is known."""
    logits, log_p = two
    q = logits.detach().softmax(-1)
    row = facts(q.log(), log_p, log_start=log_p)
    start, teacher = SIGNALS["k3_start"].loss, SIGNALS["k3_teacher"].loss
    assert start is not None
    assert teacher is not None
    for loss, kind in ((start, "forward"), (teacher, "reverse")):
        total = (q * loss(logits.log_softmax(-1), row)).sum()
        torch.testing.assert_close(total, divergence(log_p, q.log(), "reverse"), rtol=0, atol=1e-12)
        [found] = torch.autograd.grad(total, logits)
        torch.testing.assert_close(found, exact_gradient(logits, log_p, kind), rtol=0, atol=1e-12)


def test_losses_equal_their_formulas_and_finite_differences() -> None:
    then, now, teacher, start = (
        [math.log(value) for value in values]
        for values in ((0.2, 0.5, 0.01), (0.25, 0.4, 0.02), (0.6, 0.1, 0.01), (0.3, 0.3, 0.3))
    )
    won = Outcome("g", (1.0,), ("s",), won=True)
    row = facts(then, teacher, log_start=torch.tensor(start, dtype=torch.float64), outcome=won)
    expected = {
        "gate": [(p - q) / (1 + math.exp(-5 * (p - o))) for o, q, p in zip(then, now, teacher, strict=True)],
        "k3_teacher": [
            math.exp(q - o) * (math.exp(p - q) - 1 + q - p) for o, q, p in zip(then, now, teacher, strict=True)
        ],
        "k3_start": [math.exp(p - q) - 1 + q - p for q, p in zip(now, start, strict=True)],
        "rft": [-q for q in now],
        "guide": [-q for q in now],
    }
    assert expected.keys() == {name for name, signal in SIGNALS.items() if signal.loss}
    log_q = torch.tensor(now, dtype=torch.float64, requires_grad=True)
    for name, values in expected.items():
        loss = SIGNALS[name].loss
        assert loss is not None
        assert loss(log_q, row).tolist() == pytest.approx(values, rel=1e-12)
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, row), (log_q,))
    assert row.won.all()
    assert not replace(row, outcome=replace(won, won=False)).won.any()


def test_turns_are_weighed_by_disagreement_and_surprise_within_their_episode() -> None:
    """Three turns by hand; a turn that was cut into two rows is one turn, and another episode has its own scale."""
    gaps = [0.0, 1.0, 0.5, 0.5]  # d of the turns: 0, 1, 0.5
    surprise = [1.0, 2.0, 4.0, 2.0]  # h: 1, 2, 3
    log_q = [-value for value in surprise]
    log_p = [q + gap for q, gap in zip(log_q, gaps, strict=True)]
    rows = [facts(log_q[:3], log_p[:3], [0, 1, 2]), facts(log_q[3:], log_p[3:], [2])]
    expected = [0.0, 1 - (1 - 1.0) * (1 - 0.5), 1.0, 1.0]
    assert torch.cat(turn_weights(rows)).tolist() == pytest.approx(expected)
    alone = facts([-1.0], [-2.0], episode="other")
    assert turn_weights([*rows, alone])[2].tolist() == pytest.approx([1 - 0.5 * 0.5])
    tdur = SIGNALS["tdur"].advantage
    assert tdur is not None
    assert torch.cat(tdur(rows)).tolist() == pytest.approx([w * g for w, g in zip(expected, gaps, strict=True)])


# --- of the world ------------------------------------------------------------------------------------------------


def outcome(group: str, *rewards: float, states: str = "") -> Outcome:
    return Outcome(group, rewards, tuple(states or "abcdefgh"[: len(rewards)]), rewards[-1] > 0)


def test_groups_compare_episodes_and_groups_alike_say_nothing() -> None:
    outcomes = {"a": outcome("1", 0, 1.0), "b": outcome("1", 0.0), "c": outcome("1", 0.5)}
    outcomes |= {"d": outcome("2", 0.1), "e": outcome("2", 0.1), "f": outcome("2", 0.1)}
    assert group_advantages(outcomes, divide=True) == pytest.approx(
        {"a": 0.5 / (0.5 + 1e-6), "b": -0.5 / (0.5 + 1e-6), "c": 0.0, "d": 0.0, "e": 0.0, "f": 0.0}
    )
    assert group_advantages(outcomes, divide=False)["a"] == 0.5
    assert leave_one_out(outcomes) == pytest.approx(
        {"a": 1 - 0.25, "b": 0 - 0.75, "c": 0.5 - 0.5, "d": 0.0, "e": 0.0, "f": 0.0}
    )
    assert all(value == 0 for value in list(group_advantages(outcomes, divide=True).values())[3:])


def test_gigpo_compares_steps_that_began_in_one_state() -> None:
    """Two episodes meet in x twice and in y once; z is seen by one of them alone."""
    outcomes = {
        "won": Outcome("g", (0.0, 0.0, 1.0), ("x", "y", "x"), won=True),
        "lost": Outcome("g", (0.0, -0.1, 0.0), ("x", "z", "y"), won=False),
        "elsewhere": Outcome("h", (0.0, 1.0), ("x", "y"), won=True),
    }
    gamma = 0.5
    won, lost = [0.25, 0.5, 1.0], [-0.05, -0.1, 0.0]
    assert outcomes["won"].returns(gamma) == pytest.approx(won)
    assert outcomes["lost"].returns(gamma) == pytest.approx(lost)
    x = (won[0] + won[2] + lost[0]) / 3
    y = (won[1] + lost[2]) / 2
    found = step_advantages(outcomes, gamma, divide=False)
    assert found["won"] == pytest.approx([won[0] - x, won[1] - y, won[2] - x])
    assert found["lost"] == pytest.approx([lost[0] - x, 0.0, lost[2] - y])
    assert found["elsewhere"] == [0.0, 0.0]
    gigpo = SIGNALS["gigpo"].advantage
    assert gigpo is not None
    rows = [facts([-1.0, -1.0], steps=[0, 2], episode=name, outcome=outcomes[name]) for name in ("won", "lost")]
    whole = group_advantages({name: outcomes[name] for name in ("won", "lost")}, divide=False)
    steps = step_advantages({name: outcomes[name] for name in ("won", "lost")}, 0.95, divide=False)
    assert gigpo(rows)[0].tolist() == pytest.approx([whole["won"] + steps["won"][place] for place in (0, 2)])


def test_an_episode_that_was_cut_into_rows_counts_once() -> None:
    won, lost, other = outcome("g", 1.0), outcome("g", 0.0), outcome("g", 0.0)
    whole = [facts([-1.0], episode=name, outcome=one) for name, one in (("a", won), ("b", lost), ("c", other))]
    cut = [whole[0], whole[0], whole[0], *whole[1:]]
    for name in ("grpo", "grpo_mean", "rloo", "gigpo"):
        advantage = SIGNALS[name].advantage
        assert advantage is not None
        assert advantage(cut)[0].tolist() == advantage(whole)[0].tolist()
        assert advantage(cut)[3].tolist() == advantage(whole)[1].tolist()


def episode(
    world: str, score: float, *, success: bool, valid: bool = True, progress: float | None = None
) -> Trajectory:
    rendering = compose("", "look")
    step = Step(
        completion=rendering.text, spans=rendering.spans, reasoning="", action="look", observation="o", valid=valid,
        progress=progress,
    )  # fmt: skip
    return Trajectory(
        world=world, data="generated", split="train", task_id="t", agent="a", observation="first", steps=(step, step),
        status=Status.SUCCESS if success else Status.FAILURE, success=success, score=score,
    )  # fmt: skip


def test_rewards_are_success_and_webshops_score_and_progress_only_where_asked() -> None:
    def total(one: Trajectory, **more: Any) -> float:
        [found] = outcomes_of([one], **more).values()
        assert found.states == ("first", "o")
        return found.total

    assert total(episode("webshop", 0.4, success=False)) == 0.4
    assert total(episode("alfworld", 0.4, success=False, progress=0.5)) == 0
    assert total(episode("alfworld", 0.4, success=True)) == 1
    assert total(episode("webshop", 0.4, success=False), reward="success") == 0
    assert total(episode("alfworld", 0.4, success=False, progress=0.5), reward="progress") == 0.5
    assert total(episode("alfworld", 0, success=True, valid=False), penalty=0.01) == pytest.approx(0.98)


# --- means, schedules, the term ------------------------------------------------------------------------------------


def test_means_are_over_turns_episodes_tokens_or_kinds() -> None:
    act = torch.tensor([False, True, True])
    rows = [facts([-1.0] * 3, steps=[0, 0, 1], act=act), facts([-1.0], steps=[0], episode="other")]
    masks = [row.own for row in rows]

    def weights(averaging: Any, **more: Any) -> list[float]:
        return torch.cat(mean_weights(rows, masks, averaging, **more)).tolist()

    assert weights("token_mean") == pytest.approx([1 / 4] * 4)
    assert weights("turn_mean") == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])
    assert weights("episode_mean") == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert weights("type_mean", weights=(2.0, 3.0)) == pytest.approx([2.0, 1.0, 1.0, 1.0])
    masks[0] = torch.tensor([True, False, False])
    assert weights("turn_mean") == pytest.approx([1 / 2, 0, 0, 1 / 2])


def test_schedules_hold_their_floor_and_refuse_what_they_are_not() -> None:
    kappa = Schedule.of("linear:1:0.1:80")
    assert [kappa.at(step, 150) for step in range(150)] == pytest.approx(
        [max(0.1, 1 - 0.9 * min(step / 80, 1)) for step in range(150)]
    )
    guided = Schedule.of("cosine:1:0:0.8")
    assert [guided.at(step, 100) for step in range(100)] == pytest.approx(
        [(1 + math.cos(math.pi * min(step / 80, 1))) / 2 for step in range(100)]
    )
    for wrong in ("", "much", "-1", "linear:1", "linear:1:0:0", "cubic:1:0", "linear:1:0:3:4", "nan"):
        with pytest.raises(ConfigError, match="is no schedule"):
            Schedule.of(wrong)


def rows_with_turns() -> list[Row]:
    """Two rows of one episode; each turn has a forced header (N) that the model did not choose."""
    first = Row((1, 5, 6, 7, 8, 9, 3), "NNRANAA", (Unit(0, 1, 4, None), Unit(1, 4, 7, None)), episode="e")
    return [first, Row((1, 9, 3, 4), "NNRA", (Unit(2, 1, 4, None),), episode="e")]


def gradient_of(term: PolicyTerm, student: Any, rows: list[Row]) -> torch.Tensor:
    """Derivative of the term by the log-probability of each agent token."""
    batch = collate(rows)
    states = batch.states(student).detach()
    scores = score_positions(student, states, batch, None, Measure())
    nll = scores.nll.detach().requires_grad_()
    [found] = torch.autograd.grad(term.sum(student, batch, states, scores._replace(nll=nll)), nll)
    return -found


def test_tokens_that_the_student_did_not_choose_have_no_advantage(tiny_llama: Tiny) -> None:
    """A guide's turn is learned by likelihood, and by that alone; forced tokens are not even there."""
    student, teacher = tiny_llama(seed=1), LocalTeacher(tiny_llama(seed=2), "t")
    guided = {"e": frozenset({1})}
    for names, expected in ((["opd"], "ooxxoo"), (["guide"], "xxooxx"), (["opd", "guide"], "oooooo")):
        term = PolicyTerm(PolicyPlan(dict.fromkeys(names, ALWAYS)))
        rows, _ = term.remember(student, teacher, rows_with_turns(), CPU, guided=guided)
        term.begin(rows, 0)
        found = gradient_of(term, student, rows)
        assert len(found) == 6
        assert "".join("o" if value else "x" for value in found.tolist()) == expected
        if names == ["guide"]:
            assert found.tolist() == pytest.approx([0, 0, -0.5, -0.5, 0, 0])


def test_probabilities_and_entropy_are_those_of_the_temperature_of_sampling(tiny_llama: Tiny) -> None:
    heat = 0.4
    student, teacher = tiny_llama(16, seed=1).double(), tiny_llama(24, seed=2).double()
    [row, _] = rows_with_turns()
    term = PolicyTerm(PolicyPlan({"opd": ALWAYS, "k3_start": ALWAYS}, temperature=heat), start=student)
    [row], numbers = term.remember(student, LocalTeacher(teacher, "t"), [row], CPU)
    places = torch.tensor([2, 3, 5, 6])
    with torch.no_grad():
        q, p = ((m(torch.tensor([row.ids])).logits[0] / heat).log_softmax(-1) for m in (student, teacher))
    own, theirs = (m[places - 1, torch.tensor(row.ids)[places]] for m in (q, p))
    [known] = term.facts
    torch.testing.assert_close(known.log_q.double(), own.double(), rtol=0, atol=1e-4)
    assert known.log_p is not None
    torch.testing.assert_close(known.log_p.double(), theirs.double(), rtol=0, atol=1e-4)
    assert numbers["entropy"] == pytest.approx(-(q.exp() * q)[places - 1].sum(-1).mean().item(), abs=1e-4)
    assert numbers["kl_teacher"] == pytest.approx((own - theirs).mean().item(), abs=1e-4)
    assert numbers["kl_start"] == 0
    assert known.step.tolist() == [0, 0, 1, 1]


def test_what_was_sampled_is_remembered_without_dropout() -> None:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=1, n_head=2, n_embd=16, n_positions=32, vocab_size=30, resid_pdrop=0.5, embd_pdrop=0.5)
    student = GPT2LMHeadModel(config).train()
    term = PolicyTerm(PolicyPlan({"k3_start": ALWAYS}), start=student)
    term.remember(student, None, rows_with_turns()[:1], CPU)
    first = term.facts[0].log_q
    assert student.training
    term.remember(student.eval(), None, rows_with_turns()[:1], CPU)
    assert torch.equal(term.facts[0].log_q, first)
    assert not student.training


def test_a_second_update_on_the_same_rows_is_clipped_and_says_so(tiny_llama: Tiny) -> None:
    student, teacher = tiny_llama(seed=1), LocalTeacher(tiny_llama(seed=2), "t")
    term = PolicyTerm(PolicyPlan({"opd": ALWAYS}, clip=0.01, averaging="token_mean"))
    rows, _ = term.remember(student, teacher, rows_with_turns(), CPU)
    term.begin(rows, 0)
    first = gradient_of(term, student, rows)
    advantage = torch.cat(term.advantages["opd"])
    torch.testing.assert_close(first, -advantage / 6, rtol=1e-4, atol=1e-6)
    assert term.numbers() == {"clipped": 0.0}
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    term.begin(rows, 1)
    second = gradient_of(term, student, rows)
    assert term.numbers()["clipped"] == pytest.approx(float((second == 0).float().mean()))
    assert 0 < term.numbers()["clipped"] < 1


def test_weights_of_signals_follow_their_schedules(tiny_llama: Tiny) -> None:
    student, teacher = tiny_llama(seed=1), LocalTeacher(tiny_llama(seed=2), "t")
    plan = PolicyPlan({"opd": Schedule(1.0, 0.5), "gate": Schedule(0.0, 1.0)}, steps=4)
    mixed = PolicyTerm(plan)
    rows, _ = mixed.remember(student, teacher, rows_with_turns(), CPU)
    parts = []
    for name in ("opd", "gate"):
        alone = PolicyTerm(PolicyPlan({name: ALWAYS}))
        alone.remember(student, teacher, rows_with_turns(), CPU)
        alone.begin(rows, 0)
        parts.append(gradient_of(alone, student, rows))
    mixed.begin(rows, 2)
    torch.testing.assert_close(gradient_of(mixed, student, rows), 0.75 * parts[0] + 0.5 * parts[1])


def test_how_rows_fall_into_micro_batches_does_not_change_an_update(tiny_llama: Tiny) -> None:
    """The weights of the means are those of the whole update, whatever part of it a batch or a process holds."""

    def gradients(size: int, averaging: Any) -> torch.Tensor:
        student, teacher = tiny_llama(16, seed=1).double(), LocalTeacher(tiny_llama(24, seed=2).double(), "t")
        plan = PolicyPlan({"opd": ALWAYS, "gate": ALWAYS}, averaging=averaging)
        term = PolicyTerm(plan)
        rows, _ = term.remember(student, teacher, [*rows_with_turns(), Row((1, 2, 3, 4, 4), "NRRRA", ())], CPU)
        objective = Objective(likelihood=0.0, divergence=0.0, reduction="token_mean")
        settings = Optimisation(steps=1, learning_rate=0.0, clip=0)
        learner = Learner(student, objective, settings, micro_batch=size, extras=[term])
        term.begin(rows, 0)
        learner.update(rows, 0)
        return torch.cat([p.grad.flatten() for p in learner.parameters if p.grad is not None])

    for averaging in ("turn_mean", "episode_mean", "token_mean", "type_mean"):
        whole = gradients(8, averaging)
        assert whole.abs().sum() > 0
        torch.testing.assert_close(gradients(2, averaging), whole, rtol=0, atol=1e-8)

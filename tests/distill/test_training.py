"""Updates: they learn, they do not depend on how a batch is cut, and a resumed run equals an undisturbed one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.projection import Projection
from sad_distill.config import Optimisation
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.batch import Batch
from sad_distill.data.curriculum import Curriculum, CurriculumOrder, Difficulty, EpochOrder, complexities, horizon
from sad_distill.data.rows import Row, rows_from
from sad_distill.losses.objective import Objective
from sad_distill.losses.scoring import Scores
from sad_distill.teachers.difficulty import difficulties_of
from sad_distill.teachers.local import LocalTeacher
from sad_distill.training.learner import Learner
from sad_distill.training.state import learner_tensors, load_learner, load_state, save_state
from transformers import PreTrainedTokenizerFast

from sad_env.errors import CheckpointError, ConfigError
from sad_env.records import Trajectory

Tiny = Callable[..., torch.nn.Module]
PACINGS: tuple[Literal["sample", "sort"], ...] = ("sample", "sort")


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:16], toy_tokenizer, Windowing(200, 40))


def test_training_on_text_and_on_a_teacher_lowers_the_loss(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    plan = Optimisation(steps=30, learning_rate=1e-2)
    teacher = Learner(tiny_llama(24), Objective(likelihood=1, divergence=0), plan)
    losses = [teacher.update(rows, step)["loss"] for step in range(30)]
    assert losses[-1] < 0.5 * losses[0]
    student = Learner(
        tiny_llama(16, seed=3),
        Objective(),
        plan,
        teacher=LocalTeacher(teacher.student, "teacher"),
        supports=ActionSupport(toy_tokenizer),
    )
    numbers = [student.update(rows, step) for step in range(30)]
    assert numbers[-1]["loss"] < 0.5 * numbers[0]["loss"]
    assert {"reason_divergence", "act_divergence", "reason_agree", "tokens", "gradient_norm"} <= set(numbers[0])


@pytest.mark.parametrize("reduction", ["type_mean", "span_mean"])
def test_micro_batches_do_not_change_an_update(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, reduction: str
) -> None:
    results = []
    for micro_batch in (1, 8):
        learner = Learner(
            tiny_llama(seed=1).double(),
            Objective(reduction=reduction, act_weight=0.5),
            Optimisation(steps=3, learning_rate=1e-3),
            teacher=LocalTeacher(tiny_llama(seed=2).double(), "teacher"),
            supports=ActionSupport(toy_tokenizer),
            micro_batch=micro_batch,
        )
        learner.update(rows[:8], 0)
        results.append([p.detach().clone() for p in learner.parameters])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_a_processor_takes_few_long_rows_at_a_time_but_all_that_are_compared(rows: list[Row], tiny_llama: Tiny) -> None:
    class Compared:
        weight = 1.0

        def count(self, batch: Batch) -> int:
            return 1

        def sum(self, student: torch.nn.Module, batch: Batch, states: torch.Tensor, scores: Scores) -> torch.Tensor:
            return states.sum() * 0

    long = [Row(row.ids * 3, row.labels * 3, ()) for row in rows[:8]]
    for extras in ([], [Compared()]):
        learner = Learner(
            tiny_llama(), Objective(likelihood=1, divergence=0), Optimisation(steps=1), micro_batch=8, extras=extras
        )
        batches = learner.collate(long, "RA")
        assert [row for batch in batches for row in batch.rows] == sorted(long, key=lambda row: len(row.ids))
        sizes = [batch.ids_BT.shape for batch in batches]
        assert all(rows * width <= 1024 or rows == 1 for rows, width in sizes) == (not extras)


def test_a_resumed_run_equals_an_undisturbed_one_to_the_bit(rows: list[Row], tiny_llama: Tiny, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    order = EpochOrder(len(rows), 4, seed=5)

    def learner() -> Learner:
        return Learner(
            tiny_llama(seed=1),
            Objective(likelihood=0.5, learned_weights=True),
            Optimisation(steps=8, learning_rate=1e-2),
            teacher=LocalTeacher(tiny_llama(seed=2), "teacher"),
        )

    def run(one: Learner, first: int, last: int) -> None:
        for step in range(first, last):
            one.update([rows[index] for index in order(step)], step)

    whole, begun, resumed = learner(), learner(), learner()
    run(whole, 0, 8)
    run(begun, 0, 5)
    save_state(tmp_path / "state", learner_tensors(begun.modules, begun.optimisers), {"step": 5})
    tensors, record = load_state(tmp_path / "state")
    load_learner(resumed.modules, resumed.optimisers, tensors)
    run(resumed, record["step"], 8)
    for one, other in zip(whole.parameters, resumed.parameters, strict=True):
        assert torch.equal(one, other)


def test_a_foreign_or_torn_state_is_refused(tiny_llama: Tiny, tmp_path: Path) -> None:
    learner = Learner(tiny_llama(), Objective(likelihood=1, divergence=0), Optimisation(steps=1))
    save_state(tmp_path / "state", learner_tensors(learner.modules, learner.optimisers), {"step": 0})
    other = Learner(tiny_llama(24), Objective(likelihood=1, divergence=0), Optimisation(steps=1))
    with pytest.raises(CheckpointError, match="another model"):
        load_learner(other.modules, other.optimisers, load_state(tmp_path / "state")[0])
    (tmp_path / "torn").write_bytes((tmp_path / "state").read_bytes()[:500])
    with pytest.raises(CheckpointError, match="no training state"):
        load_state(tmp_path / "torn")


def test_the_learning_rate_rises_and_falls_as_stated() -> None:
    plan = Optimisation(steps=100, learning_rate=1.0, warmup=0.1)
    assert plan.rate(0) == pytest.approx(0.1)
    assert plan.rate(9) == pytest.approx(1.0)
    assert plan.rate(10) == pytest.approx(1.0)
    assert plan.rate(55) == pytest.approx(0.5)
    assert plan.rate(100) == pytest.approx(0.0)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_embeddings_have_a_rate_of_their_own(rows: list[Row], tiny_llama: Tiny, optimiser: str) -> None:
    # The first step of AdamW moves every weight that has a gradient by the learning rate, whatever the gradient is.
    model = tiny_llama().double()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    plan = Optimisation(
        steps=10, learning_rate=1e-3, warmup=0.2, weight_decay=0, embedding_factor=10, optimiser=optimiser
    )
    Learner(model, Objective(likelihood=1, divergence=0), plan).update(rows, 0)
    moved = {
        name: float((parameter.detach() - before[name]).abs().max()) for name, parameter in model.named_parameters()
    }
    for name, most in moved.items():
        if "embed" in name or "lm_head" in name:
            assert most == pytest.approx(5e-3, rel=1e-3), name
        elif optimiser == "adamw" or "norm" in name:
            assert most == pytest.approx(5e-4, rel=1e-3), name


def test_learned_weights_move_at_a_rate_of_their_own_and_are_shown(rows: list[Row], tiny_llama: Tiny) -> None:
    """At the rate of a student that knows language they stood still: 0.999 and 1.001 after 100 updates."""
    learner = Learner(
        tiny_llama(seed=1),
        Objective(learned_weights=True, act_weight=2.0),
        Optimisation(steps=100, learning_rate=2e-5),
        teacher=LocalTeacher(tiny_llama(seed=2), "teacher"),
    )
    shown = [learner.update(rows[:2], step) for step in range(40)]
    assert (shown[0]["reason_weight"], shown[0]["act_weight"]) == pytest.approx((1.0, 2.0))
    for kind in ("reason", "act"):
        # The best weight is one over the loss.
        best = 1 / shown[-1][f"{kind}_divergence"]
        began, ended = (abs(math.log(numbers[f"{kind}_weight"] / best)) for numbers in (shown[0], shown[-1]))
        assert ended < began - 0.15


def test_projection_projects_gradients_with_the_weights_that_were_learned(rows: list[Row], tiny_llama: Tiny) -> None:
    text = Objective(likelihood=1.0, divergence=0.0)
    # Gradients conflict once both kinds are half learned.
    taught = Learner(tiny_llama(seed=4), text, Optimisation(steps=30, learning_rate=1e-2))
    for step in range(27):
        taught.update(rows[:4], step)
    found = []
    for objective in (
        replace(text, learned_weights=True, project=True),
        replace(text, reason_weight=20.0, project=True),
    ):
        student = copy.deepcopy(taught.student).double()
        learner = Learner(student, objective, Optimisation(steps=1, learning_rate=0.0, clip=0))
        if objective.learned_weights:
            learner.modules["weights"].load_state_dict({"log_variance": torch.tensor([-math.log(20.0), 0.0])})
        assert learner.update(rows[:4], 0)["cosine"] < -0.1
        found.append(torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_gradients_are_those_of_the_objective_that_is_asked_for(rows: list[Row], tiny_llama: Tiny) -> None:
    def gradient(own: Objective, wanted: Objective) -> torch.Tensor:
        teacher = LocalTeacher(tiny_llama(seed=2), "teacher")
        learner = Learner(tiny_llama(), own, Optimisation(steps=1), teacher=teacher)
        learner.add_gradients(rows, wanted)
        return torch.cat([p.grad.flatten() for p in learner.parameters if p.grad is not None])

    plain, seeing = Objective(), Objective(observation_weight=5.0)
    assert torch.equal(gradient(plain, seeing), gradient(seeing, seeing))
    assert not torch.allclose(gradient(plain, plain), gradient(plain, seeing))


def test_bf16_keeps_full_weights(rows: list[Row], tiny_llama: Tiny) -> None:
    learner = Learner(
        tiny_llama(), Objective(likelihood=1, divergence=0), Optimisation(steps=5, learning_rate=1e-2), precision="bf16"
    )
    losses = [learner.update(rows, step)["loss"] for step in range(5)]
    assert losses[-1] < losses[0]
    assert all(p.dtype == torch.float32 for p in learner.parameters)


def test_projection_removes_conflict_and_leaves_agreement() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    for act, expected, cosine in (([-1.0, 1.0], [0.5, 1.5], -(0.5**0.5)), ([1.0, 1.0], [2.0, 1.0], 0.5**0.5)):
        projection = Projection([weight])
        weight.grad = None
        projection.backward(weight[0], (weight * torch.tensor(act)).sum(), torch.zeros(()))
        assert projection.combine() == pytest.approx(cosine)
        # (1,0) and (-1,1): each loses its part along the other and (0.5,0.5) + (0,1) is left.
        assert weight.grad is not None
        assert weight.grad.tolist() == pytest.approx(expected)


def test_projection_without_conflict_is_the_plain_update(rows: list[Row], tiny_llama: Tiny) -> None:
    learners = []
    for project in (False, True):
        learner = Learner(
            tiny_llama(seed=1).double(),
            Objective(project=project, reason_weight=1.0, act_weight=0.0),
            Optimisation(steps=2, learning_rate=1e-3),
            teacher=LocalTeacher(tiny_llama(seed=2).double(), "teacher"),
        )
        numbers = learner.update(rows[:4], 0)
        learners.append(learner)
    assert numbers["cosine"] == 0
    for one, other in zip(learners[0].parameters, learners[1].parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_divergence_without_a_teacher_is_refused(tiny_llama: Tiny) -> None:
    with pytest.raises(ConfigError, match="give --teacher"):
        Learner(tiny_llama(), Objective(), Optimisation(steps=1))


# --- order ---------------------------------------------------------------------------------------------------


def test_each_epoch_holds_every_row_once_and_any_step_can_be_asked_first() -> None:
    order = EpochOrder(10, 4, seed=1)
    drawn = [index for step in range(5) for index in order(step)]
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert drawn[:10] != drawn[10:]
    assert EpochOrder(10, 4, seed=1)(3) == drawn[12:16]


def test_complexity_is_the_weighted_sum_of_scores() -> None:
    pool = {"a": Difficulty(10, 1, 0.1), "b": Difficulty(20, 3, 0.1), "c": Difficulty(30, 2, 0.1)}
    found = complexities(pool, 1, 1, 1)
    z = 1.5**0.5
    assert found == pytest.approx({"a": -2 * z, "b": z, "c": z})


def test_easy_episodes_come_first_and_all_come_in_the_end() -> None:
    rows = [Row((1,), "R", (), episode=f"t{number}") for number in range(100)]
    complexity = {row.episode: float(number) / 10 for number, row in enumerate(rows)}
    for pacing in PACINGS:
        order = CurriculumOrder(rows, Curriculum(complexity, pacing, steps=50, seed=1), 64)
        early, late = order(0), order(49)
        assert sum(early) / 64 < 20
        assert 35 < sum(late) / 64 < 65
        assert order(7) == order(7)
    assert [horizon(n, 2, 3, 5) for n in (0, 2, 3, 6, 9, 99)] == [2, 2, 3, 4, 5, 5]
    assert horizon(0, 0, 1, 50) == 50


@pytest.mark.parametrize("pacing", ["sample", "sort"])
def test_an_episode_of_many_rows_comes_as_often_as_one_of_a_single_row(pacing: Literal["sample", "sort"]) -> None:
    rows = [Row((1,), "R", (), episode="short"), *(Row((1,), "R", (), episode="long") for _ in range(9))]
    order = CurriculumOrder(rows, Curriculum({"short": 0.0, "long": 0.0}, pacing, steps=2, seed=0), 2000)
    drawn = order(2)
    assert drawn.count(0) / 2000 == pytest.approx(0.5, abs=0.05)
    assert set(drawn) == set(range(10))


def test_a_task_that_was_recorded_often_is_as_hard_as_once(
    play_toy: Callable[..., Trajectory], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    """Recordings of one task used to add up to one long episode, so that the easiest task was the hardest."""
    one, other = play_toy("train-0000"), play_toy("train-0001")
    again = [one.model_copy(update={"repeat": repeat}) for repeat in range(1, 4)]
    names = [one.model_copy(update=update) for update in ({"seed": 1}, {"agent": "teacher"})]
    rows = rows_from([one, *again, *names, other], toy_tokenizer, Windowing(120, 40))
    found = difficulties_of(rows, None, torch.device("cpu"))
    assert len(found) == 7
    alone = difficulties_of(rows_from([one], toy_tokenizer, Windowing(120, 40)), None, torch.device("cpu"))
    assert list(found.values())[:6] == [*alone.values()] * 6

"""Each formula of the paper against a reference in plain Python floats, written from the paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.alignment import AlignmentMeasure, Tokens
from sad_distill.auxiliary.alignment_term import align
from sad_distill.auxiliary.observation_head import ObservationHead
from sad_distill.auxiliary.start import StartTerm
from sad_distill.config import Measure, TrainConfig
from sad_distill.data.batch import ACT, OBS, REASON, Batch, collate
from sad_distill.data.curriculum import Curriculum, CurriculumOrder, Difficulty, complexities
from sad_distill.data.rows import Row, rows_from
from sad_distill.losses.objective import Objective, Totals, combine, counts_of, sums_of
from sad_distill.losses.scoring import score_positions
from sad_distill.losses.targets import DenseTarget
from sad_distill.models.heads import head_logits
from sad_distill.teachers.difficulty import difficulties_of
from sad_distill.teachers.local import LocalTeacher
from sad_distill.training.gradient_metrics import GradientMetrics
from sad_distill.training.methods import objective_of
from transformers import PreTrainedTokenizerFast

from sad_env.records import Trajectory
from sad_env.settings import replaced

Tiny = Callable[..., Any]


@pytest.fixture(scope="module")
def batch(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> Batch:
    return collate(rows_from(toy_episodes[:3], toy_tokenizer, Windowing(200, 40)))


def log_softmax(logits: Sequence[float]) -> list[float]:
    total = math.log(math.fsum(math.exp(z) for z in logits))
    return [z - total for z in logits]


class Case:
    """A student and a teacher on a batch, in double precision, and their logits as lists."""

    def __init__(self, batch: Batch, tiny: Tiny) -> None:
        self.batch, self.student = batch, tiny(16, seed=1).double()
        self.hidden = batch.states(self.student)
        logits = head_logits(self.student, self.hidden[batch.row_N, batch.from_N])
        draw = torch.Generator().manual_seed(5)
        self.teacher = torch.randn(logits.shape, dtype=torch.float64, generator=draw)
        self.log_q = [log_softmax(row) for row in logits.tolist()]
        self.log_p = [log_softmax(row) for row in self.teacher.tolist()]
        self.tokens = batch.target_N.tolist()
        self.kinds = batch.kind_N.tolist()

    def loss(self, objective: Objective) -> float:
        target = DenseTarget(self.teacher) if objective.divergence else None
        scores = score_positions(self.student, self.hidden, self.batch, target, objective.measure)
        values = objective.values(scores, self.batch)
        outside = objective.measure.outside
        sums = sums_of(values, self.batch, objective.reduction, outside)
        counts = counts_of(self.batch, objective.reduction, outside)
        return combine(Totals(sums, counts), objective.weights).item()

    def kl(self, kind: int) -> float:
        """Σ_t m(t) KL(p_T ‖ p_S)."""
        return math.fsum(
            math.fsum(math.exp(p) * (p - q) for p, q in zip(self.log_p[at], self.log_q[at], strict=True))
            for at, other in enumerate(self.kinds)
            if other == kind
        )

    def cross_entropy(self, kind: int) -> float:
        """Σ_t m(t) CE(x_t, x̂_t)."""
        found = [-self.log_q[at][self.tokens[at]] for at, other in enumerate(self.kinds) if other == kind]
        return math.fsum(found)


@pytest.fixture
def case(batch: Batch, tiny_llama: Tiny) -> Case:
    return Case(batch, tiny_llama)


def test_equations_4_to_6_and_18_and_27(case: Case) -> None:
    weights = {"reason_weight": 0.7, "act_weight": 1.3}
    found = case.loss(Objective(reduction="paper_sum", **weights))
    assert found == pytest.approx((0.7 * case.kl(REASON) + 1.3 * case.kl(ACT)) / 3, rel=1e-9)


def test_equation_7_is_one_average_over_all_tokens_of_the_agent(case: Case) -> None:
    config = replaced(TrainConfig(out="x"), method="token_flat", reason_weight=3.0)
    agent = sum(kind in (REASON, ACT) for kind in case.kinds)
    assert case.loss(objective_of(config)) == pytest.approx((case.kl(REASON) + case.kl(ACT)) / agent, rel=1e-9)


def test_word_level_kd_is_cross_entropy_and_divergence_in_halves(case: Case) -> None:
    """Appendix J's optional KL between the distributions of student and teacher, beside the recorded tokens."""
    config = replaced(TrainConfig(out="x"), method="word_kd", mode="offline")
    agent = sum(kind in (REASON, ACT) for kind in case.kinds)
    both = [case.kl(kind) + case.cross_entropy(kind) for kind in (REASON, ACT)]
    assert case.loss(objective_of(config)) == pytest.approx(0.5 * sum(both) / agent, rel=1e-9)


def test_equation_19(case: Case) -> None:
    by_likelihood: dict[str, Any] = {"reason_loss": "likelihood", "act_loss": "likelihood"}
    found = case.loss(
        Objective(
            reduction="paper_sum", reason_weight=0.5, act_weight=2.0, likelihood=1.0, divergence=0.0, **by_likelihood
        )
    )
    assert found == pytest.approx((0.5 * case.cross_entropy(REASON) + 2 * case.cross_entropy(ACT)) / 3, rel=1e-9)


def test_divergence_on_reasoning_with_cross_entropy_on_actions(case: Case) -> None:
    """The two terms of the overview's L_AD; its α and β are λ_r and λ_a."""
    found = case.loss(Objective(reduction="paper_sum", reason_weight=0.5, act_weight=2.0, act_loss="likelihood"))
    assert found == pytest.approx((0.5 * case.kl(REASON) + 2 * case.cross_entropy(ACT)) / 3, rel=1e-9)
    other = case.loss(Objective(reduction="paper_sum", reason_weight=0.5, act_weight=2.0, reason_loss="likelihood"))
    assert other == pytest.approx((0.5 * case.cross_entropy(REASON) + 2 * case.kl(ACT)) / 3, rel=1e-9)


def test_equation_8_renormalises_on_the_actions_set(case: Case) -> None:
    sets = torch.full((len(case.kinds), 3), -1)
    acts = [at for at, kind in enumerate(case.kinds) if kind == ACT]
    chosen = {at: [(7 * at) % 50, 60 + at % 50, 120 + at % 30] for at in acts}
    for at, ids in chosen.items():
        sets[at] = torch.tensor(ids)
    limited = Case.__new__(Case)
    limited.__dict__ = {**vars(case), "batch": replace(case.batch, support_NK=sets)}
    found = limited.loss(Objective(reduction="paper_sum", measure=Measure(outside="ignore")))

    def restricted(at: int) -> float:
        p = log_softmax([case.log_p[at][token] for token in chosen[at]])
        q = log_softmax([case.log_q[at][token] for token in chosen[at]])
        return math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True))

    expected = (case.kl(REASON) + math.fsum(restricted(at) for at in acts)) / 3
    assert found == pytest.approx(expected, rel=1e-9)


def test_equation_13_as_printed() -> None:
    pool = {"a": Difficulty(10, 4, 0.5), "b": Difficulty(3, 9, 2.0)}
    found = complexities(pool, 1.0, 0.5, 2.0, "raw")
    assert found == pytest.approx({"a": 10 + 0.5 * 4 + 2 * 0.5, "b": 3 + 0.5 * 9 + 2 * 2.0}, rel=1e-12)


def test_the_curriculums_term_decides_what_is_drawn_and_has_no_gradient() -> None:
    """App. N.2: γ H_curric is not among what is differentiated."""
    pool = {"short, unsure": Difficulty(2, 2, 3.0), "long, sure": Difficulty(5, 3, 0.1)}
    losses, orders = [], []
    for gamma in (0.0, 5.0):
        config = replaced(TrainConfig(out="x"), curriculum="walk", curriculum_entropy=gamma, curriculum_scale="raw")
        losses.append(objective_of(config))
        found = complexities(pool, 1.0, 1.0, gamma, "raw")
        orders.append(sorted(found, key=found.__getitem__))
    assert losses[0] == losses[1]
    assert orders[0] == orders[1][::-1]


def test_the_span_entropy_of_appendix_n(batch: Batch, tiny_llama: Tiny) -> None:
    """H_span: the mean entropy of the teacher over the tokens of reasoning and actions, whatever the loss takes out."""
    teacher = tiny_llama(16, seed=1)
    rows = [replace(row, labels=row.labels.replace("A", "N"), unmasked=row.labels) for row in batch.rows]
    found = difficulties_of(rows, LocalTeacher(teacher, "teacher"), torch.device("cpu"), size=2)
    nats: dict[str, list[float]] = {}
    for row in batch.rows:
        logits = teacher(input_ids=torch.tensor([row.ids])).logits[0].double()
        for at in range(1, len(row.ids)):
            if row.labels[at] in "RA":
                log_p = log_softmax(logits[at - 1].tolist())
                nats.setdefault(row.episode, []).append(-math.fsum(math.exp(one) * one for one in log_p))
    assert found.keys() == nats.keys()
    for name, values in nats.items():
        assert found[name].entropy == pytest.approx(math.fsum(values) / len(values), rel=1e-5)


def test_sorting_walks_from_the_easiest_to_the_hardest_in_every_epoch() -> None:
    """§3.8: trajectories are sorted by C."""
    rows = [Row((1,), "R", (), episode=name) for name in ("hard", "easy", "hard", "middle")]
    order = CurriculumOrder(rows, Curriculum({"hard": 9.0, "easy": 1.0, "middle": 5.0}, "walk", steps=4, seed=0), 3)
    assert [index for step in range(3) for index in order(step)] == [1, 3, 0, 2, 1, 3, 0, 2, 1]


def test_masks_are_disjoint_and_whole(batch: Batch) -> None:
    """Eq. 11 and 12: a token has one kind, and observations are in no loss by default."""
    assert set(batch.kind_N.tolist()) == {REASON, ACT}
    everything = collate(batch.rows, kinds="RAO")
    places = list(zip(everything.row_N.tolist(), everything.at_N.tolist(), strict=True))
    assert len(places) == len(set(places))
    assert OBS in everything.kind_N.tolist()
    labelled = {(n, at) for n, row in enumerate(batch.rows) for at in range(1, len(row.ids)) if row.labels[at] != "N"}
    assert set(places) == labelled


# --- alignment (appendix H) ----------------------------------------------------------------------------------------


def text(seed: int, kinds: str, spans: tuple[int, ...]) -> Tokens:
    logits = torch.randn(len(kinds), 9, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return Tokens(logits.log_softmax(-1), kinds, (0,) * len(kinds), spans)


def kl_of(one: torch.Tensor, other: torch.Tensor) -> float:
    return math.fsum(math.exp(p) * (p - q) for p, q in zip(one.tolist(), other.tolist(), strict=True))


def test_equation_20() -> None:
    teacher, student = text(0, "RRRAA", (0, 0, 0, 1, 1)), text(1, "RRARRA", (0, 0, 1, 2, 2, 3))
    weights = {"R": 0.5, "A": 2.0}
    expected = math.fsum(
        weights[kind]
        * min(
            kl_of(teacher.log_p[i], student.log_p[j]) + 0.1 * abs(i - j)
            for j, other in enumerate(student.kinds)
            if other == kind
        )
        for i, kind in enumerate(teacher.kinds)
    )
    found = align("sum", teacher, student, AlignmentMeasure(reason=0.5, act=2.0))
    assert found.loss.item() == pytest.approx(expected, rel=1e-9)
    assert (found.matched, found.skipped) == (5, 0)


def test_algorithm_2() -> None:
    teacher, student = text(2, "RRRAARRA", (0, 0, 0, 1, 1, 2, 2, 3)), text(3, "RRAAAR", (0, 0, 1, 1, 1, 2))
    spans = {"R": [[0, 1, 2], [5, 6]], "A": [[3, 4], [7]]}
    loss = {"R": 0.0, "A": 0.0}
    for kind, mine in (("R", [0, 1]), ("A", [2, 3, 4]), ("R", [5])):
        found = []
        for theirs in spans[kind]:
            pairs = list(zip(theirs, mine, strict=False))
            found.append(math.fsum(kl_of(teacher.log_p[i], student.log_p[j]) for i, j in pairs) / len(pairs))
        loss[kind] += min(found)
    how = AlignmentMeasure(reason=0.5, act=2.0)
    expected = 0.5 * loss["R"] + 2 * loss["A"]
    assert align("spans_sum", teacher, student, how).loss.item() == pytest.approx(expected, rel=1e-9)
    assert align("spans", teacher, student, how).loss.item() == pytest.approx(expected / 3, rel=1e-9)


# --- optional terms ------------------------------------------------------------------------------------------------


def test_the_start_holds_a_student_back(case: Case, tiny_llama: Tiny) -> None:
    """Σ KL(p_S ‖ p_start) over the agent's tokens; 0 at the start itself."""
    start = tiny_llama(16, seed=9).double()
    nothing = score_positions(case.student, case.hidden, case.batch, None, Measure())
    found = StartTerm(start, 1.0).sum(case.student, case.batch, case.hidden, nothing)
    states = case.batch.states(start)
    before = head_logits(start, states[case.batch.row_N, case.batch.from_N]).tolist()
    expected = math.fsum(
        math.fsum(math.exp(q) * (q - p) for q, p in zip(case.log_q[at], log_softmax(row), strict=True))
        for at, row in enumerate(before)
    )
    assert found.item() == pytest.approx(expected, rel=1e-9)
    own = StartTerm(case.student, 1.0).sum(case.student, case.batch, case.hidden, nothing)
    assert abs(own.item()) < 1e-9


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_with_adapters_the_start_is_the_model_without_them(case: Case, tiny_llama: Tiny) -> None:
    peft = pytest.importorskip("peft")
    plain = tiny_llama(16, seed=9)
    config = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    torch.manual_seed(0)
    adapted = peft.get_peft_model(tiny_llama(16, seed=9), config).eval()
    states = case.batch.states(adapted)
    nothing = score_positions(adapted, states, case.batch, None, Measure())
    found = StartTerm(adapted, 1.0).sum(adapted, case.batch, states, nothing)
    expected = StartTerm(plain, 1.0).sum(adapted, case.batch, states, nothing)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    assert found.item() > 0.1


def test_the_observation_head_is_cross_entropy_over_observations(case: Case) -> None:
    torch.manual_seed(0)
    head = ObservationHead(16, 400, 1.0).double()
    nothing = score_positions(case.student, case.hidden, case.batch, None, Measure())
    found = head.sum(case.student, case.batch, case.hidden, nothing)
    logits = head.head(case.hidden)
    places = [
        (number, at)
        for number, row in enumerate(case.batch.rows)
        for at in range(1, len(row.ids))
        if row.labels[at] == "O"
    ]
    assert head.count(case.batch) == len(places) > 20
    expected = -math.fsum(
        log_softmax(logits[number, at - 1].tolist())[case.batch.rows[number].ids[at]] for number, at in places
    )
    assert found.item() == pytest.approx(expected, rel=1e-9)


# --- gradients (§3.4, §3.6) ----------------------------------------------------------------------------------------


def test_the_cosine_and_the_variance_of_gradients_by_hand() -> None:
    first, other = torch.nn.Parameter(torch.tensor([1.0, 2.0])), torch.nn.Parameter(torch.tensor([3.0]))
    watch = GradientMetrics([first, other], 2)
    watch.begin(0)
    watch.compare((first * torch.tensor([1.0, 1.0])).sum() + other.sum(), (first * torch.tensor([1.0, -2.0])).sum())
    assert watch.end(0) == {"gradient_cosine": pytest.approx(-1 / math.sqrt(15))}
    first.grad, other.grad = torch.tensor([1.0, 0.0]), None
    watch.begin(1)
    watch.compare(first.sum(), first.sum())  # not this update's turn
    assert watch.end(1) == {}
    first.grad, other.grad = torch.tensor([0.0, 1.0]), torch.tensor([1.0])
    watch.begin(2)
    assert watch.end(2) == {"gradient_variance": pytest.approx(1.0)}
    assert GradientMetrics([first], 0).end(0) == {}

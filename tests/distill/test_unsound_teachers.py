"""A probability of zero is an answer like any other; what is no distribution is refused in one line."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.action_head import PointerTerm
from sad_distill.auxiliary.alignment import AlignmentMeasure, Tokens, costs
from sad_distill.auxiliary.alignment_term import ALIGNMENTS, align
from sad_distill.auxiliary.atomic import AtomicTerm
from sad_distill.auxiliary.minillm import policy_plan
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.batch import Batch, collate
from sad_distill.data.rows import Row, rows_from
from sad_distill.losses.divergence import ABSENT, divergence, entropy, partition
from sad_distill.losses.objective import Objective
from sad_distill.losses.scoring import Measure, score_positions
from sad_distill.losses.targets import DenseTarget, SparseTarget
from sad_distill.models.language import Language
from sad_distill.signals.policy import PolicyTerm
from sad_distill.teachers.cache import CachedTeacher
from sad_distill.teachers.difficulty import difficulties_of
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.openai import OpenAITeacher
from sad_distill.teachers.remote import RemoteTeacher
from sad_distill.teachers.server import TeacherServer
from sad_distill.teachers.wire import decode_response, encode_response, pack
from sad_distill.training.learner import Learner
from sad_distill.training.optimiser import Optimisation
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from sad_env.errors import CheckpointError, ConfigError, DataError, InfrastructureError
from sad_env.http import Patience
from sad_env.records import Trajectory

Tiny = Callable[..., Any]
KINDS = ("forward", "reverse", "js", "skew_forward", "skew_reverse")
QUICK = Patience(seconds=0, attempts=2, pause=0.01, connect=1, answer=2)
P = (0.0, 0.25, 0.75, 0.0)
Q = (0.1, 0.2, 0.3, 0.4)


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:4], toy_tokenizer, Windowing(200, 40))


@pytest.fixture
def batch(rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast) -> Batch:
    return collate(rows, supports=ActionSupport(toy_tokenizer))


def logs(values: tuple[float, ...], grad: bool = False) -> Tensor:
    return torch.tensor([values], dtype=torch.float64).log().requires_grad_(grad)


def kl(p: tuple[float, ...], q: tuple[float, ...]) -> float:
    """By the definition, with 0 log 0 = 0, and the logarithm of a zero that is counted."""
    return sum(a * (math.log(a) - (math.log(b) if b else ABSENT)) for a, b in zip(p, q, strict=True) if a)


def reference(kind: str, beta: float) -> float:
    def mixed(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(beta * one + (1 - beta) * other for one, other in zip(a, b, strict=True))

    return {
        "forward": lambda: kl(P, Q),
        "reverse": lambda: kl(Q, P),
        "js": lambda: beta * kl(P, mixed(P, Q)) + (1 - beta) * kl(Q, mixed(P, Q)),
        "skew_forward": lambda: kl(P, mixed(P, Q)),
        "skew_reverse": lambda: kl(Q, mixed(Q, P)),
    }[kind]()


@pytest.mark.parametrize("beta", [0.1, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_teachers_zero_gives_a_finite_divergence_and_gradient(kind: Any, beta: float) -> None:
    log_q = logs(Q, grad=True)
    value = divergence(logs(P), log_q, kind, beta)
    assert value.item() == pytest.approx(reference(kind, beta), rel=1e-12)
    value.sum().backward()
    assert log_q.grad is not None
    assert log_q.grad.isfinite().all()


def test_zeros_leave_entropy_and_token_sets_finite() -> None:
    log_p = logs(P)
    assert entropy(log_p).item() == pytest.approx(-sum(p * math.log(p) for p in P if p), rel=1e-12)
    bucket = partition(log_p, torch.tensor([[0, 1, -1]]))
    torch.testing.assert_close(bucket.exp(), torch.tensor([[0.0, 0.25, 0.0, 0.75]], dtype=torch.float64))
    inside = partition(log_p, torch.tensor([[0, 1, -1]]), "ignore")
    torch.testing.assert_close(inside.exp(), torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64))
    # A set without any mass says nothing: its tokens are alike, and what is no token has none.
    nothing = partition(log_p, torch.tensor([[0, 3, -1]]), "ignore")
    torch.testing.assert_close(nothing.exp(), torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64))
    told = SparseTarget.from_topk(torch.tensor([[2, 0, -1]]), torch.tensor([[math.log(0.75), -math.inf, 0.0]]))
    for outside in ("bucket", "ignore"):
        outcomes = told.outcomes(torch.tensor([0]), torch.tensor([[2, 0]]), 1.0, outside)
        assert outcomes.log_p.isfinite().all()
        assert outcomes.log_p.exp().sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outside", ["bucket", "ignore"])
def test_an_update_on_zeros_is_finite(
    batch: Batch, rows: list[Row], tiny_llama: Tiny, toy_tokenizer: PreTrainedTokenizerFast, kind: Any, outside: Any
) -> None:
    class Certain:
        """Knows the next token, and that no other comes."""

        name, setting = "certain", ""

        def score(self, batch: Batch) -> DenseTarget:
            logits = torch.full((len(batch.kind_N), len(toy_tokenizer)), -math.inf)
            return DenseTarget(logits.scatter(1, batch.target_N[:, None], 0.0))

    objective = Objective(measure=Measure(divergence=kind, outside=outside))
    supports = ActionSupport(toy_tokenizer)
    learner = Learner(tiny_llama(seed=2), objective, Optimisation(steps=2), teacher=Certain(), supports=supports)
    numbers = learner.update(rows, 0)
    assert math.isfinite(numbers["loss"])
    assert 0 < numbers["gradient_norm"] < math.inf
    assert numbers["skipped_updates"] == 0


def tokens(log_p: Tensor) -> Tokens:
    return Tokens(log_p, "RRAA", (0, 0, 0, 0), (0, 0, 1, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_zeros_leave_alignments_finite(name: str, kind: Any) -> None:
    logits = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = align(
        name, tokens(logs(P).expand(4, 4)), tokens(logits.log_softmax(-1)), AlignmentMeasure(Measure(divergence=kind))
    ).loss
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_the_chosen_divergence_of_all_pairs(kind: Any) -> None:
    how = AlignmentMeasure(Measure(divergence=kind, beta=0.3, kd_temperature=2.0))
    teacher, student = torch.cat([logs(P), logs(Q)]), torch.cat([logs(Q), logs((0.4, 0.3, 0.2, 0.1)), logs(Q)])
    found = costs(teacher, student, how=how)
    for i in range(2):
        for j in range(3):
            assert found[i, j].item() == pytest.approx(
                4 * divergence(teacher[i], student[j], kind, 0.3).item(), abs=1e-9
            )


class Forgetful(torch.nn.Module):
    """A head that gives some tokens no chance, or a NaN."""

    def __init__(self, head: torch.nn.Module, value: float, last: int) -> None:
        super().__init__()
        self.head, self.value, self.last = head, value, last
        self.weight = head.weight

    def forward(self, states: Tensor) -> Tensor:
        logits: Tensor = self.head(states).clone()
        logits[..., : self.last] = self.value
        return logits


def spoiled(model: Any, value: float, last: int = 200) -> Any:
    model.lm_head = Forgetful(model.lm_head, value, last)
    return model


@pytest.mark.parametrize("form", ["posterior", "local"])
def test_zeros_leave_whole_actions_finite(
    batch: Batch, rows: list[Row], tiny_llama: Tiny, toy_tokenizer: PreTrainedTokenizerFast, form: Any
) -> None:
    student = tiny_llama(seed=2)
    teacher = spoiled(tiny_llama(seed=1), -math.inf)
    states = batch.states(student)
    scores = score_positions(student, states, batch, None, Measure())
    for kind in KINDS:
        term = AtomicTerm(teacher, toy_tokenizer, form, Measure(divergence=kind))
        assert term.count(batch) > 0
        loss = term.sum(student, batch, states, scores)
        gradients = torch.autograd.grad(loss, list(student.parameters()), retain_graph=True, allow_unused=True)
        assert loss.isfinite()
        assert all(one.isfinite().all() for one in gradients if one is not None)
    pointer = PointerTerm(teacher, toy_tokenizer, 16)
    assert pointer.sum(student, batch, states, scores).isfinite()
    assert all(
        one.entropy < math.inf for one in difficulties_of(rows, LocalTeacher(teacher, "t"), states.device).values()
    )
    policy = PolicyTerm(policy_plan(mixing=0.2))
    policy.remember(student, LocalTeacher(teacher, "t"), rows, states.device)
    assert all(one.isfinite().all() for one in policy.advantages["minillm"])
    assert all(one.importance is not None and one.importance.isfinite().all() for one in policy.facts)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("top", [0, 8])
def test_a_local_teacher_without_numbers_is_refused_by_name(
    batch: Batch, rows: list[Row], tiny_llama: Tiny, toy_tokenizer: PreTrainedTokenizerFast, value: float, top: int
) -> None:
    teacher = LocalTeacher(spoiled(tiny_llama(seed=1), value, 1), "wrong-1", top)
    learner = Learner(tiny_llama(seed=2), Objective(), Optimisation(steps=2), teacher=teacher)
    with pytest.raises(CheckpointError, match="teacher 'wrong-1' answers with NaN or infinity") as caught:
        learner.update(rows, 0)
    assert "\n" not in str(caught.value)
    states = batch.states(learner.student)
    scores = score_positions(learner.student, states, batch, None, Measure())
    if math.isnan(value):
        with pytest.raises(CheckpointError, match="answers with NaN"):
            AtomicTerm(teacher.model, toy_tokenizer).sum(learner.student, batch, states, scores)
    with TeacherServer(Language(teacher.model, toy_tokenizer), "wrong-1", ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with pytest.raises(ConfigError, match=r"refuses the request.*'wrong-1' answers with NaN"):
            RemoteTeacher(server.url, patience=QUICK).score(batch)
        server.shutdown()
        thread.join()


def answer(**changes: Any) -> SparseTarget:
    parts = {
        "ids": torch.tensor([[1, 2], [3, -1]]),
        "log_p": torch.tensor([[-1.0, -math.inf], [-0.5, 9.0]]),
        "log_rest": torch.tensor([-0.5, -1.0]),
    }
    parts |= changes
    return SparseTarget(parts["ids"], parts["log_p"], parts["log_rest"])


UNSOUND = [
    ({"log_p": torch.tensor([[-1.0, math.nan], [-0.5, 0.0]])}, "NaN or infinity"),
    ({"log_p": torch.tensor([[-1.0, math.inf], [-0.5, 0.0]])}, "NaN or infinity"),
    ({"log_rest": torch.tensor([math.nan, -1.0])}, "NaN or infinity"),
    ({"log_p": torch.tensor([[0.5, -3.0], [-0.5, 0.0]])}, "log-probability of 0.5: at most 0"),
    ({"log_rest": torch.tensor([2.0, -1.0])}, "log-probability of 2: at most 0"),
    ({"log_p": torch.zeros(2, 2)}, "add up to 2.607"),
    ({"ids": torch.tensor([[1, 10], [3, -1]])}, "id 10 of a vocabulary of 10"),
    ({"ids": torch.tensor([[1, -2], [3, -1]])}, "ids below 0"),
    ({"ids": torch.tensor([[-1, 2], [3, -1]])}, "a position without a token"),
    ({"ids": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}, "not integers"),
    ({"log_p": torch.tensor([[-1, -2], [-1, -2]])}, "not floating-point"),
    ({"log_p": torch.zeros(2, 3)}, "another shape"),
    ({"log_rest": torch.zeros(3)}, "another shape"),
    ({"ids": torch.zeros(2, 0, dtype=torch.long), "log_p": torch.zeros(2, 0)}, "another shape"),
]


@pytest.mark.parametrize(("changes", "reason"), UNSOUND, ids=[str(number) for number in range(len(UNSOUND))])
def test_an_answer_that_is_no_distribution_is_refused(changes: dict[str, Tensor], reason: str) -> None:
    wrong = answer(**changes)
    sent = pack({"ids": wrong.ids_NK, "log_p": wrong.log_p_NK, "log_rest": wrong.log_rest_N})
    with pytest.raises(DataError, match=reason) as caught:
        decode_response(sent, 2, 10)
    assert "\n" not in str(caught.value)


def test_zeros_travel_and_padding_is_not_looked_at() -> None:
    found = decode_response(encode_response(answer()), 2, 10)
    assert found.log_p_NK.tolist() == [[-1.0, ABSENT], [-0.5, ABSENT]]
    with pytest.raises(DataError, match="the request's 3 positions"):
        decode_response(encode_response(answer()), 3, 10)


def test_a_cache_keeps_zeros_and_asks_again_where_a_file_is_damaged(
    batch: Batch, tiny_llama: Tiny, tmp_path: Path
) -> None:
    live = LocalTeacher(spoiled(tiny_llama(seed=1), -math.inf, 360), "t", top=16)
    cached = CachedTeacher(live, tmp_path)
    first, again = cached.score(batch), cached.score(batch)
    assert isinstance(first, SparseTarget)
    assert isinstance(again, SparseTarget)
    assert first.log_p_NK.isfinite().all()
    assert torch.equal(first.log_p_NK, again.log_p_NK)
    assert cached.misses == len(batch.rows)
    files = sorted(tmp_path.rglob("*.safetensors"))
    nan = SparseTarget(
        *(torch.full_like(part, math.nan) if part.is_floating_point() else part for part in vars(first).values())
    )
    for file, content in zip(files, (b"", file_of(first, 1), encode_response(nan)), strict=False):
        file.write_bytes(content)
    repaired = cached.score(batch)
    assert isinstance(repaired, SparseTarget)
    assert torch.equal(first.log_p_NK, repaired.log_p_NK)
    assert cached.misses == len(batch.rows) + 3
    wrong = CachedTeacher(LocalTeacher(spoiled(tiny_llama(seed=1), math.nan, 1), "wrong-1", top=16), tmp_path)
    with pytest.raises(CheckpointError, match="'wrong-1' answers with NaN"):
        wrong.score(batch)
    assert sorted(tmp_path.rglob("*.safetensors")) == files


def file_of(target: SparseTarget, count: int) -> bytes:
    return encode_response(SparseTarget(*(part[:count] for part in vars(target).values())))


class Completions(BaseHTTPRequestHandler):
    """Answers each position as `told` says, and lists its model as `listed` says."""

    told: ClassVar[str] = ""
    listed: ClassVar[str | None] = None

    def do_POST(self) -> None:
        count = len(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"])
        positions = ", ".join(["null", *[type(self).told] * (count - 1)])
        self.send(f'{{"choices": [{{"text": "", "prompt_logprobs": [{positions}]}}]}}')

    def do_GET(self) -> None:
        if self.listed is None:
            self.send_error(404)
        else:
            self.send(self.listed)

    def send(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def completions() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Completions) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_completions_server_may_say_minus_infinity(completions: str, batch: Batch) -> None:
    Completions.told = '{"5": {"logprob": -0.5}, "6": {"logprob": -Infinity}}'
    target = OpenAITeacher(completions, "m", top=2, patience=QUICK).score(batch)
    assert isinstance(target, SparseTarget)
    assert target.log_p_NK.isfinite().all()
    assert target.log_rest_N.isfinite().all()
    whole = target.log_p_NK.exp().sum(1) + target.log_rest_N.exp()
    torch.testing.assert_close(whole, torch.ones_like(whole))


@pytest.mark.parametrize(
    "told",
    [
        '{"5": {"logprob": NaN}}',
        '{"5": {"logprob": Infinity}}',
        '{"5": {"logprob": 0.5}}',
        '{"5": {"logprob": null}}',
        '{"5": {"logprob": true}}',
        '{"5": {"logprob": "-1"}}',
        '{"5": -1.0}',
        '{"-5": {"logprob": -1.0}}',
        '{"five": {"logprob": -1.0}}',
        '{"5": {"logprob": -0.1}, "6": {"logprob": -0.1}}',
        "[]",
        "{}",
        "null",
        "3",
    ],
)
def test_a_completions_server_that_gives_no_distribution_is_refused(completions: str, batch: Batch, told: str) -> None:
    Completions.told = told
    with pytest.raises(InfrastructureError, match=f"^{completions}/v1/completions did not answer in 2") as caught:
        OpenAITeacher(completions, "m", top=2, patience=QUICK).score(batch)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("listed", "context"),
    [
        ('{"data": [{"id": "other", "max_model_len": 9}, {"id": "m", "max_model_len": 128}]}', 128),
        ('{"data": [{"id": "m", "meta": {"n_ctx": 64}}]}', 64),
        ('{"data": [{"id": "m"}]}', 0),
        ('{"data": null}', 0),
        ("<html>", 0),
        (None, 0),
    ],
)
def test_a_completions_server_may_say_its_context(
    completions: str, monkeypatch: pytest.MonkeyPatch, listed: str | None, context: int
) -> None:
    monkeypatch.setattr(Completions, "listed", listed)
    assert OpenAITeacher(completions, "m", patience=QUICK).context() == context

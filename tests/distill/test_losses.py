"""The losses against references in plain Python, hand-computed cases, finite differences and their identities."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from sad_agents.windowing import Windowing
from sad_distill.config import Measure
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.batch import ACT, OBS, REASON, Batch, collate
from sad_distill.data.rows import Branch, Row, rows_from
from sad_distill.losses import scoring
from sad_distill.losses.divergence import ABSENT, divergence, entropy, log1mexp, partition
from sad_distill.losses.objective import LearnedWeights, Totals, combine, counts_of, sums_of, weights_of
from sad_distill.losses.scoring import score_positions
from sad_distill.losses.targets import DenseTarget, HiddenTarget, SparseTarget
from sad_distill.models.heads import check_head, head_logits
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError
from sad_env.records import Trajectory

Tiny = Callable[..., torch.nn.Module]

KINDS = ["forward", "reverse", "js", "skew_forward", "skew_reverse"]


def softmax(logits: list[float]) -> list[float]:
    total = sum(math.exp(z) for z in logits)
    return [math.exp(z) / total for z in logits]


def reference(p: list[float], q: list[float], kind: str, beta: float) -> float:
    def kl(a: list[float], b: list[float]) -> float:
        return sum(x * math.log(x / y) for x, y in zip(a, b, strict=True) if x > 0)

    def mix(a: list[float], b: list[float]) -> list[float]:
        return [beta * x + (1 - beta) * y for x, y in zip(a, b, strict=True)]

    if kind == "js":
        return beta * kl(p, mix(p, q)) + (1 - beta) * kl(q, mix(p, q))
    return {
        "forward": lambda: kl(p, q),
        "reverse": lambda: kl(q, p),
        "skew_forward": lambda: kl(p, mix(p, q)),
        "skew_reverse": lambda: kl(q, mix(q, p)),
    }[kind]()


def random_logits(seed: int, count: int = 7, vocabulary: int = 11) -> torch.Tensor:
    return 2 * torch.randn(count, vocabulary, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_each_divergence_equals_its_sum_in_plain_python(kind: str, beta: float) -> None:
    z_p, z_q = random_logits(0), random_logits(1)
    found = divergence(z_p.log_softmax(-1), z_q.log_softmax(-1), kind, beta)
    for row in range(len(z_p)):
        expected = reference(softmax(z_p[row].tolist()), softmax(z_q[row].tolist()), kind, beta)
        assert found[row].item() == pytest.approx(expected, abs=1e-12)
    assert (found > 0).all()
    assert divergence(z_p.log_softmax(-1), z_p.log_softmax(-1), kind, beta).abs().max() < 1e-12


def test_a_case_computed_by_hand() -> None:
    p, q = torch.tensor([[0.5, 0.25, 0.25]]).double(), torch.tensor([[0.25, 0.25, 0.5]]).double()
    # 0.5 ln 2 + 0 + 0.25 ln(1/2)
    assert divergence(p.log(), q.log())[0].item() == pytest.approx(0.25 * math.log(2), abs=1e-12)
    # on {0, 1}: p becomes 2/3, 1/3 and q becomes 1/2, 1/2
    ids = torch.tensor([[0, 1]])
    on_set = divergence(partition(p.log(), ids, "ignore"), partition(q.log(), ids, "ignore"))
    assert on_set[0].item() == pytest.approx(2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3), abs=1e-12)
    # with the rest as one outcome: 0.5 ln 2 + 0 + 0.25 ln(0.25 / 0.5)
    bucket = divergence(partition(p.log(), ids, "bucket"), partition(q.log(), ids, "bucket"))
    assert bucket[0].item() == pytest.approx(0.25 * math.log(2), abs=1e-12)
    assert entropy(p.log())[0].item() == pytest.approx(1.5 * math.log(2), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outside", ["full", "bucket", "ignore"])
def test_gradients_equal_finite_differences(kind: str, outside: str) -> None:
    p = random_logits(2, 4, 6).log_softmax(-1)
    ids = torch.tensor([[0, 3, -1], [5, -1, -1], [1, 2, 4], [2, 0, -1]])

    def loss(z_q: torch.Tensor) -> torch.Tensor:
        q = z_q.log_softmax(-1)
        if outside == "full":
            return divergence(p, q, kind, 0.3)
        return divergence(partition(p, ids, outside), partition(q, ids, outside), kind, 0.3)

    assert torch.autograd.gradcheck(loss, (random_logits(3, 4, 6).requires_grad_(),), eps=1e-6, atol=1e-7)


def test_the_divergence_on_the_vocabulary_falls_into_three_parts() -> None:
    p, q = random_logits(4).log_softmax(-1), random_logits(5).log_softmax(-1)
    inside = torch.tensor([[0, 2, 5, 7]] * 7)
    outside = torch.tensor([[1, 3, 4, 6, 8, 9, 10]] * 7)
    mass_p = p.gather(1, inside).logsumexp(-1)
    bucket = divergence(partition(p, inside, "bucket"), partition(q, inside, "bucket"))
    within = divergence(partition(p, inside, "ignore"), partition(q, inside, "ignore"))
    without = divergence(partition(p, outside, "ignore"), partition(q, outside, "ignore"))
    whole = divergence(p, q)
    torch.testing.assert_close(whole, bucket + (1 - mass_p.exp()) * without, rtol=0, atol=1e-12)
    mass_q = q.gather(1, inside).logsumexp(-1)
    bernoulli = divergence(torch.stack([mass_p, log1mexp(mass_p)], -1), torch.stack([mass_q, log1mexp(mass_q)], -1))
    torch.testing.assert_close(bucket, bernoulli + mass_p.exp() * within, rtol=0, atol=1e-12)


def test_renormalising_gives_no_gradient_outside_the_set_and_the_bucket_does() -> None:
    p, ids = random_logits(6).log_softmax(-1), torch.tensor([[1, 4]] * 7)
    gradients = {}
    for outside in ("ignore", "bucket"):
        z = random_logits(7).requires_grad_()
        divergence(partition(p, ids, outside), partition(z.log_softmax(-1), ids, outside)).sum().backward()
        gradients[outside] = z.grad
    others = [i for i in range(11) if i not in (1, 4)]
    assert gradients["ignore"][:, others].abs().max() < 1e-15
    assert (gradients["bucket"][:, others].abs().sum(-1) > 1e-3).all()


def test_the_rest_of_a_set_that_holds_nearly_everything_keeps_its_digits() -> None:
    logits = torch.zeros(1, 50)
    logits[0, 0] = 40.0
    rest = partition(logits.log_softmax(-1), torch.tensor([[0]]))[0, 1]
    assert rest.item() == pytest.approx(math.log(49) - 40, abs=1e-4)
    assert log1mexp(torch.tensor([-1e-3, -5.0]).double()).tolist() == pytest.approx(
        [math.log(-math.expm1(-1e-3)), math.log1p(-math.exp(-5))]
    )


def test_beta_at_its_ends_is_refused() -> None:
    p = random_logits(0).log_softmax(-1)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        divergence(p, p, "js", 0.0)
    with pytest.raises(ConfigError, match="known: forward"):
        divergence(p, p, "backward")


# --- on batches ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:8], toy_tokenizer, Windowing(200, 40))


def losses(model: torch.nn.Module, batch: Batch, target: object, measure: Measure, reduction: str) -> Totals:
    states = batch.states(model)
    scores = score_positions(model, states, batch, target, measure)
    return Totals(sums_of(scores.divergence, batch, reduction), counts_of(batch, reduction))


def hidden_target(teacher: torch.nn.Module, batch: Batch) -> HiddenTarget:
    with torch.no_grad():
        states = batch.states(teacher)
    return HiddenTarget(teacher, states[batch.row_N, batch.from_N])


def test_positions_labels_and_targets_of_a_batch_are_those_of_its_rows(rows: list[Row]) -> None:
    batch = collate(rows, kinds="RAO")
    entries = list(zip(batch.row_N.tolist(), batch.at_N.tolist(), batch.kind_N.tolist(), strict=True))
    assert entries == [
        (number, at, "RAO".index(label))
        for number, row in enumerate(rows)
        for at, label in enumerate(row.labels)
        if label != "N" and at
    ]
    assert batch.target_N.tolist() == [rows[number].ids[at] for number, at, _ in entries]


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_and_gathering_give_what_whole_logits_give(
    rows: list[Row],
    toy_tokenizer: PreTrainedTokenizerFast,
    kind: str,
    tiny_llama: Tiny,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(scoring._CHUNK, "cpu", 7)
    student, teacher = (tiny_llama(seed=seed).double() for seed in (0, 1))
    batch = collate(rows, supports=ActionSupport(toy_tokenizer, "trie"))
    measure = Measure(divergence=kind, kd_temperature=1.7)
    states = batch.states(student)
    found = score_positions(student, states, batch, hidden_target(teacher, batch), measure)
    q = (student(input_ids=batch.ids_BT, attention_mask=batch.mask_BT).logits / 1.7).log_softmax(-1)
    p = (teacher(input_ids=batch.ids_BT, attention_mask=batch.mask_BT).logits / 1.7).log_softmax(-1)
    for number, (row, at, support) in enumerate(zip(batch.row_N, batch.at_N, batch.support_NK.tolist(), strict=True)):
        probabilities = [x[row, at - 1].exp().tolist() for x in (p, q)]
        support = [token for token in support if token >= 0]
        if support:
            probabilities = [[x[i] for i in support] + [1 - sum(x[i] for i in support)] for x in probabilities]
        expected = reference(*probabilities, kind, 0.5) * 1.7**2
        assert found.divergence[number].item() == pytest.approx(expected, abs=1e-9)


def test_at_equal_weights_on_the_vocabulary_structured_is_flat(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    """Eq. 4-6 with λ = 1:1 are the flat token loss: loss and every gradient equal."""
    student, teacher = (tiny_llama(seed=seed).double() for seed in (0, 1))
    batch = collate(rows)
    target = hidden_target(teacher, batch)
    gradients = []
    structured = combine(losses(student, batch, target, Measure(), "paper_sum"), weights_of(1, 1, 0))
    gradients.append(torch.autograd.grad(structured, list(student.parameters())))
    q = student(input_ids=batch.ids_BT, attention_mask=batch.mask_BT).logits.log_softmax(-1)
    p = teacher(input_ids=batch.ids_BT, attention_mask=batch.mask_BT).logits.log_softmax(-1).detach()
    mask = torch.zeros_like(batch.mask_BT, dtype=torch.bool)
    mask[batch.row_N, batch.from_N] = True
    flat = (p.exp() * (p - q)).sum(-1)[mask].sum() / len(rows)
    gradients.append(torch.autograd.grad(flat, list(student.parameters())))
    assert structured.item() == pytest.approx(flat.item(), abs=1e-12)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_reductions_equal_their_definitions(rows: list[Row]) -> None:
    batch = collate(rows, kinds="RAO")
    values = torch.rand(len(batch.kind_N), dtype=torch.float64)
    groups = {kind: values[batch.kind_N == kind] for kind in range(3)}

    def value(reduction: str, *weights: float) -> float:
        totals = Totals(sums_of(values, batch, reduction), counts_of(batch, reduction))
        return combine(totals, weights_of(*weights)).item()

    assert value("type_mean", 1, 2, 3) == pytest.approx(sum((k + 1) * groups[k].mean().item() for k in range(3)))
    assert value("paper_sum", 1, 2, 0) == pytest.approx(
        (groups[REASON].sum() + 2 * groups[ACT].sum()).item() / len(rows)
    )
    agent = torch.cat([groups[REASON], groups[ACT]])
    assert value("token_mean", 1, 1, 0) == pytest.approx(agent.mean().item())
    spans = [values[batch.span_N == number].mean() for number in batch.span_N[batch.kind_N == ACT].unique()]
    assert value("span_mean", 0, 1, 0) == pytest.approx(torch.stack(spans).mean().item())
    assert OBS == 2


def test_a_kind_without_tokens_gives_zero_with_a_gradient_path(rows: list[Row]) -> None:
    batch = collate(rows, kinds="R")
    values = torch.ones(len(batch.kind_N), requires_grad=True)
    loss = combine(Totals(sums_of(values, batch, "type_mean"), counts_of(batch, "type_mean")), weights_of(0, 1, 0))
    loss.backward()
    assert loss.item() == 0
    assert values.grad is not None


@pytest.mark.parametrize("reduction", ["type_mean", "paper_sum", "token_mean", "span_mean"])
def test_eight_rows_at_once_equal_eight_single_rows(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, reduction: str, tiny_llama: Tiny
) -> None:
    student, teacher = (tiny_llama(seed=seed).double() for seed in (0, 1))
    weights = weights_of(1.0, 0.7, 0)
    whole = collate(rows, supports=ActionSupport(toy_tokenizer))
    singles = [collate([row], supports=ActionSupport(toy_tokenizer)) for row in rows]
    together = combine(losses(student, whole, hidden_target(teacher, whole), Measure(), reduction), weights)
    expected = torch.autograd.grad(together, list(student.parameters()))
    counts = sum((counts_of(one, reduction) for one in singles), torch.zeros(3))
    torch.testing.assert_close(counts, counts_of(whole, reduction), check_dtype=False)
    student.zero_grad()
    for one in singles:
        part = losses(student, one, hidden_target(teacher, one), Measure(), reduction)
        combine(Totals(part.sums, counts), weights).backward()
    for parameter, gradient in zip(student.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12)


def test_padding_changes_nothing(rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny) -> None:
    student, teacher = (tiny_llama(seed=seed).double() for seed in (0, 1))
    values = []
    for length in (None, 333):
        batch = collate(rows, length=length)
        values.append(losses(student, batch, hidden_target(teacher, batch), Measure(), "type_mean"))
    torch.testing.assert_close(values[0].sums, values[1].sums, rtol=0, atol=1e-10)
    torch.testing.assert_close(values[0].counts, values[1].counts)


def test_tokens_that_no_loss_asks_for_get_exactly_no_gradient(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    student, teacher = (tiny_llama(seed=seed) for seed in (0, 1))
    batch = collate(rows, kinds="A")
    target = hidden_target(teacher, batch)
    states = batch.states(student).detach().requires_grad_()
    scores = score_positions(student, states, batch, target, Measure())
    scores.divergence.sum().backward()
    asked = torch.zeros(states.shape[:2], dtype=torch.bool)
    asked[batch.row_N, batch.from_N] = True
    assert states.grad is not None
    assert (states.grad[~asked] == 0).all()
    assert (states.grad[asked].abs().sum(-1) > 0).all()


def test_a_teacher_that_tells_its_likeliest_tokens_is_still_a_distribution(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    student, teacher = (tiny_llama(seed=seed).double() for seed in (0, 1))
    batch = collate(rows, supports=ActionSupport(toy_tokenizer))
    target = hidden_target(teacher, batch)
    logits = head_logits(teacher, target.hidden_ND)
    states = batch.states(student)
    whole = score_positions(student, states, batch, target, Measure()).divergence
    dense = score_positions(student, states, batch, DenseTarget(logits), Measure()).divergence
    torch.testing.assert_close(whole, dense, rtol=0, atol=1e-12)
    previous = torch.zeros_like(whole)
    for top in (1, 8, 64, len(toy_tokenizer)):
        sparse = SparseTarget.select(logits, batch.support_NK, top)
        told = score_positions(student, states, batch, sparse, Measure()).divergence
        # Coarser outcomes never raise a divergence; with all tokens told nothing is lost.
        assert (told >= previous - 1e-6).all()
        previous = told
    torch.testing.assert_close(previous, whole, rtol=0, atol=1e-5)
    with pytest.raises(ConfigError, match="temperature 1"):
        score_positions(student, states, batch, sparse, Measure(kd_temperature=2.0))


def test_a_position_counts_at_most_its_clamp(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    student, teacher = (tiny_llama(seed=seed) for seed in (0, 1))
    batch = collate(rows)
    states = batch.states(student)
    free = score_positions(student, states, batch, hidden_target(teacher, batch), Measure()).divergence
    limit = free.median().item()
    held = score_positions(student, states, batch, hidden_target(teacher, batch), Measure(clamp=limit)).divergence
    torch.testing.assert_close(held, free.clamp(max=limit))


def test_learned_weights_start_where_fixed_ones_stand() -> None:
    terms, weights = torch.tensor([2.0, 3.0]), LearnedWeights(1.0, 1.0)
    assert weights(terms).item() == pytest.approx(5.0)
    weights(terms).backward()
    assert weights.log_variance.grad is not None
    assert weights.log_variance.grad.tolist() == pytest.approx([-1.0, -2.0])
    with pytest.raises(ConfigError, match="not all 0"):
        weights_of(0, 0, 0)


ARCHITECTURES = {
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "OPT": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "ffn_dim": 32,
        "word_embed_proj_dim": 8,
    },
    "Llama": {},
    "Qwen2": {},
    "Qwen3": {"head_dim": 8},
    "Gemma2": {"head_dim": 8, "final_logit_softcapping": 5.0},
    "Granite": {"logits_scaling": 3.0},
    "Cohere": {"logit_scale": 0.3},
    "Mistral": {},
    "GPTNeoX": {},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_two_halves_of_each_architecture_give_its_logits(name: str) -> None:
    import transformers

    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    special = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    options = ARCHITECTURES[name] if name in ("GPT2", "OPT") else {**small, **ARCHITECTURES[name]}
    config = getattr(transformers, f"{name}Config")(vocab_size=64, max_position_embeddings=64, **special, **options)
    family = {"GPT2": "GPT2LMHeadModel"}.get(name, f"{name}ForCausalLM")
    torch.manual_seed(0)
    model = getattr(transformers, family)(config).eval()
    check_head(model)
    student, batch = copy.deepcopy(model), collate([Row((1, 2, 3, 4), "NRRA", ())])
    states = batch.states(student)
    scores = score_positions(student, states, batch, hidden_target(model, batch), Measure())
    assert scores.divergence.abs().max() < 1e-5
    assert ABSENT < -1e3


def test_a_branch_gets_what_it_would_get_as_a_row_of_its_own(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    student, teacher = (tiny_llama(seed=seed).double() for seed in (0, 1))
    row = rows[0]
    branches = tuple(Branch(unit.start - 1, (5, 6, 7 + unit.step), "RAA") for unit in row.units)
    batch = collate([replace(row, branches=branches), rows[1]])
    found = score_positions(student, batch.states(student), batch, hidden_target(teacher, batch), Measure())
    alone = []
    main = collate([row])
    alone.append(score_positions(student, main.states(student), main, hidden_target(teacher, main), Measure()))
    for branch in branches:
        context = row.ids[: branch.after + 1]
        single = collate([Row(context + branch.ids, "N" * len(context) + branch.labels, ())])
        target = hidden_target(teacher, single)
        alone.append(score_positions(student, single.states(student), single, target, Measure()))
    expected = torch.cat([scores.divergence for scores in alone])
    torch.testing.assert_close(found.divergence[: len(expected)], expected, rtol=0, atol=1e-10)
    other = collate([rows[1]])
    last = score_positions(student, other.states(student), other, hidden_target(teacher, other), Measure())
    torch.testing.assert_close(found.divergence[len(expected) :], last.divergence, rtol=0, atol=1e-10)

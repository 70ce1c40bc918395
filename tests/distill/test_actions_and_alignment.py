"""Token sets, whole actions and alignments against brute force and their identities."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from sad_agents.sampling.action_trie import Trie, spelled
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.action_head import PointerTerm
from sad_distill.auxiliary.alignment import (
    Tokens,
    align_min,
    align_spans,
    align_transport,
    costs,
    sinkhorn,
    soft_dtw,
    span_costs,
)
from sad_distill.auxiliary.alignment_term import AlignmentTerm, align
from sad_distill.auxiliary.atomic import AtomicTerm, action_scores, choices_of
from sad_distill.auxiliary.contrastive import ContrastiveTerm, info_nce
from sad_distill.config import Measure, Optimisation, TrainConfig
from sad_distill.data.action_support import ActionSupport, ByteSpellings, action_start
from sad_distill.data.batch import collate
from sad_distill.data.labels import encode
from sad_distill.data.rows import Row, Unit, rows_from
from sad_distill.losses.divergence import divergence, partition
from sad_distill.losses.objective import Objective
from sad_distill.losses.scoring import score_positions
from sad_distill.models.heads import head_logits
from sad_distill.teachers.local import LocalTeacher
from sad_distill.training.learner import Learner
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError, UnknownNameError
from sad_env.records import Trajectory
from sad_env.settings import replaced

Tiny = Callable[..., Any]


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:6], toy_tokenizer, Windowing(200, 40))


# --- token sets ------------------------------------------------------------------------------------------------


def test_an_action_encodes_alike_alone_and_after_its_header(
    toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    for episode in toy_episodes:
        for step in episode.steps:
            for action in step.admissible or ():
                prefix = f"Reasoning: {step.reasoning}\nAction:"
                whole = encode(toy_tokenizer, prefix + spelled(action))
                assert whole == encode(toy_tokenizer, prefix) + encode(toy_tokenizer, spelled(action))


def test_token_sets_hold_what_may_come_next(rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast) -> None:
    support = ActionSupport(toy_tokenizer, "trie")
    checked = 0
    for row in rows:
        sets = support(row)
        for unit in row.units:
            start = action_start(toy_tokenizer, row.ids[unit.start : unit.end], row.labels[unit.start : unit.end])
            assert start is not None
            taken: list[int] = []
            paths = [encode(toy_tokenizer, spelled(action)) for action in unit.admissible or ()]
            for at in range(unit.start + start, unit.end):
                expected = {
                    path[len(taken)] for path in paths if path[: len(taken)] == taken and len(path) > len(taken)
                }
                assert set(sets[at]) == expected
                taken.append(row.ids[at])
                checked += 1
    assert checked > 50
    assert support.counts.off_trie_rate == 0
    assert 0 < support.counts.branching < support.counts.positions


def test_an_invented_action_leaves_the_sets_and_is_counted(
    toy_tokenizer: PreTrainedTokenizerFast, rows: list[Row]
) -> None:
    trie = Trie.of(toy_tokenizer, ["go to attic", "look"])
    ids = encode(toy_tokenizer, " go to cellar\n")
    found = list(trie.walk(ids))
    assert found[0]
    assert found[-1] == []
    row = rows[0]
    unit = row.units[0]
    ids = encode(toy_tokenizer, "Action: fly\n")
    strange = Row(tuple(ids), "A" * len(ids), (type(unit)(0, 0, len(ids), unit.admissible),))
    support = ActionSupport(toy_tokenizer)
    support(strange)
    assert support.counts.off_trie_rate > 0


def test_a_slot_lets_the_agent_write_what_it_likes(toy_tokenizer: PreTrainedTokenizerFast) -> None:
    trie = Trie.of(toy_tokenizer, ["search[<query>]", "look"])
    ids = encode(toy_tokenizer, " search[red key]\n")
    opening = encode(toy_tokenizer, " search[")
    found = list(trie.walk(ids))
    assert all(found[: len(opening)])
    assert found[len(opening) :] == [None] * (len(ids) - len(opening))


@pytest.mark.parametrize("mode", ["trie", "byte"])
def test_what_is_written_into_a_slot_has_not_left_the_trie(
    toy_tokenizer: PreTrainedTokenizerFast, mode: Literal["trie", "byte"]
) -> None:
    for action, rate in (("search[red key]", 0.0), ("sing[red key]", 0.3)):
        ids = encode(toy_tokenizer, f"Action: {action}\n")
        unit = Unit(0, 0, len(ids), ("search[<query>]", "look"))
        support = ActionSupport(toy_tokenizer, mode)
        sets = support(Row(tuple(ids), "A" * len(ids), (unit,)))
        assert sets
        assert support.counts.off_trie_rate >= rate
        assert rate or support.counts.off_trie == 0
    support = ActionSupport(toy_tokenizer, mode)
    support(Row(tuple(ids), "A" * len(ids), (Unit(0, 3, len(ids), None),)))
    assert support.counts.positions == 0


def test_byte_sets_hold_every_spelling(toy_tokenizer: PreTrainedTokenizerFast) -> None:
    actions = ["go to attic", "go to cellar", "look"]
    spellings = ByteSpellings(toy_tokenizer)
    for text in (" go to attic\n", " look\n"):
        one_by_one = [spellings.by_bytes[bytes([byte])] for byte in text.encode()]
        for ids in (one_by_one, encode(toy_tokenizer, text)):
            for token, offered in zip(ids, spellings.walk(actions, ids), strict=True):
                assert token in offered
                assert all(
                    any(spelled(a).encode().find(spellings.token_bytes[o]) >= 0 for a in actions) for o in offered
                )
    canonical = list(Trie.of(toy_tokenizer, actions).walk(encode(toy_tokenizer, " go to attic\n")))
    every = list(spellings.walk(actions, encode(toy_tokenizer, " go to attic\n")))
    assert all(set(one) <= set(other) for one, other in zip(canonical, every, strict=True))


def test_static_sets_are_the_tokens_of_all_actions(rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast) -> None:
    support = ActionSupport(toy_tokenizer, "static", rows)
    sets = [one for row in rows for one in support(row).values()]
    assert len({tuple(one) for one in sets}) == 1
    with pytest.raises(ConfigError, match="rows that hold actions"):
        ActionSupport(toy_tokenizer, "static")
    with pytest.raises(UnknownNameError, match="did you mean 'trie'"):
        ActionSupport(toy_tokenizer, "tri")  # type: ignore[arg-type]


# --- whole actions -----------------------------------------------------------------------------------------------


def test_local_divergence_is_the_reach_weighted_divergence_of_the_trie(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    student, teacher = (tiny_llama(seed=seed).double() for seed in (0, 1))
    choices = choices_of(rows, toy_tokenizer)[:4]
    with torch.no_grad():
        theirs = action_scores(teacher, rows, choices, "local")
        mine = action_scores(student, rows, choices, "local")
    for choice, log_p, log_q in zip(choices, theirs, mine, strict=True):
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)
        context = list(rows[choice.row].ids[: choice.at + 1])
        total = 0.0
        for prefix in {path[:cut] for path in choice.paths for cut in range(len(path))}:
            children = sorted({path[len(prefix)] for path in choice.paths if path[: len(prefix)] == prefix})
            reach = sum(
                p.exp().item() for path, p in zip(choice.paths, log_p, strict=True) if path[: len(prefix)] == prefix
            )
            ids = torch.tensor([[*context, *prefix]])
            with torch.no_grad():
                p, q = (m(ids).logits[:, -1].log_softmax(-1) for m in (teacher, student))
            at = torch.tensor([children])
            total += reach * divergence(partition(p, at, "ignore"), partition(q, at, "ignore")).item()
        assert divergence(log_p, log_q).item() == pytest.approx(total, abs=1e-8)


def test_posterior_scores_are_log_probabilities_of_whole_actions(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    model = tiny_llama(seed=1).double()
    (choice, *_) = choices_of(rows, toy_tokenizer)
    with torch.no_grad():
        (found, *_) = action_scores(model, rows, [choice], "posterior")
        scores = []
        for path in choice.paths:
            context = list(rows[choice.row].ids[: choice.at + 1])
            log_p = model(torch.tensor([[*context, *path]])).logits[0].log_softmax(-1)
            scores.append(sum(log_p[len(context) - 1 + k, token].item() for k, token in enumerate(path)))
    expected = torch.tensor(scores, dtype=torch.float64).log_softmax(0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("term", ["posterior", "local", "pointer"])
def test_a_loss_on_whole_actions_makes_the_student_choose_alike(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, term: Any
) -> None:
    teacher = tiny_llama(seed=1)
    if term == "pointer":
        extra: Any = PointerTerm(teacher, toy_tokenizer, 16, rank=8, weight=1.0)
    else:
        extra = AtomicTerm(teacher, toy_tokenizer, term)
    learner = Learner(
        tiny_llama(seed=2),
        Objective(likelihood=0.0, divergence=0.0),
        Optimisation(steps=8, learning_rate=1e-2),
        extras=[extra],
    )
    numbers = [learner.update(rows, step)["extra"] for step in range(8)]
    assert numbers[-1] < 0.7 * numbers[0]


def test_whole_actions_are_compared_as_the_settings_say(files: Path, tmp_path: Path) -> None:
    """`--beta` and `--kd-temperature` hold for the action head, too."""
    found = []
    for beta, temperature in ((0.5, 1.0), (0.1, 1.0), (0.5, 2.0)):
        config = replaced(
            TrainConfig(out=str(tmp_path)),
            student=str(files / "start.pt"),
            teacher=str(files / "teacher.pt"),
            trajectories=(str(files / "expert.jsonl"),),
            env="toy",
            mode="offline",
            terms=("atomic=1",),
            divergence="js",
            beta=beta,
            kd_temperature=temperature,
        )
        run = Run(config)
        model, (term,) = run.student.model, run.learner.extras
        batch = collate(run.rows[:1])
        states = batch.states(model)
        with torch.no_grad():
            scores = score_positions(model, states, batch, None, Measure())
            found.append(term.sum(model, batch, states, scores).item())
            choices = choices_of(batch.rows, run.student.tokenizer)
            pairs = [
                action_scores(one, batch.rows, choices, "posterior") for one in (run.teacher.language.model, model)
            ]
            expected = sum(
                divergence(*((one / temperature).softmax(0).log() for one in pair), "js", beta).item() * temperature**2
                for pair in zip(*pairs, strict=True)
            )
        assert found[-1] == pytest.approx(expected, rel=1e-4)
    assert len({round(one, 4) for one in found}) == 3


# --- alignment -----------------------------------------------------------------------------------------------------


def tokens(seed: int, kinds: str, spans: tuple[int, ...], grad: bool = False) -> Tokens:
    logits = torch.randn(len(kinds), 9, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    logits.requires_grad_(grad)
    return Tokens(logits.log_softmax(-1), kinds, tuple(span // 2 for span in spans), spans)


TEACHER = tokens(1, "RRRAARRA", (0, 0, 0, 1, 1, 2, 2, 3))
STUDENT = tokens(2, "RRAAARA", (0, 0, 1, 1, 1, 2, 3))


def test_costs_are_divergences_of_all_pairs() -> None:
    found = costs(TEACHER.log_p, STUDENT.log_p)
    for i, j in itertools.product(range(8), range(7)):
        assert found[i, j].item() == pytest.approx(divergence(TEACHER.log_p[i], STUDENT.log_p[j]).item(), abs=1e-12)
    fewer = costs(TEACHER.log_p, STUDENT.log_p, top=8)
    torch.testing.assert_close(fewer, found, rtol=0, atol=1e-4)
    assert (costs(TEACHER.log_p, STUDENT.log_p, top=3) <= found + 1e-9).all()


def test_min_alignment_is_the_cheapest_partner_of_each_teacher_token() -> None:
    cost = costs(TEACHER.log_p, STUDENT.log_p)
    total = 0.0
    for i in range(8):
        total += min(
            cost[i, j].item() + 0.1 * abs(i / 8 - j / 7)
            for j in range(7)
            if TEACHER.kinds[i] == STUDENT.kinds[j] and abs(TEACHER.steps[i] - STUDENT.steps[j]) <= 1
        )
    found = align_min(TEACHER, STUDENT)
    assert found.loss.item() == pytest.approx(total / 8, abs=1e-12)
    assert (found.matched, found.skipped) == (8, 0)


def paths(m: int, n: int) -> list[list[tuple[int, int]]]:
    if (m, n) == (1, 1):
        return [[(0, 0)]]
    found = []
    for a, b in ((m - 1, n), (m, n - 1), (m - 1, n - 1)):
        if a and b:
            found += [[*path, (m - 1, n - 1)] for path in paths(a, b)]
    return found


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 4), (4, 1), (3, 4), (5, 3)])
def test_soft_dtw_is_the_soft_minimum_over_all_paths(m: int, n: int) -> None:
    cost = torch.rand(m, n, dtype=torch.float64, generator=torch.Generator().manual_seed(m * 10 + n))
    totals = torch.tensor([sum(cost[i, j] for i, j in path) for path in paths(m, n)])
    for gamma in (0.1, 1.0):
        expected = -gamma * torch.logsumexp(-totals / gamma, 0)
        assert soft_dtw(cost, gamma).item() == pytest.approx(expected.item(), abs=1e-9)
    assert torch.autograd.gradcheck(lambda c: soft_dtw(c, 0.3), (cost.requires_grad_(),))


def test_transport_plans_keep_their_marginals_and_agree_with_pot() -> None:
    ot = pytest.importorskip("ot")
    cost = torch.rand(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plan = sinkhorn(cost, 0.1)
    torch.testing.assert_close(plan.sum(1), torch.full((4,), 0.25, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(plan.sum(0), torch.full((6,), 1 / 6, dtype=torch.float64), rtol=0, atol=1e-6)
    theirs = ot.bregman.sinkhorn_log([0.25] * 4, [1 / 6] * 6, cost.numpy(), 0.1, numItermax=5000, stopThr=1e-12)
    torch.testing.assert_close(plan, torch.tensor(theirs), rtol=0, atol=1e-7)


def test_spans_are_compared_over_the_shorter_length_and_never_across_kinds() -> None:
    cost = span_costs(TEACHER, STUDENT)
    assert cost.shape == (4, 4)
    assert math.isinf(cost[0, 1].item())
    expected = divergence(TEACHER.log_p[0:2], STUDENT.log_p[0:2]).mean()
    assert cost[0, 0].item() == pytest.approx(expected.item())
    found = align_spans(TEACHER, STUDENT)
    assert found.loss.item() == pytest.approx(cost.min(0).values.mean().item())
    lonely = align_spans(tokens(3, "RR", (0, 0)), STUDENT)
    assert (lonely.matched, lonely.skipped) == (2, 2)
    assert align_transport(TEACHER, STUDENT).loss > 0


@pytest.mark.parametrize("name", ["min", "soft_dtw", "ot", "spans"])
def test_every_alignment_is_least_for_equal_texts_and_has_a_gradient(name: str) -> None:
    student = tokens(1, TEACHER.kinds, TEACHER.spans, grad=True)
    same, other = align(name, TEACHER, student), align(name, TEACHER, tokens(5, TEACHER.kinds, TEACHER.spans))
    assert same.loss < other.loss
    free = tokens(6, STUDENT.kinds, STUDENT.spans)
    logits = free.log_p.clone().requires_grad_()
    align(name, TEACHER, Tokens(logits.log_softmax(-1), free.kinds, free.steps, free.spans)).loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0
    with pytest.raises(ConfigError, match="known: min"):
        align("max", TEACHER, student)


@pytest.mark.parametrize("room", [40, 12])
@pytest.mark.parametrize("name", ["min", "spans", "ot", "soft_dtw"])
def test_a_student_that_is_the_teacher_is_already_aligned_with_its_recordings(
    play_toy: Callable[..., Trajectory],
    toy_tokenizer: PreTrainedTokenizerFast,
    tiny_llama: Tiny,
    name: Literal["min", "spans", "ot", "soft_dtw"],
    room: int,
) -> None:
    """Each window has the same steps of the same recording beside it, whatever else was recorded of the task."""
    episodes = [play_toy("train-0003", seed, slips=0.5).model_copy(update={"seed": seed}) for seed in range(3)]
    rows = rows_from(episodes, toy_tokenizer, Windowing(120, room))
    assert len(rows) > 3
    model = tiny_llama(24, seed=1)
    term = AlignmentTerm(LocalTeacher(tiny_llama(24, seed=1), "t"), rows, name)
    for row in rows:
        batch = collate([row])
        assert term.count(batch) == 1
        states = batch.states(model)
        loss = term.sum(model, batch, states, score_positions(model, states, batch, None, Measure()))
        # Soft minima lie below the minimum, and a plan with entropy moves a little between like spans.
        assert loss.item() < {"min": 1e-5, "spans": 1e-5, "ot": 0.05, "soft_dtw": 1e-5}[name]


def test_other_text_is_compared_with_the_same_steps_and_left_out_where_there_are_none(
    play_toy: Callable[..., Trajectory], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    recorded = max((play_toy("train-0003", seed, slips=0.5) for seed in range(9)), key=lambda one: len(one.steps))
    begun = recorded.model_copy(update={"seed": 9, "steps": recorded.steps[:2]})
    rows, first = (rows_from([one], toy_tokenizer, Windowing(1000, 40)) for one in (recorded, begun))
    model = tiny_llama(24, seed=1)
    teacher = LocalTeacher(tiny_llama(24, seed=1), "t")
    for name in ("min", "spans"):
        term = AlignmentTerm(teacher, rows, name)
        batch = collate(first)
        states = batch.states(model)
        scores = score_positions(model, states, batch, None, Measure())
        assert term.sum(model, batch, states, scores).item() < 1e-5
    narrow = rows_from([recorded.model_copy(update={"seed": 9})], toy_tokenizer, Windowing(120, 40))
    counts = [AlignmentTerm(teacher, first, "min").count(collate([row])) for row in narrow]
    assert counts[0] == 1
    assert counts[-1] == 0


# --- contrast --------------------------------------------------------------------------------------------------------


def test_contrast_is_least_where_each_is_nearest_to_its_own() -> None:
    vectors = torch.eye(4, dtype=torch.float64)
    own, others = info_nce(vectors, vectors), info_nce(vectors, vectors.roll(1, 0))
    assert own.max() < 1e-4
    assert others.min() > 10
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert info_nce(z, z, 1.0)[0].item() == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-6)


def test_the_contrastive_term_learns(rows: list[Row], tiny_llama: Tiny) -> None:
    teacher = LocalTeacher(tiny_llama(24, seed=1), "t")
    term = ContrastiveTerm(teacher, 16, 24)
    learner = Learner(
        tiny_llama(16, seed=2),
        Objective(),
        Optimisation(steps=10, learning_rate=1e-2),
        teacher=teacher,
        extras=[term],
    )
    numbers = [learner.update(rows, step)["extra"] for step in range(10)]
    assert numbers[-1] < numbers[0]
    for size, count, parts in ((8, 9, [7, 2]), (2, 3, [3]), (2, 4, [2, 2]), (8, 1, [1])):
        learner.micro_batch = size
        batches = learner.collate((list(rows) * count)[:count], "RA")
        assert [len(batch.rows) for batch in batches] == parts, "a row alone has none to be told from"
    sparse = ContrastiveTerm(LocalTeacher(tiny_llama(24, seed=1), "t", top=4), 16, 24)
    batch = collate(rows[:1])
    with pytest.raises(ConfigError, match="--top 0"):
        sparse.sum(learner.student, batch, batch.states(learner.student), None)  # type: ignore[arg-type]
    assert head_logits(learner.student, torch.zeros(1, 16)).shape[0] == 1

"""Random masks change what a loss calls R and A, and nothing else; slots and alignments are what the settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.sampling.action_trie import Trie, before_slot, spelled
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.alignment import AlignmentMeasure, Tokens
from sad_distill.auxiliary.alignment_term import ALIGNMENTS, AlignmentTerm, align
from sad_distill.auxiliary.atomic import choices_of
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.data.action_support import ActionSupport, ByteSpellings
from sad_distill.data.batch import ACT, REASON, collate
from sad_distill.data.label_masks import remask
from sad_distill.data.labels import encode
from sad_distill.data.rows import Row, Unit, rows_from
from sad_distill.losses.divergence import divergence
from sad_distill.losses.scoring import Measure, score_positions
from sad_distill.teachers.difficulty import difficulties_of
from sad_distill.teachers.local import LocalTeacher
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError
from sad_env.records import Trajectory
from sad_env.settings import replaced

Tiny = Callable[..., Any]
MODES = ("static", "trie", "byte")


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:20], toy_tokenizer, Windowing(200, 40))


# --- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masks", ["random", "none"])
@pytest.mark.parametrize("mode", MODES)
def test_masks_leave_the_token_sets_where_they_are(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, masks: Any, mode: Any
) -> None:
    """The labels were shuffled before the action spans were looked for, which then were not found."""
    masked = [remask(row, masks, 0) for row in rows]
    supports = [ActionSupport(toy_tokenizer, mode, some) for some in (rows, masked)]
    right, other = ([support(row) for row in some] for support, some in zip(supports, (rows, masked), strict=True))
    assert right == other
    assert sum(map(len, right)) > 100
    assert supports[0].counts == supports[1].counts
    batches = [collate(some, supports=support) for some, support in zip((rows, masked), supports, strict=True)]
    assert torch.equal(batches[0].support_NK, batches[1].support_NK)
    assert torch.equal(batches[0].at_N, batches[1].at_N)
    counts = [[int((batch.kind_N == kind).sum()) for kind in (REASON, ACT)] for batch in batches]
    assert counts[1] == (counts[0] if masks == "random" else [sum(counts[0]), 0])
    if masks == "random":
        assert not torch.equal(batches[0].kind_N, batches[1].kind_N)


@pytest.mark.parametrize("masks", ["random", "none"])
def test_masks_change_neither_whole_actions_nor_difficulties(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, masks: Any
) -> None:
    masked = [remask(row, masks, 0) for row in rows]
    assert choices_of(masked, toy_tokenizer) == choices_of(rows, toy_tokenizer)
    assert choices_of(rows, toy_tokenizer)
    device = torch.device("cpu")
    assert difficulties_of(masked, None, device) == difficulties_of(rows, None, device)
    assert [row.span_labels for row in masked] == [row.labels for row in rows]
    assert remask(masked[0], masks, 1).span_labels == rows[0].labels


def test_a_run_with_random_masks_has_the_action_support(files: Path, tmp_path: Path) -> None:
    rates = []
    for masks in ("spans", "random"):
        run = Run(settings(files, tmp_path / masks, masks=masks))
        run.learner.collate(run.rows, "RA")
        rates.append(run.learner.supports.counts)
    assert rates[0] == rates[1]
    assert rates[0].branching > 100


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "student": str(files / "start.pt"),
        "teacher": str(files / "teacher.pt"),
        "trajectories": (str(files / "expert.jsonl"),),
        "env": "toy",
        "steps": 1,
        "batch": 4,
        "context": 200,
        "max_new_tokens": 40,
        "mode": "offline",
    }
    return replaced(TrainConfig(out=str(out)), **{**values, **changes})


# --- slots -----------------------------------------------------------------------------------------------------------

BUTTONS = ("click[< Prev]", "click[Next >]", "click[size <5 or >3]", "click[a < b > c]", "click[<3 heart]", "click[<>]")


def test_a_slot_is_a_whole_argument_in_angle_brackets() -> None:
    assert before_slot("search[<query>]") == "search["
    assert before_slot("finish[<your answer>]") == "finish["
    assert [action for action in (*BUTTONS, "look", "search[red key]") if before_slot(action) is not None] == []


def test_buttons_with_angle_brackets_are_actions_like_any_other(toy_tokenizer: PreTrainedTokenizerFast) -> None:
    """`click[< Prev]` fell out of the whole actions, and of the token sets where another bracket followed."""
    actions = (*BUTTONS, "search[<query>]")
    for action in BUTTONS:
        ids = encode(toy_tokenizer, spelled(action))
        for walk in (Trie.of(toy_tokenizer, actions).walk(ids), ByteSpellings(toy_tokenizer).walk(actions, ids)):
            assert all(found and token in found for token, found in zip(ids, walk, strict=True))
    text = encode(toy_tokenizer, "Action: click[< Prev]\n")
    row = Row(tuple(text), "A" * len(text), (Unit(0, 0, len(text), actions),))
    (choice,) = choices_of([row], toy_tokenizer)
    assert choice.actions == BUTTONS


# --- alignment -------------------------------------------------------------------------------------------------------


def tokens(seed: int, kinds: str, spans: tuple[int, ...]) -> Tokens:
    logits = torch.randn(len(kinds), 9, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return Tokens(logits.log_softmax(-1), kinds, tuple(span // 2 for span in spans), spans)


TEACHER = tokens(1, "RRRAARRA", (0, 0, 0, 1, 1, 2, 2, 3))
STUDENT = tokens(2, "RRAAARA", (0, 0, 1, 1, 1, 2, 3))


def spans_of(text: Tokens) -> list[tuple[str, torch.Tensor]]:
    found = []
    for number in range(max(text.spans) + 1):
        places = [place for place, span in enumerate(text.spans) if span == number]
        found.append((text.kinds[places[0]], text.log_p[places]))
    return found


@pytest.mark.parametrize("kind", ["forward", "reverse", "js"])
def test_algorithm_2_weighs_reasoning_and_action_and_takes_the_chosen_divergence(kind: Any) -> None:
    """It ignored λ_r, λ_a and --divergence."""
    weights = {"R": 0.5, "A": 3.0}
    total = 0.0
    for letter, student in spans_of(STUDENT):
        found = []
        for other, teacher in spans_of(TEACHER):
            if other == letter:
                length = min(len(student), len(teacher))
                found.append(divergence(teacher[:length], student[:length], kind, 0.3).mean().item())
        total += weights[letter] * min(found)
    how = AlignmentMeasure(Measure(divergence=kind, beta=0.3), reason=0.5, act=3.0)
    assert align("spans", TEACHER, STUDENT, how).loss.item() == pytest.approx(total / 4, rel=1e-12)


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_each_alignment_is_the_sum_of_its_weighted_kinds(name: str) -> None:
    def loss(reason: float, act: float, kind: Any = "forward") -> float:
        return align(name, TEACHER, STUDENT, AlignmentMeasure(Measure(divergence=kind), reason, act)).loss.item()

    assert loss(0.5, 3.0) == pytest.approx(0.5 * loss(1, 0) + 3 * loss(0, 1), rel=1e-12)
    assert loss(1, 1) == pytest.approx(align(name, TEACHER, STUDENT).loss.item(), rel=1e-12)
    assert len({round(loss(1, 1, kind), 6) for kind in ("forward", "reverse", "js")}) == 3


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_a_run_aligns_as_its_settings_say(files: Path, tmp_path: Path, name: Any) -> None:
    found = []
    for changes in (
        {},
        {"reason_weight": 0.0},
        {"act_weight": 0.0},
        {"divergence": "reverse"},
        {"kd_temperature": 2.0},
    ):
        found.append(Run(settings(files, tmp_path, terms=(f"align_{name}=1",), **changes)))
    losses = []
    for run in found:
        numbers = run.learner.update(run.rows[:2], 0)
        losses.append(numbers["extra"])
    assert losses[0] == pytest.approx(losses[1] + losses[2], rel=1e-4)
    assert len({round(loss, 5) for loss in losses}) == 5


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_steps_without_targets_align_with_nothing(rows: list[Row], tiny_llama: Tiny, name: str) -> None:
    """Steps whose text was a slip have no labels; `min` and `spans` crashed on rows of nothing else."""
    student, teacher = tiny_llama(seed=2), LocalTeacher(tiny_llama(seed=1), "t")
    slipped = replace(rows[0], labels="N" * len(rows[0].ids))
    for mine, recorded in ((slipped, slipped), (slipped, rows[0]), (rows[0], slipped)):
        mine = replace(mine, episode="another")
        batch = collate([mine, rows[1]])
        states = batch.states(student)
        scores = score_positions(student, states, batch, None, Measure())
        term = AlignmentTerm(teacher, [recorded, rows[1]], name)
        assert term.count(batch) == 2
        alone = AlignmentTerm(teacher, [rows[1]], name).sum(student, batch, states, scores)
        assert term.sum(student, batch, states, scores).item() == pytest.approx(alone.item(), rel=1e-6)


@pytest.mark.parametrize("mode", ["online", "mixed", "guided"])
def test_an_alignment_of_episodes_without_recordings_is_refused(files: Path, tmp_path: Path, mode: Any) -> None:
    with pytest.raises(ConfigError, match="an alignment compares with recordings of the same task"):
        check(settings(files, tmp_path, terms=("align_min=1",), mode=mode))

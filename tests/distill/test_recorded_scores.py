"""What a teacher thought while it played, kept with its episodes, teaches as the teacher itself does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sad_agents.collect_command import main as collect
from sad_agents.windowing import Windowing
from sad_distill.commands.main import main as distill
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.batch import collate
from sad_distill.data.rows import Branch, Row, Unit, rows_from
from sad_distill.losses.targets import SparseTarget
from sad_distill.models.language import load_language
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.recorded_scores import RecordedTeacher
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError, DataError
from sad_env.records import Trajectory, read_trajectories

WINDOW = Windowing(200, 40)


@pytest.fixture(scope="module")
def episodes(files: Path) -> Path:
    """Episodes of the tiny teacher, long enough that they outgrow its window, at a temperature that is not 1."""
    out = files / "told.jsonl"
    words = f"--env toy --episodes 3 --max-steps 8 --workers 0 --quiet --out {out} --record-top-logprobs 48"
    how = f"--agent {files / 'teacher.pt'} --temperature 0.7 --top-p 0.9 --max-new-tokens 40"
    assert collect([*words.split(), *how.split()]) == 0
    return out


@pytest.fixture(scope="module")
def rows(episodes: Path, toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(read_trajectories(episodes), toy_tokenizer, WINDOW)


def test_they_are_what_the_teacher_says_of_the_same_rows(files: Path, rows: list[Row]) -> None:
    assert any(row.first for row in rows)
    batch = collate(rows)
    recorded = RecordedTeacher().score(batch)
    asked = LocalTeacher(load_language(str(files / "teacher.pt"), "cpu", "float32").model, "t", top=48).score(batch)
    assert isinstance(asked, SparseTarget)
    compared = 0
    for place in range(len(batch.kind_N)):
        own = dict(zip(recorded.ids_NK[place].tolist(), recorded.log_p_NK[place].tolist(), strict=True))
        own.pop(-1, None)
        told = dict(zip(asked.ids_NK[place].tolist(), asked.log_p_NK[place].tolist(), strict=True))
        assert own == pytest.approx({one: told[one] for one in own}, abs=2e-4)
        compared += len(own)
    assert compared > 20 * len(batch.kind_N)


def test_training_on_them_is_training_with_the_teacher(files: Path, episodes: Path, tmp_path: Path) -> None:
    losses = {}
    for name, teacher in (("asked", [str(files / "teacher.pt"), "--top", "48"]), ("recorded", ["recorded"])):
        words = f"--env toy --method sad --student {files / 'start.pt'} --trajectories {episodes} --mode offline"
        more = f"--steps 3 --batch 2 --action-support full --context 200 --max-new-tokens 40 --out {tmp_path / name}"
        assert distill([*words.split(), *more.split(), "--teacher", *teacher]) == 0
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        losses[name] = [json.loads(line)["loss"] for line in lines]
    assert losses["recorded"] == pytest.approx(losses["asked"], rel=1e-3)
    assert len(set(losses["recorded"])) == 3


def test_what_nobody_sampled_is_certain_and_a_token_set_takes_in_its_own(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    trajectory = rows[0].source.record if rows[0].source else None
    assert trajectory is not None
    step = trajectory.steps[0]
    told = ((), ((step.token_ids[1], -0.5), (7, -1.5)), *[((3, 0.0),)] * (len(step.token_ids) - 2))
    changed = step.model_copy(update={"top_logprobs": told, "token_labels": "R" + step.token_labels[1:]})
    short = trajectory.model_copy(update={"steps": (changed,)})
    (row,) = rows_from([short], toy_tokenizer, WINDOW)
    batch = collate([row])
    target = RecordedTeacher().score(batch)
    assert target.ids_NK[0].tolist() == [step.token_ids[0], -1]
    assert target.log_p_NK[0, 0] == 0
    assert target.ids_NK[1].tolist() == [step.token_ids[1], 7]
    assert target.log_rest_N[1].exp() == pytest.approx(1 - 2.718281828**-0.5 - 2.718281828**-1.5, abs=1e-6)

    supported = batch.support_NK.new_tensor([[step.token_ids[1], 9]]).repeat(len(batch.kind_N), 1)
    inside = RecordedTeacher().score(
        collate([row], supports=lambda one: {row.units[0].start + 1: supported[0].tolist()})
    )
    assert inside.ids_NK[1].tolist() == [step.token_ids[1], -1][: inside.ids_NK.shape[1]]
    assert inside.log_rest_N[1].exp() == pytest.approx(1 - 2.718281828**-0.5, abs=1e-6)


def test_the_default_token_sets_of_actions_are_taken(rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast) -> None:
    batch = collate(rows, supports=ActionSupport(toy_tokenizer))
    target = RecordedTeacher().score(batch)
    assert target.ids_NK.shape[0] == len(batch.kind_N)
    assert torch.isfinite(target.log_p_NK).all()


def test_files_name_them_only_where_they_were_recorded(episodes: Path, files: Path) -> None:
    trajectory = next(iter(read_trajectories(episodes)))
    step = trajectory.steps[0]
    assert step.top_logprobs is not None
    assert len(step.top_logprobs) == len(step.token_ids)
    assert Trajectory.from_json(trajectory.to_json()) == trajectory
    assert "top_logprobs" not in (files / "expert.jsonl").read_text()
    assert step.without_ids().top_logprobs is None
    with pytest.raises(ValueError, match="places of top_logprobs"):
        type(step).model_validate({**step.model_dump(), "top_logprobs": ()})


def test_its_configuration(files: Path, episodes: Path, tmp_path: Path) -> None:
    words = f"--config field/sad-recorded --env toy --student {files / 'start.pt'} --trajectories {episodes} --steps 1"
    assert distill([*words.split(), "--batch", "2", "--out", str(tmp_path / "run")]) == 0
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (settings["teacher"], settings["precision"]) == ("recorded", "bf16")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--trajectories {files}/expert.jsonl --mode offline", "holds no top_logprobs of the student's tokens"),
        ("--trajectories {files}/told.jsonl --mode mixed", "--teacher recorded knows the recorded episodes alone"),
        ("--trajectories {files}/told.jsonl --mode offline --top 8", "--top 8 has no effect"),
        ("--trajectories {files}/told.jsonl --mode offline --teacher-context own", "--teacher-context own"),
    ],
)
def test_refusals(
    files: Path, episodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, why: str
) -> None:
    begin = f"--env toy --method sad --student {files / 'start.pt'} --teacher recorded --steps 1 --out {tmp_path / 'x'}"
    assert distill([*begin.split(), *words.format(files=files).split()]) != 0
    assert why in capsys.readouterr().err


def test_rows_of_no_episode_and_branches_are_refused() -> None:
    row = Row((1, 2, 3), "NRA", (Unit(0, 1, 3, None),))
    with pytest.raises(DataError, match="holds no top_logprobs"):
        RecordedTeacher().score(collate([row]))
    with pytest.raises(ConfigError, match="not of branches"):
        RecordedTeacher().score(collate([replace(row, branches=(Branch(0, (4,), "A"),))]))

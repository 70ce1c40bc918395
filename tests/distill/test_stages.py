"""Runs in stages: what each is told, where it begins, what the whole run leaves, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.checkpoints import load_student
from sad_distill import distill
from sad_distill.commands.main import main
from sad_distill.config import TrainConfig
from sad_distill.stages import Stage, stages_of
from sad_distill.training.ranks import ALONE
from sad_distill.training.run import Run
from sad_distill.training.staged import train_stages
from sad_distill.training.tasks import TaskStream

from sad_env.calls import called_with
from sad_env.errors import ConfigError

OFFLINE = 'method = "sad"\nmode = "offline"\nbatch = 4\nlearning_rate = 1e-3\n'
REWARD = 'method = "policy"\nmode = "online"\nterms = ["gigpo=1", "k3_start=0.1"]\ngroup = 2\nrollouts = 4\n'

MORE: dict[str, Any] = {"teacher": "t.pt", "trajectories": ["t.jsonl"]}


@pytest.fixture
def stages(tmp_path: Path) -> list[str]:
    (tmp_path / "sad.toml").write_text(OFFLINE)
    (tmp_path / "reward.toml").write_text(REWARD)
    return [f"{tmp_path / 'sad.toml'}=0.75", f"{tmp_path / 'reward.toml'}=0.25"]


def told(out: Path, stages: list[str], **values: Any) -> list[Stage]:
    return stages_of(called_with(TrainConfig, {"out": str(out), "stages": stages, "env": "toy", **values}), "test")


def flags(files: Path, stages: list[str], out: Path) -> list[str]:
    words = ["--stages", *stages, "--env", "toy", "--student", files / "start.pt", "--teacher", files / "teacher.pt"]
    words += ["--trajectories", files / "expert.jsonl", "--context", 200, "--max-new-tokens", 40, "--steps", 8]
    return [*map(str, words), "--horizon-start", "3", "--keep-at", "0.5", "0.75", "--out", str(out)]


def test_each_stage_has_its_configuration_and_what_was_given_for_all(tmp_path: Path, stages: list[str]) -> None:
    first, second = told(tmp_path, stages, steps=100, batch=8, rollouts=6, seed=3, **MORE, keep_at=[0.5, 0.75])
    assert (first.config.method, first.config.mode, second.config.method) == ("sad", "offline", "policy")
    assert (first.config.optimisation.steps, second.config.optimisation.steps) == (75, 25)
    assert first.config.data.batch == 8  # a flag beats the configuration, where it counts
    assert second.config.data.batch == TrainConfig(out="").data.batch
    assert (first.config.online.rollouts, second.config.online.rollouts) == (16, 6)
    assert first.config.data.seed == second.config.data.seed == 3
    assert first.config.output.keep_at == (pytest.approx(2 / 3),)
    assert first.kept == {0.5: "at-66.6667.pt", 0.75: "student.pt"}
    assert (second.kept, second.config.output.keep_at) == ({}, ())


def test_a_student_is_kept_once_where_shares_do_not_add_up_to_the_digit(tmp_path: Path) -> None:
    """0.1 + 0.7 is less than 0.8 by a rounding."""
    entries = ["field/sad-offline=0.1", "field/gigpo=0.7", "field/gigpo=0.2"]
    found = told(tmp_path, entries, keep_at=[0.8], **MORE)
    assert [stage.kept for stage in found] == [{}, {0.8: "student.pt"}, {}]
    assert [stage.config.output.keep_at for stage in found] == [(), (), ()]


def test_what_a_later_stage_would_refuse_is_refused_before_the_first(tmp_path: Path, stages: list[str]) -> None:
    with pytest.raises(ConfigError, match="stage 2-reward: --group 3 does not divide --rollouts 4"):
        told(tmp_path, stages, group=3, **MORE)
    with pytest.raises(ConfigError, match="stage 1-sad learns to act by an action head, which stage 2-reward does not"):
        told(tmp_path, stages, act_loss="pointer_head", **MORE)
    twice = [stages[0].replace("0.75", "0.5")] * 2
    for teacher in ("self", "self:0.9", "base"):
        given = {**MORE, "teacher": teacher, "adapters": 2, "act_loss": "pointer_head"}
        with pytest.raises(ConfigError, match="asks it as its own teacher"):
            told(tmp_path, twice, **given)


def test_a_budget_of_processor_seconds_is_dealt_out_too(tmp_path: Path, stages: list[str]) -> None:
    first, second = told(tmp_path, stages, processor_seconds=400.0, **MORE)
    assert (first.config.optimisation.processor_seconds, second.config.optimisation.processor_seconds) == (300, 100)
    assert first.config.optimisation.steps == 1000  # the length of its schedules
    lengths = [one.config.optimisation.steps for one in told(tmp_path, stages, processor_seconds=4.0, steps=80, **MORE)]
    assert lengths == [80, 80]


def test_no_stage_trains_on_what_another_validates_on(files: Path, tmp_path: Path) -> None:
    models = {"student": str(files / "start.pt"), "teacher": str(files / "teacher.pt"), "context": 200}
    given = {**models, "max_new_tokens": 40, "trajectories": [str(files / "expert.jsonl")], "validate_episodes": 450}
    first, second = told(tmp_path, ["field/sad-offline=0.6", "field/gigpo=0.4"], **given)
    assert (first.config.validation.validate_every, second.config.validation.validate_every) == (0, 10)
    runs = Run(first.config), Run(second.config)
    for run in runs:
        assert max(one.task_id for one in run.parts.episodes) == "train-0049"
        assert max(TaskStream.of(run.config).tasks) == "train-0049"
    # Without validation, and where its own panel is the largest, a stage's settings stay what they were.
    assert second.config.validation.held_out == 0
    assert {one.config.validation.held_out for one in told(tmp_path, ["field/opd=0.5", "field/rft=0.5"], **MORE)} == {0}


def test_no_update_is_lost_and_only_the_last_student_is_rounded(tmp_path: Path, stages: list[str]) -> None:
    halves = [stages[0].replace("0.75", "0.5"), stages[1].replace("0.25", "0.5")]
    first, second = told(tmp_path, halves, steps=5, stored="bf16", **MORE)
    assert (first.config.optimisation.steps, second.config.optimisation.steps) == (2, 3)
    assert (first.config.output.stored, second.config.output.stored) == ("fp32", "bf16")


def test_a_run_without_stages_is_one(tmp_path: Path) -> None:
    parsed = called_with(TrainConfig, {"out": str(tmp_path)})
    (only,) = stages_of(parsed, "test")
    assert only.config is parsed.settings


@pytest.mark.parametrize(
    ("entries", "more", "said"),
    [
        (["a"], {}, "give NAME=SHARE"),
        (["a=2"], {}, "give NAME=SHARE"),
        (["field/sad-offline=0.5", "field/gigpo=0.4"], {}, "0.9 of the run together"),
        (["field/sad-offline=1"], {"method": "sft"}, "--method is for the stages' configurations"),
        (
            ["field/sad-offline=0.5", "field/gigpo=0.5"],
            {"guidance": 0.3},
            "--guidance 0.3 has no effect: in every stage",
        ),
        (["field/nothing=1"], {}, "no configuration 'field/nothing'"),
    ],
)
def test_what_stages_are_refused_with(tmp_path: Path, entries: list[str], more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        told(tmp_path, entries, **more)


def test_a_command_trains_all_stages_and_again_changes_nothing(files: Path, tmp_path: Path, stages: list[str]) -> None:
    out = tmp_path / "run"
    assert main(flags(files, stages, out)) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(8))
    assert [line["stage"] for line in lines] == [1] * 6 + [2] * 2
    seconds = [line["processor_seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert {"student.pt", "student", "at-50.pt", "at-75.pt", "training.html", "config.json"} <= {
        path.name for path in out.iterdir()
    }
    assert "# run\n" in (out / "student" / "README.md").read_text()
    at_75, first = (out / "at-75.pt").read_bytes(), (out / "1-sad" / "student.pt").read_bytes()
    assert at_75 == first
    begun, ended = load_student(out / "1-sad" / "student.pt"), load_student(out / "student.pt")
    assert not all(map(torch.equal, begun.model.parameters(), ended.model.parameters()))
    assert ended.record["settings"]["stages"] == str(tuple(stages))
    before = (out / "student.pt").read_bytes()
    assert main(flags(files, stages, out)) == 0
    assert (out / "student.pt").read_bytes() == before


def test_a_run_that_was_moved_goes_on(files: Path, tmp_path: Path, stages: list[str]) -> None:
    assert main(flags(files, stages, tmp_path / "run")) == 0
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "2-reward" / "student.pt").unlink()
    assert main(flags(files, stages, tmp_path / "elsewhere")) == 0
    assert (tmp_path / "elsewhere" / "2-reward" / "student.pt").exists()


def test_a_stage_is_the_run_that_it_would_be_alone(files: Path, tmp_path: Path, stages: list[str]) -> None:
    assert main(flags(files, stages, tmp_path / "run")) == 0
    same = {"env": "toy", "context": 200, "max_new_tokens": 40, "batch": 4, "learning_rate": 1e-3, "steps": 6}
    alone = distill(
        method="sad",
        mode="offline",
        student=str(files / "start.pt"),
        teacher=str(files / "teacher.pt"),
        trajectories=[str(files / "expert.jsonl")],
        out=tmp_path / "alone",
        **same,
    )
    one, other = load_student(alone.student), load_student(tmp_path / "run" / "1-sad" / "student.pt")
    assert all(map(torch.equal, one.model.parameters(), other.model.parameters()))


def test_free_settings_may_change_once_a_later_stage_has_begun(files: Path, tmp_path: Path, stages: list[str]) -> None:
    """They are in a student's record, and the next stage knows its start by its bytes."""
    out = tmp_path / "run"
    assert main(flags(files, stages, out)) == 0
    before = (out / "1-sad" / "student.pt").read_bytes()
    more = ["--micro-batch", "2", "--save-every", "3", "--keep-at", "0.25", "0.75"]
    assert main([*flags(files, stages, out), *more]) == 0
    assert (out / "1-sad" / "student.pt").read_bytes() == (out / "at-75.pt").read_bytes() == before
    assert not (out / "at-25.pt").exists()  # asked for when that was over


def test_other_lengths_or_another_run_are_refused_before_anything_changes(
    files: Path, tmp_path: Path, stages: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(flags(files, stages, out)) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert main([*flags(files, stages, out), "--steps", "16"]) == 2
    assert "stage 1-sad has 6 updates, not 12, and the next one began with its student" in capsys.readouterr().err
    others = [stages[0].replace("0.75", "0.5"), stages[1].replace("0.25", "0.5")]
    assert main(flags(files, others, out)) == 2
    assert "holds a run with stages = " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_folder_of_a_run_without_stages_is_refused(
    files: Path, tmp_path: Path, stages: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert main(flags(files, stages, tmp_path)) == 2
    assert "holds a run with stages = []" in capsys.readouterr().err
    assert not (tmp_path / "1-sad").exists()


def test_a_folder_of_stages_tells_no_passwords(files: Path, tmp_path: Path, stages: list[str]) -> None:
    config = called_with(
        TrainConfig, {"out": str(tmp_path), "stages": stages, "sampler": "vllm:http://me:pw@x/"}
    ).settings
    with pytest.raises(KeyboardInterrupt):
        train_stages(config, told(tmp_path, stages, **MORE), _interrupted, ALONE)
    text = (tmp_path / "config.json").read_text()
    assert "vllm:http://x/" in text
    assert "pw" not in text


def _interrupted(config: TrainConfig, name: str) -> Path:
    raise KeyboardInterrupt

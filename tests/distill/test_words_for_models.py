"""What names a model names a training run, too; `nano` is one that ships; recordings and teachers are of one world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sad_agents.model_words import of_world, shipped_student, shipped_worlds
from sad_distill.commands.main import main, train_config
from sad_distill.config import TrainConfig
from sad_distill.models.exported import adapter_base
from sad_distill.models.language import load_language
from sad_distill.training.memory import needs_of
from sad_distill.training.run import Run
from sad_eval.__main__ import main as evaluate

from sad_env.errors import CheckpointError, ConfigError, UnknownNameError
from sad_env.records import Trajectory
from sad_env.settings import replaced

NAMES = "nano:alfworld, nano:hotpotqa, nano:webshop"


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    base = replaced(
        TrainConfig(out=str(out)),
        student=str(files / "start.pt"),
        trajectories=(str(files / "expert.jsonl"),),
        env="toy",
        method="sft",
        mode="offline",
        steps=1,
        batch=2,
        context=200,
        max_new_tokens=40,
    )
    return replaced(base, **changes)


@pytest.fixture(scope="module")
def trained(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training run that has ended."""
    return Run(settings(files, tmp_path_factory.mktemp("run"))).train().parent


def test_a_training_runs_folder_is_its_student(
    trained: Path, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_language(str(trained)).identity == load_language(str(trained / "student.pt")).identity
    played = ["--env", "toy", "--episodes", "1", "--max-steps", "1", "--out"]
    for name in (trained, trained / "student.pt"):
        assert evaluate(["--agent", str(name), *played, str(tmp_path / name.name)]) == 0
    identities = [
        json.loads((tmp_path / name / "manifest.json").read_text())["identity"] for name in (trained.name, "student.pt")
    ]
    assert identities[0] == identities[1]
    assert identities[0]["agent checkpoint"] == "student.pt"
    assert evaluate(["doctor", str(trained)]) == 0
    assert "its training record:" in capsys.readouterr().out
    run = Run(settings(files, tmp_path / "second", method="word_kd", teacher=str(trained), student=str(trained)))
    assert run.teacher is not None
    assert run.teacher.name == run.student.identity == load_language(str(trained)).identity
    assert needs_of(run.config)
    assert main(["export", str(trained), "--out", str(tmp_path / "exported")]) == 0
    assert adapter_base(str(trained)) == ""
    assert adapter_base(str(tmp_path / "exported")) == str(tmp_path / "exported")


def test_a_training_run_without_a_student_is_told_as_one(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("config.json", "state.safetensors", "metrics.jsonl"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    said = f"{tmp_path}: a training run that has not ended: its student.pt is not there yet"
    with pytest.raises(CheckpointError, match=said):
        load_language(str(tmp_path))
    assert evaluate(["--agent", str(tmp_path), "--env", "toy", "--out", str(tmp_path / "played")]) == 4
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1]


def test_nano_of_a_world_names_the_student_that_ships(capsys: pytest.CaptureFixture[str]) -> None:
    assert shipped_worlds() == ["alfworld", "hotpotqa", "webshop"]
    path = shipped_student("hotpotqa")
    assert load_language("nano:hotpotqa").identity == load_language(str(path)).identity
    assert not capsys.readouterr().err
    assert evaluate(["doctor", "nano:hotpotqa"]) == 0
    assert "size: 1,969,856 parameters" in capsys.readouterr().out
    with pytest.raises(UnknownNameError, match="no world with a nano student 'hotpot': did you mean 'hotpotqa'"):
        load_language("nano:hotpot")
    with pytest.raises(UnknownNameError, match=r"no world with a nano student '\.\./students/webshop'"):
        load_language("nano:../students/webshop")


def test_nano_alone_is_the_one_of_the_settings_world_or_is_refused_with_the_names(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = str(recorded(tmp_path, files, "webshop"))
    words = {"env": "webshop", "student": "nano", "teacher": "nano", "method": "word_kd"}
    run = Run(settings(files, tmp_path, trajectories=(shop,), **words))
    student = load_language(str(shipped_student("webshop"))).identity
    assert run.contents["student"] == run.contents["teacher"] == student
    assert run.config.model.student == "nano:webshop"
    of_file, of_word = (
        needs_of(train_config(["--student", word, "--teacher", word, "--out", str(tmp_path / "plan")]))
        for word in (str(shipped_student("alfworld")), "nano")
    )
    assert of_word == of_file
    assert of_world("nano", "toy") == "nano"
    with pytest.raises(CheckpointError, match=f"nano is a student of one world each: give {NAMES}"):
        Run(settings(files, tmp_path / "toy", student="nano"))
    for command in (
        lambda: main(["inspect", "--trajectories", str(files / "expert.jsonl"), "--model", "nano"]),
        lambda: main(["export", "nano", "--out", str(tmp_path / "export")]),
        lambda: evaluate(["doctor", "nano"]),
    ):
        capsys.readouterr()
        assert command() == 4
        assert f"nano is a student of one world each: give {NAMES}" in capsys.readouterr().err
    assert main(["inspect", "--trajectories", str(files / "expert.jsonl"), "--model", "nano:alfworld"]) == 0


def recorded(folder: Path, files: Path, *worlds: str) -> Path:
    """A file of episodes that say that they are of these worlds."""
    lines = (files / "expert.jsonl").read_text().splitlines()
    episodes = (
        Trajectory.from_json(line).model_copy(update={"world": world})
        for line, world in zip(lines, worlds, strict=False)
    )
    path = folder / "recorded.jsonl"
    path.write_text("".join(one.to_json() + "\n" for one in episodes))
    return path


def test_recordings_of_another_world_are_refused_with_the_one_to_give(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sft-teacher", "--trajectories", str(files / "expert.jsonl"), "--steps", "1", "--out", str(tmp_path / "t")]
    for more in ([], ["--env", "alfworld"]):
        assert main([*words, *more]) == 2
        error = capsys.readouterr().err
        assert "expert.jsonl: episodes of toy, where --env is alfworld: give --env toy\n" in error
    assert not (tmp_path / "t" / "student.pt").exists()
    mixed = recorded(tmp_path, files, "toy", "webshop", "toy")
    with pytest.raises(ConfigError, match="episodes of toy and webshop, where --env is toy: give files of one world"):
        Run(settings(files, tmp_path / "mixed", trajectories=(str(mixed),)))
    with pytest.raises(UnknownNameError, match="did you mean 'toy'"):
        Run(settings(files, tmp_path / "typo", env="tyo"))


def test_a_world_in_a_file_that_lay_elsewhere_is_the_same(files: Path, tmp_path: Path) -> None:
    world = tmp_path / "garden.py"
    world.write_text("from sad_env.toy import ToyEnv\n\n\nclass Garden(ToyEnv):\n    pass\n")
    there = recorded(tmp_path, files, "/elsewhere/garden.py:Garden")
    Run(settings(files, tmp_path / "run", env=f"{world}:Garden", trajectories=(str(there),)))
    other = recorded(tmp_path, files, "/elsewhere/garden.py:Yard")
    with pytest.raises(ConfigError, match=r"episodes of /elsewhere/garden\.py:Yard, where --env is"):
        Run(settings(files, tmp_path / "other", env=f"{world}:Garden", trajectories=(str(other),)))


def test_a_teacher_of_another_world_is_warned_of_once(trained: Path, files: Path, tmp_path: Path) -> None:
    said: list[str] = []
    config = settings(files, tmp_path, method="word_kd", teacher=str(trained / "student.pt"))
    Run(config, warn=said.append)
    assert said == []
    shop = recorded(tmp_path, files, "webshop")
    Run(replaced(config, env="webshop", trajectories=(str(shop),)), warn=said.append)
    (line,) = said
    assert line.startswith("the teacher '")
    assert line.endswith("student.pt' was trained in toy, not in webshop")


@pytest.mark.slow
def test_a_checkpoint_that_plays_another_world_is_warned_of_once(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "student.pt").write_bytes((trained / "student.pt").read_bytes())
    monkeypatch.chdir(tmp_path)
    short = ["--agent", "student.pt", "--episodes", "1", "--max-steps", "1", "--quiet"]
    assert evaluate([*short, "--env", "toy", "--out", "own"]) == 0
    assert "was trained in" not in capsys.readouterr().err
    assert evaluate([*short, "--env", "hotpotqa", "--panel", "test,train", "--out", "other"]) == 0
    assert capsys.readouterr().err.count("warning: 'student.pt' was trained in toy, not in hotpotqa\n") == 1

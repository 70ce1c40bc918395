"""Training tells trackers of its curves and episodes; the flag of before works on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sad_distill.commands.main import train_config
from sad_distill.config import TrainConfig
from sad_distill.config_former import present_settings
from sad_distill.training.run import Run

from sad_env.settings import flat, replaced


def config(files: Path, out: Path) -> TrainConfig:
    return replaced(
        TrainConfig(out=str(out)),
        student=str(files / "start.pt"),
        teacher=str(files / "start.pt"),
        env="toy",
        mode="online",
        steps=2,
        rollouts=2,
        batch=2,
        context=200,
        max_new_tokens=40,
        report_to="tensorboard",
    )


def test_a_run_that_is_stopped_and_extended_is_one_run_of_a_tracker(files: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    out = tmp_path / "run"
    Run(config(files, out)).train()
    Run(replaced(config(files, out), steps=3, report_to="tensorboard,tensorboard")).train()
    found = accumulator(str(out / "tensorboard"), size_guidance={"tensors": 0, "scalars": 0})
    found.Reload()
    written = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(one.step, one.value) for one in found.Scalars("loss")] == [
        (line["step"], pytest.approx(line["loss"], rel=1e-6)) for line in written
    ]
    assert len(written) == 3
    assert [name for name in found.Tags()["tensors"] if name.startswith("episodes/")]


def test_the_flag_of_before_is_a_tracker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--out", "x", "--method", "sft", "--mode", "offline", "--trajectories", "e.jsonl"]
    assert train_config([*flags, "--tensorboard"]).output.report_to == "tensorboard"
    assert "--tensorboard is now --report-to tensorboard" in capsys.readouterr().err
    assert train_config([*flags, "--no-tensorboard"]).output.report_to == ""
    file = tmp_path / "former.toml"
    for value, meant in (("true", "tensorboard"), ("false", "")):
        file.write_text(f"[output]\ntensorboard = {value}\n")
        assert train_config([*flags, "--config", str(file)]).output.report_to == meant
    recorded = flat(TrainConfig(out="x"))
    del recorded["report_to"]
    assert present_settings({**recorded, "tensorboard": True})["report_to"] == "tensorboard"
    assert present_settings({**recorded, "tensorboard": False})["report_to"] == ""

"""What trackers are told: TensorBoard's files read back, trackio's data base and wandb's files without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sad_agents.collect_command import main as collect
from sad_agents.tracking import SAMPLES, open_trackers
from sad_eval.commands.evaluate import main as evaluate

from sad_env.errors import ConfigError, UnknownNameError
from sad_env.records import read_trajectories


def told(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    found = accumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0, "scalars": 0})
    found.Reload()
    return found


def points(found: Any, name: str) -> list[tuple[int, float]]:
    return [(one.step, one.tensor_proto.float_val[0]) for one in found.Tensors(name)]


def scalars(found: Any, name: str) -> list[tuple[int, float]]:
    return [(one.step, one.value) for one in found.Scalars(name)]


def run_name(folder: Path) -> str:
    return f"{folder.name}-{(folder / 'tracking_id').read_text().strip()}"


@pytest.fixture
def episodes(tmp_path: Path) -> Path:
    out = tmp_path / "toy.jsonl"
    assert collect(["--env", "toy", "--episodes", "30", "--workers", "0", "--quiet", "--out", str(out)]) == 0
    return out


def test_tensorboard_has_settings_curves_and_episodes(episodes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for steps in ((0, 1), (2,)):  # a run that was stopped goes on
        trackers = open_trackers("tensorboard", folder, {"seed": 3})
        for step in steps:
            trackers.write(step, {"loss": 1.0 / (step + 1), "broken": float("nan")})
        trackers.episodes(steps[-1], read_trajectories(episodes))
        trackers.close()
    found = told(folder)
    assert scalars(found, "loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    assert "broken" not in found.Tags()["scalars"]
    texts = [name for name in found.Tags()["tensors"] if name.startswith("episodes/")]
    assert len(texts) == SAMPLES
    first = next(read_trajectories(episodes))
    text = found.Tensors(f"episodes/{first.task_id}/text_summary")[0].tensor_proto.string_val[0].decode()
    assert first.steps[0].action in text
    assert b'"seed": 3' in found.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]


def test_an_evaluation_tells_its_figures_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    flags = ["--agent", "expert", "--env", "toy", "--episodes", "5", "--workers", "0", "--quiet", "--out", str(folder)]
    for _ in range(2):
        assert evaluate([*flags, "--report-to", "tensorboard"]) == 0
    found = told(folder)
    assert scalars(found, "episode/success_so_far") == [(step, 1.0) for step in range(1, 6)]
    results = json.loads((folder / "results.json").read_text())
    for name, figure in results["metrics"].items():
        for end, value in (("", "value"), ("_low", "low"), ("_high", "high")):
            assert scalars(found, f"final/{name}{end}") == [(5, pytest.approx(figure[value], rel=1e-6))]
    assert len([name for name in found.Tags()["tensors"] if name.startswith("episodes/")]) == 5


def test_an_unknown_tracker_is_told_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    flags = ["--agent", "expert", "--env", "toy", "--episodes", "5", "--out", str(folder)]
    assert evaluate([*flags, "--report-to", "trackyo"]) == 2
    assert "did you mean 'trackio'" in capsys.readouterr().err
    assert not folder.exists()


def test_a_missing_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(ConfigError, match=r"pip install 'sad-env-core\[track\]'"):
        open_trackers("trackio", tmp_path, {})
    with pytest.raises(UnknownNameError):
        open_trackers("x", tmp_path, {})


SERVICE = """
import sys
from pathlib import Path
from sad_agents.tracking import open_trackers
from sad_env.records import read_trajectories
folder = Path(sys.argv[1])
trackers = open_trackers(sys.argv[2], folder, {"seed": 3})
trackers.write(0, {"loss": 1.0})
trackers.write(1, {"loss": 0.5})
trackers.episodes(1, read_trajectories(sys.argv[3]))
trackers.close()
print("done")
"""


def serve(name: str, folder: Path, episodes: Path, **settings: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, str(folder), name, str(episodes)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]


def test_trackio_keeps_the_run_without_a_network(episodes: Path, tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    folder = tmp_path / "run"
    folder.mkdir()
    offline = {"TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}
    serve("trackio", folder, episodes, **offline)
    serve("trackio", folder, episodes, **offline)
    code = (
        "import json, trackio; from trackio.sqlite_storage import SQLiteStorage as s;"
        "runs = s.get_runs('sad-env'); print(json.dumps([runs, [s.get_logs('sad-env', run) for run in runs],"
        " [s.get_run_config('sad-env', run) for run in runs]], default=str))"
    )
    read = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | offline, capture_output=True, text=True, check=True
    )
    runs, logs, configs = json.loads(read.stdout.splitlines()[-1])
    assert runs == [run_name(folder)]
    assert configs[0]["seed"] == 3
    assert [(one["step"], one["loss"]) for one in logs[0] if "loss" in one] == [(0, 1.0), (1, 0.5)] * 2
    tables = [one["episodes"] for one in logs[0] if "episodes" in one]
    assert len(tables) == 2
    assert len(tables[0]["_value"]) == SAMPLES


def test_wandb_keeps_the_run_without_a_network(episodes: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    folder = tmp_path / "run"
    folder.mkdir()
    serve("wandb", folder, episodes, WANDB_MODE="offline", WANDB_SILENT="true")
    (kept,) = (folder / "wandb").glob("offline-run-*")
    assert kept.name.endswith(run_name(folder))
    assert list(kept.glob("*.wandb"))

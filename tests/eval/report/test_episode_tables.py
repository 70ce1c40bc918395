"""Tables of episodes and of steps: every metric of the results comes back from them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.commands.evaluate import main
from sad_eval.metrics.episode_metrics import METRICS
from sad_eval.report import episode_tables
from sad_eval.runs.run_folder import RunFolder

from sad_env.errors import ConfigError

MakeRun = Callable[..., RunFolder]
OF_SUMS = {"reasoning_per_step", "cot_length", "invalid_actions", "cot_match_best_length", "cot_match_mean_length"}
"""Ratios of sums: their value is no mean over episodes."""


@pytest.fixture(scope="module")
def runs(toy_run: MakeRun) -> list[RunFolder]:
    expert = toy_run()
    return [expert, toy_run("random", "--reference", str(expert.path), repeats=2)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_of_episodes_gives_every_metric_of_the_results(runs: list[RunFolder], tmp_path: Path) -> None:
    assert main(["report", *(str(run.path) for run in runs), "--csv", str(tmp_path / "all.csv")]) == 0
    lines = rows(tmp_path / "all.csv")
    assert len(lines) == 12 + 24
    assert tuple(lines[0]) == episode_tables.episode_columns()
    for run in runs:
        ours = [line for line in lines if line["run"] == run.path.name]
        results = run.results()
        for name in METRICS:
            values = [float(line[name]) for line in ours if line[name]]
            assert bool(values) == (name in results.metrics)
            if values and name not in OF_SUMS:
                assert sum(values) / len(values) == pytest.approx(results.metrics[name].value)


def test_the_table_of_steps_has_a_line_for_every_step(runs: list[RunFolder], tmp_path: Path) -> None:
    assert main(["report", str(runs[0].path), "--csv-steps", str(tmp_path / "steps.csv")]) == 0
    lines = rows(tmp_path / "steps.csv")
    steps = [step for line in runs[0].episodes() for step in line.trajectory.steps]
    assert tuple(lines[0]) == episode_tables.STEP_COLUMNS
    assert [line["action"] for line in lines] == [step.action for step in steps]
    assert [int(line["admissible"]) for line in lines] == [len(step.admissible or ()) for step in steps]
    assert lines[0]["step"] == "1"


def test_a_reference_that_is_gone_leaves_cot_match_out_and_says_so(
    toy_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = toy_run()
    run = toy_run("random", "--reference", str(teacher.path))
    teacher.path.rename(tmp_path / "elsewhere")
    assert main(["report", str(run.path), "--csv", str(tmp_path / "all.csv")]) == 0
    assert "no CoT match in the table" in capsys.readouterr().err
    assert {line["cot_match"] for line in rows(tmp_path / "all.csv")} == {""}


def test_parquet_holds_what_csv_holds(runs: list[RunFolder], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    for flag, columns in (("--csv", episode_tables.episode_columns()), ("--csv-steps", episode_tables.STEP_COLUMNS)):
        for suffix in ("csv", "parquet"):
            assert main(["report", str(runs[1].path), flag, str(tmp_path / f"all.{suffix}")]) == 0
        table = parquet.read_table(tmp_path / "all.parquet")
        assert tuple(table.column_names) == columns
        for line, plain in zip(table.to_pylist(), rows(tmp_path / "all.csv"), strict=True):
            for name, value in line.items():
                if value is None or isinstance(value, str):
                    assert (value or "") == plain[name].removeprefix("'")
                else:
                    assert value == float(plain[name])


def test_parquet_without_pyarrow_says_what_to_do(
    runs: list[RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        episode_tables.write_table(tmp_path / "a.parquet", ("run",), [])
    assert list(tmp_path.iterdir()) == []

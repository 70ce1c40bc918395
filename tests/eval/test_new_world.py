"""`sad-eval new-world`: what it writes passes its own test and is evaluated, without packaging."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sad_eval.commands.evaluate import main


@pytest.mark.parametrize(("name", "title"), [("lights", "Lights"), ("my_small_world", "MySmallWorld")])
def test_the_world_passes_its_test_and_is_evaluated_as_written(
    name: str, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-world", name]) == 0
    assert f"--env {name}.py:{title} --agent expert" in capsys.readouterr().out
    code = (tmp_path / f"{name}.py").read_text()
    assert len([line for line in code.splitlines() if line.strip() and '"""' not in line]) <= 30
    done = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True)
    assert "2 passed" in done.stdout, done.stdout
    assert main(["--env", f"{name}.py:{title}", "--agent", "expert", "--workers", "0"]) == 0
    assert "100.0 %" in capsys.readouterr().out
    subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,I", "--line-length", "120", "."],
        cwd=tmp_path,
        check=True,
    )


@pytest.mark.parametrize("name", ["My", "a b", "", "../x", "class", "3d", "héros"])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-world", name, "--out", str(tmp_path)]) == 2
    assert "is no name for a world" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_lights.py").write_text("mine")
    assert main(["new-world", "lights", "--out", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["test_lights.py"]

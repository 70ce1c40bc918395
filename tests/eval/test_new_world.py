"""`sad-eval new-world`: what it writes passes its own test and is evaluated, without packaging."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sad_eval.commands.evaluate import main

README = Path(__file__).resolve().parents[2] / "README.md"


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


def test_an_installed_command_finds_worlds_and_agents_of_its_folder(tmp_path: Path) -> None:
    """As the README has it: its agent in a file `mine.py`. The world's name is that of its module."""
    assert main(["new-world", "lights", "--out", str(tmp_path)]) == 0
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    [agent] = [block for block in blocks if "class Looker" in block]
    (tmp_path / "mine.py").write_text(agent)
    (tmp_path / "json.py").write_text("raise SystemExit('a file here took the place of a module')")
    command = [Path(sys.executable).with_name("sad-eval"), "--env", "lights:Lights", "--agent", "mine:Looker"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "run folder: runs/lights-Lights-test-looker" in done.stdout


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

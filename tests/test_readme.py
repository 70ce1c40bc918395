"""Every command that the README shows is run, in its order, in one empty folder; so is all Python of the guides."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "agents"))
from served import Answer, ModelServer, calls, says, serving

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
GUIDES = ("README.md", "docs/distillation.md", "docs/evaluation.md", "docs/searchqa.md", "docs/index.md")
GUIDES += ("docs/own_world.md", "docs/own_loss.md", "docs/own_teacher.md")
BLOCK = re.compile(
    r"(?:<!-- (?:not run|(?P<served>served)): (?P<reason>.+?) -->\n)?```console\n(?P<body>.*?)```", re.DOTALL
)


def commands(page: Path = README, *, served: bool = False) -> list[str]:
    """Lines that start with a dollar sign, of every block that is not marked, or of that with a server's commands."""
    return [
        line[2:]
        for block in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if (block["served"] is not None if served else block["reason"] is None)
        for line in block["body"].splitlines()
        if line.startswith("$ ")
    ]


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SAD_ENV_DATA": str(folder / "data"),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "100",
    }


def run(command: str, folder: Path) -> str:
    """What a command prints; it has to end well."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.slow
def test_the_tutorials_commands_work_as_printed(tmp_path: Path) -> None:
    found = commands(TUTORIAL)
    assert len(found) >= 10
    for command in found:
        run(command, tmp_path)


@pytest.mark.slow
def test_the_readmes_commands_for_a_served_instruct_model_work_as_printed(tmp_path: Path) -> None:
    serve, *found = commands(served=True)
    name = serve.split()[2]
    assert len(found) == 4

    def answer(path: str, body: dict[str, Any]) -> Answer:
        """Answers as an instruct model does; the only action that it knows is to give an answer."""
        assert (path, body["model"]) == ("chat/completions", name)
        # In a chat the instruction begins the exemplar's first turn; beside functions it is the system's.
        assert body["messages"][0]["role"] == ("system" if "tools" in body else "user")
        if "tools" in body:
            return calls(("finish", {"answer": "yes"}), said="I guess.")
        return says("Reasoning: I guess.\nAction: finish[yes]")

    listed = (200, {"object": "list", "data": [{"id": name, "object": "model", "max_model_len": 32768, "root": name}]})
    with serving(ModelServer(answer, models=listed)) as server:
        printed = [run(command.replace("http://localhost:8000", server.url), tmp_path) for command in found]
        assert ["tools" in body for body in server.bodies] == [False] * 20 + [True] * 20
    assert all("success_rate" in one or "success" in one for one in printed[:3])
    assert "finish[yes]" in printed[3]


def test_every_block_that_is_not_run_says_why_and_every_program_is_ours_or_pythons() -> None:
    programs = {shlex.split(command)[0] for page in (README, TUTORIAL) for command in commands(page)}
    assert programs <= {"sad-data", "sad-collect", "sad-distill", "sad-eval", "sad-play", "sad-leaderboard", "python"}
    assert programs >= {"sad-eval", "sad-play", "sad-leaderboard"}


@pytest.mark.parametrize("guide", [GUIDES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in GUIDES[1:])])
def test_a_guides_python_runs_from_its_beginning_to_its_end(guide: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / guide).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    environment = os.environ | {"SAD_ENV_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", "\n".join(blocks)]
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]

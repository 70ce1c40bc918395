"""Agents of other distributions: found by entry point or dotted name; a broken one is listed and harms nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.commands.evaluate import main
from sad_eval.runs.run_folder import RunFolder

CODE = """
from sad_agents.policies import RandomAgent

def make(world, options):
    agent = RandomAgent(world)
    agent.name = "guest"
    return agent
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    info = site / "guests-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "guest_agents.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sad_env.agents]\nguest = guest_agents:make\nbroken = guest_agents_that_are_not_there:make\n"
    )
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()


def test_a_plugin_acts(plugin: None, evaluate: Callable[..., int]) -> None:
    for out, name in (("a", "guest"), ("b", "guest_agents:make")):
        assert evaluate("--env", "toy", "--agent", name, "--episodes", "3", "--workers", "0", "--out", out) == 0
        assert RunFolder.open(out).manifest.agent == "guest"
        assert RunFolder.open(out).results().counts["agent_error"] == 0


def test_a_broken_plugin_is_listed_with_its_error(plugin: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "guest guest_agents:make ok" in out
    assert "broken: ModuleNotFoundError: No module named" in out
    assert main(["doctor"]) == 5
    assert "agent plug-in broken: ModuleNotFoundError" in capsys.readouterr().out

"""A metric and a world from outside: each a file of under 25 lines and an entry point, found by `sad-eval`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.metrics.episode_metrics import METRICS, Metric, register

from sad_env.errors import ConfigError

METRIC = """
from sad_eval.metrics.episode_metrics import Metric, Share


def _looked(episode):
    steps = episode.trajectory.steps
    return Share(sum(step.action == "look" for step in steps), len(steps)) if steps else None


looking = Metric("share", "steps that only look around", _looked)
"""

WORLD = """
from sad_env import Expert, Panel, TextEnv, ThoughtAction, Turn, WorldSpec

class Gate(TextEnv):
    world = "gate"
    def __init__(self, *, data="generated", split="test", render_mode=None):
        super().__init__(panel=Panel.of("gate", data, split, ["north", "south"]), render_mode=render_mode)
    def _begin(self, task_id):
        self._side = task_id
        return Turn(f"A gate to the {task_id}.")
    def _act(self, action):
        won = action == f"go {self._side}"
        return Turn("You are through." if won else "Nothing happens.", float(won), won, won, float(won), won)
    def oracle(self):
        return [f"go {self._side}"] if self._task_id else None

class GateExpert(Expert):
    def begin(self, observation, info):
        self._side = observation.rstrip(".").rsplit(" ", 1)[1]
    def decide(self):
        return ThoughtAction(f"The gate is to the {self._side}.", f"go {self._side}")
    def observe(self, action, observation, info): ...

experts = {"expert": "guest_world:GateExpert"}
spec = WorldSpec("gate", "guest/Gate-v0", "guest_world:Gate", 5, "test", "one gate", experts)
"""

SadEval = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def guest(tmp_path: Path) -> SadEval:
    """Runs `sad-eval` where another distribution is installed that brings a metric, a world and broken ones."""
    info = tmp_path / "site" / "guests-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "guest_metric.py").write_text(METRIC)
    (tmp_path / "site" / "guest_world.py").write_text(WORLD)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sad_eval.metrics]\nlooking = guest_metric:looking\nscore = guest_metric:looking\n"
        "[sad_env.worlds]\ngate = guest_world:spec\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *sys.path])}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sad_eval", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.parametrize("code", [METRIC, WORLD])
def test_what_is_added_is_short(code: str) -> None:
    assert len([line for line in code.splitlines() if line.strip()]) < 25


def test_a_metric_of_another_distribution_is_in_the_results_and_in_every_report(guest: SadEval, tmp_path: Path) -> None:
    done = guest("--env", "toy", "--agent", "random", "--episodes", "6", "--workers", "0", "--out", "run")
    assert done.returncode == 0, done.stderr
    estimate = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]["looking"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    actions = [step["action"] for line in lines for step in line["trajectory"]["steps"]]
    assert 0 < actions.count("look") < len(actions)
    assert estimate["value"] == pytest.approx(actions.count("look") / len(actions))
    assert estimate["low"] < estimate["value"] < estimate["high"]
    (row,) = [line for line in done.stdout.splitlines() if line.strip().startswith("looking")]
    assert f"{100 * estimate['value']:.1f} %" in row
    assert guest("report", "run", "--html", "page.html", "--json", "report.json").returncode == 0
    assert "<th>looking</th>" in (tmp_path / "page.html").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["runs"][0]["results"]["metrics"]["looking"] == estimate


@pytest.mark.slow
def test_a_world_of_another_distribution_is_evaluated(guest: SadEval, tmp_path: Path) -> None:
    for agent, wins in (("expert", 2), ("oracle", 2), ("null", 0)):
        done = guest("--env", "gate", "--agent", agent, "--workers", "1", "--quiet", "--out", agent)
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / agent / "results.json").read_text())["counts"]["success"] == wins
    assert guest("validate", "gate", "--episodes", "2", "--quiet").returncode == 0
    done = guest("validate", "gate", "--quiet")  # it has fewer tasks than are taken of a large world
    assert done.returncode == 0, done.stderr
    assert "the oracle wins 2 of 2 tasks" in done.stdout


def test_a_metric_that_cannot_be_added_is_listed_and_harms_nothing(guest: SadEval) -> None:
    listed = guest("ls").stdout
    assert "there is a metric 'score' already" in " ".join(listed.split())
    assert guest("doctor").returncode == 5
    assert guest("--env", "toy", "--agent", "expert", "--episodes", "2", "--workers", "0", "--quiet").returncode == 0


@pytest.mark.parametrize("name", ["score", "Looking", "a metric", "", "x" * 41])
def test_a_name_that_is_taken_or_not_plain_is_refused(name: str) -> None:
    before = dict(METRICS)
    with pytest.raises(ConfigError):
        register(name, Metric("share", "of nothing", lambda episode: None))
    assert before == METRICS

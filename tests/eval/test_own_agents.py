"""Agents of a user's own: by module or by file, and known by their code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_agents.catalogue import provenance, resolve
from sad_agents.collect_command import main as collect
from sad_eval.runs.plan import identity_changes
from sad_eval.runs.run_folder import RunFolder

from sad_env.errors import ConfigError
from sad_env.files import sha256_file
from sad_env.json_lines import read_json

Evaluate = Callable[..., int]
AGENT = """
from sad_agents.agent import Decision


class Looker:
    name = "looker"

    def __init__(self, world, options):
        pass

    def begin(self, episode, start):
        return ""

    def act(self, episodes):
        return [Decision.of("I look around.", "look") for _ in episodes]

    def observe(self, episode, decision, observation, info):
        pass

    def end(self, episode):
        pass
"""


def write(path: Path, code: str = AGENT) -> str:
    """The file's hash; as in a new process, its code is not loaded yet."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)
    for name in [name for name in sys.modules if name == path.stem or name.startswith(f"_file_{path.stem}_")]:
        del sys.modules[name]
    return sha256_file(path)


@pytest.mark.parametrize("spec", ["own_looker:Looker", "own_looker.py:Looker", "agents/own_looker.py:Looker"])
def test_an_own_agent_that_was_edited_does_not_show_its_old_results(
    spec: str, evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("ls")  # moves into the folder
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / ("agents/own_looker.py" if "/" in spec else "own_looker.py")
    words = ["--env", "toy", "--agent", spec, "--episodes", "2", "--max-steps", "2", "--workers", "0", "--out"]
    first = write(file)
    assert evaluate(*words, "runs/m") == 0
    assert RunFolder.open("runs/m").manifest.identity["agent code_sha256"] == first
    assert collect([*words, "looked.jsonl", "--split", "test"]) == 0
    write(file)
    assert evaluate(*words, "runs/m") == 0
    assert "nothing played" in capsys.readouterr().err
    second = write(file, AGENT.replace('"look")', '"inventory")'))
    assert evaluate(*words, "runs/m") == 2
    assert f"run with agent code_sha256 '{first[:20]}" in capsys.readouterr().err
    assert collect([*words, "looked.jsonl", "--split", "test"]) == 2
    assert "looked.jsonl was made with another code_sha256: name another --out" in capsys.readouterr().err
    assert evaluate(*words, "runs/m", "--new") == 0
    assert RunFolder.open("runs/m").manifest.identity["agent code_sha256"] == second
    assert {step.action for line in RunFolder.open("runs/m").episodes() for step in line.trajectory.steps} == {
        "inventory"
    }


def test_runs_and_recordings_from_before_code_was_recorded_go_on(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("ls")
    write(Path("own_looker.py"))
    words = ["--env", "toy", "--agent", "own_looker.py:Looker", "--max-steps", "2", "--workers", "0"]
    assert evaluate(*words, "--episodes", "2", "--out", "run") == 0
    now = RunFolder.open("run").manifest
    earlier = {name: value for name, value in now.identity.items() if name != "agent code_sha256"}
    assert len(earlier) == len(now.identity) - 1
    before = now.model_copy(update={"identity": earlier})
    assert identity_changes(before, now) == []
    assert collect([*words, "--episodes", "2", "--out", "looked.jsonl"]) == 0
    settings = read_json("looked.jsonl.settings.json")
    assert settings.pop("code_sha256") == now.identity["agent code_sha256"]
    Path("looked.jsonl.settings.json").write_text(json.dumps(settings))
    assert collect([*words, "--episodes", "3", "--out", "looked.jsonl"]) == 0
    assert len(Path("looked.jsonl").read_text().splitlines()) == 3


def test_what_wraps_an_own_agent_knows_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digest = write(Path("own_looker.py"))
    words = ["--env", "toy", "--agent", "own_looker.py:Looker", "--episodes", "1", "--workers", "0", "--slip", "0.1"]
    assert collect([*words, "--max-steps", "2", "--out", "looked.jsonl"]) == 0
    assert read_json("looked.jsonl.settings.json")["code_sha256"] == digest


def test_frozen_agents_functions_and_agents_without_attributes_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    digest = write(
        Path("own_kinds.py"),
        f"{AGENT}\n\nclass Slotted(Looker):\n    __slots__ = ()\n\n\n"
        "import dataclasses\n\n\n@dataclasses.dataclass(frozen=True)\nclass Frozen(Looker):\n    world: str\n"
        "    options: object\n\n\n"
        "def make(world, options):\n    return Looker(world, options)\n\n\n"
        "class Bare:\n    __slots__ = ()\n    name = 'bare'\n"
        "    begin = act = observe = end = print\n\n    def __init__(self, world, options):\n        pass\n",
    )
    for name in ("Frozen", "Slotted", "make"):
        assert provenance(resolve(f"own_kinds.py:{name}", "toy")) == {"code_sha256": digest}
    assert provenance(resolve("own_kinds.py:Bare", "toy")) == {}


def test_a_file_that_is_none_or_lacks_the_class_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("own_looker.py"))
    with pytest.raises(ConfigError, match=r"the agent 'none\.py:Looker' cannot be imported: .*there is no file"):
        resolve("none.py:Looker", "toy")
    with pytest.raises(ConfigError, match=r"no agent 'own_looker\.py:Seer': .* has no attribute 'Seer'"):
        resolve("own_looker.py:Seer", "toy")

"""What the commands do in one call from Python: same settings, same results, errors that raise, and nothing printed."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sad_agents
import sad_distill
import sad_eval

import sad_env
from sad_env.errors import ConfigError, DataError, InfrastructureError, UnknownNameError

LAZY = ("sad_agents", "sad_distill", "sad_eval")


class Looker:
    """Looks around, whatever it is asked for."""

    name = "looker"

    def __init__(self, world: str, options: object) -> None:
        self.world = world

    def begin(self, episode: object, start: sad_agents.EpisodeStart) -> str:
        return ""

    def act(self, episodes: list[object]) -> list[sad_agents.Decision]:
        return [sad_agents.Decision.of("I look around.", "look") for _ in episodes]

    def observe(self, episode: object, decision: sad_agents.Decision, observation: str, info: object) -> None:
        pass

    def end(self, episode: object) -> None:
        pass


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_worlds_load_no_torch_and_the_tops_of_the_packages_nothing_heavy() -> None:
    code = (
        "import sys, sad_env, sad_agents, sad_distill, sad_eval;"
        " print([n for n in ('torch', 'transformers', 'pandas', 'tokenizers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("package", LAZY)
def test_every_name_of_a_package_is_there_and_known_to_type_checkers(package: str) -> None:
    module = importlib.import_module(package)
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert module.__all__ == sorted(module.__all__)
    (block,) = [node for node in ast.parse(Path(str(module.__file__)).read_text()).body if isinstance(node, ast.If)]
    typed = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted(typed) == module.__all__
    for name, place in typed.items():
        assert getattr(importlib.import_module(str(place)), name) is getattr(module, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_an_evaluation_is_that_of_the_command_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    from sad_eval.commands.evaluate import main

    ours = sad_eval.evaluate(agent="expert", env="toy", episodes=4, workers=0, out="ours")
    again = sad_eval.evaluate(agent="expert", env="toy", episodes=4, workers=0, out="ours")
    assert capfd.readouterr() == ("", "")
    words = "--agent expert --env toy --episodes 4 --workers 0 --out theirs --quiet"
    assert main(words.split()) == 0
    theirs = sad_eval.RunFolder.open("theirs")
    assert ours.run.manifest.identity == theirs.manifest.identity
    assert again.results == ours.results
    assert ours.results.metrics["success_rate"] == theirs.results().metrics["success_rate"]
    assert [one.task_id for one in ours.episodes] == list(theirs.manifest.panel.task_ids)


def test_an_evaluation_is_shown_as_a_line_a_table_and_a_frame() -> None:
    pandas = pytest.importorskip("pandas")
    found = sad_eval.evaluate(agent="expert", env="toy", episodes=3, workers=0)
    assert repr(found) == "<expert in toy test-3 (generated): success 100.0 % [43.9 – 100.0 %], 3 episodes>"
    assert "<td>100.0 %</td><td>43.9 – 100.0 %</td>" in found._repr_html_()
    frame = found.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["task_id"]) == [one.task_id for one in found.episodes]
    assert list(frame["steps"]) == [len(one.steps) for one in found.episodes]
    assert frame["success"].all()


def test_what_an_agent_is_called_is_escaped_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Looker, "name", "<script>alert(1)</script>\x1b[31m")
    page = sad_eval.evaluate(agent=Looker, env="toy", episodes=1, workers=0)._repr_html_()
    assert "<script>" not in page
    assert "\x1b" not in page


def test_a_class_is_an_agent_and_two_runs_compare() -> None:
    looks = sad_eval.evaluate(agent=Looker, env="toy", episodes=8, workers=0)
    knows = sad_eval.evaluate(agent="expert", env="toy", episodes=8, workers=0)
    assert {step.action for one in looks.episodes for step in one.steps} == {"look"}
    (pair,) = sad_eval.compare(looks, knows.folder).pairs
    assert (pair.only_second, pair.p_value) == (8, 2 / 2**8)
    assert sad_eval.verdict(pair).endswith("succeeds more often, by 100.0 points on these tasks")


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"env": "toyy"}, UnknownNameError, "did you mean 'toy'?"),
        ({"env": "toy", "agent": "exprt"}, UnknownNameError, "did you mean 'expert'?"),
        ({"env": "toy", "episods": 3}, UnknownNameError, "did you mean 'episodes'?"),
        ({"env": "toy", "episodes": "3"}, ConfigError, "episodes='3' is not valid: Input should be a valid integer"),
        ({"env": "toy", "out": object()}, ConfigError, "is not valid: it is neither text, a number"),
        ({"env": "toy", "episodes": -1}, ConfigError, "--episodes is 0 or more"),
        ({"env": "toy", "top_p": 0.5}, ConfigError, "--top-p 0.5 has no effect: agent 'expert' is no model"),
        ({"env": "toy", "json": True}, ConfigError, "--json has no effect: results are returned"),
        ({"env": "toy", "panel": "test,train"}, ConfigError, "one panel a call"),
        ({"env": "toy", "agent": Looker("toy", None)}, ConfigError, "pass its class"),
        ({"env": "alfworld", "data": "missing"}, DataError, "missing"),
    ],
)
def test_what_is_wrong_raises_and_leaves_nothing(
    settings: dict[str, Any], error: type[Exception], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error) as raised:
        sad_eval.evaluate(**{"agent": "expert", **settings})
    assert said in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_server_that_is_not_there_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sad_env.http.time.sleep", lambda seconds: None)  # between tries
    with pytest.raises(InfrastructureError):
        sad_eval.evaluate(
            agent="openai:http://127.0.0.1:9#none", env="toy", episodes=1, workers=0, chat="off", patience=0
        )


def test_trajectories_are_collected_with_and_without_a_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    loose = sad_agents.collect(agent="expert", env="toy", episodes=3, workers=0)
    assert list(tmp_path.iterdir()) == []
    kept = sad_agents.collect(agent="expert", env="toy", episodes=2, workers=0, out=tmp_path / "toy.jsonl")
    more = sad_agents.collect(agent="expert", env="toy", episodes=3, workers=0, out="toy.jsonl")
    assert [len(loose), len(kept), len(more)] == [3, 2, 3]
    first = [{one.task_id: [step.action for step in one.steps] for one in found} for found in (loose, more)]
    assert first[0] == first[1]
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ConfigError, match="was made with another seed"):
        sad_agents.collect(agent="expert", env="toy", seed=1, workers=0, out="toy.jsonl")
    with pytest.raises(ConfigError, match="--votes 3 has no effect"):
        sad_agents.collect(agent="expert", env="toy", votes=3)


def test_a_distillation_is_that_of_the_command_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    from sad_distill.commands.main import main

    sad_agents.collect(agent="expert", env="toy", split="train", episodes=8, workers=0, out="toy.jsonl")
    how: dict[str, Any] = {"student": "nano-0.7m", "env": "toy", "method": "sft", "mode": "offline", "batch": 4}
    capfd.readouterr()
    teacher = sad_distill.distill(**how, trajectories=["toy.jsonl"], steps=2)
    assert capfd.readouterr() == ("", "")
    flags = [word for name, value in how.items() for word in (f"--{name}", str(value))]
    assert main([*flags, "--trajectories", "toy.jsonl", "--steps", "2", "--out", "theirs"]) == 0
    theirs = [json.loads(line) for line in Path("theirs/metrics.jsonl").read_text().splitlines()]
    assert [one["loss"] for one in teacher.metrics] == [one["loss"] for one in theirs]
    assert teacher.folder.parent == Path("runs")
    assert teacher.folder.name.startswith("toy-sft-offline-")
    student = sad_distill.distill(
        teacher=teacher.student, student="layers:1", env="toy", steps=1, rollouts=2, context=128, max_new_tokens=16
    )
    assert len(student.metrics) == 1
    assert "1 updates" in student._repr_html_()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sad_distill.distill(student="nano-0.7m", env="toy", stepss=3), "did you mean 'steps'?"),
        (lambda: sad_distill.distill(student="nano-0.7m", env="toy", mode="offline", method="sft"), "--trajectories"),
        (lambda: sad_agents.collect(agent="expert", env="toy", episods=3), "did you mean 'episodes'?"),
        (lambda: sad_env.make("toyy"), "did you mean 'toy'?"),
    ],
)
def test_mistakes_in_the_other_calls_raise(call: Callable[[], object], said: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError)) as raised:
        call()
    assert said in str(raised.value)

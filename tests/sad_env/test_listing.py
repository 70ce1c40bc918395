"""What there is to play, by calls; and worlds that nobody has registered, by their addresses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sad_env
from sad_env import registry
from sad_env.errors import ConfigError, DataError, UnknownNameError

GATE = '''
"""A gate to the left or to the right."""
from collections.abc import Mapping
from dataclasses import dataclass
from sad_env import Expert, Panel, TextEnv, ThoughtAction, Turn

@dataclass
class Side:
    name: str

class GateExpert(Expert):
    def begin(self, observation, info):
        self._side = observation.rstrip(".").rsplit(" ", 1)[1]
    def decide(self):
        return ThoughtAction("The way is known.", f"go {self._side}")
    def observe(self, action, observation, info): ...

class Gate(TextEnv):
    """One gate."""
    world = "gate"
    max_steps = 3
    experts = {"expert": GateExpert}
    def __init__(self, *, data="generated", split="gates", render_mode=None):
        super().__init__(panel=Panel.of("gate", data, split, ["left", "right"]), render_mode=render_mode)
    def _begin(self, task_id):
        self._side = Side(task_id)
        return Turn(f"A gate to the {task_id}.")
    def _act(self, action):
        won = action == f"go {self._side.name}"
        return Turn("Through." if won else "Nothing happens.", float(won), won, won, float(won), won)
    def oracle(self):
        return [f"go {self._side.name}"] if self._task_id else None

NOT_A_WORLD = lambda split="x": None
'''


@pytest.mark.parametrize(
    "name",
    ["toy", "hotpotqa", *(pytest.param(one, marks=pytest.mark.slow) for one in ("alfworld", "webshop", "searchqa"))],
)
def test_every_split_that_is_listed_can_be_played_and_has_the_task_types_that_are_listed(name: str) -> None:
    assert name in sad_env.worlds()
    seen = set()
    for split in sad_env.splits(name):
        env = sad_env.make(name, split=split)
        assert sad_env.panel(name, split).sha256 == env.panel.sha256
        # A shop or rooms of its own for every task take their time.
        seen |= {
            env.reset(seed=seed)[1]["task_type"] for seed in range(1 if split in ("train_shops", "train_rooms") else 40)
        }
    assert seen == set(sad_env.task_types(name))


def test_a_panel_is_that_of_an_evaluation() -> None:
    assert sad_env.panel("alfworld").name == registry.world("alfworld").panel
    assert sad_env.panel("toy", episodes=7).task_ids == sad_env.make("toy").panel.head(7).task_ids
    with pytest.raises(UnknownNameError, match="no split of toy 'tset': did you mean 'test'"):
        sad_env.panel("toy", "tset")


def test_splits_of_given_data_are_those_that_are_there(
    external_path: Callable[[str], Path], official_games: Path
) -> None:
    assert sad_env.splits("alfworld", str(official_games)) == ["train", "valid_seen"]
    assert "paper-test" not in sad_env.splits("webshop", str(external_path("data/webshop/items_human_ins.json").parent))
    with pytest.raises(DataError):
        sad_env.splits("alfworld", "/nowhere")


@pytest.fixture
def gate(tmp_path: Path) -> str:
    (tmp_path / "json.py").write_text(GATE)  # a name that another module has
    return f"{tmp_path / 'json.py'}:Gate"


def test_a_class_in_a_file_is_a_world_with_its_experts_and_limit(gate: str) -> None:
    spec = registry.world(gate)
    assert (spec.name, spec.max_steps, spec.panel, spec.summary) == (gate, 3, "gates", "One gate.")
    env = sad_env.make(gate)
    first, info = env.reset(options={"task_id": "right"})
    expert = sad_env.make_expert(gate)
    expert.begin(first, info)
    assert env.step(expert.decide().action)[4]["success"]
    assert gate not in sad_env.worlds()
    assert registry.canonical_action(gate) is None
    vec = sad_env.make_vec(gate, 2)
    vec.reset(seed=0)
    for _ in range(2):
        assert not vec.step(["wait", "wait"])[3].any()
    assert vec.step(["wait", "wait"])[3].all()


@pytest.mark.slow
def test_it_is_evaluated_and_collected_in_other_processes_too(gate: str, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path / "runs", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "runs").mkdir()
    for _ in range(2):  # the same call again finds its run
        assert "100.0 %" in run("sad_eval", "--env", "../json.py:Gate", "--agent", "expert", "--workers", "1")
    source = tmp_path / "json.py"
    source.write_text(source.read_text() + "# another world\n")
    command = [sys.executable, "-m", "sad_eval", "--env", "../json.py:Gate", "--agent", "expert", "--out", "x"]
    run(*command[2:])
    source.write_text(source.read_text() + "# and another\n")
    done = subprocess.run(command, cwd=tmp_path / "runs", capture_output=True, text=True)
    assert done.returncode == 2
    assert "was run with data_sha256" in done.stderr
    run("sad_agents", "--env", gate, "--agent", "expert", "--out", "gate.jsonl", "--quiet")
    assert len((tmp_path / "runs" / "gate.jsonl").read_text().splitlines()) == 2
    assert "the oracle wins 2 of 2" in run("sad_eval", "validate", gate, "--quiet")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nowhere.py:Gate", "there is no file"),
        ("no_such_module:Gate", "No module named"),
        ("sad_env.toy:Gate", "has no attribute"),
        ("sad_env.toy:toy_panel", "is no TextEnv"),
        (":Gate", "no world at"),
        ("sad_env.toy:", "no world at"),
    ],
)
def test_what_is_no_world_is_refused_in_one_line(address: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        registry.world(address)
    assert "\n" not in str(caught.value)


def test_a_registered_class_can_be_named_by_its_address_too() -> None:
    assert sad_env.make("sad_env.toy:ToyEnv").panel == sad_env.make("toy").panel

"""Runs that end by processor seconds: what schedules go by, when they end, what is kept on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.checkpoints import load_student
from sad_distill.commands.main import main
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.training import run as run_module
from sad_distill.training.pace import Pace
from sad_distill.training.playing import play
from sad_distill.training.run import Run
from sad_distill.training.state import load_state

from sad_env.errors import ConfigError
from sad_env.settings import replaced


def paced(**changes: Any) -> Pace:
    return Pace(replaced(TrainConfig(out=""), **changes))


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "student": str(files / "start.pt"),
        "teacher": str(files / "teacher.pt"),
        "trajectories": (str(files / "expert.jsonl"),),
        "env": "toy",
        "steps": 100,
        "batch": 4,
        "context": 200,
        "max_new_tokens": 40,
        "learning_rate": 1e-3,
        "mode": "offline",
        **changes,
    }
    return replaced(TrainConfig(out=str(out)), **values)


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes each look at the processor's clock find so many more seconds."""
    now = [50.0]

    def ticks(seconds: float) -> None:
        def look() -> float:
            now[0] += seconds
            return now[0]

        monkeypatch.setattr(run_module, "_processor_seconds", look)

    return ticks


def test_without_a_budget_schedules_go_by_updates() -> None:
    pace = paced(steps=10)
    assert [pace.at(step) for step in (0, 3, 10)] == [0, 3, 10]
    assert pace.share(4) == 0.4
    assert (pace.iteration(7), pace.left(8)) == (7, 2)
    assert not pace.over(9)
    assert pace.over(10)


def test_with_a_budget_schedules_go_by_the_share_that_is_used_whatever_the_number_of_updates() -> None:
    pace = paced(steps=250, processor_seconds=40.0, updates=2)
    pace.used = 10.0
    assert pace.at(3) == pace.at(300) == 62.5
    assert pace.iteration(1) == 31
    assert not pace.over(10**6)
    pace.used = 44.0
    assert (pace.at(3), pace.share(3)) == (250.0, 1.0)
    assert pace.over(3)


def test_an_iteration_begins_only_if_half_of_it_fits() -> None:
    pace = paced(processor_seconds=100.0)
    for used, over in ((40.0, False), (80.0, True)):
        pace.used = used
        pace.next_begins()
        assert pace.over(0) == over
    again = paced(processor_seconds=100.0)
    again.resume(pace.position)
    assert again.over(0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keep_at": (0.25, 1.0)}, "--keep-at takes shares"),
        ({"processor_seconds": -1.0}, "--processor-seconds"),
        ({"processor_seconds": 9.0, "curriculum": "sort"}, "--curriculum sort is over a number of updates"),
    ],
)
def test_what_a_budget_and_kept_students_cannot_be(files: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(settings(files, Path("run"), **changes))


def test_a_run_ends_when_its_seconds_are_used_and_its_rate_has_fallen_by_then(
    files: Path, tmp_path: Path, clock: Callable[[float], None]
) -> None:
    clock(2.0)
    Run(settings(files, tmp_path / "run", processor_seconds=20.0, keep_at=(0.25, 0.5))).train()
    lines = metrics(tmp_path / "run")
    assert [line["processor_seconds"] for line in lines] == [2.0 * number for number in range(1, 11)]
    rates = [line["learning_rate"] for line in lines[1:]]
    assert all(one > other for one, other in pairwise(rates))
    # A cosine from the end of warm-up on: at half of the budget about half of the peak, at nine tenths little.
    assert rates[4] == pytest.approx(0.52e-3, abs=0.02e-3)
    assert rates[-1] < 0.03e-3
    for share, updates in (("25", 3), ("50", 5)):
        assert load_student(tmp_path / "run" / f"at-{share}.pt").record["updates"] == updates
    assert load_student(tmp_path / "run" / "student.pt").record["updates"] == 10


def test_a_run_that_used_its_seconds_is_over_when_it_is_resumed(
    files: Path, tmp_path: Path, clock: Callable[[float], None]
) -> None:
    clock(2.0)
    config = settings(files, tmp_path / "run", processor_seconds=9.0, keep_at=(0.5, 0.95))
    Run(config).train()
    assert load_student(tmp_path / "run" / "at-95.pt").record["updates"] == 4
    assert len(metrics(tmp_path / "run")) == 4  # the fifth would end at 10, half of it at 9
    again = Run(config)
    again.train()
    assert again.trained == 0
    assert load_state(tmp_path / "run" / "state.safetensors")[1]["processor_seconds"] == 8.0


def test_what_was_played_after_the_last_state_is_played_and_counted_again(
    files: Path, tmp_path: Path, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(2.0)
    online = {"mode": "online", "rollouts": 2, "horizon_start": 1, "processor_seconds": 8.0, "trajectories": ()}
    Run(settings(files, tmp_path / "whole", **online)).train()
    folder = tmp_path / "run"
    killed = Run(settings(files, folder, **online, save_every=2))
    update = killed._update
    monkeypatch.setattr(killed, "_update", lambda rows: update(rows) if killed.done < 3 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        killed.train()
    assert load_state(folder / "state.safetensors")[1]["step"] == 2
    assert {path.name for path in (folder / "rollouts").iterdir()} >= {"000002.jsonl", "000003.jsonl"}
    again = Run(settings(files, folder, **online, save_every=2))
    played = []
    monkeypatch.setattr(
        "sad_distill.training.live.play",
        lambda *words: played.append((words[2].name, words[2].exists())) or play(*words),
    )
    again.train()
    assert played[0] == ("000002.jsonl", False)
    kept = ("step", "loss", "processor_seconds")
    assert [[one[name] for name in kept] for one in metrics(folder)] == [
        [one[name] for name in kept] for one in metrics(tmp_path / "whole")
    ]


def test_kept_students_of_a_run_by_updates_are_those_of_a_run_that_was_stopped_there(
    files: Path, tmp_path: Path
) -> None:
    Run(settings(files, tmp_path / "whole", steps=8, keep_at=(0.5,), warmup=0.0)).train()
    whole = load_student(tmp_path / "whole" / "at-50.pt").model.state_dict()
    assert load_student(tmp_path / "whole" / "at-50.pt").record["updates"] == 4
    end = load_student(tmp_path / "whole" / "student.pt").model.state_dict()
    assert not all(torch.equal(whole[name], end[name]) for name in whole)
    # Keeping it changed nothing of the run.
    Run(settings(files, tmp_path / "other", steps=8, warmup=0.0)).train()
    other = load_student(tmp_path / "other" / "student.pt").model.state_dict()
    assert all(torch.equal(end[name], other[name]) for name in end)


def test_the_kept_student_is_the_best_so_far_where_the_best_is_saved(files: Path, tmp_path: Path) -> None:
    best = {"validate_every": 1, "validate_episodes": 2, "keep": "best", "keep_at": (0.75,), "split": "train"}
    Run(settings(files, tmp_path / "run", steps=4, **best)).train()
    kept = load_student(tmp_path / "run" / "at-75.pt")
    shown = [line["validation_success"] for line in metrics(tmp_path / "run")]
    first_best = 1 + shown[:3].index(max(shown[:3]))
    assert kept.record["kept"] == first_best


def test_the_end_of_a_budget_is_validated(
    files: Path, tmp_path: Path, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(3.0)
    monkeypatch.setattr("sad_distill.training.validation.Validation._play", lambda self: (1.0, 8.0))
    best = {"validate_every": 50, "validate_episodes": 2, "keep": "best", "split": "train"}
    Run(settings(files, tmp_path / "run", processor_seconds=20.0, **best)).train()
    lines = metrics(tmp_path / "run")
    assert [number for number, line in enumerate(lines, 1) if "validation_success" in line] == [len(lines)]
    assert load_student(tmp_path / "run" / "student.pt").record["kept"] == len(lines) > 4


def test_an_online_run_with_a_budget_grows_its_episodes_by_the_share_of_it(
    files: Path, tmp_path: Path, clock: Callable[[float], None]
) -> None:
    clock(5.0)
    live = {"mode": "online", "rollouts": 2, "horizon_start": 1, "horizon_every": 25, "steps": 100}
    config = settings(files, tmp_path / "run", processor_seconds=20.0, **live)
    values = replaced(config, batch=16)
    Run(values).train()
    # Iterations 0, 25, 50 and 75 of 100: one step, two, three, four. The student is too small to win.
    assert [line["rollout_steps"] for line in metrics(tmp_path / "run")] == [1.0, 2.0, 3.0, 4.0]


def test_the_command_takes_a_budget(files: Path, tmp_path: Path) -> None:
    words = ["--out", str(tmp_path / "run"), "--student", str(files / "start.pt"), "--teacher"]
    words += [str(files / "teacher.pt"), "--env", "toy", "--mode", "offline", "--trajectories"]
    words += [str(files / "expert.jsonl"), "--context", "200", "--max-new-tokens", "40", "--batch", "2"]
    assert main([*words, "--processor-seconds", "0.3", "--keep-at", "0.5"]) == 0
    assert (tmp_path / "run" / "at-50.pt").is_file()
    assert 0 < metrics(tmp_path / "run")[-1]["processor_seconds"] < 3

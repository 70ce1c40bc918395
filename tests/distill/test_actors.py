"""Actors: processes that play the next iteration while this one is learned from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.checkpoints import load_student
from sad_agents.policies import ExpertAgent
from sad_agents.rollout.actor_processes import ActorProcesses
from sad_agents.rollout.parts import Part
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.training.ahead import Ahead
from sad_distill.training.run import Run

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import Status, Trajectory, read_trajectories
from sad_env.settings import flat, replaced


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    base = replaced(
        TrainConfig(out=str(out)),
        student=str(files / "start.pt"),
        teacher=str(files / "teacher.pt"),
        env="toy",
        steps=4,
        micro_batch=4,
        rollouts=4,
        horizon_start=3,
        context=200,
        max_new_tokens=24,
        learning_rate=1e-2,
        mode="online",
        save_every=1,
        actors=2,
    )
    return replaced(base, **changes)


def played(out: Path, iteration: int) -> dict[tuple[str, int], list[tuple[int, ...]]]:
    """The ids of all steps of an iteration's episodes."""
    found: list[Trajectory] = list(read_trajectories(out / "rollouts" / f"{iteration:06d}.jsonl"))
    return {(one.task_id, one.repeat): [step.token_ids for step in one.steps] for one in found}


def weights(out: Path) -> list[torch.Tensor]:
    return list(load_student(out / "student.pt").model.state_dict().values())


class ExpertMaker:
    """Makes the toy world's expert in another process."""

    def __call__(self) -> ExpertAgent:
        return ExpertAgent("toy")


class Dies:
    """Ends the process that it is to be made in."""

    def __call__(self) -> ExpertAgent:
        os._exit(9)


@pytest.mark.slow
def test_processes_play_what_this_one_plays() -> None:
    jobs = [Job(f"test-{number:04d}") for number in range(7)]
    how = Part(WorldRecipe("toy", {"split": "test"}), 4, 0, Limits())
    actors = ActorProcesses(2)
    try:
        there = {one.job: one.trajectory for one in actors.play("expert", ExpertMaker(), how, jobs)}
        lost = list(actors.play("expert", Dies(), how, jobs))
        again = list(actors.play("expert", ExpertMaker(), how, jobs))
    finally:
        actors.close()
    with pytest.raises(InfrastructureError, match="have been ended"):
        list(actors.play("expert", ExpertMaker(), how, jobs))
    here = {one.job: one.trajectory for one in rollout(ExpertAgent("toy"), jobs, how.world)}
    assert {job: [step.action for step in one.steps] for job, one in there.items()} == {
        job: [step.action for step in one.steps] for job, one in here.items()
    }
    assert {one.job for one in lost} == set(jobs)
    assert {one.trajectory.status for one in lost} == {Status.INFRA_ERROR}
    assert {one.job for one in again} == set(jobs)
    assert all(one.trajectory.success for one in again)


def test_what_was_begun_is_waited_for_and_raises_there() -> None:
    ahead, done = Ahead(), list[int]()
    ahead.wait()
    ahead.begin(lambda: (time.sleep(0.2), done.append(1)))
    ahead.wait()
    assert done == [1]
    ahead.begin(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        ahead.wait()
    ahead.wait()


@pytest.mark.slow
def test_the_next_iteration_is_played_by_the_student_of_before(files: Path, tmp_path: Path) -> None:
    """Iterations 0 and 1 are both the start's; 2 is played with the weights that iteration 0 left."""
    Run(settings(files, tmp_path / "ahead", steps=3)).train()
    Run(settings(files, tmp_path / "turns", steps=1, actors=0)).train()
    assert played(tmp_path / "ahead", 0) == played(tmp_path / "turns", 0)
    start = replaced(settings(files, tmp_path / "still", steps=2, actors=0), learning_rate=0.0)
    Run(start).train()
    assert played(tmp_path / "ahead", 1) == played(tmp_path / "still", 1)
    one = replaced(settings(files, tmp_path / "one", steps=3, actors=0), student=str(tmp_path / "turns" / "student.pt"))
    Run(replaced(one, learning_rate=0.0)).train()
    assert played(tmp_path / "ahead", 2) == played(tmp_path / "one", 2)


class CutOffError(Exception):
    pass


@pytest.mark.slow
def test_a_run_that_was_cut_off_ends_as_if_undisturbed(files: Path, tmp_path: Path) -> None:
    Run(settings(files, tmp_path / "whole")).train()

    def report(step: int, steps: int, numbers: dict[str, float]) -> None:
        if step == 3:
            raise CutOffError

    with pytest.raises(CutOffError):
        Run(settings(files, tmp_path / "cut"), report).train()
    Run(settings(files, tmp_path / "cut")).train()
    assert played(tmp_path / "whole", 3) == played(tmp_path / "cut", 3)
    for one, other in zip(weights(tmp_path / "whole"), weights(tmp_path / "cut"), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(files: Path, tmp_path: Path, ending: signal.Signals) -> None:
    config = settings(files, tmp_path / "run", steps=500)
    words = [f"--{name.replace('_', '-')}={flat(config)[name]}" for name in ("student", "teacher", "env", "steps")]
    words += ["--mode", "online", "--out", config.out, "--actors", "2", "--rollouts", "4", "--context", "200"]
    process = subprocess.Popen([sys.executable, "-m", "sad_distill", *words], stderr=subprocess.PIPE, text=True)
    metrics = Path(config.out) / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    children = descendants(process.pid)
    assert len(children) >= 2
    process.send_signal(ending)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if ending is signal.SIGINT else -9), said
    assert "Traceback" not in said
    deadline = time.monotonic() + 20
    while (alive := [pid for pid in children if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive


def descendants(pid: int) -> list[int]:
    """Children of a process, and theirs."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        pytest.skip("no /proc here that tells children")
    return [one for child in map(int, found) for one in (child, *descendants(child))]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_plays_ahead_as_processes_do(files: Path, tmp_path: Path, ray_backend: str) -> None:
    Run(settings(files, tmp_path / "here", steps=3)).train()
    Run(settings(files, tmp_path / "there", steps=3, backend=ray_backend)).train()
    for iteration in range(3):
        assert played(tmp_path / "here", iteration) == played(tmp_path / "there", iteration)


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "guided"},
        {"method": "minillm"},
        {"method": "policy", "terms": ("grpo=1",), "group": 2},
        {"processor_seconds": 10.0},
        {"teacher": "self", "teacher_told": "group", "group": 2},
    ],
)
def test_what_wants_the_student_of_now_is_refused(files: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--actors 2 brings episodes that are one iteration old"):
        check(settings(files, tmp_path, **changes))

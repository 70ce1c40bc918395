"""Runs that diverge, are stopped, have a world that fails or a teacher that sees too little, or get more updates."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.checkpoints import load_student, save_student
from sad_distill.commands.main import main
from sad_distill.config import TrainConfig
from sad_distill.models.language import Language
from sad_distill.models.token_ids import TokenIds
from sad_distill.teachers.openai import OpenAITeacher
from sad_distill.teachers.remote import RemoteTeacher
from sad_distill.teachers.server import TeacherServer
from sad_distill.training.interrupts import StoppedError
from sad_distill.training.optimiser import Optimisation
from sad_distill.training.run import Run
from sad_distill.training.state import load_state
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError, DataError, DivergedError, InfrastructureError
from sad_env.json_lines import read_lines
from sad_env.records import Status, Trajectory
from sad_env.settings import flat, replaced
from sad_env.toy import ToyEnv

Tiny = Callable[..., Any]


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "student": str(files / "start.pt"),
        "teacher": str(files / "teacher.pt"),
        "trajectories": (str(files / "expert.jsonl"),),
        "env": "toy",
        "steps": 6,
        "batch": 4,
        "micro_batch": 4,
        "rollouts": 3,
        "context": 200,
        "max_new_tokens": 40,
        "learning_rate": 1e-3,
        "mode": "offline",
        "horizon_start": 3,
    }
    values |= changes
    if values["mode"] == "offline":  # these count online only
        del values["rollouts"], values["horizon_start"]
    return replaced(TrainConfig(out=str(out)), **values)


def flags(config: TrainConfig) -> list[str]:
    values = flat(config)
    plain = ("out", "student", "teacher", "env", "steps", "micro_batch", "context", "max_new_tokens", "learning_rate")
    live = ("rollouts", "horizon_start") if config.mode != "offline" else ("batch",)
    words = [f"--{name.replace('_', '-')}={values[name]}" for name in (*plain, *live, "mode")]
    return [*words, "--trajectories", *config.data.trajectories]


def same_weights(one: Path, other: Path) -> bool:
    states = [load_student(out / "student.pt").model.state_dict().values() for out in (one, other)]
    return all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


# --- divergence --------------------------------------------------------------------------------------------------


def test_a_run_whose_loss_is_no_number_ends_with_an_error(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(files, tmp_path, steps=9, learning_rate=1e25)
    assert main([*flags(config), "--save-every=1", "--warmup=0"]) == DivergedError.exit_code
    said = capsys.readouterr().err.splitlines()[-1]
    assert "loss or gradients were not finite in the 3 updates before" in said
    assert not (tmp_path / "student.pt").exists()
    lines = metrics(tmp_path)
    assert [line["skipped_updates"] for line in lines[-4:]] == [0, 1, 2, 3]
    assert lines[-1]["gradient_norm"] is None
    # Gradients are looked at every few updates only.
    looks = {f"gradient_{name}" for name in ("cosine", "variance", "noise", "agreement")}
    named = [line.keys() - looks for line in lines]
    assert all(one == named[0] for one in named)
    # The state counts what was skipped, so that the same command goes on, here to the same end at once.
    tensors, record = load_state(tmp_path / "state.safetensors")
    assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())
    assert record["skipped"][1] >= 2
    with pytest.raises(DivergedError):
        Run(settings(files, tmp_path, steps=9, learning_rate=1e25, save_every=1, warmup=0.0)).train()


def test_a_short_run_that_learned_nothing_ends_with_an_error(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sad_distill.losses.objective.combine", lambda totals, weights: totals.sums.sum() * math.nan)
    monkeypatch.setattr("sad_distill.training.learner.combine", lambda totals, weights: totals.sums.sum() * math.nan)
    before = load_student(files / "start.pt").model.state_dict()
    run = Run(settings(files, tmp_path, steps=2))
    with pytest.raises(DivergedError, match="in the 2 updates before 3"):
        run.train()
    assert not (tmp_path / "student.pt").exists()
    assert all(torch.equal(before[name], tensor) for name, tensor in run.student.model.state_dict().items())


def test_weights_that_overflowed_replace_no_state(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Run(settings(files, tmp_path, steps=2)).train()
    (tmp_path / "student.pt").unlink()
    before = (tmp_path / "state.safetensors").read_bytes()

    def overflow(run: Run, rows: Any) -> dict[str, float]:
        with torch.no_grad():
            run.learner.parameters[0][0] = math.inf
        return {"loss": 1.0}

    monkeypatch.setattr(Run, "_update", overflow)
    with pytest.raises(DivergedError, match="weights are no longer finite"):
        Run(settings(files, tmp_path, steps=3)).train()
    assert (tmp_path / "state.safetensors").read_bytes() == before
    assert not (tmp_path / "student.pt").exists()


# --- Ctrl-C ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "saved"),
    [({}, 3), ({"mode": "online", "updates": 2}, 4), ({"mode": "online"}, 3)],
    ids=str,
)
def test_ctrl_c_lets_the_update_end_and_saves(files: Path, tmp_path: Path, changes: dict[str, Any], saved: int) -> None:
    Run(settings(files, tmp_path / "whole", **changes)).train()

    def report(step: int, steps: int, numbers: dict[str, float]) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError):
        Run(settings(files, tmp_path / "cut", **changes), report).train()
    assert signal.getsignal(signal.SIGINT) is handler
    assert load_state(tmp_path / "cut/state.safetensors")[1]["step"] == saved
    assert not (tmp_path / "cut/student.pt").exists()
    Run(settings(files, tmp_path / "cut", **changes)).train()
    assert same_weights(tmp_path / "whole", tmp_path / "cut")
    assert [line["step"] for line in metrics(tmp_path / "cut")] == list(range(6))


def test_ctrl_c_ends_the_playing_and_saves(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Run(settings(files, tmp_path / "whole", mode="online")).train()
    begun, reset = [], ToyEnv.reset

    def interrupted(env: ToyEnv, **options: Any) -> Any:
        begun.append(options)
        if len(begun) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return reset(env, **options)

    monkeypatch.setattr(ToyEnv, "reset", interrupted)
    with pytest.raises(StoppedError):
        Run(settings(files, tmp_path / "cut", mode="online")).train()
    assert len(begun) == 8
    done = load_state(tmp_path / "cut/state.safetensors")[1]["step"]
    assert done == len(metrics(tmp_path / "cut")) == 2
    Run(settings(files, tmp_path / "cut", mode="online")).train()
    assert same_weights(tmp_path / "whole", tmp_path / "cut")


def test_a_stopped_command_says_how_to_go_on(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    update = Run._update

    def interrupted(run: Run, rows: Any) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGINT)
        return update(run, rows)

    monkeypatch.setattr(Run, "_update", interrupted)
    assert main(flags(settings(files, tmp_path))) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"sad-distill: stopped; the state is saved: the same command goes on in {tmp_path}"
    assert load_state(tmp_path / "state.safetensors")[1]["step"] == 1


def test_a_second_ctrl_c_stops_at_once(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(run: Run, rows: Any) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError

    monkeypatch.setattr(Run, "_update", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        Run(settings(files, tmp_path)).train()
    assert caught.type is KeyboardInterrupt
    assert not (tmp_path / "state.safetensors").exists()


# --- owed episodes -------------------------------------------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, task: str, times: float) -> list[str]:
    """The toy world is down so many times for one task ("" is every task)."""
    failed, reset = [], ToyEnv.reset

    def reset_or_fail(env: ToyEnv, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if len(failed) < times and options is not None and options["task_id"].startswith(task):
            failed.append(options["task_id"])
            raise InfrastructureError("the world is down")
        return reset(env, seed=seed, options=options)

    monkeypatch.setattr(ToyEnv, "reset", reset_or_fail)
    return failed


def test_a_world_that_is_down_leaves_a_run_that_goes_on(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first iteration's file held owed episodes, which every later start took for played."""
    Run(settings(files, tmp_path / "whole", mode="online", steps=2)).train()
    with monkeypatch.context() as patch:
        failing(patch, "", math.inf)
        with pytest.raises(
            InfrastructureError, match="3 of 3 episodes of an iteration could not be played in 3 rounds"
        ):
            Run(settings(files, tmp_path / "down", mode="online", steps=2)).train()
    Run(settings(files, tmp_path / "down", mode="online", steps=2)).train()
    assert same_weights(tmp_path / "whole", tmp_path / "down")


def test_an_owed_episode_is_played_again_with_the_same_seeds(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An iteration of which a part had failed trained on fewer episodes without a word."""
    Run(settings(files, tmp_path / "whole", mode="online", steps=2)).train()
    lines = [line for _, line in read_lines(tmp_path / "whole/rollouts/000000.jsonl")]
    task = Trajectory.from_json(lines[0]).task_id
    # More often than a single rollout tries.
    failed = failing(monkeypatch, task, 4)
    Run(settings(files, tmp_path / "partly", mode="online", steps=2)).train()
    assert failed == [task] * 4
    assert same_weights(tmp_path / "whole", tmp_path / "partly")


def test_recorded_episodes_that_were_broken_off_are_refused(
    files: Path, tmp_path: Path, toy_episodes: list[Trajectory]
) -> None:
    broken = toy_episodes[0].model_copy(update={"status": Status.INFRA_ERROR, "success": False, "error": "down"})
    (tmp_path / "some.jsonl").write_text("".join(one.to_json() + "\n" for one in (broken, *toy_episodes[1:3])))
    with pytest.raises(DataError, match=r"1 of 3 episodes in .*some.jsonl were broken off"):
        Run(settings(files, tmp_path / "run", trajectories=(str(tmp_path / "some.jsonl"),)))


# --- more updates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_finished_run_can_be_given_more_updates(files: Path, tmp_path: Path, mode: Any) -> None:
    changes = {"mode": mode, "warmup": 0.0, "keep_at": (0.5, 0.75)}
    for steps in (2, 4, 6):
        Run(settings(files, tmp_path, steps=steps, **changes)).train()
    rates = [line["learning_rate"] for line in metrics(tmp_path)]
    schedules = [Optimisation(steps=steps, learning_rate=1e-3, warmup=0.0) for steps in (2, 2, 4, 4, 6, 6)]
    assert rates == [schedule.rate(step) for step, schedule in enumerate(schedules)]
    assert json.loads((tmp_path / "config.json").read_text())["earlier_steps"] == [2, 4]
    record = load_student(tmp_path / "student.pt").record
    assert (record["updates"], record["earlier_steps"], record["settings"]["steps"]) == (6, [2, 4], "6")
    with pytest.raises(ConfigError, match="holds a run of 6 updates, which --steps 4 would shorten"):
        Run(settings(files, tmp_path, steps=4, **changes)).train()
    assert "earlier_steps" not in load_student(files / "start.pt").record
    # Half of the run was over before it had this length; what half of it was before is no half any more.
    kept = {path.name: load_student(path).record["updates"] for path in tmp_path.glob("at-*.pt")}
    assert kept == {"at-75.pt": 5}


# --- what a teacher sees ---------------------------------------------------------------------------------------------


@pytest.fixture
def narrow(toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny) -> Any:
    model = tiny_llama(24, seed=1)
    model.config.max_position_embeddings = 128
    return model


@pytest.fixture
def server(narrow: Any, toy_tokenizer: PreTrainedTokenizerFast) -> Iterator[TeacherServer]:
    with TeacherServer(Language(narrow, toy_tokenizer), "narrow", ("127.0.0.1", 0)) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def test_a_teacher_that_sees_less_than_the_context_is_refused(
    files: Path,
    tmp_path: Path,
    narrow: Any,
    toy_tokenizer: PreTrainedTokenizerFast,
    server: TeacherServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_student(tmp_path / "narrow.pt", narrow, toy_tokenizer, {})
    monkeypatch.setattr(OpenAITeacher, "context", lambda teacher: 128)
    monkeypatch.setattr(OpenAITeacher, "fits", lambda teacher, student: TokenIds(len(toy_tokenizer)))
    assert RemoteTeacher(server.url).context == 128
    for teacher in (str(tmp_path / "narrow.pt"), server.url, "openai:http://localhost:9#m"):
        with pytest.raises(
            ConfigError, match=r"--context 200: teacher '.*' has 128 positions: give --context 128 or less"
        ):
            Run(settings(files, tmp_path / "run", teacher=teacher))
        Run(settings(files, tmp_path / "run", teacher=teacher, context=128))
        # Text fits into any context that the student has.
        Run(settings(files, tmp_path / "run", teacher=teacher, method="seqkd"))
    assert not (tmp_path / "run").exists()

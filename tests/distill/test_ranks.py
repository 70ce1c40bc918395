"""Several processes train as one does: same gradients, same student, one writer, exact resumption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from sad_agents.checkpoints import load_student
from sad_distill.config import TrainConfig
from sad_distill.training.build import check_shared
from sad_distill.training.ranks import ALONE, Ranks, launched

from sad_env.errors import ConfigError
from sad_env.records import read_trajectories
from sad_env.settings import replaced

UPDATES = """
import sys, torch
from pathlib import Path
import safetensors.torch
from sad_agents.checkpoints import load_student
from sad_agents.windowing import Windowing
from sad_distill.losses.objective import Objective
from sad_distill.training.learner import Learner
from sad_distill.config import Optimisation
from sad_distill.training.ranks import launched
from sad_distill.data.action_support import ActionSupport
from sad_distill.teachers.local import LocalTeacher
from sad_distill.data.rows import rows_from
from sad_env.settings import replaced
from sad_env.records import read_trajectories

torch.set_num_threads(1)
files, out = Path(sys.argv[1]), Path(sys.argv[2])
found = {}
with launched("cpu") as ranks:
    student, teacher = (load_student(files / name) for name in ("start.pt", "teacher.pt"))
    start = {key: value.double() for key, value in student.model.state_dict().items()}
    episodes = list(read_trajectories(files / "expert.jsonl"))[:9]
    rows = rows_from(episodes, student.tokenizer, Windowing(120, 40))
    for name, objective, count in (
        ("type_mean", Objective(act_weight=0.5, observation_weight=0.1), 9),
        ("span_mean", Objective(reduction="span_mean"), 9),
        ("learned", Objective(likelihood=0.5, learned_weights=True), 9),
        ("fewer rows than processes", Objective(), 1),
    ):
        model = student.model.double()
        model.load_state_dict(start)
        learner = Learner(
            model,
            objective,
            Optimisation(steps=4, learning_rate=1e-3),
            teacher=LocalTeacher(teacher.model.double(), "teacher"),
            supports=ActionSupport(student.tokenizer),
            micro_batch=2,
            ranks=ranks,
        )
        for step in range(2):
            metrics = learner.update(rows[:count], step)
        tensors = {f"{place}": one.detach().clone() for place, one in enumerate(learner.parameters)}
        seconds = ("score_seconds", "update_seconds")
        numbers = torch.tensor([value for key, value in sorted(metrics.items()) if key not in seconds])
        found.update({f"{name} {key}": value for key, value in {**tensors, "metrics": numbers.double()}.items()})
    texts = ["one", "zwei \\u00e9"][ranks.rank:] if ranks.size > 1 else []
    assert ranks.size == 1 or ranks.gather(texts) == [["one", "zwei \\u00e9"], ["zwei \\u00e9"]]
    if ranks.first:
        out.write_bytes(safetensors.torch.save(found))
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def start(size: int, *command: str) -> list[subprocess.Popen[bytes]]:
    """As a launcher does it."""
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [
        subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for rank in range(size)
    ]


def finish(processes: list[subprocess.Popen[bytes]]) -> list[bytes]:
    answers = [one.communicate(timeout=300) for one in processes]
    for one, (_, complaint) in zip(processes, answers, strict=True):
        assert one.returncode == 0, complaint.decode()[-2000:]
    return [answer for answer, _ in answers]


@pytest.mark.slow
def test_two_processes_make_the_update_of_one(files: Path, tmp_path: Path) -> None:
    for size in (1, 2):
        finish(start(size, "-c", UPDATES, str(files), str(tmp_path / str(size))))
    alone, both = (safetensors.torch.load_file(tmp_path / str(size)) for size in (1, 2))
    assert alone.keys() == both.keys()
    for name, one in alone.items():
        torch.testing.assert_close(both[name], one, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


def flags(files: Path, out: Path, *more: str) -> list[str]:
    common = "--env toy --micro-batch 2 --context 200 --max-new-tokens 40 --learning-rate 1e-3"
    paths = {"student": files / "start.pt", "teacher": files / "teacher.pt", "trajectories": files / "expert.jsonl"}
    named = [part for name, path in {**paths, "out": out}.items() for part in (f"--{name}", str(path))]
    return ["-m", "sad_distill", *common.split(), *named, *more]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_launched_run_equals_a_single_one_and_survives_a_kill(files: Path, tmp_path: Path, mode: str) -> None:
    own = ["--batch", "6"] if mode == "offline" else ["--rollouts", "5", "--horizon-start", "3"]
    more = ["--mode", mode, *own, "--steps", "8", "--save-every", "2"]
    for size in (1, 2):
        answers = finish(start(size, *flags(files, tmp_path / str(size), *more)))
        assert [bool(answer) for answer in answers] == [True, False][:size]
    killed = tmp_path / "killed"
    processes = start(2, *flags(files, killed, *more))
    while not (killed / "state.safetensors").exists():
        assert all(one.poll() is None for one in processes)
        time.sleep(0.01)
    for one in processes:
        one.send_signal(signal.SIGKILL)
        one.communicate()
    finish(start(2, *flags(files, killed, *more)))
    weights = [load_student(tmp_path / name / "student.pt").model.state_dict() for name in ("1", "2", "killed")]
    for name, value in weights[1].items():
        assert torch.equal(weights[2][name], value)
        torch.testing.assert_close(weights[0][name], value, rtol=0, atol=2e-4)
    assert len((killed / "metrics.jsonl").read_text().splitlines()) == 8
    if mode == "online":
        shares = [list(read_trajectories(path)) for path in sorted((killed / "rollouts").glob("000007*.jsonl"))]
        assert [len(one) for one in shares] == [2, 3] or [len(one) for one in shares] == [3, 2]


@pytest.mark.slow
def test_two_processes_weigh_groups_and_signals_as_one_does(files: Path, tmp_path: Path) -> None:
    signals = (
        "--method policy --terms opd=1 grpo=1 k3_start=0.1 --group 2 --redraws 1 --rollouts 6 --updates 2 --passes 2"
    )
    more = f"--mode online {signals} --ratio-clip 0.001 --invalid-penalty 0.1 --reward progress --gradients-every 1"
    for size in (1, 2):
        command = flags(files, tmp_path / str(size), *more.split(), "--horizon-start", "3", "--steps", "4")
        finish(start(size, *command))
    lines = [
        [json.loads(line) for line in (tmp_path / str(size) / "metrics.jsonl").read_text().splitlines()]
        for size in (1, 2)
    ]
    # Of the first micro-batch of the first process, and of this call.
    own = {"gradient_cosine", "off_trie_rate"}
    for alone, both in zip(*lines, strict=True):
        assert alone.keys() == both.keys()
        assert {"clipped", "entropy", "kl_teacher", "kl_start", "flat_groups", "rollout_steps"} <= alone.keys()
        for name, value in alone.items():
            if name not in own and "seconds" not in name:
                # Noise without a signal is infinite, and null there.
                assert both[name] == (value and pytest.approx(value, rel=1e-3, abs=1e-5)), name
    assert any(0 < line["clipped"] < 1 for line in lines[0])
    weights = [load_student(tmp_path / str(size) / "student.pt").model.state_dict() for size in (1, 2)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_launchers_start_it(files: Path, tmp_path: Path, launcher: str) -> None:
    options = {
        "torchrun": f"--nproc-per-node 2 --master-port {free_port()}",
        "accelerate": "launch --cpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
        f" --main_process_port {free_port()}",
    }[launcher]
    program = shutil.which(launcher, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"{launcher} is not installed: pip install 'sad-env[multi]'")
    arguments = [
        program,
        *options.split(),
        *flags(files, tmp_path, "--mode", "offline", "--batch", "6", "--steps", "2"),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("student:") == 1
    assert load_student(tmp_path / "student.pt").record["updates"] == 2


def test_shares_come_together_again_in_order() -> None:
    items = list(range(7))
    for size in (1, 2, 3, 9):
        ranks = [Ranks(rank, size) for rank in range(size)]
        assert ranks[0].whole([one.share(items) for one in ranks]) == items


def test_what_processes_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with launched("cpu") as ranks:
        assert ranks is ALONE
    for changes in (
        {"project": True},
        {"terms": ("contrastive=0.3",)},
        {"mode": "dagger", "teacher": "http://127.0.0.1:1"},
    ):
        with pytest.raises(ConfigError, match="works within one process"):
            check_shared(replaced(TrainConfig(out="x"), **changes))
    check_shared(replaced(TrainConfig(out="x"), mode="dagger", method="sft", teacher="expert"))
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="FSDP would cut the model into pieces"), launched("cpu"):
        pass

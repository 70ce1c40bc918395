"""A learner that is cut over processes learns what one process does, and its files are the same."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from sad_agents.checkpoints import load_student, save_student
from sad_distill.config import HardwareSettings, TrainConfig
from sad_distill.config_checks import check
from sad_distill.config_ignored import ignored_by
from sad_distill.training.build import build
from sad_distill.training.ranks import ALONE

from sad_env.errors import ConfigError
from sad_env.settings import replaced

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))
sys.path.insert(0, str(Path(__file__).parent))
import vllm_stub
from test_ranks import finish, flags, start

UPDATES = """
import copy, sys, torch
from pathlib import Path
import safetensors.torch
from sad_agents.checkpoints import load_student
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.observation_head import ObservationHead
from sad_distill.auxiliary.start import StartTerm
from sad_distill.config import Optimisation
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.rows import rows_from
from sad_distill.losses.objective import Objective
from sad_distill.models.students import with_adapters
from sad_distill.signals.policy import PolicyPlan, PolicyTerm
from sad_distill.schedules import Schedule
from sad_distill.teachers.local import AdaptersOffTeacher, LocalTeacher
from sad_distill.training.learner import Learner
from sad_distill.training.ranks import launched
from sad_distill.training.sharding import gathered
from sad_distill.training.state import learner_tensors, load_learner, load_state, save_state
from sad_env.records import read_trajectories

torch.set_num_threads(1)
files, out = Path(sys.argv[1]), Path(sys.argv[2])
found = {}
with launched("cpu") as ranks:
    shard = ranks.size > 1
    student, teacher = (load_student(files / name) for name in ("start.pt", "teacher.pt"))
    rows = rows_from(list(read_trajectories(files / "expert.jsonl"))[:9], student.tokenizer, Windowing(120, 40))
    near = LocalTeacher(teacher.model.double(), "teacher")

    def signals():
        plan = PolicyPlan({name: Schedule.of("1") for name in ("opd", "k3_start")}, steps=4)
        return PolicyTerm(plan, copy.deepcopy(student.model).double().requires_grad_(False))

    def learner_of(objective, extras, adapters=False, recompute=False, single=False):
        model = copy.deepcopy(student.model)
        model = model if single else model.double()
        torch.manual_seed(0)
        if recompute:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        if adapters:
            model = with_adapters(model, 2).double().eval()
            for module in model.modules():  # dropout draws from what each process has
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        learner = Learner(
            model,
            objective,
            Optimisation(steps=4, learning_rate=1e-3, clip=0.5),
            teacher=AdaptersOffTeacher(model, "base") if adapters else near,
            supports=ActionSupport(student.tokenizer),
            micro_batch=2,
            extras=[term(model) for term in extras],
            ranks=ranks,
            shard=shard,
        )
        return learner

    def head(model):
        return ObservationHead(16, len(student.tokenizer), 0.3).to(model.dtype)

    cases = (
        ("type_mean", Objective(act_weight=0.5, observation_weight=0.1), (), {}, 9),
        ("learned", Objective(likelihood=0.5, learned_weights=True), (head,), {"single": True}, 9),
        ("adapters", Objective(likelihood=1.0), (lambda model: StartTerm(model, 0.5),), {"adapters": True}, 9),
        ("recompute", Objective(), (), {"recompute": True}, 9),
        ("signals", Objective(), (lambda model: signals(),), {}, 9),
        ("fewer rows than processes", Objective(), (head,), {}, 1),
    )
    for name, objective, extras, how, count in cases:
        learner = learner_of(objective, extras, **how)
        for step in range(3):
            if step == 2:  # another learner goes on from the state
                path = out.with_suffix(f".state{name}")
                state = gathered(learner_tensors(learner.modules, learner.optimisers), ranks)
                if ranks.first:
                    save_state(path, state, {})
                else:
                    assert not state
                ranks.wait()
                learner = learner_of(objective, extras, **how)
                load_learner(learner.modules, learner.optimisers, load_state(path)[0])
            batch = rows[:count]
            for term in learner.extras:
                if isinstance(term, PolicyTerm):
                    scores = learner.teacher
                    batch, _ = learner.within(lambda: term.remember(learner.student, scores, rows, learner.device))
                    term.begin(batch, step)
            metrics = learner.update(batch, step)
        learner.check_finite()
        whole = learner.whole()
        assert (whole is None) == (shard and not ranks.first)
        if ranks.first:
            weights = {key: value.detach().clone() for key, value in whole.named_parameters()}
            seconds = ("score_seconds", "update_seconds")
            numbers = torch.tensor([value for key, value in sorted(metrics.items()) if key not in seconds])
            tensors = {**weights, **{f"state {key}": one for key, one in load_state(path)[0].items()}}
            del tensors["state random"]
            found.update({f"{name} {key}": one for key, one in {**tensors, "metrics": numbers.double()}.items()})
        if shard:
            parts = [one for one in learner.parameters if hasattr(one, "to_local")]
            assert len(parts) == len(learner.parameters)
            held = sum(one.to_local().numel() for one in parts)
            assert held < 0.7 * sum(one.numel() for one in parts)
            moments = [one["exp_avg"] for optimiser in learner.optimisers for one in optimiser.state.values()]
            assert sum(one.to_local().numel() for one in moments) == held
    if ranks.first:
        out.write_bytes(safetensors.torch.save(found))
"""


@pytest.mark.slow
def test_two_processes_with_half_the_weights_each_make_the_updates_of_one(files: Path, tmp_path: Path) -> None:
    for size in (1, 2):
        finish(start(size, "-c", UPDATES, str(files), str(tmp_path / str(size))))
    alone, both = (safetensors.torch.load_file(tmp_path / str(size)) for size in (1, 2))
    assert alone.keys() == both.keys()
    for name, one in alone.items():
        near = 1e-6 if name.startswith("learned") or name.endswith("metrics") else 1e-9  # those are in float32
        torch.testing.assert_close(both[name], one, rtol=near, atol=near, msg=lambda text, name=name: f"{name}: {text}")


def served(files: Path, out: Path, url: str, *more: str) -> list[str]:
    greedy = "--sampling-temperature 0 --mode online --rollouts 3 --horizon-start 2 --max-new-tokens 24"
    return flags(files, out, *greedy.split(), "--sampler", f"vllm:{url}", "--steps", "5", "--save-every", "1", *more)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_sharded_run_equals_one_that_is_not_and_survives_a_kill(files: Path, tmp_path: Path) -> None:
    folder = save_student(tmp_path / "start", *load_student(files / "start.pt"))
    with vllm_stub.serving(folder) as stub:
        finish(start(1, *served(files, tmp_path / "whole", stub.url)))
        finish(start(2, *served(files, tmp_path / "cut", stub.url, "--shard-learner", "--keep-at", "0.5")))
        processes = start(2, *served(files, tmp_path / "killed", stub.url, "--shard-learner"))
        while not (tmp_path / "killed" / "state.safetensors").exists():
            assert all(one.poll() is None for one in processes)
            time.sleep(0.01)
        for one in processes:
            one.send_signal(signal.SIGKILL)
            one.communicate()
        finish(start(2, *served(files, tmp_path / "killed", stub.url, "--shard-learner")))
        # What was begun by several may be finished by one.
        finish(start(1, *served(files, tmp_path / "cut", stub.url)))
    assert len(losses(tmp_path / "cut")) == 5
    assert losses(tmp_path / "cut") == pytest.approx(losses(tmp_path / "whole"), rel=1e-6)
    assert losses(tmp_path / "killed") == losses(tmp_path / "cut")
    whole, cut, killed = (load_student(tmp_path / name / "student.pt") for name in ("whole", "cut", "killed"))
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(cut.model.state_dict()[name], value, rtol=0, atol=1e-6)
        assert torch.equal(killed.model.state_dict()[name], cut.model.state_dict()[name])
    assert load_student(tmp_path / "cut" / "student").record["updates"] == 5
    assert load_student(tmp_path / "cut" / "at-50.pt").record["updates"] == 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_are_cut_with_their_base_and_served_alone(files: Path, tmp_path: Path) -> None:
    base = save_student(tmp_path / "base", *load_student(files / "start.pt"))
    more = ["--student", str(base), "--teacher", "base", "--adapters", "2", "--precision", "bf16"]
    with vllm_stub.serving(base, adapters=True) as stub:
        finish(start(2, *served(files, tmp_path / "run", stub.url, *more, "--shard-learner", "--steps", "2")))
        loaded = [body for path, body in stub.seen if path == "/v1/load_lora_adapter"]
    assert len(loaded) == 2
    trained = load_student(tmp_path / "run" / "adapter").model.state_dict()
    began = load_student(base).model.state_dict()
    assert trained.keys() == began.keys()
    assert any(not torch.equal(trained[name], value) for name, value in began.items())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampler": ""}, "no process with the whole student to play: give --sampler"),
        ({"validate_every": 1}, "--validate-every plays the whole student"),
        ({"teacher": "self:0.9"}, "--teacher self:0.9 is a whole copy"),
        ({"terms": ("atomic=1",)}, "leave out --shard-learner"),
        ({"terms": ("atomic_local=1",)}, "leave out --shard-learner"),
    ],
)
def test_what_a_cut_student_cannot_do_is_refused(changes: dict[str, Any], said: str) -> None:
    config = replace(TrainConfig(out="x"), hardware=HardwareSettings(shard_learner=True))
    config = replaced(config, sampler="vllm:http://127.0.0.1:9")
    check(config)
    with pytest.raises(ConfigError, match=said):
        check(replaced(config, **changes))
    assert "gradients_every" in ignored_by(config)
    with pytest.raises(ConfigError, match="cuts over processes: launch several"):
        build(config, ALONE)

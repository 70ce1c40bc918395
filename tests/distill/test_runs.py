"""Whole runs: from a command to a student that plays, through kills, in every mode."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.catalogue import resolve
from sad_agents.checkpoints import load_student
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.local_model import LocalModel
from sad_agents.windowing import Windowing
from sad_distill.commands.main import main, train_config
from sad_distill.config import TrainConfig
from sad_distill.config_checks import caution, check
from sad_distill.config_former import GONE_CONFIGS
from sad_distill.data.batch import collate
from sad_distill.data.rows import Row, rows_from
from sad_distill.models.heads import head_logits
from sad_distill.models.language import load_language
from sad_distill.teachers.registry import load_teacher
from sad_distill.training.acting_model import ActingModel
from sad_distill.training.live import shares, without_loops
from sad_distill.training.recorded import curriculum_of
from sad_distill.training.run import Run
from sad_distill.training.task_order import TaskOrder
from sad_distill.training.tasks import TaskStream
from transformers import PreTrainedTokenizerFast

from sad_env import config_files
from sad_env.errors import CheckpointError, ConfigError, UnknownNameError
from sad_env.records import Trajectory
from sad_env.settings import build, flat, replaced

Tiny = Callable[..., Any]

PRESETS = {name: path for name, path in config_files.shipped_configs("sad_distill").items() if name.startswith("paper")}


PLAIN: dict[str, Any] = {"outside": "bucket", "constrained": "off", "curriculum": "none"}
MINILLM: dict[str, Any] = {"learning_rate": 5e-6, "batch": 64, "rollouts": 256, "updates": 16, "passes": 4}
ROWS: dict[str, dict[str, Any]] = {
    "paper/offline": {"mode": "offline", "batch": 64},
    "paper/webshop": {"env": "webshop", "steps": 10_000},
    "paper/contrastive": {"terms": ("contrastive=0.3",)},
    "paper/table3/ours": {},
    "paper/table3/token": {"method": "minillm", **MINILLM, **PLAIN},
    "paper/table3/kd": {"method": "word_kd", "mode": "offline", "batch": 64, **PLAIN},
    "paper/table3/seqkd": {"method": "seqkd", "mode": "offline", "batch": 64, **PLAIN},
    "paper/table5/only-reasoning": {"act_weight": 0.0},
    "paper/table5/only-action": {"reason_weight": 0.0},
    "paper/table5/no-segmentation": {"method": "token_flat", "outside": "bucket", "constrained": "off"},
    "paper/table5/random-masking": {"masks": "random"},
    "paper/table6/0.5-1": {"reason_weight": 0.5},
    "paper/table6/2-1": {"reason_weight": 2.0},
    "paper/table13/without-curriculum": {"curriculum": "none"},
    "paper/table15/entropy-0.0": {"curriculum": "none"},
    "paper/table15/entropy-2.0": {"curriculum_entropy": 2.0},
}
"""What a row of a table changes in the paper's method."""


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    base = replaced(
        TrainConfig(out=str(out)),
        student=str(files / "start.pt"),
        teacher=str(files / "teacher.pt"),
        trajectories=(str(files / "expert.jsonl"),),
        env="toy",
        steps=4,
        batch=4,
        micro_batch=4,
        rollouts=4,
        context=200,
        max_new_tokens=40,
        learning_rate=1e-3,
        save_every=2,
        mode="offline",
    )
    return replaced(base, **changes)


def chain(name: str) -> dict[str, Any]:
    """The settings of a preset and of what it extends."""
    values = dict(config_files.read_toml(PRESETS[name]))
    base = values.pop("extends", "")
    found = {**(chain(base) if base else {}), **values}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}


def weights(path: Path) -> list[torch.Tensor]:
    return list(load_student(path).model.state_dict().values())


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["sad", "sft", "seqkd", "word_kd", "token_flat"])
def test_each_method_trains_on_recorded_episodes(files: Path, tmp_path: Path, method: Any) -> None:
    teacher = "" if method in ("sft", "seqkd") else str(files / "teacher.pt")
    path = Run(settings(files, tmp_path, method=method, teacher=teacher, steps=2)).train()
    assert len(metrics(tmp_path)) == 2
    record = load_student(path).record
    assert record["updates"] == 2
    assert record["settings"]["trajectories"].startswith("expert-")
    assert str(files) not in json.dumps(record)


def test_a_student_stored_in_half_precision_is_the_same_student_rounded(files: Path, tmp_path: Path) -> None:
    Run(settings(files, tmp_path / "whole", steps=2)).train()
    Run(settings(files, tmp_path / "half", steps=2, stored="bf16")).train()
    whole, half = weights(tmp_path / "whole" / "student.pt"), weights(tmp_path / "half" / "student.pt")
    assert all(torch.equal(a.to(torch.bfloat16), b) for a, b in zip(whole, half, strict=True))
    agent = resolve(str(tmp_path / "half" / "student.pt"), world="toy")
    assert isinstance(agent, ReActAgent)
    assert isinstance(agent.model, LocalModel)
    assert agent.model.sampler.model.dtype == torch.float32


@pytest.mark.parametrize("mode", ["online", "mixed", "guided"])
def test_each_live_mode_plays_scores_and_learns(files: Path, tmp_path: Path, mode: Any) -> None:
    Run(settings(files, tmp_path, mode=mode, steps=2, horizon_start=2, clamp=10.0)).train()
    lines = metrics(tmp_path)
    assert len(lines) == 2
    assert all(0 < line.get("reason_divergence", line.get("act_divergence")) <= 10 for line in lines)
    assert all(line["rollout_steps"] <= 2 for line in lines if "rollout_steps" in line)
    assert {"act_seconds", "world_seconds", "score_seconds", "update_seconds"} <= set(lines[-1]) or mode == "mixed"


@pytest.mark.parametrize(
    "changes",
    [
        {"terms": ("atomic=1",)},
        {"terms": ("pointer=1",)},
        {"terms": ("contrastive=0.3",)},
        {"terms": ("align_min=1",)},
        {"terms": ("align_ot=1",)},
        {"curriculum": "sample"},
        {"curriculum": "sort"},
        {"project": True},
        {"learned_weights": True},
        {"observation_weight": 0.1},
        {"action_support": "byte"},
        {"action_support": "static", "outside": "ignore"},
        {"divergence": "js", "masks": "none"},
        {"adapters": 4},
        {"adapters": 4, "optimiser": "muon"},
        {"recompute": True, "precision": "bf16"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # peft asks by the old name
def test_each_option_trains(files: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    if "adapters" in changes:
        pytest.importorskip("peft")
    path = Run(settings(files, tmp_path, steps=2, **changes)).train()
    lines = metrics(tmp_path)
    assert len(lines) == 2
    assert all(line["gradient_norm"] > 0 for line in lines)
    start = load_student(files / "start.pt").model.state_dict()
    after = load_student(path).model.state_dict()
    assert start.keys() == after.keys()
    assert any(not torch.equal(start[name], after[name]) for name in start)


@pytest.mark.parametrize(
    "changes", [{"adapters": 4}, {"terms": ("pointer=1",)}, {"terms": ("contrastive=0.3",)}], ids=str
)
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # peft asks by the old name
def test_the_seed_decides_the_weights_that_a_run_begins_with(
    files: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    if "adapters" in changes:
        pytest.importorskip("peft")
    drawn = []
    for seed in (0, 1, 0):
        torch.manual_seed(len(drawn))
        learner = Run(settings(files, tmp_path, seed=seed, **changes)).learner
        parameters = [p for name, p in learner.modules["student"].named_parameters() if "lora_A" in name]
        parameters += [p for name, module in learner.modules.items() if name != "student" for p in module.parameters()]
        drawn.append(torch.cat([p.detach().flatten() for p in parameters]))
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


def test_minillm_samples_from_the_mixture_and_learns(files: Path, tmp_path: Path) -> None:
    Run(settings(files, tmp_path, method="minillm", mode="online", steps=3, updates=2, horizon_start=2)).train()
    lines = metrics(tmp_path)
    assert len(lines) == 3
    assert all({"extra", "recorded_loss"} <= set(line) for line in lines)


def test_minillm_learns_from_other_recorded_rows_at_each_update(files: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"method": "minillm", "mode": "online", "steps": 2, "batch": 3, "horizon_start": 2}
    run = Run(settings(files, tmp_path / "with", **changes))
    beside: list[list[Row]] = []
    update = run.learner.update
    run.learner.update = lambda rows, step, more, at: beside.append(more) or update(rows, step, more, at)  # type: ignore
    run.train()
    assert [len(rows) for rows in beside] == [3, 3]
    assert beside[0] != beside[1]
    Run(settings(files, tmp_path / "without", **changes, trajectories=())).train()
    assert all("recorded_loss" not in line for line in metrics(tmp_path / "without"))
    with_text, without = weights(tmp_path / "with/student.pt"), weights(tmp_path / "without/student.pt")
    assert not all(torch.equal(one, other) for one, other in zip(with_text, without, strict=True))


def test_dagger_learns_what_the_expert_would_have_written(files: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"mode": "dagger", "method": "sft", "teacher": "expert", "horizon_start": 3}
    config = settings(files, tmp_path, steps=6, learning_rate=1e-2, horizon_every=100, **changes)
    Run(config).train()
    lines = metrics(tmp_path)
    assert lines[-1]["act_nll"] < lines[0]["act_nll"]


def test_a_nano_student_trains_from_scratch_by_the_command(files: Path, tmp_path: Path) -> None:
    arguments = "--method sft --mode offline --student nano-0.7m --vocabulary 300 --env toy --steps 1 --batch 2"
    assert main([*arguments.split(), "--trajectories", str(files / "expert.jsonl"), "--out", str(tmp_path)]) == 0
    student = load_student(tmp_path / "student.pt")
    assert student.record["acting"] == {"prompt": "", "window": {"budget": 512, "room": 96, "keep": 0.75}}


def test_a_finished_training_says_that_nothing_was_trained(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "--method sft --mode offline --student nano-0.7m --vocabulary 300 --world toy --steps 1 --batch 2"
    command = [*arguments.split(), "--episodes", str(files / "expert.jsonl"), "--out", str(tmp_path)]
    assert main(command) == 0
    assert "nothing trained" not in capsys.readouterr().err
    before = weights(tmp_path / "student.pt")
    assert main(command) == 0
    assert re.search(
        r"nothing trained: all 1 updates are of 2\S+; another --out trains again\n", capsys.readouterr().err
    )
    assert all(torch.equal(one, other) for one, other in zip(before, weights(tmp_path / "student.pt"), strict=True))


@pytest.mark.slow
def test_a_student_that_learned_the_toy_world_wins_it(tmp_path: Path, play_toy: Callable[..., Trajectory]) -> None:
    """Learning, recording, loading and acting agree about prompt, window and template.

    Measured: 43 of 50 with these episodes, 10 of 50 with the first 300 of them alone;
    random admissible actions win a quarter.
    """
    with open(tmp_path / "expert.jsonl", "w") as file:
        file.writelines(play_toy(f"train-{number % 500:04d}", number).to_json() + "\n" for number in range(3000))
    arguments = "--method sft --mode offline --student nano-0.7m --env toy --steps 700 --learning-rate 3e-3"
    arguments += " --observation-weight 1 --warmup 0.1"
    files = ["--trajectories", str(tmp_path / "expert.jsonl"), "--out", str(tmp_path)]
    assert main([*arguments.split(), *files]) == 0
    agent = resolve(str(tmp_path / "student.pt"), "toy")
    jobs = [Job(f"test-{number:04d}") for number in range(50)]
    finished = list(rollout(agent, jobs, WorldRecipe("toy", {"split": "test"})))
    assert sum(one.trajectory.success for one in finished) >= 35


def test_a_row_shows_a_model_what_it_saw_when_it_acted(
    files: Path, tmp_path: Path, toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    """Greedy ids, sampled step by step with a cache and a sliding window, are the likeliest at each row's positions."""
    language = load_language(str(files / "start.pt"))
    windowing = Windowing(budget=120, room=40)
    config = settings(files, tmp_path, sampling_temperature=0.0, context=120)
    agent = ActingModel(language, windowing, config).agent
    jobs = [Job(f"test-{number:04d}") for number in range(3)]
    episodes = [one.trajectory for one in rollout(agent, jobs, WorldRecipe("toy"), limits=Limits(max_steps=8))]
    rows = rows_from(episodes, toy_tokenizer, windowing)
    assert len(rows) > len(episodes)
    batch = collate(rows)
    with torch.no_grad():
        logits = head_logits(language.model, batch.states(language.model)[batch.row_N, batch.from_N])
    likeliest = logits.max(-1).values
    taken = logits.gather(1, batch.target_N[:, None])[:, 0]
    assert len(taken) > 300
    # The cache adds in another order, so a near tie may fall the other way.
    assert (likeliest - taken).max() < 1e-3


class CutOffError(Exception):
    pass


@pytest.mark.parametrize(
    "chosen",
    [
        {"mode": "offline"},
        {"mode": "online"},
        {"mode": "mixed"},
        {"mode": "offline", "optimiser": "muon"},
        {"mode": "online", "method": "minillm", "sampling_temperature": 0.7},
    ],
    ids=str,
)
def test_a_run_that_was_cut_off_ends_as_if_undisturbed(files: Path, tmp_path: Path, chosen: dict[str, Any]) -> None:
    changes: dict[str, Any] = {
        **chosen,
        "steps": 6,
        "rollouts": 2,
        "updates": 2,
        "horizon_start": 3,
    }
    Run(settings(files, tmp_path / "whole", **changes)).train()
    for cut in (3, 5):

        def report(step: int, steps: int, numbers: dict[str, float], cut: int = cut) -> None:
            if step == cut:
                raise CutOffError

        with pytest.raises(CutOffError):
            Run(settings(files, tmp_path / "cut", **changes), report).train()
    Run(settings(files, tmp_path / "cut", **changes)).train()
    for one, other in zip(weights(tmp_path / "whole/student.pt"), weights(tmp_path / "cut/student.pt"), strict=True):
        assert torch.equal(one, other)
    assert [line["step"] for line in metrics(tmp_path / "cut")] == list(range(6))


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_if_undisturbed(files: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"mode": "online", "steps": 40, "rollouts": 2, "save_every": 1, "horizon_start": 2}
    whole = settings(files, tmp_path / "whole", batch=16, **changes)  # the default: online it has no effect
    Run(whole).train()
    out = tmp_path / "killed"
    values = flat(whole) | {"out": out}
    wanted = ("out", "student", "teacher", "env", "micro_batch", "context", "max_new_tokens", "learning_rate")
    flags = [f"--{name.replace('_', '-')}={values[name]}" for name in (*wanted, *changes)]
    flags += ["--trajectories", str(files / "expert.jsonl")]
    code = "import sys, torch; torch.set_num_threads(1); from sad_distill.commands.main import main; sys.exit(main())"
    for lines in (3, 17, 30):
        process = subprocess.Popen([sys.executable, "-c", code, *flags], stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if (out / "metrics.jsonl").exists() and len((out / "metrics.jsonl").read_bytes().splitlines()) >= lines:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.005)
        assert process.wait() == -signal.SIGKILL
    Run(settings(files, out, batch=16, **changes)).train()
    for one, other in zip(weights(tmp_path / "whole/student.pt"), weights(out / "student.pt"), strict=True):
        assert torch.equal(one, other)
    assert [line["step"] for line in metrics(out)] == list(range(40))


def test_a_changed_setting_refuses_to_resume(files: Path, tmp_path: Path) -> None:
    Run(settings(files, tmp_path, steps=1)).train()
    with pytest.raises(ConfigError, match="seed = 0, not 5"):
        Run(settings(files, tmp_path, steps=1, seed=5)).train()


@pytest.mark.parametrize("changed", ["trajectories", "teacher", "student"])
def test_a_file_that_changed_under_its_name_refuses_to_resume(files: Path, tmp_path: Path, changed: str) -> None:
    """Such a run used to train nothing more, and to say in its record that it had learned from the new file."""
    names = {"trajectories": "expert.jsonl", "teacher": "teacher.pt", "student": "start.pt"}
    for name in names.values():
        (tmp_path / name).write_bytes((files / name).read_bytes())
    config = settings(tmp_path, tmp_path / "run", steps=1)
    Run(config).train()
    Run(config).train()
    if changed == "trajectories":
        lines = (tmp_path / "expert.jsonl").read_text().splitlines(keepends=True)
        (tmp_path / "expert.jsonl").write_text("".join(lines[:9]))
    else:
        other = {"teacher": "start.pt", "student": "teacher.pt"}[changed]
        (tmp_path / names[changed]).write_bytes((files / other).read_bytes())
    with pytest.raises(ConfigError, match=rf"holds a run on other {changed}: '\w+-\w+', now .* another --out"):
        Run(config).train()
    # A folder of an earlier release has no contents to compare; it goes on as it did.
    record = json.loads((tmp_path / "run/config.json").read_text())
    del record["contents"]
    (tmp_path / "run/config.json").write_text(json.dumps(record))
    if changed != "student":
        Run(config).train()


def test_another_micro_batch_is_another_run_only_where_its_rows_are_compared(files: Path, tmp_path: Path) -> None:
    for name, changes in (("plain", {}), ("contrast", {"terms": ("contrastive=0.3",)})):
        Run(settings(files, tmp_path / name, steps=1, **changes)).train()
        again = Run(settings(files, tmp_path / name, steps=1, micro_batch=2, **changes))
        if changes:
            with pytest.raises(ConfigError, match="micro_batch = 4, not 2"):
                again.train()
        else:
            again.train()


def test_contradictory_settings_are_refused(files: Path, tmp_path: Path) -> None:
    for changes, reason in (
        ({"method": "sft", "mode": "online"}, "recorded text"),
        ({"method": "sad", "mode": "dagger", "teacher": "expert"}, "an expert writes and cannot score: give --method"),
        ({"method": "word_kd", "mode": "dagger"}, "give --method sft, sad or token_flat"),
        ({"method": "word_kd", "mode": "online"}, "method word_kd learns from recorded text: give --mode offline$"),
        ({"trajectories": ()}, "give --trajectories"),
        ({"method": "minillm", "mode": "offline"}, "--mode online"),
        ({"method": "minillm", "mode": "online", "sampling_temperature": 0.0}, "--sampling-temperature above 0"),
        ({"method": "minillm", "mode": "online", "kd_temperature": 2.0}, "no --kd-temperature"),
        ({"mode": "online", "curriculum": "sort", "trajectories": ()}, "--horizon-start to let episodes grow"),
        ({"mode": "dagger", "method": "sft", "curriculum": "sample"}, "which mode dagger has none of"),
        ({"mode": "online", "act_loss": "likelihood"}, "which mode online does not learn from"),
        ({"terms": ("contrastive=0.3",), "micro_batch": 1}, "--micro-batch and --batch of 2 or more"),
        ({"steps": 0}, "at least 1"),
        ({"learning_rate": -1.0}, "--learning-rate -1: give a number at least 0"),
        ({"warmup": 2.0}, "--warmup 2: give a number between 0 and 1"),
        ({"kd_temperature": 0.0}, "--kd-temperature 0"),
        ({"divergence": "js", "beta": 1.0}, "--beta 1: js mixes"),
    ):
        with pytest.raises(ConfigError, match=reason):
            check(settings(files, tmp_path, **changes))
    for changes, reason in (
        ({"student": "layers:1", "teacher": "expert"}, "local teacher"),
        ({"mode": "guided", "teacher": "expert"}, "mode guided needs a local teacher, which acts and scores"),
        ({"mode": "guided", "teacher": ""}, "mode guided needs a local teacher"),
        ({"student": "layers:²"}, "give a number of layers"),
        ({"method": "minillm", "mode": "online", "teacher": ""}, "the term minillm compares with"),
        ({"terms": ("contrastive=0.3",), "teacher": "expert", "method": "sft"}, "the term contrastive compares with"),
        ({"device": "gpu"}, "--device 'gpu': give cpu, cuda or auto"),
        ({"device": "cuda:99"}, "--device cuda:99: no such GPU here"),
        ({"context": 1400}, "--context 1400: student .* has 1024 positions: give --context 1024 or less"),
    ):
        with pytest.raises(ConfigError, match=reason):
            Run(settings(files, tmp_path, **changes))


def test_dagger_is_refused_without_a_teacher_that_writes(files: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"mode": "dagger", "method": "sft", "teacher": ""}
    with pytest.raises(ConfigError, match="mode dagger needs a teacher that writes: give --teacher expert"):
        Run(settings(files, tmp_path, **changes)).train()
    assert not (tmp_path / "student.pt").exists()


def test_a_teacher_whose_path_begins_like_an_expert_is_a_file(files: Path, tmp_path: Path) -> None:
    path = Path("expert-run/student.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with pytest.raises(CheckpointError, match="no such file"):
            load_teacher(settings(files, tmp_path, teacher=str(path)))
        path.parent.mkdir()
        path.write_bytes((files / "teacher.pt").read_bytes())
        teacher = load_teacher(settings(files, tmp_path, teacher=str(path)))
        assert teacher is not None
        assert teacher.language is not None
    with pytest.raises(UnknownNameError, match="no expert of toy 'expertt': did you mean 'expert'"):
        load_teacher(settings(files, tmp_path, teacher="expertt"))


def test_wrong_words_are_told_at_once(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.jsonl").touch()
    nothing = ["--method", "sft", "--mode", "offline", "--trajectories"]
    for arguments, code, reason in (
        (["serv"], 2, "no command 'serv': did you mean 'serve'?"),
        (["--out", "x", *nothing, str(tmp_path / "empty.jsonl")], 5, "no episode in"),
        (["--out", "x", "--env", "tay", *nothing, str(files / "expert.jsonl")], 2, "did you mean 'toy'"),
        (
            ["--out", "x", "--env", "toy", "--student", "nano-9m", *nothing, str(files / "expert.jsonl")],
            2,
            "did you mean 'nano-8m'",
        ),
        (["inspect", "--trajectories", str(tmp_path / "empty.jsonl")], 5, "holds no episode"),
        (["serve", "--model", str(files / "teacher.pt"), "--port", "99999"], 2, "cannot listen on 127.0.0.1:99999"),
        (["serve", "--model", str(files / "teacher.pt"), "--device", "gpu"], 2, "--device 'gpu': give cpu, cuda"),
    ):
        assert main(arguments) == code
        assert reason in capsys.readouterr().err
    assert not Path("x").exists()


def test_a_loss_that_leaves_the_outside_alone_is_pointed_out(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(files, tmp_path)
    assert caution(config) == caution(replaced(config, outside="ignore", method="token_flat")) == ""
    assert caution(replaced(config, outside="ignore", action_support="full")) == ""
    flags = "--mode offline --env toy --steps 1 --batch 2 --context 200 --max-new-tokens 40 --outside ignore"
    paths = {"student": files / "start.pt", "teacher": files / "teacher.pt", "trajectories": files / "expert.jsonl"}
    named = [part for name, path in {**paths, "out": tmp_path}.items() for part in (f"--{name}", str(path))]
    assert main([*flags.split(), *named]) == 0
    told = capsys.readouterr().err
    assert told.count("no gradient to tokens outside the action support") == 1


def test_the_share_of_cached_answers_is_shown(files: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"top": 8, "cache": str(tmp_path / "cache"), "steps": 2, "batch": 100, "micro_batch": 50}
    Run(settings(files, tmp_path / "run", **changes)).train()
    first, second = (line["cache_hits"] for line in metrics(tmp_path / "run"))
    assert first < 0.5
    assert first < second < 1


def test_a_student_of_the_teachers_layers_starts_with_its_weights(files: Path, tmp_path: Path) -> None:
    run = Run(settings(files, tmp_path, student="layers:1", steps=1))
    teacher = load_student(files / "teacher.pt").model
    first = run.student.model.model.layers[0].state_dict()
    assert len(run.student.model.model.layers) == 1
    for name, tensor in teacher.model.layers[0].state_dict().items():
        assert torch.equal(tensor, first[name])
    assert torch.equal(teacher.get_input_embeddings().weight, run.student.model.get_input_embeddings().weight)
    path = run.train()
    assert load_student(path).model.config.num_hidden_layers == 1


@pytest.mark.slow
def test_presets_fill_what_was_not_said(files: Path, tmp_path: Path) -> None:
    """A flag beats its preset also where it repeats a default; and so does a file."""

    def parsed(*flags: str) -> dict[str, Any]:
        config = train_config(["--out", "x", *flags])
        assert type(config) is TrainConfig
        return flat(config)

    named = parsed("--preset", "paper/table5/random-masking", "--curriculum", "walk")
    assert (named["mode"], named["masks"], named["curriculum"]) == ("online", "random", "walk")
    assert parsed("--preset", "paper/table13/without-curriculum", "--mode", "guided")["mode"] == "guided"
    assert parsed("--preset=paper/table3/token", "--learning-rate", "2e-5")["learning_rate"] == 2e-5
    assert parsed("--preset", "paper/table6/0-1", "--reason-weight", "1")["reason_weight"] == 1
    (tmp_path / "file.toml").write_text('curriculum = "none"\nsteps = 7\n')
    found = parsed("--config", str(tmp_path / "file.toml"), "--preset", "paper/table5/ours")
    wanted = {"mode": "online", "curriculum": "none", "steps": 7, "curriculum_strength": 1}
    assert {name: found[name] for name in wanted} == wanted
    for name in PRESETS:
        given = parsed("--preset", name)
        assert given == parsed("--config", name)
        assert given == flat(replaced(TrainConfig(out="x"), **chain(name)))
        check(build(TrainConfig, {**given, "teacher": "t", "trajectories": ("e",)}))
    (tmp_path / "file.toml").write_text('preset = "paper/table5/ours"\n')
    with pytest.raises(ConfigError, match="preset is no setting of sad-distill any more: give --config NAME"):
        parsed("--config", str(tmp_path / "file.toml"))


def test_former_flags_of_terms_are_terms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = "--out x --contrastive 0.3 --action-head=pointer --mode offline --terms atomic=2"
    config = train_config(flags.split())
    assert config.terms.weights == {"contrastive": 0.3, "pointer": 1.0, "atomic": 2.0}
    said = capsys.readouterr().err
    assert "--contrastive is now --terms contrastive=0.3; the former name goes with the next release" in said
    (tmp_path / "old.toml").write_text('contrastive = 0.2\nalignment = "none"\naction_head = "atomic"\n')
    assert train_config(["--out", "x", "--config", str(tmp_path / "old.toml")]).terms.weights == {
        "contrastive": 0.2,
        "atomic": 1.0,
    }
    assert "contrastive is now terms = ['contrastive=0.2']; the former name goes" in capsys.readouterr().err
    assert train_config(["--out", "x", "--alignment", "soft_dtw"]).terms.terms == ("align_soft_dtw=1",)
    assert train_config(["--out", "x", "--alignment", "none"]).terms.terms == ()


@pytest.mark.parametrize("terms", [("pointer",), ("pointer=much",), ("pointer=-1",), ("pointer=1", "pointer=2")])
def test_terms_of_another_form_are_refused(terms: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="as NAME=WEIGHT with a weight of at least 0"):
        check(replaced(TrainConfig(out="x"), terms=terms))


def test_a_term_that_is_not_there_is_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no term 'ponter': did you mean 'pointer'"):
        Run(settings(files, tmp_path, terms=("ponter=1",)))


def test_a_run_that_an_earlier_release_began_goes_on_under_the_present_names(files: Path, tmp_path: Path) -> None:
    config = settings(files, tmp_path, steps=1, terms=("contrastive=0.3",), kd_temperature=2.0)
    Run(config).train()
    record = json.loads((tmp_path / "config.json").read_text())
    former = {"trajectories": "episodes", "env": "world", "context": "budget", "max_new_tokens": "room"}
    former["kd_temperature"] = "temperature"
    old = {former.get(name, name): value for name, value in record.items() if name != "terms"}
    old |= {"contrastive": 0.3, "action_head": "none", "alignment": "none", "preset": ""}
    (tmp_path / "config.json").write_text(json.dumps(old))
    Run(config).train()
    (tmp_path / "config.json").write_text(json.dumps({**old, "contrastive": 0.1}))
    with pytest.raises(ConfigError, match=r"terms = .*contrastive=0\.1"):
        Run(config).train()


def test_the_shipped_settings_are_these(capsys: pytest.CaptureFixture[str]) -> None:
    tables = {name.split("/")[1] for name in PRESETS if "/table" in name}
    assert tables == {f"table{number}" for number in (3, 4, 5, 6, 12, 13, 14, 15)}
    whole = train_config(["--config", "paper", "--out", "x"])
    values: dict[str, Any] = {
        "steps": 20_000,
        "rollouts": 64,
        "adapters": 16,
        "reduction": "paper_sum",
        "outside": "ignore",
        "constrained": "on",
        "curriculum": "sort",
        "curriculum_scale": "raw",
    }
    assert whole == replaced(TrainConfig(out="x"), **values)
    # Values of appendix B that are defaults, too.
    assert (whole.optimisation.learning_rate, whole.optimisation.clip, whole.model.context) == (2e-5, 1.0, 512)
    for table, change in ROWS.items():
        assert train_config(["--config", table, "--out", "x"]) == replaced(whole, **change)
    for first, second in ((3, 4), (6, 12), (13, 14)):
        for name in PRESETS:
            if name.startswith(f"paper/table{second}/"):
                other = name.replace(f"table{second}", f"table{first}")
                assert train_config(["--config", name, "--out", "x"]) == train_config(["--config", other, "--out", "x"])
    teacher = replaced(
        TrainConfig(out="x"),
        student="nano-8m",
        method="sft",
        mode="offline",
        steps=2000,
        learning_rate=6e-4,
        embedding_factor=8.0,
        optimiser="muon",
        observation_weight=1.0,
    )
    assert train_config(["--config", "sft-teacher", "--out", "x"]) == teacher
    with pytest.raises(SystemExit):
        main(["sft-teacher", "--help"])
    told = capsys.readouterr().out
    assert "usage: sad-distill sft-teacher --out TEXT" in told
    assert "[nano-8m]" in told


def test_a_teacher_is_trained_under_the_former_flag_for_its_model(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = "--model nano-0.7m --vocabulary 300 --env toy --steps 1 --batch 2"
    given = ["--trajectories", str(files / "expert.jsonl"), "--out", str(tmp_path)]
    assert main(["sft-teacher", *flags.split(), *given]) == 0
    assert capsys.readouterr().err.count("--model is now --student") == 1
    assert json.loads((tmp_path / "config.json").read_text())["student"] == "nano-0.7m"


def test_an_unknown_preset_is_told_all_families_and_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("list", "paper/table5/our"):
        assert main(["--out", "x", "--preset", wrong]) == 2
        told = capsys.readouterr().err
        for name in PRESETS:
            assert name.rpartition("/")[0] in told
    assert "did you mean 'paper/table5/ours'?" in told


def test_a_preset_that_meant_something_else_is_refused_with_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert not GONE_CONFIGS.keys() & PRESETS.keys()
    for name in GONE_CONFIGS:
        assert main(["--out", "x", "--config", name]) == 2
        assert f"no configuration {name} any more: {GONE_CONFIGS[name]}" in capsys.readouterr().err


def test_jobs_of_an_iteration_are_a_pure_function_and_cover_the_tasks() -> None:
    stage = TaskStream(WorldRecipe("toy"), tuple("abcdefg"), 20)
    drawn = [job for iteration in range(7) for job in stage.jobs(iteration, 2, 1)]
    assert sorted(job.task_id for job in drawn[:7]) == sorted(job.task_id for job in drawn[7:]) == list("abcdefg")
    assert stage.jobs(3, 2, 1) == drawn[6:8]
    assert len(set(drawn)) == 14
    # In place of groups that tell nothing others are drawn that were not played just now, while there are some.
    assert {job.task_id for job in stage.redrawn(0, 0, 3, 1, "abcd")} == set("efg")
    assert len(stage.redrawn(0, 0, 4, 1, "abcd")) == 4


@pytest.mark.parametrize("pacing", ["sample", "sort", "walk"])
def test_a_student_plays_the_tasks_of_the_teachers_easy_episodes_first(
    files: Path, tmp_path: Path, pacing: Any
) -> None:
    """Algorithm 1 with a live teacher."""
    config = settings(files, tmp_path, mode="online", curriculum=pacing, curriculum_scale="raw", split="train", steps=2)
    run = Run(config)
    order = TaskOrder(run.parts, [f"train-{number:04d}" for number in range(30)])
    complexity = curriculum_of(run.parts)[0]
    ranks = {row.task.rpartition("/")[2]: complexity.names.index(row.episode) for row in run.rows}
    early = [ranks[job.task_id] for job in order.jobs(0, 0, 40, 0)]
    late = [ranks[job.task_id] for job in order.jobs(1, 2, 40, 0)]
    assert all(int(job.task_id[-4:]) < 30 for job in order.jobs(0, 0, 40, 0))
    assert len(set(order.jobs(0, 0, 40, 0))) == 40
    assert order.jobs(1, 2, 40, 0) == order.jobs(1, 2, 40, 0)
    if pacing == "walk":
        assert early[:30] == sorted(early[:30])
    else:
        assert sum(early) < sum(late)
    with pytest.raises(ConfigError, match="none of them is in toy train: give the --split"):
        TaskOrder(run.parts, ["test-0000"])
    run.train()
    assert len(metrics(tmp_path)) == 2


def test_an_episode_that_goes_round_in_circles_is_cut(toy_episodes: list[Trajectory]) -> None:
    step = toy_episodes[0].steps[0]
    circling = toy_episodes[0].model_copy(update={"steps": (step,) * 9})
    assert len(without_loops(circling).steps) == 3
    assert without_loops(toy_episodes[0]) == toy_episodes[0]


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, sad_distill, sad_distill.commands.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_each_pass_deals_all_rows_anew() -> None:
    rows: list[Any] = list(range(10))
    passes = [shares(rows, 3, 7, number) for number in range(4)]
    assert all(sorted(row for share in dealt for row in share) == rows for dealt in passes)
    assert all(sorted(map(len, dealt)) == [3, 3, 4] for dealt in passes)
    assert len({str(dealt) for dealt in passes}) == 4


def test_passes_that_do_not_divide_the_updates_are_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--passes 3 does not divide --updates 4"):
        check(settings(files, tmp_path, mode="online", updates=4, passes=3))

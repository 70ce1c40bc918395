"""Training whose episodes a vLLM samples: the same rows, the weights of now, adapters, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sad_agents.checkpoints import load_student, save_student
from sad_agents.react import ReActAgent
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import Trajectory
from sad_env.settings import replaced

_SPEC = importlib.util.spec_from_file_location(
    "vllm_stub", Path(__file__).resolve().parents[1] / "agents" / "vllm_stub.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
vllm_stub = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(vllm_stub)
serving = vllm_stub.serving

Tiny = Callable[..., Any]


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    base = replaced(
        TrainConfig(out=str(out)),
        student=str(files / "start.pt"),
        teacher=str(files / "teacher.pt"),
        env="toy",
        steps=2,
        micro_batch=4,
        rollouts=2,
        horizon_start=2,
        context=200,
        max_new_tokens=24,
        sampling_temperature=0.0,
        learning_rate=1e-2,
        mode="online",
    )
    return replaced(base, **changes)


def rows(out: Path) -> list[list[tuple[Any, ...]]]:
    """Ids and labels of all steps of all episodes, by iteration."""
    return [
        sorted(
            (one.task_id, step.token_ids, step.token_labels)
            for line in path.read_text().splitlines()
            for one in [Trajectory.from_json(line)]
            for step in one.steps
        )
        for path in sorted((out / "rollouts").glob("*.jsonl"))
    ]


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("constrained", ["off", "on"])
def test_a_served_student_learns_from_the_same_rows(
    constrained: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy episodes, two updates: the second iteration is played with the weights of after the first update."""
    if constrained == "on":
        requests = ReActAgent._requests  # a random model writes no header by itself
        begun = "Reasoning: x\nAction"
        monkeypatch.setattr(
            ReActAgent, "_requests", lambda *words: [replace(one, forced=begun) for one in requests(*words)]
        )
    Run(settings(files, tmp_path / "here", constrained=constrained)).train()
    start = save_student(tmp_path / "start", *load_student(files / "start.pt"))
    with serving(start) as stub:
        Run(settings(files, tmp_path / "there", sampler=f"vllm:{stub.url}", constrained=constrained)).train()
        assert any("allowed_token_ids" in body for _, body in stub.seen) is (constrained == "on")
        reloads = [body["kwargs"]["weights_path"] for path, body in stub.seen if path == "/collective_rpc"]
    assert rows(tmp_path / "there") == rows(tmp_path / "here")
    first, second = rows(tmp_path / "here")
    assert first != second
    assert losses(tmp_path / "there") == pytest.approx(losses(tmp_path / "here"), rel=1e-5)
    assert reloads == [str(tmp_path / "there" / "sampler")] * 2
    record = load_student(tmp_path / "there" / "student.pt").record
    assert stub.url not in json.dumps(record)


def test_without_a_server_the_folder_to_serve_is_written_and_named(files: Path, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"VLLM_SERVER_DEV_MODE=1 vllm serve .*sampler --max-model-len 200"):
        quick(Run(settings(files, tmp_path / "run", sampler="vllm:http://127.0.0.1:9")))
    assert load_student(tmp_path / "run" / "sampler").tokenizer is not None


def quick(run: Run) -> None:
    """Train without waiting for servers that are not there."""
    from sad_distill.training import served_student

    from sad_env.http import Patience

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served_student, "TEACHER_PATIENCE", Patience(seconds=0, attempts=1, connect=2))
        run.train()


def test_a_server_of_another_model_is_refused(
    files: Path, tmp_path: Path, tiny_llama: Tiny, toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    other = save_student(tmp_path / "other", tiny_llama(24, seed=1), toy_tokenizer, {})
    with serving(other) as stub:
        stub.load = lambda folder: None  # it says that it has loaded the weights
        with pytest.raises(ConfigError, match="answers as another model than the student"):
            Run(settings(files, tmp_path / "run", sampler=f"vllm:{stub.url}")).train()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_go_alone_where_the_server_takes_them(files: Path, tmp_path: Path) -> None:
    base = save_student(tmp_path / "base", *load_student(files / "start.pt"))
    with serving(base, adapters=True) as stub:
        Run(settings(files, tmp_path / "run", student=str(base), adapters=2, sampler=f"vllm:{stub.url}")).train()
        loaded = [body for path, body in stub.seen if path == "/v1/load_lora_adapter"]
        asked = {body["model"] for path, body in stub.seen if path == "/v1/completions"}
    assert [body["lora_path"] for body in loaded] == [str(tmp_path / "run" / "sampler" / f"{n:06d}") for n in (1, 2)]
    assert asked == {"sad-student"}
    assert not (tmp_path / "run" / "sampler" / "000001").exists()
    assert not [path for path, _ in stub.seen if path == "/collective_rpc"]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_are_merged_where_it_does_not(files: Path, tmp_path: Path) -> None:
    base = save_student(tmp_path / "base", *load_student(files / "start.pt"))
    with serving(base) as stub:
        Run(settings(files, tmp_path / "run", student=str(base), adapters=2, sampler=f"vllm:{stub.url}")).train()
        assert {body["model"] for path, body in stub.seen if path == "/v1/completions"} == {str(base)}
        assert len([path for path, _ in stub.seen if path == "/collective_rpc"]) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampler": "http://localhost:8000"}, "give vllm:URL"),
        ({"sampler": "vllm:http://localhost:8000", "method": "minillm"}, "leave out --sampler"),
    ],
)
def test_settings_that_no_server_can_serve_are_refused(changes: dict[str, Any], said: str, files: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        check(settings(files, Path("unused"), **{"sampling_temperature": 1.0, **changes}))

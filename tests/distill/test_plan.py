"""The memory of a run as it is planned from configurations, against published sizes and a measured update."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_distill.commands.main import main
from sad_distill.commands.plan import fitting
from sad_distill.config import TrainConfig
from sad_distill.data.rows import Row, Unit
from sad_distill.losses.objective import Objective
from sad_distill.models.heads import hidden_states
from sad_distill.models.students import with_adapters
from sad_distill.training.learner import Learner
from sad_distill.training.memory import MemoryPart, cache_width, config_of, laid_out, needs_of
from transformers import LlamaConfig, LlamaForCausalLM

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.settings import replaced

CONFIGURATIONS = Path(__file__).parent / "configurations"
SMALL, LARGE = (str(CONFIGURATIONS / name) for name in ("qwen2_5-0_5b", "qwen2_5-7b"))

# peft uses names that transformers has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def by_name(needs: list[MemoryPart]) -> dict[str, int]:
    return {need.name: need.total for need in needs}


def test_the_published_models_have_their_published_sizes() -> None:
    config = replaced(TrainConfig(out="x"), student=SMALL, teacher=LARGE, teacher_precision="bf16")
    needs = by_name(needs_of(config))
    assert needs["student: weights"] == needs["student: gradients"] == 4 * 494_032_768
    assert 0 <= needs["student: optimiser"] - 8 * 494_032_768 <= 4 * 500, "and a count of steps each"
    assert needs["teacher: weights"] == 2 * 7_615_616_512
    assert needs["episodes: key/value cache"] == 16 * 512 * 4 * 2 * 24 * 2 * 64
    served = by_name(needs_of(replaced(config, teacher="http://localhost:8700", student=SMALL)))
    assert not any(name.startswith("teacher") for name in served)
    assert cache_width(config_of(LARGE, config)) == 2 * 28 * 4 * 128


def test_a_student_is_its_own_teacher_or_is_cut_and_served() -> None:
    config = replaced(TrainConfig(out="x"), student=SMALL, teacher="self:0.9")
    needs = by_name(needs_of(config))
    assert needs["teacher: weights"] == needs["student: weights"] == 4 * 494_032_768
    served = replaced(config, teacher="openai:http://localhost:8000#M", sampler="vllm:http://localhost:8001")
    assert not any("cache" in need.name for need in needs_of(served))
    cut = {need.name: need for need in needs_of(replaced(served, shard_learner=True))}
    for part in ("weights", "gradients", "optimiser"):
        assert cut[f"student: {part}"].on(4) == -(-needs[f"student: {part}"] // 4)
    # Tied embeddings of 151,936 rows of 896, the last norm, and two of 24 layers; each with its gradient.
    layer = (494_032_768 - 151_936 * 896 - 896) // 24
    assert cut["student: whole at a time"].on(4) == 2 * 4 * (151_936 * 896 + 896 + 2 * layer)


@pytest.mark.parametrize("changes", [{}, {"optimiser": "muon"}, {"adapters": 4}])
def test_weights_gradients_and_optimiser_are_those_of_a_real_update(tmp_path: Path, changes: dict[str, Any]) -> None:
    shape = LlamaConfig(
        vocab_size=300, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True,
    )  # fmt: skip
    shape.architectures = ["LlamaForCausalLM"]
    shape.save_pretrained(tmp_path)
    config = replaced(
        TrainConfig(out="x"), student=str(tmp_path), context=200, micro_batch=2, mode="offline", **changes
    )
    needs = by_name(needs_of(config))
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(shape)
    if config.model.adapters:
        model = with_adapters(model, config.model.adapters)
    learner = Learner(model, Objective(likelihood=1.0, divergence=0.0), config.optimisation, micro_batch=2)
    learner.update([Row(tuple(range(200)), "N" + "R" * 199, (Unit(0, 1, 200, None),))] * 2, 0)
    trained = [one for one in model.parameters() if one.requires_grad]
    assert needs["student: weights"] == sum(one.nbytes for one in model.parameters())
    assert needs["student: gradients"] == sum(one.grad.nbytes for one in trained)
    state = [
        value.nbytes
        for optimiser in learner.optimisers
        for values in optimiser.state.values()
        for value in values.values()
        if isinstance(value, torch.Tensor)
    ]
    assert needs["student: optimiser"] == sum(state)
    # What the backward pass keeps of a real forward pass, where attention is fused, too.
    model.train()
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden_states(model, torch.zeros(2, 200, dtype=torch.long))
    measured = sum(one.untyped_storage().nbytes() for one in kept.values())
    assert needs["student: activations"] == pytest.approx(measured, rel=0.2)


def test_recomputed_activations_are_fewer_and_precision_halves_them() -> None:
    config = replaced(TrainConfig(out="x"), student="nano-2m", micro_batch=4)
    plain = by_name(needs_of(config))["student: activations"]
    assert by_name(needs_of(replaced(config, recompute=True)))["student: activations"] < plain / 2
    half = by_name(needs_of(replaced(config, precision="bf16")))
    assert half["student: activations"] < 0.7 * plain
    assert half["student: bf16 copies"] == half["student: weights"] // 2


def test_the_command_prints_a_table_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--student", "layers:4", "--teacher", LARGE, "--out", "runs/x"]) == 0
    said = capsys.readouterr().out
    assert "teacher: weights" in said
    assert "fits on a device of" in said
    assert not list(tmp_path.iterdir())
    assert (fitting(2**34), fitting(2**30), fitting(2**40)) == ("24 GiB", "16 GiB", "none: serve the teacher")
    assert MemoryPart("x", 10, shared=True).on(4) == 3


def test_a_configuration_that_is_not_there_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    config = TrainConfig(out="x")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    with pytest.raises(ConfigError, match="its configuration cannot be read"):
        config_of(str(tmp_path), config)
    with pytest.raises(InfrastructureError, match="its configuration cannot be read"):
        config_of("hf:nobody/nothing", config)
    with pytest.raises(ConfigError, match="takes its layers from a local teacher"):
        needs_of(replaced(config, student="layers:3"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(ConfigError, match="no causal language model"):
        laid_out(config_of(str(tmp_path), config))

"""Configurations that ask for more than their tensors can fill, or for code, cost neither memory nor time."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sad_env.errors import CheckpointError

torch = pytest.importorskip("torch")
checkpoints = pytest.importorskip("sad_agents.checkpoints")

CPU_SECONDS, MEGABYTES = 20, 1500
"""What the refusal of any of these tiny files may cost; taken at their word they ask for a hundred times as much."""

COMMON = {"vocab_size": 3, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": None}
TINY: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 16},
    "llama": {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1},
    "mixtral": {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "num_local_experts": 2,
    },
    "bart": {
        "d_model": 8,
        "decoder_layers": 1,
        "encoder_layers": 1,
        "decoder_attention_heads": 1,
        "encoder_attention_heads": 1,
        "decoder_ffn_dim": 8,
        "encoder_ffn_dim": 8,
        "max_position_embeddings": 16,
        "pad_token_id": 1,
        "is_decoder": True,
        "is_encoder_decoder": False,
    },
    "mpt": {"d_model": 8, "n_heads": 1, "n_layers": 1, "max_seq_len": 16},
    "gpt_neo": {
        "hidden_size": 8,
        "num_layers": 2,
        "num_heads": 1,
        "attention_types": [[["global", "local"], 1]],
        "max_position_embeddings": 16,
    },
    "gptj": {"n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 16, "rotary_dim": 4},
    "codegen": {"n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 16, "rotary_dim": 4, "n_ctx": 16},
    "opt": {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "ffn_dim": 8,
        "word_embed_proj_dim": 8,
        "max_position_embeddings": 16,
        "pad_token_id": 1,
    },
    "diffllama": {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2},
}


def made(kind: str, path: Path) -> Path:
    from tokenizers import Tokenizer, models
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"a": 0, "b": 1, "<e>": 2}, unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<e>")
    config: Any = AutoConfig.for_model(kind, **{**COMMON, **TINY[kind]})
    return Path(checkpoints.save_student(path, AutoModelForCausalLM.from_config(config), tokenizer, {}))


def changed(path: Path, settings: dict[str, Any], without: str) -> None:
    """Change settings of a checkpoint's configuration, and leave out the tensors whose names hold a text."""
    from safetensors.torch import load_file, save_file

    if path.is_dir():
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, **settings}))
        weights = load_file(path / "model.safetensors")
    else:
        content = torch.load(path, weights_only=True)
        content["config"] = json.dumps({**json.loads(content["config"]), **settings})
        weights = content["weights"]
    kept = {name: tensor for name, tensor in weights.items() if not without or without not in name}
    if path.is_dir():
        save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    else:
        torch.save({**content, "weights": kept}, path)


HUGE: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"intermediate_size": 10**7}, "mlp"),
    ("llama", {"intermediate_size": 10**12}, "mlp"),
    ("llama", {"vocab_size": 10**7}, "e"),
    ("llama", {"vocab_size": 10**7}, "embed_tokens"),
    ("llama", {"head_dim": 10**7}, "self_attn"),
    ("llama", {"num_attention_heads": 10**6, "head_dim": 8}, "self_attn"),
    ("llama", {"num_key_value_heads": 10**6, "num_attention_heads": 10**6, "head_dim": 8}, "self_attn"),
    ("llama", {"hidden_size": 10**6}, "layers"),
    ("llama", {"num_hidden_layers": 10**8}, "layers"),
    ("llama", {"num_hidden_layers": -1}, ""),
    ("llama", {"num_hidden_layers": 1e8}, ""),
    ("mixtral", {"num_local_experts": 10**7}, "mlp"),
    ("mixtral", {"num_local_experts": 10**15}, "mlp"),
    ("gpt2", {"n_inner": 10**8}, "mlp"),
    ("gpt2", {"n_positions": 10**8}, "wpe"),
    ("gpt2", {"n_layer": 10**7}, "h.0"),
    ("bart", {"decoder_ffn_dim": 10**8}, "fc"),
    ("bart", {"decoder_layers": 10**7}, "layers"),
    ("bart", {"encoder_layers": 10**7}, ""),
    ("bart", {"max_position_embeddings": 10**8}, "embed_positions"),
    ("bart", {"d_model": 10**7}, "decoder"),
    ("mpt", {"n_layers": 10**7}, "blocks"),
    ("mpt", {"expansion_ratio": 10**7}, "ffn"),
    ("mpt", {"d_model": 10**6}, "ffn"),
    ("mpt", {"max_seq_len": 10**12}, ""),
    ("gpt_neo", {"num_layers": 10**8}, "h."),
    ("gpt_neo", {"attention_types": [[["global", "local"], 10**8]]}, ""),
    ("gpt_neo", {"attention_types": [[["global"], 10**6]] * 100, "num_layers": 10**8}, ""),
    ("gpt_neo", {"max_position_embeddings": 10**6}, "wpe"),
    ("gpt_neo", {"intermediate_size": 10**8}, "mlp"),
    ("gptj", {"n_positions": 10**6, "rotary_dim": 2048}, ""),
    ("gptj", {"n_inner": 10**8}, "mlp"),
    ("codegen", {"n_positions": 10**6, "n_ctx": 10**6, "rotary_dim": 2048}, ""),
    ("opt", {"max_position_embeddings": 10**8}, "embed_positions"),
    ("opt", {"word_embed_proj_dim": 10**8}, "embed_tokens"),
    ("diffllama", {"head_dim": 10**9}, "self_attn"),
]

CODE: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"attn_implementation": "evil/kernel"}, "code of the hub"),
    ("llama", {"_attn_implementation": "evil/kernel@main:forward"}, "code of the hub"),
    ("llama", {"attn_implementation": {"": "evil/kernel"}}, "code of the hub"),
    ("llama", {"attn_implementation": ["evil/kernel"]}, "code of the hub"),
    ("llama", {"attn_implementation": "paged|evil/kernel"}, "code of the hub"),
    ("llama", {"text_config": {"attn_implementation": "evil/kernel"}}, "code of the hub"),
    ("mixtral", {"experts_implementation": "evil/kernel"}, "code of the hub"),
    ("llama", {"kernel_config": {"RMSNorm": "evil/kernel"}}, "code of the hub"),
    ("llama", {"model_type": "evil", "auto_map": {"AutoModelForCausalLM": "evil.Model"}}, "never run"),
    ("llama", {"model_type": "\x1b[2Jevil", "auto_map": {"AutoModel": "\x1b[2J"}}, "never run"),
    ("llama", {"model_type": ["llama"], "auto_map": {}}, "not known"),
    ("llama", {"model_type": "vit"}, "no causal language model"),
    ("llama", {"text_config": {"quantization_config": {"quant_method": "bitsandbytes"}}}, "quantisation"),
    ("llama", {"rope_parameters": {"rope_type": "\x1b[2Jevil", "rope_theta": 1.0}}, ""),
    ("llama", {"layer_types": ["\x1b[2Jevil"]}, ""),
    ("llama", {"hidden_act": "\x1b[2Jevil"}, ""),
]


@pytest.fixture
def cheap() -> Any:
    """The test takes neither much memory nor much time of this process."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert time.process_time() - began < CPU_SECONDS
    assert grown < MEGABYTES


def refusal(kind: str, settings: dict[str, Any], without: str, path: Path) -> str:
    changed(made(kind, path), settings, without)
    with pytest.raises(CheckpointError) as error:
        checkpoints.load_student(path)
    return str(error.value)


@pytest.mark.filterwarnings("ignore")  # torch warns of the sizes that it is asked for
@pytest.mark.parametrize("form", ["student.pt", "student"])
@pytest.mark.parametrize(("kind", "settings", "without"), HUGE, ids=lambda value: str(value)[:60])
def test_a_model_larger_than_its_tensors_is_refused_before_it_is_built(
    kind: str,
    settings: dict[str, Any],
    without: str,
    form: str,
    tmp_path: Path,
    one_clear_line: Callable[[str], None],
    cheap: None,
) -> None:
    one_clear_line(refusal(kind, settings, without, tmp_path / form))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["student.pt", "student"])
@pytest.mark.parametrize(("kind", "settings", "reason"), CODE, ids=lambda value: ascii(value)[:60])
def test_code_by_any_name_is_refused(
    kind: str,
    settings: dict[str, Any],
    reason: str,
    form: str,
    tmp_path: Path,
    one_clear_line: Callable[[str], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    message = refusal(kind, settings, "", tmp_path / form)
    one_clear_line(message)
    assert reason in message
    shown = capfd.readouterr()
    assert "\x1b" not in shown.out + shown.err


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["student.pt", "student"])
@pytest.mark.parametrize(
    "settings",
    [
        {"num_labels": 10**9},
        {"dtype": "save"},
        {"torch_dtype": "__class__"},
        {"rope_theta": 10**10},
        {"attn_implementation": "flash_attention_2"},
        {"auto_map": {"AutoModelForCausalLM": "evil.Model"}},
    ],
    ids=str,
)
def test_settings_of_no_use_here_are_passed_over(
    settings: dict[str, Any], form: str, tmp_path: Path, cheap: None
) -> None:
    path = made("llama", tmp_path / form)
    changed(path, settings, "")
    assert checkpoints.load_student(path).model.config.model_type == "llama"


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("form", ["student.pt", "student"])
def test_the_unspoilt_models_are_taken(kind: str, form: str, tmp_path: Path) -> None:
    assert checkpoints.load_student(made(kind, tmp_path / form)).model.config.model_type == kind

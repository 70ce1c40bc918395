"""Students as folders: what transformers itself makes of them."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.checkpoints import load_student, save_student
from sad_agents.loading import load_language_model
from sad_agents.model_facts import model_facts
from sad_agents.model_words import shipped_student
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).parent))
from tiny import tiny_model, tiny_tokenizer

TEXT = "Reasoning: go to  cabinet 12, don't é.\nAction: take a from b 1\n"
AUTO_MODEL: Any = AutoModelForCausalLM
AUTO_TOKENIZER: Any = AutoTokenizer


def ids_of(tokenizer: Any, text: str = TEXT) -> list[int]:
    return list(tokenizer(text)["input_ids"])


@pytest.mark.parametrize("world", ["alfworld", "webshop", "hotpotqa"])
def test_a_shipped_student_is_loaded_by_transformers_and_is_the_same(world: str, tmp_path: Path) -> None:
    student = load_student(shipped_student(world))
    folder = save_student(tmp_path / world, *student)
    model, tokenizer = AUTO_MODEL.from_pretrained(folder), AUTO_TOKENIZER.from_pretrained(folder)
    ids = ids_of(student.tokenizer)
    assert ids_of(tokenizer) == ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == TEXT
    with torch.no_grad():
        here, there = (one.float()(input_ids=torch.tensor([ids])).logits for one in (student.model, model))
    assert torch.equal(here, there)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"  # known to transformers 4, too


def test_weights_in_half_precision_leave_positions_exact(tmp_path: Path) -> None:
    """Rotary frequencies are float32, as in transformers and vLLM, in every form and precision of a checkpoint."""
    tokenizer = tiny_tokenizer()
    model: Any = tiny_model("llama", len(tokenizer))
    frequencies = model.model.rotary_emb.inv_freq.clone()
    for name in ("student.pt", "folder"):
        path = save_student(tmp_path / name, model.to(torch.bfloat16), tokenizer, {})
        for dtype in (None, torch.float32, torch.bfloat16):
            loaded: Any = load_student(path, dtype=dtype).model
            assert loaded.dtype == (dtype or torch.bfloat16)
            assert torch.equal(loaded.model.rotary_emb.inv_freq, frequencies)


def test_a_folder_generates_as_the_student_was_evaluated(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    model = tiny_model("qwen2", len(tokenizer))
    assert model.generation_config is not None
    model.generation_config.repetition_penalty = 1.1
    model.generation_config.top_k = 20
    record = {"acting": {"prompt": "", "window": {"budget": 128, "room": 32, "keep": 0.75}}}
    folder = save_student(tmp_path / "student", model, tokenizer, record)
    settings = json.loads((folder / "generation_config.json").read_text())
    assert settings["do_sample"] is False
    assert settings["max_new_tokens"] == 32
    assert settings["eos_token_id"] == [0]
    assert settings.get("repetition_penalty") is None
    assert settings.get("top_k") is None
    assert model.generation_config.repetition_penalty == 1.1  # the model in memory keeps its own


def test_a_chat_template_goes_into_the_folder_and_ends_turns(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<turn>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<turn>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    model = tiny_model("llama", len(tokenizer))
    folder = save_student(tmp_path / "student", model, tokenizer, {"acting": {"chat": True}})
    assert AUTO_TOKENIZER.from_pretrained(folder).chat_template == tokenizer.chat_template
    turn = tokenizer.convert_tokens_to_ids("<turn>")
    assert turn in json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    assert load_student(folder).tokenizer.chat_template == tokenizer.chat_template


def test_files_of_a_folder_are_as_readable_as_others(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    folder = save_student(tmp_path / "student", tiny_model("llama", len(tokenizer)), tokenizer, {})
    (tmp_path / "plain").touch()
    plain = stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {plain}
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_facts_of_a_model() -> None:
    loaded = load_language_model(str(shipped_student("alfworld")), dtype="checkpoint")
    facts = model_facts(loaded.model, loaded.tokenizer, loaded.record)
    assert facts["architecture"] == "LlamaForCausalLM, 4 layers of width 192"
    assert facts["size"] == "1,783,424 parameters in bfloat16"
    assert facts["tokenizer"] == "BPE of 1,077 tokens; a text begins with nothing and ends with <|end|>"
    assert facts["context"] == "1,024 positions"
    assert facts["chat template"] == "none"
    assert facts["window"] == "512 tokens, 96 of them for a completion"

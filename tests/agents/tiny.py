"""Tiny random models and a byte-level tokenizer, for tests that need the real thing without its size."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

KINDS = ("gpt2", "llama", "qwen2", "opt")


def tiny_tokenizer(size: int = 300) -> PreTrainedTokenizerFast:
    """Byte-level, lossless; `<end>` ends a text."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n| ?\w+| ?[^\s\w]+|[^\S\n]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<end>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(
        ["Reasoning: go to the attic\nAction: take lamp\nObservation: You see: ring.\n"] * 3, trainer
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", clean_up_tokenization_spaces=False)


def byte_fallback_tokenizer(letters: str) -> PreTrainedTokenizerFast:
    """One id a letter, as Llama-2 and Mistral spell what is in no vocabulary: all but `letters` as single bytes."""
    pieces = [
        "<end>",
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *sorted(set(letters.replace(" ", "\u2581"))),
    ]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    core = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    core.normalizer = normalizers.Replace(" ", "\u2581")
    core.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="<end>")


def tiny_config(kind: str, vocabulary: int, positions: int = 256) -> PretrainedConfig:
    """Two layers, width 32; grouped heads where the kind has them."""
    common: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": 0, "pad_token_id": None}
    if kind == "gpt2":
        return GPT2Config(n_layer=2, n_head=2, n_embd=32, n_positions=positions, **common)
    if kind == "opt":
        return OPTConfig(
            hidden_size=32,
            ffn_dim=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            word_embed_proj_dim=32,
            max_position_embeddings=positions,
            **{**common, "pad_token_id": 1},
        )
    grouped = {"llama": LlamaConfig, "qwen2": Qwen2Config}[kind]
    return grouped(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        **common,
    )


def tiny_model(
    kind: str, vocabulary: int = 300, *, positions: int = 256, attention: str = "sdpa", seed: int = 0
) -> PreTrainedModel:
    """A random model whose logits are far enough apart for greedy decoding to say something."""
    auto: Any = AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = auto.from_config(tiny_config(kind, vocabulary, positions), attn_implementation=attention)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    model.train(False)
    return model

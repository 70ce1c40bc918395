"""Models that start from nothing: LLaMA's architecture in three sizes that a laptop trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from sad_env.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Size:
    """Width, depth and heads of a model.

    Few layers and few wide heads: on a processor, attention over small heads takes more time than the matrices do.
    """

    width: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int


SIZES = {
    "nano-0.7m": Size(width=96, layers=4, heads=2, key_value_heads=1, feed_forward=320),
    "nano-2m": Size(width=192, layers=4, heads=3, key_value_heads=1, feed_forward=512),
    "nano-8m": Size(width=384, layers=4, heads=4, key_value_heads=4, feed_forward=1024),
}
"""Names say the parameters at a vocabulary of 2,048 tokens, embeddings included (they are tied)."""


def from_scratch(
    name: str, tokenizer: PreTrainedTokenizerBase, *, seed: int = 0, positions: int = 2048
) -> LlamaForCausalLM:
    """A randomly initialised model of one of `SIZES` for this tokenizer.

    Raises:
        UnknownNameError: no such size.
    """
    if name not in SIZES:
        raise UnknownNameError("model size", name, SIZES)
    size = SIZES[name]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        _initialise(model)
        return model


@torch.no_grad()
def _initialise(model: LlamaForCausalLM) -> None:
    """Matrices that keep the size of what goes through them.

    LLaMA's one 0.02 for all suits widths of thousands. In models this narrow it leaves attention nearly uniform for
    hundreds of updates, and with it all copying from the context.
    """
    for name, weight in model.named_parameters():
        if name.endswith("embed_tokens.weight"):
            weight.normal_(std=0.05)
        elif weight.dim() == 2:
            into_stream = name.endswith(("o_proj.weight", "down_proj.weight"))
            depth = 2 * model.config.num_hidden_layers if into_stream else 1
            weight.normal_(std=(weight.shape[1] * depth) ** -0.5)


def layers_of(model: torch.nn.Module) -> torch.nn.ModuleList:
    """The stack of transformer blocks of a causal LM of transformers: the longest list of equal modules.

    Raises:
        ConfigError: there is none.
    """
    stacks = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.ModuleList) and len({type(block) for block in module}) == 1
    ]
    if not stacks:
        raise ConfigError(f"{type(model).__name__} has no stack of layers to thin out")
    return max(stacks, key=len)

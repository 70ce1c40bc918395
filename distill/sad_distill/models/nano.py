"""Models that start from scratch: LLaMA's architecture in three sizes that a laptop trains, able to copy from birth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import normalize
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
    "nano-8m": Size(width=384, layers=5, heads=4, key_value_heads=1, feed_forward=896),
}
"""Names say the parameters at a vocabulary of 2,048 tokens, embeddings included (they are tied)."""


def scratch_config(
    name: str,
    vocabulary: int,
    positions: int = 2048,
    *,
    bos: int | None = None,
    eos: int | None = None,
    pad: int | None = None,
) -> LlamaConfig:
    """The configuration of one of `SIZES`, for this many tokens.

    Raises:
        UnknownNameError: no such size.
    """
    if name not in SIZES:
        raise UnknownNameError("model size", name, SIZES)
    size = SIZES[name]
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=size.width,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        attention_bias=True,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
    )


def from_scratch(
    name: str, tokenizer: PreTrainedTokenizerBase, *, seed: int = 0, positions: int = 2048
) -> LlamaForCausalLM:
    """A randomly initialised model of one of `SIZES` for this tokenizer.

    Raises:
        UnknownNameError: no such size.
    """
    special = {role: getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad")}
    config = scratch_config(name, len(tokenizer), positions, **special)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        _initialise(model)
        return model


_EMBEDDING = 0.05
"""Standard deviation of embeddings."""
_INTO_STREAM = 0.15
"""What a block writes at first, against what it reads: little, so that the token itself stays legible in all layers."""
_SHARPNESS = 8.0
"""Logits by which a head prefers the position it looks at to that position's neighbours."""
_MATCH = 2.0
"""Size of matched queries and keys, against a normalised stream of size 1."""
_FAR = 600
"""Tokens back at which a head that copies likes a match least."""
_RECENCY = 4.0
"""Logits by which it likes a match right here better than one half as far."""
_POSITION_KEY = 3.0
"""Size of the part of a key that is the same everywhere and that only its rotation tells apart."""


@torch.no_grad()
def _initialise(model: LlamaForCausalLM) -> None:
    """Matrices that keep the size of what goes through them, and heads that copy.

    LLaMA's one 0.02 for all suits widths of thousands. In models this narrow it leaves attention nearly uniform for
    hundreds of updates, and with it all copying from the context.
    """
    blocks = model.config.num_hidden_layers
    for name, weight in model.named_parameters():
        if name.endswith("embed_tokens.weight"):
            weight.normal_(std=_EMBEDDING)
        elif name.endswith("bias"):
            weight.zero_()
        elif weight.dim() == 2:
            into_stream = name.endswith(("o_proj.weight", "down_proj.weight"))
            scale = _INTO_STREAM / (2 * blocks) ** 0.5 if into_stream else 1.0
            weight.normal_(std=scale * weight.shape[1] ** -0.5)
    _look_back(model)
    _induce(model)


def _look_back(model: LlamaForCausalLM) -> None:
    """Heads of the first layer that look at the token before (head 0) and the one before that (head 1).

    Keys hold a bias in the fastest pairs of dimensions of the rotary embedding, and nothing else there; a query's bias
    is the same, turned by the angle of the distance: their product is largest at that distance.
    """
    attention = model.model.layers[0].self_attn
    size = attention.head_dim
    pairs = min(8, size // 4)
    angles = model.model.rotary_emb.inv_freq[:pairs]
    for layer in model.model.layers:
        for start in range(0, layer.self_attn.k_proj.out_features, size):
            for half in (start, start + size // 2):
                layer.self_attn.k_proj.weight[half : half + pairs] = 0
            layer.self_attn.k_proj.bias[start : start + pairs] = _POSITION_KEY
    strength = _SHARPNESS * size**0.5 / _POSITION_KEY
    for head in range(2):
        start, distance = head * size, head + 1
        attention.q_proj.weight[start : start + size] *= 0.1
        attention.q_proj.bias[start : start + pairs] = strength * torch.cos(distance * angles)
        attention.q_proj.bias[start + size // 2 : start + size // 2 + pairs] = -strength * torch.sin(distance * angles)


def _induce(model: LlamaForCausalLM) -> None:
    """The last head of each later layer looks for what followed the current token before, and writes it.

    An induction head (Olsson et al. 2022, "In-context Learning and Induction Heads"): its query is the current token as
    the first layer's values see tokens; its key is what head 0 of the first layer wrote of the token before. From the
    third layer on, half of both compares the tokens before these two in the same way. They match in the slow dimensions
    of the rotary embedding, where distance hardly counts; one pair of them prefers what was said last, since a name
    occurs in many places. Left to training alone, such heads took 1,000 updates.
    """
    layers = model.model.layers
    first = layers[0].self_attn
    size = first.head_dim
    half, slow = size // 2, size // 4
    recent = int((model.model.rotary_emb.inv_freq - torch.pi / _FAR).abs().argmin())
    slower = [pair for pair in range(slow, half) if pair != recent]
    matched = torch.tensor([*slower, *(half + pair for pair in slower)])
    seen = first.v_proj.weight[:size]
    wrote = [first.o_proj.weight[:, head * size : (head + 1) * size].T for head in range(2)]
    for index, layer in enumerate(layers[1:], start=1):
        attention = layer.self_attn
        query = attention.q_proj.weight[-size:]
        key = attention.k_proj.weight[-size:]
        query *= 0.3
        query[matched] = _MATCH * normalize(seen[: len(matched)])
        key[matched] = _MATCH * normalize(wrote[0][: len(matched)])
        if index > 1:
            earlier = len(matched) // 2
            query[matched[:earlier]] = _MATCH * normalize(wrote[0][:earlier])
            key[matched[:earlier]] = _MATCH * normalize(wrote[1][:earlier])
        query[[recent, half + recent]] = 0
        key[[recent, half + recent]] = 0
        attention.k_proj.bias[recent - size] = _POSITION_KEY
        attention.q_proj.bias[recent - size] = _RECENCY * size**0.5 / _POSITION_KEY
        value = attention.v_proj.weight[-size:]
        output = attention.o_proj.weight[:, -size:]
        output.copy_(2 * output.norm() * value.T / value.norm())


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

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from sad_agents.agent import Sampling
from sad_agents.sampling.cached_sampler import CachedSampler
from sad_agents.sampling.continuation import SampleRequest
from sad_agents.sampling.kv_cache import Feed, RowKVCache
from sad_agents.sampling.llama_pass import can_fuse
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).parent))
from tiny import tiny_model

VOCABULARY = 101


def llama(**options: object) -> LlamaForCausalLM:
    """Biases that are not zero, gains that are not one."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        **options,  # type: ignore[arg-type]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize(
    "options", [{"attention_bias": True, "mlp_bias": True}, {"tie_word_embeddings": True}, {"head_dim": 16}]
)
def test_logits_are_those_of_the_models_own_modules(options: dict[str, object]) -> None:
    model = llama(**options)
    assert can_fuse(model)
    cache = RowKVCache(model)
    cache.reserve(3, 64)
    ids = torch.randint(VOCABULARY, (3, 40), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        own = model(input_ids=ids).logits
        # Two rows at once with many ids each, then one id of one row and several of another.
        first = cache.forward([Feed(0, 0, ids[0, :30].tolist(), 30), Feed(2, 0, ids[2, :20].tolist(), 20)])
        then = cache.forward([Feed(0, 30, ids[0, 30:31].tolist(), 1), Feed(2, 20, ids[2, 20:25].tolist(), 5)])
    expected = torch.cat([own[0, :30], own[2, :20], own[0, 30:31], own[2, 20:25]])
    torch.testing.assert_close(torch.cat([first, then]), expected, atol=2e-4, rtol=1e-4)


def test_logits_in_bfloat16_are_as_near_as_those_of_autocast() -> None:
    model = llama(attention_bias=True)
    cache = RowKVCache(model, precision=torch.bfloat16)
    cache.reserve(3, 64)
    ids = torch.randint(VOCABULARY, (3, 50), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        own = model(input_ids=ids).logits
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(input_ids=ids).logits.float()
        first = cache.forward([Feed(row, 0, ids[row, : 20 + row].tolist(), 20 + row) for row in range(3)])
        cache.reserve(5, 200)
        cache.copy(1, 4, 21)
        cache.swap(0, 2, 22)
        then = cache.forward([Feed(2, 20, ids[0, 20:23].tolist(), 3), Feed(4, 21, ids[1, 21:22].tolist(), 1)])
    places = [own[0, :20], own[1, :21], own[2, :22], own[0, 20:23], own[1, 21:22]]
    ours = (torch.cat([first, then]) - torch.cat(places)).square().mean().sqrt()
    theirs = (rounded - own).square().mean().sqrt()
    assert 0 < ours < 1.5 * theirs


def test_other_models_go_through_their_own_modules() -> None:
    assert not can_fuse(tiny_model("qwen2"))
    assert not can_fuse(llama().to(torch.bfloat16))
    assert not can_fuse(llama(hidden_act="gelu"))
    assert not can_fuse(llama(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}))
    adapted = llama()
    adapted.model.layers[0].self_attn.q_proj = type("LoRA", (torch.nn.Linear,), {})(32, 32)
    assert not can_fuse(adapted)


def test_weights_are_read_again_after_clear() -> None:
    model = llama()
    sampler = CachedSampler(model, stop=lambda ids: False, stop_ids=frozenset(), end_ids=frozenset())
    request, sampling = SampleRequest("a", [1, 2, 3]), Sampling(max_tokens=8)
    sampler.sample([request], sampling)
    model.load_state_dict(tiny_weights(model))
    sampler.clear()
    (sample,) = sampler.sample([request], sampling)
    written: list[int] = []
    with torch.inference_mode():
        for _ in range(8):
            written.append(int(model(input_ids=torch.tensor([[1, 2, 3, *written]])).logits[0, -1].argmax()))
    assert sample.ids == written


def tiny_weights(model: LlamaForCausalLM) -> dict[str, torch.Tensor]:
    """Other weights for a model."""
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.randn(value.shape, generator=generator) * 0.3 if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from sad_agents.agent import Sampling
from sad_agents.sampling.cached_sampler import CachedSampler
from sad_agents.sampling.continuation import SampleRequest
from sad_agents.sampling.kv_cache import Feed, RowKVCache
from sad_agents.sampling.own_caches import OwnCaches, cache_for
from transformers import AutoModelForCausalLM
from transformers.models.auto import CONFIG_MAPPING

VOCABULARY = 101
WINDOW = 16
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
KINDS: dict[str, dict[str, Any]] = {
    "gemma3_text": {**SIZES, "sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 2},
    "gemma2": {**SIZES, "sliding_window": WINDOW},
    "mistral": {**SIZES, "sliding_window": WINDOW},
    "qwen3_5_text": {**SIZES, **LINEAR, "layer_types": ["linear_attention", "full_attention"] * 2},
    "lfm2": {**SIZES, "layer_types": ["conv", "full_attention"] * 2},
    "gpt_oss": {**SIZES, "sliding_window": WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
    "bloom": {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 2},
    "mamba": {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
}


def random_model(kind: str) -> Any:
    """A random model of a kind that the installed transformers has."""
    configs: Any = CONFIG_MAPPING
    if kind not in configs:
        pytest.skip(f"the installed transformers has no {kind}")
    auto: Any = AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = auto.from_config(configs[kind](**KINDS[kind])).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    return model


def sampler(model: Any) -> CachedSampler:
    return CachedSampler(model, stop=lambda ids: False, stop_ids=frozenset(), end_ids=frozenset())


def generated(model: Any, ids: list[int], count: int) -> list[int]:
    out = model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        do_sample=False,
        max_new_tokens=count,
        eos_token_id=None,
        pad_token_id=0,
    )
    return [int(id_) for id_ in out[0, len(ids) :]]


def some_ids(draw: random.Random, count: int) -> list[int]:
    return [draw.randrange(1, VOCABULARY) for _ in range(count)]


QUICK = ("gemma3_text", "gemma2", "mistral", "qwen3_5_text")
"""Kinds of windows and of linear attention; the others with the slow tests."""


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_greedy_turns_are_those_of_generate(kind: str) -> None:
    model = random_model(kind)
    cached, draw = sampler(model), random.Random(1)
    assert isinstance(cached._cache, OwnCaches)
    prompt = some_ids(draw, 35)
    history = {key: prompt + some_ids(draw, draw.randrange(2, 30)) for key in range(3)}
    for turn in range(3):
        samples = cached.sample([SampleRequest(key, ids) for key, ids in history.items()], Sampling(max_tokens=8))
        for key, sample in enumerate(samples):
            assert sample.ids == generated(model, history[key], 8)
            history[key] += sample.ids + some_ids(draw, draw.randrange(1, 12))
        if turn == 1:  # a window that moved on: nothing of what follows is in the cache
            history[0] = history[0][:20] + history[0][40:]


def test_draws_do_not_depend_on_the_batch() -> None:
    model = random_model("qwen3_5_text")
    draw = random.Random(2)
    requests = [SampleRequest(n, some_ids(draw, 20 + n), seed=str(n)) for n in range(3)]
    sampling = Sampling(temperature=1.0, max_tokens=8, seed=4)
    alone = [sampler(model).sample([request], sampling)[0] for request in requests]
    assert sampler(model).sample(requests, sampling) == alone


def test_models_whose_state_takes_one_id_at_a_time_get_one_at_a_time() -> None:
    goes_on = {}
    for kind in ("gemma3_text", "mamba"):
        cache = OwnCaches(random_model(kind))
        cache.forward([Feed(0, 0, [1, 2, 3])])
        goes_on[kind] = cache._goes_on
    assert goes_on == {"gemma3_text": True, "mamba": False}


def test_the_quick_cache_serves_what_it_describes() -> None:
    mistral = random_model("mistral")
    assert isinstance(cache_for(mistral, WINDOW), RowKVCache)
    assert isinstance(cache_for(mistral, WINDOW + 1), OwnCaches)

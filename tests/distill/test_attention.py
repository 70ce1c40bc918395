"""Attention in plain products is torch's, and a fused pass is that of transformers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sad_agents.sampling.llama_pass import LlamaPass
from sad_distill.models import attention, heads
from sad_distill.models.attention import _folded_attention, causal, folded_where_faster
from sad_distill.models.fused import fuses
from sad_distill.models.heads import hidden_states
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))
from tiny import KINDS, tiny_model

LENGTH = 200
"""Of more than one block of queries."""


@pytest.mark.parametrize("shared", [1, 2, 6])
def test_values_and_gradients_are_those_of_torchs_attention(shared: int) -> None:
    torch.manual_seed(0)
    query = torch.randn(3, 6, LENGTH, 8, dtype=torch.float64, requires_grad=True)
    key, value = (torch.randn(3, shared, LENGTH, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    layer: Any = SimpleNamespace(is_causal=True)
    out, _ = _folded_attention(layer, query, key, value, None, scaling=0.3)
    repeated = [one.repeat_interleave(6 // shared, 1) for one in (key, value)]
    expected = scaled_dot_product_attention(query, *repeated, is_causal=True, scale=0.3).transpose(1, 2)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    signal = torch.randn_like(out)
    found = torch.autograd.grad((out * signal).sum(), (query, key, value))
    wanted = torch.autograd.grad((expected * signal).sum(), (query, key, value))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_queries_of_the_last_positions_see_all_that_is_before_them() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, heads, LENGTH, 8, dtype=torch.float64) for heads in (4, 2, 2))
    whole = causal(query, key, value)
    for since in (0, 1, 64, LENGTH - 1):
        torch.testing.assert_close(causal(query[:, :, since:], key, value), whole[:, :, since:], rtol=0, atol=1e-12)


def fresh_llama() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=50, intermediate_size=40, attention_bias=True, tie_word_embeddings=True, **sizes)
    model = LlamaForCausalLM(config)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    return model


def test_a_fused_pass_has_the_states_and_gradients_of_transformers() -> None:
    model = fresh_llama()
    ids = torch.randint(0, 50, (2, 90))
    columns, last = torch.arange(90).repeat(2), torch.cat([torch.arange(64, 90), 90 + torch.arange(64, 90)])
    signal = torch.randn(2, 26, 24)

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
        q, k, v = (one.view(2, -1, *one.shape[1:]).transpose(1, 2) for one in (query, key, value))
        return causal(q, k, v, scaling).transpose(1, 2).flatten(0, 1)

    plain = hidden_states(model, ids)[:, 64:]
    wanted = torch.autograd.grad((plain * signal).sum(), list(model.parameters()))
    fused = LlamaPass(model).states(ids.flatten(), columns, attend, last).view(2, 26, 24)
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-5)
    found = torch.autograd.grad((fused * signal).sum(), list(model.parameters()))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_rows_in_bfloat16_take_the_fused_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fresh_llama()
    ids = torch.randint(0, 50, (2, 150))
    exact = hidden_states(model, ids)
    with torch.autocast("cpu", torch.bfloat16):
        fused = hidden_states(model, ids, since=100)
        monkeypatch.setattr(heads, "fuses", lambda *_: False)
        rounded = hidden_states(model, ids, since=100)
    assert fused.shape == exact.shape
    assert not fused[:, :64].any()
    error, usual = ((one - exact)[:, 100:].abs().mean() for one in (fused, rounded))
    assert 0 < error < 1.5 * usual


def test_models_of_other_forms_take_their_own_passes() -> None:
    ids = torch.zeros(2, 30, dtype=torch.long)
    model = fresh_llama()
    assert not fuses(model, ids)
    with torch.autocast("cpu", torch.bfloat16):
        assert fuses(model, ids)
        assert not fuses(tiny_model("gpt2", 101), ids)
        model.config.attention_dropout = 0.1
        assert not fuses(model, ids)


@pytest.mark.parametrize("kind", KINDS)
def test_models_give_the_same_states_by_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(kind, 101).eval()
    ids = torch.randint(0, 101, (4, 60), generator=torch.Generator().manual_seed(1))
    used: list[str] = []

    def faster(causal: Any, ids_BT: torch.Tensor) -> bool:
        used.append(causal.config._attn_implementation)
        return True

    with torch.no_grad():
        plain = hidden_states(model, ids)
        monkeypatch.setattr(attention, "is_faster", faster)
        folded = hidden_states(model, ids)
    assert used == ["sdpa"]
    torch.testing.assert_close(folded, plain, rtol=0, atol=2e-5)
    assert model.config._attn_implementation == "sdpa"


def test_it_serves_bfloat16_on_a_processor_without_recomputation() -> None:
    model: Any = tiny_model("llama", 101)
    ids = torch.zeros(2, 30, dtype=torch.long)

    def chosen(rows: torch.Tensor = ids) -> bool:
        with folded_where_faster(model, rows):
            return bool(model.config._attn_implementation != "sdpa")

    assert not chosen()
    with torch.autocast("cpu", torch.bfloat16):
        assert chosen()
        assert not chosen(torch.zeros(1, 2000, dtype=torch.long))
        model.model.gradient_checkpointing = True
        assert not chosen()

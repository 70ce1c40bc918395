"""Folded attention is torch's attention, and is used only where nothing asks for more."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sad_distill.models import attention
from sad_distill.models.attention import _folded_attention, folded_where_faster
from sad_distill.models.heads import hidden_states
from torch.nn.functional import scaled_dot_product_attention

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))
from tiny import KINDS, tiny_model


@pytest.mark.parametrize("shared", [1, 2, 6])
def test_values_and_gradients_are_those_of_torchs_attention(shared: int) -> None:
    torch.manual_seed(0)
    query = torch.randn(3, 6, 17, 8, dtype=torch.float64, requires_grad=True)
    key, value = (torch.randn(3, shared, 17, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
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


@pytest.mark.parametrize("kind", KINDS)
def test_models_give_the_same_states_by_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(kind, 101).eval()
    ids = torch.randint(0, 101, (4, 60), generator=torch.Generator().manual_seed(1))
    used: list[str] = []

    def faster(causal: Any, implementation: str, ids_BT: torch.Tensor) -> bool:
        used.append(implementation)
        return True

    with torch.no_grad():
        plain = hidden_states(model, ids)
        monkeypatch.setattr(attention, "_faster", faster)
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

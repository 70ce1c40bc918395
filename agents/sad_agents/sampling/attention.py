"""Switches the attention function of transformers that a model uses, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def attention_implementation(config: Any, name: str) -> Iterator[None]:
    """Within, models with this configuration attend by another function.

    Args:
        config: a (text) configuration of transformers; the attention layers read it at each call.
        name: of a function in `transformers.AttentionInterface`.
    """
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before

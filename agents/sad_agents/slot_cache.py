"""The KV cache of many conversations in one padded tensor a layer, and the forward passes over it.

    keys[layer]: [rows, heads, columns, d]      what is valid in a row, its owner knows

Whatever lies beyond a row's valid columns is masked out and overwritten later, so padding needs no care. Works through
the cache interface of transformers, with explicit masks and positions, for every causal LM with full attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin

from sad_env.errors import ConfigError


@dataclass
class Plan:
    """Where the next forward pass writes and looks.

    Attributes:
        rows: [batch, 1], columns: [batch, new]: where each new state goes.
        view: the rows of the batch, as a slice where they lie at the front.
        width: columns that the batch looks at.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    view: slice | torch.Tensor
    width: int = 0
    capacity_rows: int = 0
    capacity_columns: int = 0


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one model layer, each [rows, heads, columns, d]."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._plan = plan
        self._states: list[torch.Tensor] = []

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate at the size the plan asks for."""
        rows, columns = self._plan.capacity_rows, self._plan.capacity_columns
        self._states = [
            states.new_zeros(rows, states.shape[1], columns, states.shape[3]) for states in (key_states, value_states)
        ]
        self.is_initialized = True

    def resize(self) -> None:
        """Move to larger tensors."""
        if self._states:
            before = self._states
            self.lazy_initialization(*before)
            for new, old in zip(self._states, before, strict=True):
                new[: old.shape[0], :, : old.shape[2]] = old

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new states where the plan says; return what the batch may look at.

        Args:
            key_states: [batch, heads, new, d].
            value_states: the same.
            args: not used.
            kwargs: not used.
        """
        if not self._states:
            self.lazy_initialization(key_states, value_states)
        plan = self._plan
        keys, values = self._states
        keys[plan.rows, :, plan.columns] = key_states.transpose(1, 2)
        values[plan.rows, :, plan.columns] = value_states.transpose(1, 2)
        return keys[plan.view, :, : plan.width], values[plan.view, :, : plan.width]

    def swap(self, one: int, other: int, columns: int) -> None:
        """Exchange two rows' first columns."""
        for states in self._states:
            kept = states[one, :, :columns].clone()
            states[one, :, :columns] = states[other, :, :columns]
            states[other, :, :columns] = kept

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy a row's first columns to another row."""
        for states in self._states:
            states[target, :, :columns] = states[source, :, :columns]

    def get_seq_length(self) -> int:
        """Positions and masks are given explicitly, so nothing is derived from this."""
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Width of the explicit mask."""
        return self._plan.width, 0

    def get_max_length(self) -> int:
        """No bound of its own."""
        return -1

    def get_max_cache_shape(self) -> int:
        """The older name of `get_max_length`."""
        return -1


class SlotCache:
    """Rows of keys and values for a model.

    Args:
        model: a causal LM with full attention in every layer, in any precision, on any device.

    Raises:
        ConfigError: a model with sliding windows, or with another attention than sdpa or eager.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        check_cacheable(model)
        self._model = model
        empty = torch.zeros((0, 0), dtype=torch.long)
        self._plan = Plan(empty, empty, slice(0, 0))
        self._layers: list[SlotLayer] = []
        self._cache: Cache | None = None

    def clear(self) -> None:
        """Free all memory."""
        self._layers, self._cache = [], None
        self._plan.capacity_rows = self._plan.capacity_columns = 0

    def reserve(self, rows: int, columns: int) -> None:
        """Make room for so many rows and columns; what is stored stays."""
        plan = self._plan
        if rows > plan.capacity_rows or columns > plan.capacity_columns:
            plan.capacity_rows = max(rows, plan.capacity_rows)
            if columns > plan.capacity_columns:
                plan.capacity_columns = max(columns, int(1.5 * plan.capacity_columns))
            for layer in self._layers:
                layer.resize()

    def swap(self, one: int, other: int, columns: int) -> None:
        """Exchange two rows' first columns."""
        for layer in self._layers:
            layer.swap(one, other, columns)

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy a row's first columns to another row."""
        for layer in self._layers:
            layer.copy(source, target, columns)

    def forward(self, rows: list[int] | slice, starts: list[int], new: list[list[int]], *, head: bool) -> torch.Tensor:
        """Feed new ids to rows, each after its `starts` valid columns; a slice of rows is not copied.

        Returns:
            Logits [batch, new, vocabulary], or the last hidden states without `head`.
        """
        device = self._model.device
        ids = torch.tensor(new, dtype=torch.long, device=device)
        position = torch.tensor(starts, device=device)[:, None] + torch.arange(ids.shape[1], device=device)
        plan = self._plan
        indices = list(range(len(starts))) if isinstance(rows, slice) else rows
        plan.rows = torch.tensor(indices, device=device)[:, None]
        plan.columns = position
        plan.view = rows if isinstance(rows, slice) else plan.rows[:, 0]
        plan.width = max(starts) + ids.shape[1]
        visible = torch.arange(plan.width, device=device) <= position[:, :, None]
        mask = torch.zeros(visible.shape, dtype=self._model.dtype, device=device)
        mask.masked_fill_(~visible, torch.finfo(self._model.dtype).min)
        module = self._model if head else self._model.base_model
        out = module(
            input_ids=ids,
            attention_mask=mask[:, None],
            # Padding may reach past the last position there is; what it computes is never looked at.
            position_ids=position.clamp(max=context_of(self._model) - 1),
            past_key_values=self._ensure_cache(),
            use_cache=True,
        )
        return cast(torch.Tensor, out[0])

    def _ensure_cache(self) -> Cache:
        if self._cache is None:
            count = self._model.config.get_text_config().num_hidden_layers
            self._layers = [SlotLayer(self._plan) for _ in range(count)]
            self._cache = Cache(layers=list(self._layers))
        return self._cache


def context_of(model: PreTrainedModel) -> int:
    """Positions that a model has; a large number where its configuration names none."""
    config = model.config.get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 2**20)


def check_cacheable(model: PreTrainedModel) -> None:
    """Refuse models whose attention the row cache does not describe.

    Raises:
        ConfigError: naming what is in the way.
    """
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    other = set(kinds or ()) - {"full_attention"}
    if other or (kinds is None and window is not None and window < context_of(model)):
        names = ", ".join(sorted(other)) or "sliding_attention"
        raise ConfigError(f"{config.model_type} has {names} layers: only full attention is served")
    if getattr(config, "_attn_implementation", "sdpa") not in ("sdpa", "eager"):
        raise ConfigError(f"load the model with attn_implementation='sdpa', not {config._attn_implementation!r}")

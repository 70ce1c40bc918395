"""The KV cache of many conversations in one tensor a layer, and the forward passes over it.

    keys[layer]: [rows, key-value heads, columns, d]      the owner of a row knows how many of its columns are valid

The new ids of all rows go through the model as one packed sequence, so its matrices see no padding. Only attention
knows of rows: it goes through the attention interface of transformers, with any causal LM that uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, cast

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, LlamaForCausalLM, PreTrainedModel

from sad_agents.sampling.attention import attention_implementation
from sad_agents.sampling.llama_pass import LlamaPass, can_fuse
from sad_env.errors import ConfigError

_NAME = "sad_rows"
"""Our attention function among those of transformers."""
UNSERVED = ("softcap", "s_aux", "position_bias")
"""What some models ask of attention beyond queries, keys, values and a scale."""

_WIDTH = 128
"""Columns that attention looks at in plain products are a multiple of this."""
_RAGGED = 8
"""Neighbours with at most so many new ids each share a block: padding these costs less than one more block."""


@dataclass(frozen=True)
class Feed:
    """New ids for a row.

    Attributes:
        row: of the cache.
        start: valid columns of the row; the new ids' states are stored after them.
        ids: at least one.
        wanted: after so many of the last ids logits are wanted.
    """

    row: int
    start: int
    ids: Sequence[int]
    wanted: int = 1


@dataclass(frozen=True)
class _Block:
    """Neighbouring rows, and a grid [rows, new] of their new ids.

    Attributes:
        packed: places of the grid's ids in the packed sequence, row after row; a row with fewer new ids than
            the grid holds repeats its last.
        rows: of the cache.
        width: columns that they look at.
        mask: [rows, 1, new, width], what each new id adds to its scores; None where all is seen.
    """

    packed: slice | torch.Tensor
    rows: slice
    width: int
    mask: torch.Tensor | None
    _repeated: dict[int, torch.Tensor] = field(default_factory=dict)

    def mask_for(self, group: int) -> torch.Tensor | None:
        """The mask where so many heads share keys, [rows, 1, group * new or 1, width]; made once for all layers."""
        if self.mask is None or self.mask.shape[2] == 1:
            return self.mask
        if group not in self._repeated:
            self._repeated[group] = self.mask.repeat(1, 1, group, 1)
        return self._repeated[group]


class RowKVCache:
    """Rows of keys and values for a model.

    Args:
        model: a causal LM with full attention in every layer, in any precision, on any device.
        columns: no row gets more of them; None where nothing is known.
        precision: see `LlamaPass`, for models of that form.

    Raises:
        ConfigError: a model with other attention, or one that does not use the attention interface of transformers.
    """

    rewinds = True
    """A row may go on from any of its columns."""

    def __init__(
        self, model: PreTrainedModel, columns: int | None = None, precision: torch.dtype = torch.float32
    ) -> None:
        check_cacheable(model, columns)
        self.model = model
        self._can_fuse = can_fuse(model)
        self._dtype = precision if self._can_fuse else model.dtype
        self._plain = self._can_fuse and precision is torch.bfloat16
        """Attention in plain products, of keys stored as [rows, heads, d, columns]: 1.5 times as quick there. Kernels
        in bfloat16 are generated for each shape, which takes longer than they run: sizes are rounded up."""
        self._fused: LlamaPass | None = None
        self._rows = self._columns = 0
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._blocks: list[_Block] = []
        self._places: tuple[torch.Tensor, torch.Tensor]

    def clear(self) -> None:
        """Free all memory; due when the model's weights have changed."""
        self._fused = None
        self._layers.clear()
        self._rows = self._columns = 0

    def reserve(self, rows: int, columns: int) -> None:
        """Make room for so many rows and columns; what is stored stays."""
        if rows <= self._rows and columns <= self._columns:
            return
        self._rows = max(rows, self._rows)
        if self._plain:
            columns = rounded(columns, _WIDTH)
        if columns > self._columns:
            self._columns = max(columns, int(1.5 * self._columns))
        for layer, states in self._layers.items():
            grown = self._empty(*(old[:, :, 0] for old in states))
            for old, new in zip(states, grown, strict=True):
                new[: len(old), :, : old.shape[2]] = old
            self._layers[layer] = grown

    def _empty(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a layer whose new ones are like these, [..., heads, d]."""
        (heads, d), (_, d_value) = key.shape[-2:], value.shape[-2:]
        if self._plain:
            values = value.new_zeros(self._rows + 1, heads, self._columns, d_value)
            return key.new_zeros(self._rows + 1, heads, d, self._columns).transpose(2, 3), values
        values = value.new_zeros(self._rows, heads, self._columns, d_value)
        return key.new_zeros(self._rows, heads, self._columns, d), values

    def swap(self, row: int, other: int, columns: int) -> None:
        """Exchange two rows' first columns."""
        for states in self._tensors():
            kept = states[row, :, :columns].clone()
            states[row, :, :columns] = states[other, :, :columns]
            states[other, :, :columns] = kept

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy a row's first columns to another row."""
        for states in self._tensors():
            states[target, :, :columns] = states[source, :, :columns]

    def _tensors(self) -> Iterator[torch.Tensor]:
        for layer in self._layers.values():
            yield from layer

    def forward(self, feeds: Sequence[Feed], *, states: bool = False) -> torch.Tensor:
        """Feed new ids; neighbouring rows next to one another, with few or equally many ids each, cost least.

        Returns:
            Logits after the wanted ids, [wanted of all feeds, vocabulary]; with `states` what the head reads there.
        """
        device = self.model.device
        ids = [id_ for feed in feeds for id_ in feed.ids]
        columns = [column for feed in feeds for column in range(feed.start, feed.start + len(feed.ids))]
        rows = [feed.row for feed in feeds for _ in feed.ids]
        ends = list(accumulate(len(feed.ids) for feed in feeds))
        wanted = [index for feed, end in zip(feeds, ends, strict=True) for index in range(end - feed.wanted, end)]
        if self._plain:  # to rows that nobody reads
            more = rounded(len(ids), 16 if len(ids) <= 64 else 64) - len(ids)
            ids, columns, rows = ids + [0] * more, columns + [0] * more, rows + [self._rows] * more
        packed = torch.tensor([ids, columns, rows], device=device)
        self._places = packed[2], packed[1]
        self._blocks = [self._block(members, before, packed[1]) for members, before in _neighbours(feeds)]
        count = len(wanted)
        if self._plain:
            wanted += [0] * (rounded(count, 16) - count)
        keep = torch.tensor(wanted, dtype=torch.long, device=device)
        if self._can_fuse:
            self._fused = self._fused or LlamaPass(cast(LlamaForCausalLM, self.model), self._dtype)
            return self._fused(packed[0], packed[1], keep, self.attend, states=states)[:count]
        with _serving_attention(self), head_inputs(self.model, wanted=states) as seen:
            out = cast(Any, self.model)(
                input_ids=packed[:1], position_ids=packed[1:2], use_cache=False, logits_to_keep=keep
            )
        logits = cast(torch.Tensor, seen[-1][0] if states else out.logits[0])
        # Some models of older releases give the logits of all ids whatever they are asked to keep.
        return logits if len(logits) == len(wanted) else logits[keep]

    def _block(self, members: Sequence[Feed], first: int, columns: torch.Tensor) -> _Block:
        """The block of these neighbours, whose ids begin at `first` of the packed ones.

        Args:
            members: their feeds.
            first: index of their first id.
            columns: [packed], of all ids.
        """
        counts = [len(feed.ids) for feed in members]
        new = max(counts)
        width = max(feed.start + len(feed.ids) for feed in members)
        if self._plain:
            new = 1 << (new - 1).bit_length() if new <= _RAGGED else rounded(new, 32)
            width = min(rounded(width, _WIDTH), self._columns)
        packed: slice | torch.Tensor = slice(first, first + sum(counts))
        if min(counts) < new:
            begins = accumulate(counts, initial=first)
            grid = [
                begin + min(place, count - 1)
                for begin, count in zip(begins, counts, strict=False)
                for place in range(new)
            ]
            packed = torch.tensor(grid, device=columns.device)
        mask = None
        if new > 1 or any(feed.start + 1 < width for feed in members):
            hidden = torch.arange(width, device=columns.device) > columns[packed, None]
            mask = torch.zeros(hidden.shape, dtype=self._dtype, device=columns.device)
            mask = mask.masked_fill_(hidden, -torch.inf).view(len(members), 1, new, width)
        return _Block(packed, slice(members[0].row, members[-1].row + 1), width, mask)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        """Store the new keys and values, and attend to all of each row up to its own column.

        Args:
            layer: number of the model's layer.
            query: [packed, heads, d].
            key: [packed, key-value heads, d].
            value: the same.
            scaling: of the scores.

        Returns:
            [packed, heads, d].
        """
        if layer not in self._layers:
            self._layers[layer] = self._empty(key, value)
        keys, values = self._layers[layer]
        rows, columns = self._places
        keys[rows, :, columns] = key
        values[rows, :, columns] = value
        group = query.shape[1] // key.shape[1]
        outs = []
        for block in self._blocks:
            seen = block.rows, slice(None), slice(block.width)
            mask = block.mask_for(group)
            outs.append(_attention(query[block.packed], keys[seen], values[seen], mask, scaling, self._plain))
        if len(outs) == 1 and type(self._blocks[0].packed) is slice and len(outs[0]) == len(query):
            return outs[0]
        attended = query.new_zeros(*query.shape[:2], value.shape[2])
        for block, out in zip(self._blocks, outs, strict=True):
            attended[block.packed] = out
        return attended


def rounded(count: int, step: int) -> int:
    """The least multiple of a step that is not less."""
    return -(-count // step) * step


def _neighbours(feeds: Sequence[Feed]) -> Iterator[tuple[Sequence[Feed], int]]:
    """Runs of feeds that make a block, each with the number of ids before it."""
    first = before = 0
    for index, feed in enumerate(feeds):
        if index + 1 < len(feeds):
            following = feeds[index + 1]
            counts = len(feed.ids), len(following.ids)
            if following.row == feed.row + 1 and (counts[0] == counts[1] or max(counts) <= _RAGGED):
                continue
        yield feeds[first : index + 1], before
        before += sum(len(member.ids) for member in feeds[first : index + 1])
        first = index + 1


def _attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
    plain: bool,
) -> torch.Tensor:
    """Attention of a block. The heads that share keys become further queries of one head.

    So keys and values, which are most of what a decoding step reads, are read once and never repeated.

    Args:
        query: [rows * new, heads, d].
        keys: [rows, key-value heads, width, d].
        values: the same.
        mask: [rows, 1, heads that share keys * new, width], or broadcast to it.
        scaling: of the scores.
        plain: in plain products instead of torch's fused attention.

    Returns:
        [rows * new, heads, d].
    """
    count, shared = keys.shape[:2]
    new, (heads, d) = query.shape[0] // count, query.shape[1:]
    group = heads // shared
    folded = query.reshape(count, new, shared, group, d).permute(0, 2, 3, 1, 4).reshape(count, shared, group * new, d)
    if plain:
        scores = torch.matmul(folded * (scaling or d**-0.5), keys.transpose(2, 3))
        out = torch.matmul((scores if mask is None else scores.add_(mask)).softmax(-1), values)
    else:
        out = scaled_dot_product_attention(folded, keys, values, attn_mask=mask, scale=scaling)
    return out.reshape(count, heads, new, -1).transpose(1, 2).reshape(count * new, heads, -1)


def _row_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention in the form that transformers calls."""
    unserved = [name for name in UNSERVED if kwargs.get(name) is not None]
    if unserved:
        raise ConfigError(f"{type(module).__name__} wants {', '.join(unserved)}: only plain full attention is served")
    queries, keys, values = (states[0].transpose(0, 1) for states in (query, key, value))
    return _serving.get().attend(cast(int, module.layer_idx), queries, keys, values, scaling)[None], None


_serving: ContextVar[RowKVCache] = ContextVar("_serving")
"""The cache whose forward pass is under way: not every model hands further arguments down to its attention."""
AttentionInterface.register(_NAME, _row_attention)


@contextmanager
def _serving_attention(cache: RowKVCache) -> Iterator[None]:
    """Within, the attention layers of the cache's model use the cache."""
    token = _serving.set(cache)
    try:
        with attention_implementation(cache.model.config.get_text_config(), _NAME):
            yield
    finally:
        _serving.reset(token)


@contextmanager
def head_inputs(model: PreTrainedModel, *, wanted: bool) -> Iterator[list[torch.Tensor]]:
    """Within, collects what the model's head reads in each pass; nothing where it is not wanted."""
    seen: list[torch.Tensor] = []
    if not wanted:  # a mixture of models has no one head
        yield seen
        return
    head = cast(Any, model).get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        hook.remove()


def context_of(model: PreTrainedModel) -> int:
    """Positions that a model has; a large number where its configuration names none."""
    config = model.config.get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 2**20)


def check_cacheable(model: PreTrainedModel, columns: int | None = None) -> None:
    """Refuse models whose attention the row cache does not describe.

    Args:
        model: a causal LM.
        columns: tokens that it will see at most; None takes its positions. Within its window, sliding attention is
            full attention.

    Raises:
        ConfigError: naming what is in the way.
    """
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    other = set(kinds or ()) - {"full_attention"}
    if kinds is None and window is not None:
        other = {"sliding_attention"}
    if other == {"sliding_attention"} and type(window) is int:
        seen = context_of(model) if columns is None else columns
        if seen <= window:
            other = set()
        elif columns is not None:
            raise ConfigError(
                f"{config.model_type} has a sliding window: it is served a context of {window} tokens at most"
            )
    if other:
        names = ", ".join(sorted(other))
        raise ConfigError(f"{config.model_type} has {names} layers: only full attention is served")
    if getattr(config, "attn_logit_softcapping", None) is not None:
        raise ConfigError(f"{config.model_type} caps the logits of its attention: only plain attention is served")
    if not getattr(model, "_supports_attention_backend", False):
        raise ConfigError(f"{config.model_type} does not use the attention interface of transformers: not served")

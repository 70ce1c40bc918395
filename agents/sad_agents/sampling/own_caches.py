"""Caches of transformers' own classes, one a conversation: sliding windows, linear attention, states and all to come.

Slower than `RowKVCache`, since each row goes through the model by itself, and for models that it does not describe.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel

from sad_agents.sampling.kv_cache import Feed, RowKVCache, check_cacheable, head_inputs
from sad_env.errors import ConfigError

_NAMES = ("cache", "past_key_values", "cache_params")
"""What releases and models call the cache, as an argument and in what they give back."""
_PROBE = (5, 4)
"""Ids that a model is fed at once to see whether it can go on with several."""


@dataclass
class _Held:
    """What a row has been fed, and the cache of it; None where the ids have to be fed again."""

    ids: list[int] = field(default_factory=list)
    cache: Any = None


class OwnCaches:
    """Rows of caches of a model's own kind, with the calls of `RowKVCache`.

    A state that has taken in an id cannot give it back: a row that goes on from before its end is fed again from its
    beginning, and no drafts are tried.

    Args:
        model: any causal LM.
    """

    rewinds = False

    def __init__(self, model: PreTrainedModel) -> None:
        self.model: Any = model
        parameters = inspect.signature(model.forward).parameters
        self._name = next((name for name in _NAMES if name in parameters), "")
        self._keeps = "logits_to_keep" in parameters
        self._rows: dict[int, _Held] = {}
        self._goes_on: bool | None = None

    def clear(self) -> None:
        """Free all memory."""
        self._rows.clear()

    def reserve(self, rows: int, columns: int) -> None:
        """Nothing: they grow."""

    def swap(self, row: int, other: int, columns: int) -> None:
        """Exchange two rows."""
        self._rows[row], self._rows[other] = self._held(other), self._held(row)

    def copy(self, source: int, target: int, columns: int) -> None:
        """Let a row begin with another one's first columns."""
        held = self._held(source)
        whole = columns == len(held.ids)
        self._rows[target] = _Held(held.ids[:columns], copy.deepcopy(held.cache) if whole else None)

    def forward(self, feeds: Sequence[Feed], *, states: bool = False) -> torch.Tensor:
        """Feed new ids, row after row.

        Returns:
            Logits after the wanted ids, [wanted of all feeds, vocabulary]; with `states` what the head reads there.
        """
        if self._goes_on is None:
            self._goes_on = self._probe()
        logits = [self._feed(feed, states) for feed in feeds]
        return torch.cat([part[len(part) - feed.wanted :] for part, feed in zip(logits, feeds, strict=True)])

    def _held(self, row: int) -> _Held:
        return self._rows.setdefault(row, _Held())

    def _feed(self, feed: Feed, states: bool) -> torch.Tensor:
        """Logits after some of the last ids of a feed, at least as many as are wanted."""
        held = self._held(feed.row)
        ids = list(feed.ids)
        if held.cache is None or len(held.ids) != feed.start:
            ids = [*held.ids[: feed.start], *ids]
            held = self._rows[feed.row] = _Held()
        size = len(ids) if self._goes_on or held.cache is None else 1
        parts = []
        for start in range(0, len(ids), size):
            logits, held.cache = self._pass(ids[start : start + size], held.cache, feed.wanted, states)
            parts.append(logits)
        held.ids += ids
        return torch.cat(parts[-max(1, feed.wanted) :])

    def _pass(self, ids: Sequence[int], cache: Any, wanted: int, states: bool = False) -> tuple[torch.Tensor, Any]:
        options = {"logits_to_keep": max(1, min(wanted, len(ids)))} if self._keeps else {}
        if cache is not None:
            options[self._name] = cache
        with head_inputs(self.model, wanted=states) as seen:
            out = self.model(input_ids=torch.tensor([list(ids)], device=self.model.device), use_cache=True, **options)
        told = seen[-1][0] if states else out.logits[0]
        return told, getattr(out, self._name, None) if self._name else None

    def _probe(self) -> bool:
        """Whether the model goes on from its cache with several ids at once as it should; some states take only one."""
        if not self._name:
            return True  # there is no cache to go on from
        ids = [number % self.model.config.get_text_config().vocab_size for number in range(1, sum(_PROBE) + 1)]
        whole, _ = self._pass(ids, None, 1)
        _, cache = self._pass(ids[: _PROBE[0]], None, 1)
        then, _ = self._pass(ids[_PROBE[0] :], cache, 1)
        return bool((then[-1] - whole[-1]).abs().max() < 0.1 * whole[-1].std())


def cache_for(
    model: PreTrainedModel, columns: int | None, precision: torch.dtype = torch.float32
) -> RowKVCache | OwnCaches:
    """The quick cache where it describes a model's attention, otherwise the model's own.

    Args:
        model: a causal LM.
        columns: as of `RowKVCache`.
        precision: as of `RowKVCache`.
    """
    try:
        check_cacheable(model, columns)
    except ConfigError:
        return OwnCaches(model)
    return RowKVCache(model, columns, precision)

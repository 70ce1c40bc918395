"""Ids in recorded episodes: those that a model's own tokenizer spells, and those that another one did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sad_env.records import Step

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def spells(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], text: str) -> bool:
    """Whether ids that were sampled for a text are this tokenizer's.

    It decodes them to the text, or to one that goes on within the last id, where the text was cut. Blanks are passed
    over: a chat template that opens thoughts has others than the record.
    """
    if not ids or max(ids) >= len(tokenizer):
        return False
    read = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return "".join(str(read).split()).startswith("".join(text.split()))


def with_own_ids(step: Step, tokenizer: PreTrainedTokenizerBase | None) -> Step:
    """The step; sampled ids of another tokenizer go, and with them their labels and all log-probabilities.

    For a reader without a tokenizer, who looks at no ids, all stays.
    """
    if tokenizer is None or not step.token_ids or spells(tokenizer, step.token_ids, step.completion):
        return step
    return step.without_ids()

"""A teacher that has spoken already: the likeliest tokens that were recorded while it played its episodes."""

from __future__ import annotations

import torch

from sad_distill.data.batch import Batch
from sad_distill.data.rows import Row
from sad_distill.losses.divergence import ABSENT
from sad_distill.losses.targets import SparseTarget
from sad_env.errors import ConfigError, DataError
from sad_env.records import TopLogprobs
from sad_env.safe_text import one_line

WORD = "recorded"
"""The word for a teacher whose distributions are in the trajectories."""


class RecordedTeacher:
    """Answers with `Step.top_logprobs` of the episodes that rows were cut from; no model is run.

    A window of an episode shows its steps what they were sampled from, so these are the answers that the teacher itself
    would give, but for what mass it leaves out. Where an action has a token set, recorded tokens outside of it count as
    the rest. Tokens that nobody sampled (headers, the newline after a cut) are certain.
    """

    name = WORD
    setting = "top_logprobs of the trajectories"

    def score(self, batch: Batch) -> SparseTarget:
        """See `ScoringTeacher`.

        Raises:
            ConfigError: rows with branches.
            DataError: an episode was recorded without them, or a row is not of one.
        """
        told = [_by_position(row) for row in batch.rows]
        places = zip(batch.row_N.tolist(), batch.at_N.tolist(), batch.support_NK.tolist(), strict=True)
        answers = [_within(told[row].get(at, ()) or ((batch.rows[row].ids[at], 0.0),), set(s)) for row, at, s in places]
        width = max((len(answer) for answer in answers), default=1)
        ids = torch.tensor([[one for one, _ in answer] + [-1] * (width - len(answer)) for answer in answers])
        log_p = torch.tensor([[p for _, p in answer] + [ABSENT] * (width - len(answer)) for answer in answers])
        device = batch.ids_BT.device
        return SparseTarget.from_topk(ids.to(device), log_p.to(device))


def _by_position(row: Row) -> dict[int, TopLogprobs]:
    """The recorded tokens at each position of a row."""
    if row.branches:
        raise ConfigError(
            "recorded scores are of what was played, and not of branches: give a --teacher that is a model"
        )
    found: dict[int, TopLogprobs] = {}
    record = row.source.record if row.source else None
    for unit in row.units:
        step = record.steps[unit.step] if record else None
        if step is None or step.top_logprobs is None:
            raise DataError(
                f"episode {one_line(row.episode, 80)!r} holds no top_logprobs of the student's tokens: collect it by a"
                " model of the student's tokenizer with --record-top-logprobs 16, or name a --teacher"
            )
        end = unit.offset + unit.end - unit.start
        found |= dict(enumerate(step.top_logprobs[unit.offset : end], unit.start))
    return found


def _within(answer: TopLogprobs, support: set[int]) -> TopLogprobs:
    inside = tuple(one for one in answer if one[0] in support)
    return inside or answer

"""How hard each recorded episode is: lengths of its spans and the teacher's entropy over them (Eq. 13)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import torch

from sad_distill.data.batch import collate
from sad_distill.data.curriculum import Difficulty
from sad_distill.data.rows import Row
from sad_distill.losses.divergence import entropy
from sad_distill.teachers.base import ScoringTeacher


@torch.no_grad()
def difficulties_of(
    rows: Sequence[Row], teacher: ScoringTeacher | None, device: torch.device, *, size: int = 8
) -> dict[str, Difficulty]:
    """Difficulty of each episode of these rows, by the rows' `episode`.

    Args:
        rows: all rows of the episodes.
        teacher: scores them; None gives entropy 0. A teacher that answers with its likeliest tokens only gives a
            lower bound.
        device: of the teacher.
        size: rows in the teacher at one time.
    """
    lengths: dict[str, Counter[str]] = defaultdict(Counter)
    nats: dict[str, float] = defaultdict(float)
    for row in rows:
        lengths[row.episode].update(row.span_labels)
    for start in range(0, len(rows) if teacher else 0, size):
        assert teacher is not None
        # By spans: what an ablation or an action head takes out of the loss counts here.
        batch = collate([replace(row, labels=row.span_labels) for row in rows[start : start + size]]).to(device)
        target = teacher.score(batch)
        for index in torch.split(torch.arange(len(batch.kind_N), device=device), 256):
            values = entropy(target.outcomes(index, None, 1.0, "bucket").log_p)
            for number, value in zip(batch.row_N[index].tolist(), values.tolist(), strict=True):
                nats[batch.rows[number].episode] += value
    return {
        name: Difficulty(float(counts["R"]), float(counts["A"]), nats[name] / max(1, counts["R"] + counts["A"]))
        for name, counts in lengths.items()
    }

"""Ablations of the labels: spans of random kinds, or of one kind."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

from sad_distill.data.rows import Row

Masks = Literal["spans", "random", "none"]


def remask(row: Row, masks: Masks, seed: int) -> Row:
    """A row whose R and A labels are changed as an ablation asks; its `span_labels` stay.

    Args:
        row: labelled by spans.
        masks: "spans" changes nothing; "random" shuffles the row's R and A labels over its agent tokens, so that
            both keep their number; "none" calls every agent token R, so that there is one kind only.
        seed: seeds the shuffle.
    """
    if masks == "spans":
        return row
    places = [index for index, label in enumerate(row.labels) if label in "RA"]
    dealt = [row.labels[index] for index in places]
    if masks == "random":
        random.Random(f"mask {seed} {row.task} {row.units[0].step if row.units else 0}").shuffle(dealt)
    else:
        dealt = ["R"] * len(dealt)
    labels = list(row.labels)
    for index, label in zip(places, dealt, strict=True):
        labels[index] = label
    return replace(row, labels="".join(labels), unmasked=row.span_labels)

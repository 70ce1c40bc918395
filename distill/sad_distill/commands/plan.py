"""`sad-distill plan`: what a run takes in memory, before anything is loaded."""

from __future__ import annotations

from sad_distill.config import TrainConfig
from sad_env.safe_text import console, safe_text

_DEVICES = (1, 2, 4, 8)
_SIZES = (16, 24, 40, 48, 80, 141, 192)
"""GiB of common accelerators."""
_FREE = 0.9
"""The share of a device that a run can use: the rest goes to kernels and to gaps between tensors."""


def plan(config: TrainConfig) -> int:
    """Print the table of a run with these settings."""
    from rich.table import Table

    from sad_distill.training.memory import needs_of, totals

    needs = needs_of(config)
    table = Table("GiB on each device", *(f"{count} device{'s' * (count > 1)}" for count in _DEVICES))
    for need in needs:
        name = need.name if need.exact else f"{need.name} (about)"
        table.add_row(safe_text(name), *(_gib(need.on(count)) for count in _DEVICES))
    sums = [totals(needs, count) for count in _DEVICES]
    table.add_row("in all (about)", *map(_gib, sums), end_section=True)
    table.add_row("fits on a device of", *map(fitting, sums))
    console().print(table)
    return 0


def fitting(total: int) -> str:
    """The smallest common device that holds so many bytes."""
    return next((f"{size} GiB" for size in _SIZES if total <= _FREE * size * 2**30), "none: serve the teacher")


def _gib(total: int) -> str:
    return f"{total / 2**30:,.2f}"

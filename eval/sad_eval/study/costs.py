"""What a student's training took: counted while its run folder is there, kept in its stage's marker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sad_env.json_lines import parse_json, read_lines


@dataclass(frozen=True)
class Cost:
    """What a student's training took.

    Attributes:
        cpu_seconds: processor time of its stage, of several starts the last.
        tokens: supervised tokens, over its updates.
        sampled: tokens that it sampled itself.
        updates: steps of the optimiser.
        used: processor seconds of acting, scoring and updating alone; 0 where releases did not count them.
    """

    cpu_seconds: float
    tokens: int
    sampled: int
    updates: int
    used: float = 0.0


def counted(run: Path) -> dict[str, float]:
    """Updates, tokens, sampled tokens and processor seconds of a run folder; nothing where its metrics are gone."""
    path = run / "metrics.jsonl"
    if not path.exists():
        return {}
    lines = [parse_json(line) for _, line in read_lines(path)]
    # Every update of an iteration repeats what its rollouts took.
    sampled = {line["rollout_seconds"]: line["rollout_tokens"] for line in lines if "rollout_seconds" in line}
    return {
        "updates": len(lines),
        "tokens": round(sum(line["tokens"] for line in lines)),
        "sampled": round(sum(sampled.values())),
        "used": round(lines[-1].get("processor_seconds", 0.0), 2) if lines else 0.0,
    }


def cost_of(marker: Mapping[str, Any], run: Path) -> Cost | None:
    """The cost of a stage that trained; None where it is no longer known.

    Args:
        marker: its record.
        run: its folder. Markers of earlier releases hold the processor seconds alone; the rest is counted there.
    """
    numbers = marker if "updates" in marker else counted(run)
    if not numbers:
        return None
    tokens, sampled, updates = (int(numbers[name]) for name in ("tokens", "sampled", "updates"))
    return Cost(float(marker["cpu_seconds"]), tokens, sampled, updates, float(numbers.get("used", 0.0)))

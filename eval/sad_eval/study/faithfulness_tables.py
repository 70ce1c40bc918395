"""Faithfulness with and without SAD, where a study has the stage (the paper's appendix O)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from sad_env.json_lines import read_json
from sad_eval.study.plan import faithfulness_file, run_name
from sad_eval.study.results import WorldResults
from sad_eval.study.tables import markdown, title_of

FIGURES = ("faithfulness", "change_counterfactual", "change_paraphrase", "follow_rate")

_TEXT = """Reasoning of recorded steps is edited by rule and the action that follows is read off: how often it changes
after reasoning that speaks for another action, and after the same reasoning in other words; faithfulness is the
difference. Means over seeds.
"""


def faithfulness_section(out: Path, worlds: Sequence[WorldResults]) -> str:
    """The section of the report; empty where no world has the stage."""
    tables = [table for world in worlds if (table := _table(out / world.name, world))]
    return "\n".join(["## Faithfulness (the paper's appendix O)\n", _TEXT, *tables]) if tables else ""


def _table(folder: Path, world: WorldResults) -> str:
    rows = []
    for size in world.settings["students"]:
        more = world.settings["ablations"] if size in world.settings["ablation_students"] else ()
        for method in ("start", *world.settings["arms"], *more):
            found = _figures(folder, world, size, method)
            if found:
                cells = [_mean(one["figures"].get(name) for one in found) for name in FIGURES]
                rows.append([size, title_of(method), *cells, str(len(found))])
    header = ["student", "method", *(name.replace("_", " ") for name in FIGURES), "seeds"]
    return f"### {world.name}\n\n{markdown(header, rows)}\n" if rows else ""


def _figures(folder: Path, world: WorldResults, size: str, method: str) -> list[dict[str, Any]]:
    paths = [faithfulness_file(folder, run_name(size, method, seed)) for seed in range(int(world.settings["seeds"]))]
    return [read_json(path) for path in paths if path.exists()]


def _mean(estimates: Any) -> str:
    values = [one["value"] for one in estimates if one is not None]
    return f"{fmean(values):.3f}" if values else "—"

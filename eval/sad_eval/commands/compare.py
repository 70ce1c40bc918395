"""`sad-eval compare`: runs on the same tasks, paired episode by episode."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sad_env import cli
from sad_env.safe_text import console
from sad_eval.analysis.compare import Comparison, compare
from sad_eval.report.comparison import print_comparison
from sad_eval.runs.run_folder import RunFolder


@dataclass(frozen=True)
class CompareSettings:
    """Compare runs on the tasks that they share.

    $ sad-eval compare runs/student runs/teacher
    $ sad-eval compare runs/a runs/b runs/c --flips 50
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Two or more run folders; differences are of the later from the earlier."""
    reference: str = ""
    """Run folder whose reasoning CoT match compares with; several with commas between them."""
    flips: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """Tasks to list that one run solved and the other did not."""
    json: bool = False
    """Print JSON instead of a report."""


def run_compare(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval compare`."""
    settings = cli.parse(CompareSettings, arguments, prog="sad-eval compare")
    cli.at_least("flips", settings.flips, 0)
    comparison = compare([RunFolder.open(path) for path in settings.runs], settings.reference)
    if settings.json:
        print(json.dumps(_plain(comparison), indent=2, allow_nan=False))
    else:
        print_comparison(comparison, console(), flips=settings.flips)
    return 0


def _plain(comparison: Comparison) -> dict[str, object]:
    value = dataclasses.asdict(comparison)
    for pair in value["pairs"]:
        pair["differences"] = {name: one._asdict() for name, one in pair["differences"].items()}
    return value

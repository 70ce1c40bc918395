"""`sad-eval merge`: the parts of a sharded run become one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sad_env import cli
from sad_env.safe_text import console
from sad_eval.records import exit_code
from sad_eval.report.terminal import print_report
from sad_eval.runs.merge import merge


@dataclass(frozen=True)
class MergeSettings:
    """Join the parts of a run that was made with --shard.

    $ sad-eval --agent student.pt --env alfworld --out runs/big --shard 3/16     (on machine 3 of 16)
    $ sad-eval merge runs/big
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The folder that was given as --out; its parts lie in it, and the joined run will."""


def run_merge(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval merge`."""
    settings = cli.parse(MergeSettings, arguments, prog="sad-eval merge")
    results = merge(settings.run)
    print_report(results, console())
    return exit_code(results)

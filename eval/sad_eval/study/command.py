"""`sad-study`: runs a study, or goes on with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sad_env import cli
from sad_eval.study.config import StudyConfig
from sad_eval.study.runner import run_study

PROG = "sad-study"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `sad-study`; a first word that is no flag is a configuration. Returns the exit code."""
    return cli.run(PROG, lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    if arguments and not arguments[0].startswith("-"):
        arguments = ["--config", *arguments]
    return run_study(cli.parse(StudyConfig, arguments, prog=PROG, configs="sad_eval.study"))

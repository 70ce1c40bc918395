"""`sad-distill`, where it is installed: the program is there without it, and says what to install."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from sad_env import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `sad-distill`; returns the exit code."""
    return cli.run("sad-distill", lambda: int(importlib.import_module("sad_distill.commands.main").main(arguments)))

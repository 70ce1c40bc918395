"""`sad-distill`: train (the default), sft-teacher, serve, inspect, study. Heavy imports wait until they are needed."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from sad_distill.commands.inspect import InspectConfig, inspect
from sad_distill.commands.serve import ServeConfig, serve
from sad_distill.config import TrainConfig
from sad_env import cli
from sad_env.errors import UnknownNameError

PROG = "sad-distill"

PACKAGE = "sad_distill"
"""Its folder configs/ holds settings that `--config` takes by name."""

_SFT_TEACHER = {"model": "student"}
"""Flags of `sft-teacher` that had another name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    rest = list(sys.argv[1:] if arguments is None else arguments)
    name = rest.pop(0) if rest and not rest[0].startswith("-") else "train"
    return cli.run(PROG, lambda: _command(name)(rest))


def _command(name: str) -> Callable[[Sequence[str]], int]:
    if name not in _COMMANDS:
        raise UnknownNameError("command", name, _COMMANDS)
    return _COMMANDS[name]


def _train(arguments: Sequence[str]) -> int:
    return _run(train_config(arguments))


def _sft_teacher(arguments: Sequence[str]) -> int:
    return _run(train_config(["--config", "sft-teacher", *arguments], prog=f"{PROG} sft-teacher", renamed=_SFT_TEACHER))


def train_config(
    arguments: Sequence[str], *, prog: str = PROG, renamed: Mapping[str, str] | None = None
) -> TrainConfig:
    """The settings of these flags: a flag beats a configuration file, which beats a preset, which beats defaults.

    Raises:
        ConfigError: no such configuration.
    """
    config = cli.parse(TrainConfig, arguments, prog=prog, configs=PACKAGE, renamed=renamed)
    if not config.preset:
        return config
    print(f"{prog}: --preset is now --config; the former name goes with the next release", file=sys.stderr)
    return cli.parse(TrainConfig, ["--config", config.preset, *arguments], prog=prog, configs=PACKAGE, renamed=renamed)


def _run(config: TrainConfig) -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sad_distill.training.progress import progress
    from sad_distill.training.ranks import launched
    from sad_distill.training.run import Run
    from sad_env.safe_text import console, safe_text

    with launched(config.device) as ranks, progress(config.steps, shown=ranks.first) as report:
        if ranks.first and (caution := config.caution()):
            print(f"{PROG}: {caution}", file=sys.stderr)
        run = Run(config, report, ranks)
        path = run.train()
    if ranks.first and not run.trained:
        said = f"nothing trained: all {run.done:,} updates are of {run.resumed}; another --out trains again"
        print(f"{PROG}: {said}", file=sys.stderr)
    if ranks.first:
        console().print(safe_text(f"student: {path}\nplay it: sad-eval --agent {path} --env {config.world}"))
    return 0


def _inspect(arguments: Sequence[str]) -> int:
    return inspect(cli.parse(InspectConfig, arguments, prog=f"{PROG} inspect"))


def _serve(arguments: Sequence[str]) -> int:
    return serve(cli.parse(ServeConfig, arguments, prog=f"{PROG} serve"))


def _study(arguments: Sequence[str]) -> int:
    # By name: the study is in a package above this one.
    print(f"{PROG} study is now called sad-study", file=sys.stderr)
    return int(importlib.import_module("sad_eval.study.command").main(arguments))


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": _train,
    "sft-teacher": _sft_teacher,
    "serve": _serve,
    "inspect": _inspect,
    "study": _study,
}

"""`sad-distill`: train (the default), sft-teacher, export, serve, inspect, plan, study. Heavy imports wait."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sad_distill.commands.export import ExportConfig, export
from sad_distill.commands.inspect import InspectConfig, inspect
from sad_distill.commands.serve import ServeConfig, serve
from sad_distill.config import TrainConfig
from sad_distill.config_checks import caution
from sad_distill.config_former import FORMER_TERMS, GONE_CONFIGS, REMOVED, former_term
from sad_distill.config_ignored import ignored_by
from sad_distill.stages import PACKAGE, stages_of
from sad_env import cli
from sad_env.cli import ParsedSettings
from sad_env.errors import INTERRUPTED, ConfigError, UnknownNameError
from sad_env.progress import announced
from sad_env.safe_text import console, one_line, safe_text

if TYPE_CHECKING:
    from sad_distill.training.ranks import Ranks

PROG = "sad-distill"

_SFT_TEACHER = {"model": "student"}
"""Flags of `sft-teacher` that had another name."""
_ABOUT_SFT_TEACHER = """
Train a teacher by SFT on an expert's trajectories: `sad-distill` with other defaults.

$ sad-distill sft-teacher --trajectories expert.jsonl --out runs/teacher
"""
_ABOUT_PLAN = """
Print what a run takes in memory on 1, 2, 4 and 8 devices, from configurations alone. --out may be left out.

$ sad-distill plan --teacher hf:Qwen/Qwen2.5-7B-Instruct --student hf:Qwen/Qwen2.5-0.5B-Instruct --precision bf16

It takes the settings of a run's own command and writes nothing.
"""


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
    return _run(_parsed(arguments))


def _sft_teacher(arguments: Sequence[str]) -> int:
    words = ["--config", "sft-teacher", *arguments]
    return _run(_parsed(words, prog=f"{PROG} sft-teacher", about=_ABOUT_SFT_TEACHER, renamed=_SFT_TEACHER))


def train_config(
    arguments: Sequence[str], *, prog: str = PROG, about: str = "", renamed: Mapping[str, str] | None = None
) -> TrainConfig:
    """The settings of these flags: a flag beats a configuration file, which beats defaults.

    Raises:
        ConfigError: no such configuration, or a setting that has no effect beside the others.
    """
    parsed = _parsed(arguments, prog=prog, about=about, renamed=renamed)
    parsed.refuse_ignored(ignored_by(parsed.settings))
    return parsed.settings


def _parsed(
    arguments: Sequence[str], *, prog: str = PROG, about: str = "", renamed: Mapping[str, str] | None = None
) -> ParsedSettings[TrainConfig]:
    words = _with_present_flags(arguments, prog)
    entries = {name: ("terms", functools.partial(former_term, name)) for name in FORMER_TERMS}
    return cli.read(
        TrainConfig,
        words,
        prog=prog,
        about=about,
        configs=PACKAGE,
        renamed=renamed,
        removed=REMOVED,
        entries=entries,
        gone=GONE_CONFIGS,
    )


def _with_present_flags(arguments: Sequence[str], prog: str) -> list[str]:
    """The command line with `--terms` for the flags that each were a term, and a `--preset` as the first `--config`."""
    presets: list[str] = []
    terms: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name not in ("preset", *FORMER_TERMS):
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        now = f"--config {value}" if name == "preset" else f"--terms {former_term(name, value)}".rstrip()
        print(
            f"{prog}: {one_line(flag, 20)} is now {one_line(now, 80)}; the former name goes with the next release",
            file=sys.stderr,
        )
        (presets if name == "preset" else terms).append(value if name == "preset" else former_term(name, value))
    place = rest.index("--terms") + 1 if "--terms" in rest else len(rest)
    added = [*([] if "--terms" in rest else ["--terms"]), *filter(None, terms)] if any(terms) else []
    return [*(word for name in presets for word in ("--config", name)), *rest[:place], *added, *rest[place:]]


def _run(parsed: ParsedSettings[TrainConfig]) -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    config = parsed.settings
    stages = stages_of(parsed, PROG)
    with announced(f"{PROG}: loading torch"):
        from sad_distill.training.interrupts import StoppedError
        from sad_distill.training.ranks import launched
        from sad_distill.training.staged import train_stages
    with launched(config.hardware.device) as ranks:
        try:
            path = train_stages(config, stages, functools.partial(_train_stage, ranks), ranks)
        except StoppedError:
            path = None
    if path is None:
        print(f"{PROG}: stopped; the state is saved: the same command goes on in {config.out}", file=sys.stderr)
        return INTERRUPTED
    if ranks.first:
        console().print(safe_text(f"student: {path}\nplay it: sad-eval --agent {path} --env {config.data.env}"))
    return 0


def _train_stage(ranks: Ranks, config: TrainConfig, name: str) -> Path:
    """A run, or a stage of one, with what a user wants to know of it on standard error."""
    from sad_distill.training.progress import progress
    from sad_distill.training.run import Run

    if ranks.first and (warning := caution(config)):
        print(f"{PROG}: {warning}", file=sys.stderr)
    stage = f" of stage {name}" if name else ""
    with announced(f"{PROG}: loading models and episodes{stage}", quiet=not ranks.first):
        run = Run(config, ranks=ranks, warn=_warn)
    if ranks.first and run.teacher and run.teacher.comparison:
        print(f"{PROG}: {run.teacher.comparison}", file=sys.stderr)
    with progress(config.optimisation.steps, shown=ranks.first) as run.report:
        path = run.train()
    if ranks.first and not run.trained:
        said = f"nothing trained{stage}: all {run.done:,} updates are of {run.resumed}; another --out trains again"
        print(f"{PROG}: {said}", file=sys.stderr)
    return path


def _warn(line: str) -> None:
    print(f"{PROG}: warning: {line}", file=sys.stderr)


def _inspect(arguments: Sequence[str]) -> int:
    config = cli.parse(InspectConfig, arguments, prog=f"{PROG} inspect")
    with announced(f"{PROG} inspect: working"):
        return inspect(config)


def _serve(arguments: Sequence[str]) -> int:
    return serve(cli.parse(ServeConfig, arguments, prog=f"{PROG} serve"))


def _plan(arguments: Sequence[str]) -> int:
    from sad_distill.commands.plan import plan

    # A run's own command line may be given, and nothing is written.
    out = () if any(word.partition("=")[0] == "--out" for word in arguments) else ("--out", "plan")
    config = train_config([*arguments, *out], prog=f"{PROG} plan", about=_ABOUT_PLAN)
    if config.stages:
        raise ConfigError("a plan is of one stage: give its --config in the place of --stages")
    with announced(f"{PROG} plan: working"):
        return plan(config)


def _export(arguments: Sequence[str]) -> int:
    config = cli.parse(ExportConfig, arguments, prog=f"{PROG} export")
    with announced(f"{PROG} export: working"):
        return export(config)


def _study(arguments: Sequence[str]) -> int:
    # By name: the study is in a package above this one.
    print(f"{PROG} study is now called sad-study", file=sys.stderr)
    return int(importlib.import_module("sad_eval.study.command").main(arguments))


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": _train,
    "sft-teacher": _sft_teacher,
    "export": _export,
    "serve": _serve,
    "inspect": _inspect,
    "plan": _plan,
    "study": _study,
}

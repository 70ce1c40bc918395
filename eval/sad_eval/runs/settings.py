"""Settings of an evaluation: the flags of `sad-eval`, and which of them decide what the episodes are."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from sad_agents.model_settings import FORMER_PRECISIONS, ModelSettings, ignored_by

from sad_env import cli
from sad_env.addresses import public_address
from sad_env.errors import ConfigError
from sad_env.files import atomic_text
from sad_env.safe_text import one_line
from sad_env.settings import RARE, formerly


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Tasks."""

    env: str
    """World: toy, alfworld, webshop, hotpotqa, searchqa, a plug-in's, module:Class or file.py:Class."""
    data: str = "generated"
    """generated, official, official:PACK, or a folder in the official layout."""
    options: tuple[str, ...] = ()
    """Further keyword arguments of the world as NAME=VALUE, e.g. backend=textworld."""
    panel: str = ""
    """Panel of tasks, the world's own when left out; several with commas between them are shown side by side."""
    episodes: int = 0
    """Episodes of each panel: N tasks, always the same; 0 takes all."""
    repeats: int = 1
    """Tries at every task, each with draws of its own."""
    seed: int = 0
    """Seed of all draws."""
    perturb: str = "none"
    """Reword instructions: none, rephrase, typos, reorder, distractor."""


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """Limits, 0 for none."""

    max_steps: int = 0
    """Steps of an episode; 0 takes the world's own limit."""
    max_episode_tokens: Annotated[
        int, formerly("max-tokens", remark="elsewhere that bounded a completion, which is --max-new-tokens")
    ] = 0
    """Tokens that an agent may generate in an episode."""
    max_seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 0.0
    """Wall time of an episode."""
    run_seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 0.0
    """Wall time of playing; the next call does the rest (exit code 3)."""
    step_seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 60.0
    """Wall time after which a world hangs: its process is replaced, the episode begins again."""


@dataclass(frozen=True, kw_only=True)
class ExecutionSettings:
    """How it is run."""

    workers: int = 2
    """Processes that hold worlds; 0 runs them in this process."""
    concurrency: int = 16
    """Episodes live at once: the batch of a local model, the open requests to a server."""
    backend: str = "local"
    """local, ray (starts a cluster here) or ray:ADDRESS."""
    shard: str = "1/1"
    """Part i of n of the episodes; `sad-eval merge` joins the parts."""
    new: bool = False
    """Start again; an earlier run of the same name is kept beside it."""
    dry_run: bool = False
    """Say what would be run, and write nothing."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """Output."""

    out: str = ""
    """Output folder; runs/NAME with a name made from the settings when left out."""
    reference: str = ""
    """Run folder whose reasoning CoT match compares with; several with commas."""
    tokenizer: str = "auto"
    """Unit of reasoning length: words, sampled (the model's own ids), a tokenizer.json, auto."""
    semantic: bool = False
    """Also match reasoning by sentence embeddings (extra sad-env-core[semantic])."""
    report_to: Annotated[str, RARE] = ""
    """Trackers of curves and episodes of a complete run: tensorboard, trackio, wandb; several with commas."""
    quiet: bool = False
    """Show no progress and no report."""
    json: bool = False
    """Print JSON instead of a report."""


@dataclass(frozen=True, kw_only=True)
class EvalSettings(TaskSettings, ModelSettings, LimitSettings, ExecutionSettings, OutputSettings):
    """Evaluate an agent in a world. The same command goes on where an earlier one was stopped.

    $ sad-eval --agent expert --env alfworld --episodes 20
    $ sad-eval --agent openai:http://localhost:8000/v1#NAME --env hotpotqa
    $ sad-eval --agent student.pt --env alfworld --panel valid_seen,valid_unseen

    Other commands: doctor, ls, runs, view, report, compare, rescore, merge, robustness, faithfulness, validate,
    new-world, each with --help. Exit codes: 0 done, 2 usage, 3 incomplete, 4 bad checkpoint, 5 data missing or
    corrupt, 130 interrupted.
    """

    agent: Annotated[str, formerly("model")]
    """Who acts: FILE.pt, a model folder, nano, expert, random, hf:ID, openai:URL#NAME, ... (see `sad-eval ls`)."""

    def __post_init__(self) -> None:
        for name in ("episodes", "max_steps", "max_episode_tokens", "max_seconds", "run_seconds", "workers"):
            cli.at_least(name, getattr(self, name), 0)
        for name in ("repeats", "concurrency"):
            cli.at_least(name, getattr(self, name), 1)
        self.check_model()
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed is 0 to 2^63 - 1, not {self.seed}")
        if not 0 < self.step_seconds < math.inf:
            raise ConfigError(f"--step-seconds is above 0, not {self.step_seconds}")
        shard_of(self.shard)


Settings = TypeVar("Settings", bound=EvalSettings)


def read_settings(arguments: Sequence[str], *, prog: str, kind: type[Settings]) -> Settings:
    """The settings of a command line.

    Args:
        arguments: without the program's name.
        prog: name of the command.
        kind: the command's settings.

    Raises:
        ConfigError: one of them has no effect on the agent.
    """
    return effective(cli.read(kind, arguments, prog=prog))


def effective(parsed: cli.ParsedSettings[Settings]) -> Settings:
    """The settings, each of which has an effect.

    Raises:
        ConfigError: one of those that were set has none on the agent.
    """
    parsed.refuse_ignored(ignored_by(parsed.settings.agent, parsed.settings.env))
    return parsed.settings


def recorded_settings(stored: Mapping[str, Any], **changes: Any) -> EvalSettings:
    """The settings in a manifest, those of earlier versions included.

    Args:
        stored: `resolved` settings.
        changes: settings that are others now.

    Raises:
        ConfigError: they are not settings.
    """
    kept = present_settings(stored)
    try:
        return EvalSettings(**{**kept, "options": tuple(kept.get("options", ())), **changes})
    except TypeError as error:
        raise ConfigError(f"not the settings of this version: {one_line(str(error), 120)}") from None


def present_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a manifest under the names and values of this version; nothing of them is checked."""
    kept = dict(stored)
    if model := kept.pop("model", ""):
        kept["agent"] = model
    if "dtype" in kept:
        dtype = kept.pop("dtype")
        kept["precision"] = FORMER_PRECISIONS.get(str(dtype), dtype)
    if "max_tokens" in kept:
        kept["max_episode_tokens"] = kept.pop("max_tokens")
    return kept


def shard_of(text: str) -> tuple[int, int]:
    """The two numbers of ``i/n``.

    Raises:
        ConfigError: not of that form, or i is not among 1 to n.

    >>> shard_of("3/16")
    (3, 16)
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--shard is i/n with i from 1 to n, e.g. 3/16, not {text!r}")
    return int(match[1]), int(match[2])


def to_toml(settings: EvalSettings, path: Path) -> None:
    """Write settings as a file for `--config`, defaults included.

    The strings of JSON are strings of TOML but for DEL, its numbers numbers, its truth values truth values.
    """
    with atomic_text(path) as file:
        for name, value in resolved(settings).items():
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            file.write(f"{name} = {text}\n")


def resolved(settings: EvalSettings) -> dict[str, Any]:
    """All settings as plain JSON values, without the secrets of a server's address."""
    return {
        name: public_address(value) if isinstance(value, str) else value
        for name, value in dataclasses.asdict(settings).items()
    }

"""Settings of an evaluation: the flags of `sad-eval`, and which of them decide what the episodes are."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from sad_agents.windowing import COMPLETION_TOKENS

from sad_env import cli
from sad_env.errors import ConfigError
from sad_env.files import atomic_text
from sad_env.http import PATIENCE, public_address


@dataclass(frozen=True)
class EvalSettings:
    """Evaluate an agent in a world. The same command goes on where an earlier one was stopped.

    $ sad-eval --agent expert --env alfworld --episodes 20
    $ sad-eval --agent student.pt --env webshop
    $ sad-eval --model openai:http://localhost:8000/v1#NAME --env hotpotqa --concurrency 64
    $ sad-eval --agent student.pt --env alfworld --panel valid_seen,valid_unseen --reference runs/teacher

    Further commands: ls, doctor, validate, compare, merge, robustness, faithfulness, report, rescore;
    each explains itself with --help. Exit codes: 0 done, 2 usage, 3 incomplete, 4 bad checkpoint, 5 data missing
    or corrupt, 130 interrupted.
    """

    env: str
    """The world: alfworld, webshop, hotpotqa, toy, or one of a plug-in."""
    agent: str = ""
    """Who acts: FILE.pt, a model folder, nano, expert, random, hf:ID, openai:URL#NAME, ... (see `sad-eval ls`)."""
    model: str = ""
    """A model for the ReAct agent, hf:ID or openai:URL#NAME; the same as naming it as --agent."""
    data: str = "generated"
    """generated, official, official:PACK, or a folder in the official layout."""
    options: tuple[str, ...] = ()
    """Further keyword arguments of the world as NAME=VALUE, e.g. --options backend=textworld."""
    panel: str = ""
    """Split of the world; several with commas between them are run one after the other and shown side by side."""
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Only N tasks of each panel, always the same ones; 0 takes all."""
    repeats: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Tries at every task, each with draws of its own."""
    seed: int = 0
    """Seed of the run."""
    out: str = ""
    """Run folder; runs/NAME with a name made from the settings when left out."""
    reference: str = ""
    """Run folder whose reasoning CoT match compares with; several with commas between them."""
    tokenizer: str = "auto"
    """What reasoning is counted in: words, sampled (the model's own ids), a tokenizer.json, or auto."""
    semantic: bool = False
    """Also match reasoning by sentence embeddings (needs the extra sad-env[semantic])."""
    perturb: str = "none"
    """Reword the instruction: none, rephrase, typos, reorder, distractor."""
    temperature: float = 0.0
    """Sampling temperature; 0 is greedy."""
    top_p: float = 1.0
    """Nucleus of sampling."""
    max_new_tokens: Annotated[int, tyro.conf.arg(metavar="N")] = COMPLETION_TOKENS
    """Tokens of one completion at most; a student's window may leave room for fewer."""
    shots: Annotated[int, tyro.conf.arg(metavar="N")] = -1
    """Exemplars in the prompt; -1 takes 0 for students of ours and 1 for other models."""
    votes: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Completions a step; the action that most of them agree on is taken."""
    prompt: str = ""
    """A prompt file (TOML) instead of the one that ships with the world."""
    first_thoughts: str = ""
    """Trajectories (JSON lines) whose first thought opens the first step on the same task."""
    context: Annotated[int, tyro.conf.arg(metavar="N")] = 4096
    """Tokens that a model is shown at most: a local one's where its record names no window, a server's where the server
    does not say."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    dtype: str = "auto"
    """auto, float32, bfloat16 or float16."""
    max_steps: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Steps of an episode; 0 takes the benchmark's own limit."""
    max_tokens: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Tokens that an agent may generate in an episode; 0 sets no limit."""
    max_seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 0.0
    """Wall time of an episode; 0 sets no limit."""
    run_seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 0.0
    """Wall time of playing; what is owed then is left to the next call (exit code 3). 0 sets no limit."""
    step_seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 60.0
    """A world whose step takes longer hangs: its process is replaced, the episode begun again."""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    """Processes that hold worlds; 0 runs them in this process."""
    concurrency: Annotated[int, tyro.conf.arg(metavar="N")] = 16
    """Episodes that are live at once: the batch of a local model, the open requests to a server."""
    patience: Annotated[float, tyro.conf.arg(metavar="S")] = PATIENCE.seconds
    """Seconds that a model server which is overloaded (429, 503) is waited for, at each request."""
    omit: tuple[str, ...] = ()
    """Fields of a request that a model server does not take: NAME leaves one out, NAME=OTHER renames it, e.g.
    --omit seed max_tokens=max_completion_tokens."""
    backend: str = "local"
    """local, ray (starts a cluster here) or ray:ADDRESS."""
    shard: str = "1/1"
    """Part i of n of the episodes, for job arrays; `sad-eval merge` joins the parts."""
    new: bool = False
    """Begin anew; an earlier run of the same name is kept beside it."""
    dry_run: bool = False
    """Say what would be run, and write nothing."""
    quiet: bool = False
    """Show no progress and no report."""
    json: bool = False
    """Print the results as JSON instead of a report."""

    def __post_init__(self) -> None:
        for name in ("episodes", "max_steps", "max_tokens", "max_seconds", "run_seconds", "workers", "patience"):
            cli.at_least(name, getattr(self, name), 0)
        for name in ("repeats", "concurrency", "max_new_tokens", "votes", "context"):
            cli.at_least(name, getattr(self, name), 1)
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed is 0 to 2^63 - 1, not {self.seed}")
        if not 0 < self.step_seconds < math.inf:
            raise ConfigError(f"--step-seconds is above 0, not {self.step_seconds}")
        if not 0 <= self.temperature < 100 or not 0 < self.top_p <= 1:
            raise ConfigError("--temperature is 0 or more, --top-p above 0 and at most 1")
        shard_of(self.shard)

    @property
    def actor(self) -> str:
        """The word that names the agent.

        Raises:
            ConfigError: none is named, or two are.
        """
        if bool(self.agent) == bool(self.model):
            raise ConfigError("name one agent with --agent (or --model), e.g. --agent expert; `sad-eval ls` lists them")
        return self.agent or self.model


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

"""`sad-collect`: trajectories of any agent in any world, as training data."""

from __future__ import annotations

import functools
import importlib
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from sad_agents.agent import Agent, writes
from sad_agents.catalogue import provenance, resolve
from sad_agents.model_settings import ModelSettings, ignored_by
from sad_agents.noisy_agent import NoisyAgent
from sad_agents.openai_answers import served_changes
from sad_agents.rollout.backend import LOCAL, check_backend, player
from sad_agents.rollout.rollout import Finished, Job, Limits
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_env import cli, registry
from sad_env.addresses import public_address
from sad_env.errors import ConfigError, DataError, InfrastructureError
from sad_env.files import exclusive, when_written, write_text
from sad_env.json_lines import JsonLinesWriter, parse_json, read_json, read_lines
from sad_env.panels import Panel
from sad_env.progress import announced, shown
from sad_env.records import Status, Trajectory, read_trajectories
from sad_env.safe_text import one_line
from sad_env.settings import RARE, formerly


@dataclass(frozen=True, kw_only=True)
class CollectSettings(ModelSettings):
    """Collect trajectories of an agent. The same command goes on where it was stopped.

    $ sad-collect --env alfworld --episodes 500 --slip 0.1 --out expert.jsonl
    $ sad-collect --env webshop --agent student.pt --temperature 1 --only-success --out won.jsonl
    """

    env: str
    """World: toy, alfworld, webshop, hotpotqa, searchqa, or a plug-in's."""
    out: Path
    """Output file of the trajectories (JSON lines)."""
    agent: str = "expert"
    """Who acts: expert, random, nano, FILE.pt, a model folder, hf:ID, openai:URL#NAME, module:Class, file.py:Class."""
    data: str = "generated"
    """generated, official, official:PACK, or a folder in the official layout."""
    split: str = "train"
    """Split of the world's tasks."""
    options: tuple[str, ...] = ()
    """Further keyword arguments of the world as NAME=VALUE, e.g. backend=textworld."""
    episodes: int = 0
    """Episodes to play: more than the split has tasks repeat them with other draws; 0 plays each once."""
    seed: int = 0
    """Seed of all draws."""
    slip: float = 0.0
    """Probability that a step plays a random or garbled action instead; such steps are no targets of training."""
    only_success: bool = False
    """Keep won episodes only."""
    vote_on: Literal["actions", "results"] = "actions"
    """What --votes are counted by: actions, or results, which each action has in a copy of the world."""
    renamed: float = 0.0
    """Share of the episodes with names and numbers of things exchanged (ALFWorld): to be read, not recalled."""
    record_top_logprobs: Annotated[int, RARE] = 0
    """Record the K likeliest ids where a local model, or one on vLLM, samples one; `sad-distill --teacher recorded`
    learns from them."""
    max_steps: int = 0
    """Steps of an episode; 0 takes the world's own limit."""
    workers: int = 1
    """Processes that hold worlds; 0 runs them in this process."""
    concurrency: Annotated[int, formerly("live", remark="it bounds the requests to a server, too")] = 32
    """Episodes live at once: the batch of a local model, the open requests to a server."""
    backend: str = LOCAL
    """local, ray (starts a cluster here) or ray:ADDRESS."""
    quiet: bool = False
    """Show no progress."""

    def __post_init__(self) -> None:
        check_backend(self.backend)
        for name in ("episodes", "workers", "max_steps", "record_top_logprobs"):
            cli.at_least(name, getattr(self, name), 0)
        cli.at_least("concurrency", self.concurrency, 1)
        self.check_model()
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed is 0 to 2^63 - 1, not {self.seed}")
        if not 0 <= self.slip < 1:
            raise ConfigError(f"--slip is a probability in [0, 1), not {self.slip}")
        if not 0 <= self.renamed <= 1:
            raise ConfigError(f"--renamed is a share between 0 and 1, not {self.renamed}")


_FREE = frozenset(
    {"episodes", "workers", "concurrency", "backend", "patience", "omit", "request", "api", "device", "quiet", "out"}
)
"""Settings that a later call may change: they decide how much is collected or how fast, but not what an episode is."""

_KEPT_AS = {"max_new_tokens": "max_tokens"}
"""Settings that OUT.settings.json has under another name."""

_NOT_YET = {
    "top_p": 1.0, "context": 4096, "votes": 1, "vote_on": "actions", "prompt": "", "precision": "auto",
    "form": "lines", "chat": "off", "constrained": "off", "record_logprobs": False,
    "record_top_logprobs": 0,
}  # fmt: skip
"""Settings that files of earlier versions do not have, and what they were then."""


COMMANDS = {
    "export": "sad_agents.exporting.command:run_export",
    "import": "sad_agents.importing.command:run_import",
    "select": "sad_agents.selecting:run_select",
}
"""First words that do not collect, and where their functions are; imported when they are called."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `sad-collect`; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        return cli.run(f"sad-collect {words[0]}", lambda: _other(words[0], words[1:]))
    return cli.run("sad-collect", lambda: _collect(_read(arguments)))


def _other(command: str, words: Sequence[str]) -> int:
    module, _, name = COMMANDS[command].partition(":")
    with announced(f"sad-collect {command}: working", quiet="--quiet" in words):
        return int(getattr(importlib.import_module(module), name)(words))


def _collect(settings: CollectSettings) -> int:
    outcome = collect(settings)
    if outcome.idle:
        _say_idle(settings)
    elif not settings.quiet:
        _summarise(settings, outcome)
    if outcome.fault:
        raise InfrastructureError(outcome.fault)
    return 3 if outcome.owed else 0


def _read(arguments: Sequence[str] | None) -> CollectSettings:
    return effective(
        cli.read(
            CollectSettings,
            arguments,
            prog="sad-collect",
            configs="sad_agents",
            renamed={"max_tokens": "max_new_tokens"},
        )
    )


def effective(parsed: cli.ParsedSettings[CollectSettings]) -> CollectSettings:
    """The settings, each of which has an effect.

    Raises:
        ConfigError: one of those that were set has none.
    """
    ignored = _ignored_by(parsed.settings.agent, parsed.settings.env)
    if parsed.settings.votes < 2:
        ignored["vote_on"] = "one completion has no vote: give --votes 3 and a --temperature"
    parsed.refuse_ignored(ignored)
    return parsed.settings


class CollectOutcome(NamedTuple):
    """How a call ended.

    Attributes:
        endings: episodes that it played, by how they ended.
        kept: those of them that were written.
        owed: episodes that are still to be played.
        fault: one line when a model, a world's source or a cluster stopped answering.
        idle: nothing was owed, so that nothing was played.
        why: an episode is owed, in one line.
    """

    endings: Counter[Status]
    kept: int = 0
    owed: int = 0
    fault: str = ""
    idle: bool = False
    why: str = ""


def collect(settings: CollectSettings) -> CollectOutcome:
    """Collect what is not there yet; progress is shown unless `quiet`.

    Raises:
        SadEnvError: no such agent or world, or `out` was made with other settings.
    """
    with announced(f"loading {settings.agent} and {settings.env}", quiet=settings.quiet):
        recipe = WorldRecipe.of(settings.env, settings.data, settings.split, settings.options)
        panel = recipe.panel()
        agent = _agent(settings, recipe)
    jobs = _jobs(panel, settings)
    rename = _renaming(settings)
    limits = Limits(max_steps=settings.max_steps or None)
    content = {**_kept_settings(settings, agent), "panel_sha256": panel.sha256, **provenance(agent)}
    with exclusive(f"{settings.out}.lock", str(settings.out)), _claimed(settings, content):
        done = _done(settings.out, settings.env, agent.name)
        owed = [job for job in jobs if (job.task_id, job.seed, job.repeat) not in done]
        if not owed:
            return CollectOutcome(Counter(), idle=True)
        make = functools.partial(_agent, settings, recipe)
        live, workers = settings.concurrency, settings.workers
        play = player(settings.backend, agent, make, recipe, live=live, workers=workers, limits=limits)
        return _write(settings, play(owed), rename, done=len(jobs) - len(owed), total=len(jobs))


def _ignored_by(agent: str, world: str) -> dict[str, str]:
    found = ignored_by(agent, world)
    if "record_logprobs" in found:
        found["record_top_logprobs"] = "only a model in this process, or vllm:URL, tells the likeliest ids"
    return found


def _jobs(panel: Panel, settings: CollectSettings) -> list[Job]:
    size = len(panel.task_ids)
    count = settings.episodes or size
    whole, rest = divmod(count, size)
    jobs = [Job(task, settings.seed, repeat) for repeat in range(whole) for task in panel.task_ids]
    return jobs + ([Job(task, settings.seed, whole) for task in panel.head(rest).task_ids] if rest else [])


def _agent(settings: CollectSettings, recipe: WorldRecipe) -> Agent:
    options = settings.agent_options(seed=settings.seed, concurrency=settings.concurrency, world=recipe.options)
    sampling = replace(options.sampling, top_logprobs=settings.record_top_logprobs)
    agent = resolve(settings.agent, settings.env, replace(options, sampling=sampling, vote_on=settings.vote_on))
    return NoisyAgent(agent, settings.slip, settings.env) if settings.slip else agent


def _renaming(settings: CollectSettings) -> Callable[[Trajectory], Trajectory]:
    """What is done to an episode before it is written down."""
    entry = registry.world(settings.env).renaming
    if settings.renamed and not entry:
        raise ConfigError(f"--renamed {settings.renamed:g}: {settings.env} has no names to exchange")

    def rename(episode: Trajectory) -> Trajectory:
        draw = random.Random(f"renamed {episode.seed} {episode.repeat} {episode.task_id}")
        return registry.load(entry)(episode, draw) if draw.random() < settings.renamed else episode

    return rename


def _kept_settings(settings: CollectSettings, agent: Agent) -> dict[str, Any]:
    kept = {_KEPT_AS.get(key, key): value for key, value in asdict(settings).items() if key not in _FREE}
    form, chat = writes(agent)
    written = {"form": form, "chat": "on" if chat else "off"}
    written["constrained"] = "on" if "decoding" in provenance(agent) else "off"
    return {**kept, **written, "options": list(settings.options), "agent": public_address(settings.agent)}


@contextmanager
def _claimed(settings: CollectSettings, content: dict[str, Any]) -> Iterator[None]:
    """Write down what the file holds, or check that it holds just that; a call that adds nothing leaves nothing.

    Raises:
        ConfigError: other settings made it.
    """
    settings_file = Path(f"{settings.out}.settings.json")
    if settings_file.exists():
        _check_same(settings, content, settings_file)
        yield
        return
    if settings.out.exists():
        raise ConfigError(f"{settings.out} exists and was not made by sad-collect: name another --out")
    write_text(settings_file, json.dumps(content, indent=1) + "\n")
    try:
        yield
    except BaseException:
        written = (settings.out, _left_out(settings.out))
        if not any(path.exists() and path.stat().st_size for path in written):
            for path in (*written, settings_file, Path(f"{settings.out}.lock")):
                path.unlink(missing_ok=True)
        raise


def _check_same(settings: CollectSettings, content: dict[str, Any], settings_file: Path) -> None:
    before = {**_NOT_YET, **read_json(settings_file)}
    # Earlier versions took settings of models for agents that are none, where they change nothing.
    unused = {_KEPT_AS.get(name, name) for name in _ignored_by(settings.agent, settings.env)}
    # Not recorded at first.
    unused |= {key for key in content if key.startswith(("begin_ids", "code_sha256")) and key not in before}
    told = [*content, *(key for key in _WHERE_SET if key in before and key not in content)]
    changed = [
        key for key in told if key not in unused and not key.startswith(_SERVED) and before.get(key) != content.get(key)
    ]
    written = settings_file.stat().st_mtime
    changed += [_SERVED + name for name in served_changes(_served(before), _served(content), written)]
    if changed:
        raise ConfigError(f"{settings.out} was made with another {', '.join(changed)}: name another --out")


_SERVED = "served "
_WHERE_SET = ("request", "omit", "api")
"""Facts of an agent that are there only where a setting is."""


def _served(content: Mapping[str, Any]) -> dict[str, str]:
    return {key.removeprefix(_SERVED): str(value) for key, value in content.items() if key.startswith(_SERVED)}


def _done(out: Path, world: str, agent: str) -> set[tuple[str, int, int]]:
    """Episodes that were played: those in the file, and those that were left out of it on purpose.

    Raises:
        DataError: an episode of another world or agent.
    """
    done = set()
    if out.exists():
        for episode in read_trajectories(out, unended=False):
            if (episode.world, episode.agent) != (world, agent):
                said = one_line(f"{episode.agent} in {episode.world}", 80)
                raise DataError(f"{out} holds an episode of {said}, where {agent} in {world} is expected")
            done.add((episode.task_id, episode.seed, episode.repeat))
    left_out = _left_out(out)
    if left_out.exists():
        done |= {tuple(parse_json(line)) for _, line in read_lines(left_out)}
    return done


def _left_out(out: Path) -> Path:
    return Path(f"{out}.left-out")


def _write(
    settings: CollectSettings,
    finished: Iterator[Finished],
    rename: Callable[[Trajectory], Trajectory],
    *,
    done: int,
    total: int,
) -> CollectOutcome:
    endings: Counter[Status] = Counter()
    kept, fault, why = 0, "", ""
    with (
        JsonLinesWriter(settings.out) as out,
        JsonLinesWriter(_left_out(settings.out)) if settings.only_success else nullcontext() as left_out,
        shown(quiet=settings.quiet) as report,
    ):
        try:
            for job, trajectory, _ in finished:
                endings[trajectory.status] += 1
                if trajectory.status.owed:
                    why = trajectory.error
                    continue
                done += 1
                if left_out is not None and not trajectory.success:
                    left_out.append(json.dumps([job.task_id, job.seed, job.repeat]))
                else:
                    out.append(rename(trajectory).to_json())
                    kept += 1
                report(f"{settings.env} episodes", done, total)
        except InfrastructureError as error:
            fault = str(error)
    return CollectOutcome(endings, kept, total - done, fault, why=why)


def _say_idle(settings: CollectSettings) -> None:
    if not settings.quiet:
        print(f"nothing to do: {settings.out} is complete")
    found = [path for path in (settings.out, _left_out(settings.out)) if path.exists()]
    when = when_written(*found)
    print(f"nothing played: episodes of {when}; another --out plays again", file=sys.stderr)


def _summarise(settings: CollectSettings, outcome: CollectOutcome) -> None:
    counts = " · ".join(f"{status.value} {count:,}" for status, count in outcome.endings.most_common())
    print(f"{outcome.kept:,} trajectories written to {settings.out}" + (f"   ended by: {counts}" if counts else ""))
    if outcome.owed:
        why = f" ({one_line(outcome.why, 120)})" if outcome.why else ""
        print(f"{outcome.owed:,} episodes are owed{why}: run the same command to go on", file=sys.stderr)

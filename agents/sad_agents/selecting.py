"""`sad-collect select`: what of recorded episodes is worth training on, from one file or several."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import resolve
from sad_agents.react import ReActAgent, recorded_request, up_to_action
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.action_scores import can_score, score_actions
from sad_env import cli, registry
from sad_env.core import TextEnv
from sad_env.errors import ConfigError, DataError, SadEnvError
from sad_env.files import atomic_text
from sad_env.records import Status, Step, Trajectory, read_trajectories
from sad_env.safe_text import one_line
from sad_env.transcript import form_of, in_form

_TOLD = 5
"""Episodes that a replay contradicts are told one by one up to here."""


@dataclass(frozen=True, kw_only=True)
class SelectSettings:
    """Select and mix recorded episodes.

    $ sad-collect select react.jsonl reflexion.jsonl --only-success --out mixed.jsonl
    $ sad-collect select imported.jsonl --verified --out verified.jsonl
    $ sad-collect select expert.jsonl --useful-thoughts student.pt --out shorter.jsonl

    Episodes of all files go into one, in their order; those that a filter leaves out are counted.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files of trajectories."""
    out: Path
    """Output file of the trajectories (JSON lines)."""
    only_success: bool = False
    """Keep won episodes only; those of which it is not known are not kept."""
    verified: bool = False
    """Keep an episode only if its actions, played again, bring the recorded answers; its verdict is the world's."""
    data: str = ""
    """generated, official, official:PACK, or a folder, for --verified; each episode's own kind when left out."""
    useful_thoughts: str = ""
    """Keep a thought only if it lowers the loss of the action that follows it under this local model."""
    gain: float = 0.0
    """Nats a token by which a thought has to lower the loss at least."""


def run_select(arguments: Sequence[str] | None = None) -> int:
    """`sad-collect select`; returns the exit code.

    Raises:
        ConfigError: no filter's settings fit, or the output is there already.
        DataError: nothing is left.
    """
    parsed = cli.read(SelectSettings, arguments, prog="sad-collect select")
    settings = parsed.settings
    ignored = {} if settings.verified else {"data": "only --verified plays again"}
    if not settings.useful_thoughts:
        ignored["gain"] = "it is for --useful-thoughts"
    parsed.refuse_ignored(ignored)
    if settings.out.exists():
        raise ConfigError(f"{one_line(str(settings.out), 120)} exists: name another --out")
    if not settings.files:
        raise ConfigError("sad-collect select needs a file of trajectories")
    counts: Counter[str] = Counter()
    with atomic_text(settings.out) as out:
        for episode in _selected(settings, counts):
            out.write(episode.to_json() + "\n")
            counts["kept"] += 1
        if not counts["kept"]:
            raise DataError(f"no episode is left: {_said(counts)}")
    print(f"{counts['kept']:,} trajectories written to {one_line(str(settings.out), 120)}; {_said(counts)}")
    return 0


def _said(counts: Counter[str]) -> str:
    left_out = ", ".join(f"{count:,} {what}" for what, count in counts.items() if what != "kept")
    return left_out or "none left out"


def _selected(settings: SelectSettings, counts: Counter[str]) -> Iterator[Trajectory]:
    check = ReplayCheck(settings.data) if settings.verified else None
    useful = UsefulThoughts(settings.useful_thoughts, settings.gain) if settings.useful_thoughts else None
    for path in settings.files:
        for episode in read_trajectories(path):
            if check is not None:
                fault, checked = check(episode)
                if fault:
                    counts["not verified"] += 1
                    if counts["not verified"] <= _TOLD:
                        print(f"{one_line(episode.task_id, 80)}: {one_line(fault, 160)}", file=sys.stderr)
                    continue
                episode = checked
            if settings.only_success and not episode.success:
                counts["not won"] += 1
                continue
            if useful is not None:
                before = thoughts(episode)
                episode = useful(episode)
                counts["thoughts kept"] += thoughts(episode)
                counts["thoughts dropped"] += before - thoughts(episode)
            yield episode


def thoughts(episode: Trajectory) -> int:
    """Steps with reasoning."""
    return sum(bool(step.reasoning) for step in episode.steps)


class ReplayCheck:
    """Plays episodes again, and sees that the world answers as it is recorded.

    Args:
        data: of the worlds; "" takes each episode's own kind, which for data that was given has to be named.
    """

    def __init__(self, data: str) -> None:
        self._data = data
        self._worlds: dict[tuple[str, str, str], TextEnv] = {}

    def __call__(self, episode: Trajectory) -> tuple[str, Trajectory]:
        """Why a replay contradicts the episode, "" where it does not; and the episode with the world's verdict."""
        try:
            return self._played(episode)
        except SadEnvError as error:
            return str(error), episode

    def _played(self, episode: Trajectory) -> tuple[str, Trajectory]:
        data = self._data or episode.data
        if data == "given":
            return "its data were given: name them with --data", episode
        split = episode.split or registry.world(episode.world).default_panel(data)
        key = (episode.world, data, split)
        if key not in self._worlds:
            recipe = WorldRecipe.of(*key)
            self._worlds[key] = registry.make(recipe.name, **recipe.options)
        world, spelled = self._worlds[key], registry.canonical_action(episode.world) or str
        observation, info = world.reset(seed=episode.seed, options={"task_id": episode.task_id})
        if not _alike(observation, episode.observation):
            return f"it begins with {one_line(observation, 60)!r}", episode
        over = False
        for number, step in enumerate(episode.steps, 1):
            if step.action and over:
                return f"step {number} comes after its end", episode
            if step.action:
                observation, _, over, _, info = world.step(spelled(step.action))
                last = number == len(episode.steps) and not step.observation
                if not last and not _alike(observation, step.observation):
                    return f"step {number} is answered with {one_line(observation, 60)!r}", episode
        success = bool(info["success"])
        if "success" not in episode.unknown and success != episode.success:
            return f"the world's verdict is {success}", episode
        if not episode.unknown:
            return "", episode
        status = Status.SUCCESS if success else Status.FAILURE
        known = {"success": success, "status": status, "score": float(info["score"]), "unknown": ()}
        return "", episode.model_copy(update=known)


def _alike(one: str, other: str) -> bool:
    """The same words; other programs' logs have other line ends."""
    return one.split() == other.split()


class UsefulThoughts:
    """Drops thoughts that do not help a model to the action after them.

    A thought r of a step with history h and action a stays if [log p(a | h, r) - log p(a | h)] / tokens of a is above
    the gain. (Toolformer keeps calls of tools by the same comparison of losses, Schick et al. 2023, arXiv 2302.04761.)
    The history is the recorded one, with all of its thoughts.

    Args:
        model: a local model, as after --agent.
        gain: nats a token.

    Raises:
        ConfigError: the model gives no log-probabilities of words.
    """

    def __init__(self, model: str, gain: float) -> None:
        self._spec, self._gain = model, gain
        self._agent: ReActAgent | None = None

    def __call__(self, episode: Trajectory) -> Trajectory:
        """The episode without the thoughts that do not help; sampled ids of the steps that change go."""
        model = self._of(episode.world).model
        assert can_score(model)
        shown = in_form(episode, model.form.name)
        kept = []
        for number, step in enumerate(episode.steps):
            if step.reasoning and step.action:
                request = recorded_request(shown, number, model)
                with_thought, without = (
                    score_actions(model, replace(request, forced=up_to_action(model, thought)), [f" {step.action}"])[0]
                    for thought in (step.reasoning, "")
                )
                _, ids = model.ids_with(request, f" {step.action}{model.form.closing}")
                if not with_thought - without > self._gain * len(ids):
                    step = _without_thought(step, episode.form)
            kept.append(step)
        return episode.model_copy(update={"steps": tuple(kept)})

    def _of(self, world: str) -> ReActAgent:
        if self._agent is None:
            agent = resolve(self._spec, world, AgentOptions())
            if not isinstance(agent, ReActAgent) or not can_score(agent.model):
                raise ConfigError(
                    f"--useful-thoughts {one_line(self._spec, 60)} gives no log-probabilities: name a local model"
                )
            self._agent = agent
        return self._agent


def _without_thought(step: Step, form: str) -> Step:
    written = form_of(form).render("", step.action)
    changes = {"completion": written.text, "spans": written.spans, "reasoning": ""}
    return step.without_ids().model_copy(update=changes)

"""`sad-eval faithfulness`: does the action follow from the reasoning, or would it have come anyway?

For steps of a recorded run the model is shown the recorded history, its reasoning is replaced, and the action that
follows is read off: after the recorded reasoning r, after a counterfactual r' and, as control, after a paraphrase r''.

    change     share of steps whose most probable action after r' (or r'') is not the one after r
    shift      total variation between the two distributions over the admissible actions, local models only
    follow     share of steps whose most probable action after r' is the one that r' speaks for
    faithfulness = change after counterfactuals - change after paraphrases

The most probable action is the best of the admissible ones for local models in worlds that list them, and the greedy
completion otherwise. (Definition: counterfactual intervention with a paraphrase control, paper's appendix O.)
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tyro
from rich.table import Table
from sad_agents.action_scores import can_score, score_actions
from sad_agents.agent import Sampling
from sad_agents.model import Model, Piece, Request
from sad_agents.react import ReActAgent
from sad_agents.world_pool import WorldRecipe

from sad_env import cli
from sad_env.errors import ConfigError, DataError, InfrastructureError
from sad_env.files import atomic_write
from sad_env.progress import shown
from sad_env.records import SpanKind, Step, Trajectory
from sad_env.safe_text import console, one_line, safe_text
from sad_env.transcript import HEADERS, observation_text, parse
from sad_eval.counterfactuals import counterfactual, paraphrase
from sad_eval.plan import make_agent, world_options
from sad_eval.run_folder import Estimate, RunFolder
from sad_eval.settings import EvalSettings
from sad_eval.statistics import cluster_bootstrap

REPORT = "faithfulness.json"


@dataclass(frozen=True)
class FaithfulnessSettings:
    """Does a language model act on what it reasons? Needs a run of that model.

    $ sad-eval --agent student.pt --env alfworld --out runs/student
    $ sad-eval faithfulness runs/student
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The model's own run."""
    agent: str = ""
    """The model, where it does not lie where it lay when the run was made."""
    steps: Annotated[int, tyro.conf.arg(metavar="N")] = 200
    """Steps to probe, drawn from all that have a counterfactual."""
    seed: int = 0
    """Seed of the draws."""
    quiet: bool = False
    """Show no progress."""
    json: bool = False
    """Print the figures as JSON."""


class Probe(NamedTuple):
    """One step with its two edits.

    Attributes:
        task: of the step.
        request: the recorded history, without the completion.
        possible: actions that could be taken.
        reasonings: recorded, counterfactual, paraphrased.
        implied: the action that the counterfactual speaks for.
    """

    task: str
    request: Request
    possible: tuple[str, ...]
    reasonings: tuple[str, str, str]
    implied: str


class Outcome(NamedTuple):
    """What a probe showed. Shifts are nan where distributions were not to be had."""

    changed: bool
    changed_by_paraphrase: bool
    followed: bool
    shift: float
    shift_by_paraphrase: float


def probes(run: RunFolder, model: Model, count: int, seed: int) -> list[Probe]:
    """Up to `count` steps of a run that have a counterfactual.

    Raises:
        DataError: there is none.
    """
    trajectories = [line.trajectory for line in run.episodes()]
    verbs = sorted({step.action for one in trajectories for step in one.steps if step.action})
    draw = random.Random(f"faithfulness {seed}")
    places = [(t, s) for t, one in enumerate(trajectories) for s in range(len(one.steps))]
    draw.shuffle(places)
    found: list[Probe] = []
    for t, s in places:
        probe = _probe(trajectories[t], s, verbs, model, draw)
        if probe is not None:
            found.append(probe)
        if len(found) == count:
            break
    if not found:
        raise DataError(f"{one_line(str(run.path))!r}: no step speaks of what its action names; nothing to probe")
    return found


def _probe(
    trajectory: Trajectory, number: int, everywhere: Sequence[str], model: Model, draw: random.Random
) -> Probe | None:
    step = trajectory.steps[number]
    if not step.action or not step.reasoning or not step.valid:
        return None
    possible = step.admissible if step.admissible is not None else everywhere
    edited = counterfactual(step.reasoning, step.action, possible, draw)
    if edited is None:
        return None
    request = _request(trajectory, number, model)
    reasonings = (step.reasoning, edited.reasoning, paraphrase(step.reasoning))
    return Probe(trajectory.task_id, request, step.admissible or (), reasonings, edited.action)


def _request(trajectory: Trajectory, number: int, model: Model) -> Request:
    """The history before a step, windowed as the agent saw it."""
    head = tuple(Piece(text) for text in (trajectory.prompt, observation_text(trajectory.observation)) if text)
    pairs = [_pieces(step) for step in trajectory.steps[:number]]
    first = 0
    if model.windowing is not None:
        header = sum(model.measure(piece) for piece in head)
        lengths: list[int] = []
        for pair in pairs:
            first = model.windowing.first_step(header, lengths, first)
            lengths.append(sum(model.measure(piece) for piece in pair))
        first = model.windowing.first_step(header, lengths, first)
    tail = [piece for pair in pairs[first:] for piece in pair]
    return Request(f"probe {trajectory.task_id} {number}", head, tail, "0", number)


def _pieces(step: Step) -> tuple[Piece, Piece]:
    return Piece(step.completion, step.token_ids), Piece(observation_text(step.observation))


def ask(model: Model, probe: Probe, max_tokens: int) -> Outcome:
    """Put the three reasonings to the model.

    Raises:
        InfrastructureError: the model did not answer.
    """
    answers = [_answer(model, probe, reasoning, max_tokens) for reasoning in probe.reasonings]
    base, edited, control = answers
    return Outcome(
        changed=edited.action != base.action,
        changed_by_paraphrase=control.action != base.action,
        followed=edited.action == probe.implied,
        shift=_variation(base.chances, edited.chances),
        shift_by_paraphrase=_variation(base.chances, control.chances),
    )


class _Answer(NamedTuple):
    action: str
    chances: Sequence[float]


def _answer(model: Model, probe: Probe, reasoning: str, max_tokens: int) -> _Answer:
    reason = HEADERS[SpanKind.REASON] + " ".join(reasoning.split())
    forced = f"{reason}\n{HEADERS[SpanKind.ACT].rstrip()}"
    request = Request(
        probe.request.key, probe.request.head, probe.request.tail, probe.request.seed, probe.request.step, forced
    )
    if probe.possible and can_score(model):
        scores = score_actions(model, request, [f" {action}" for action in probe.possible])
        best = max(range(len(scores)), key=scores.__getitem__)
        return _Answer(probe.possible[best], _normalised(scores))
    completion = model.complete([request], Sampling(max_tokens=max_tokens))[0]
    model.forget(request.key)
    if completion.stop is not None:
        raise InfrastructureError(f"the model did not answer a probe: {completion.error}")
    return _Answer(parse(completion.text).action, ())


def _normalised(scores: Sequence[float]) -> list[float]:
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def _variation(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2 if one else math.nan


def figures(found: Sequence[Probe], outcomes: Sequence[Outcome]) -> dict[str, Estimate]:
    """The figures of the module's docstring, with intervals over tasks.

    Raises:
        ValueError: no outcome.
    """
    changed, control, followed, shift, shift_control = (
        np.array(column, dtype=float) for column in zip(*outcomes, strict=True)
    )
    columns = {
        "faithfulness": changed - control,
        "change_counterfactual": changed,
        "change_paraphrase": control,
        "follow_rate": followed,
        "shift_counterfactual": shift,
        "shift_paraphrase": shift_control,
    }
    tasks = [probe.task for probe in found]
    result = {}
    for name, values in columns.items():
        known = ~np.isnan(values)
        if not known.any():
            continue
        wholes = known.astype(float)[:, None]
        interval = cluster_bootstrap(np.where(known, values, 0.0)[:, None], wholes, tasks)[0]
        value = float(values[known].mean())
        result[name] = Estimate(
            value=value,
            low=min(interval.low, value),
            high=max(interval.high, value),
            n=int(known.sum()),
            interval="bootstrap over tasks",
            unit="share",
        )
    return result


def run_faithfulness(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval faithfulness`; the figures are also written into the run folder."""
    settings = cli.parse(FaithfulnessSettings, arguments, prog="sad-eval faithfulness")
    if settings.steps < 1:
        raise ConfigError(f"--steps is 1 or more, not {settings.steps}")
    run = RunFolder.open(settings.run)
    model, max_tokens = _model_of(run, settings.agent)
    found = probes(run, model, settings.steps, settings.seed)
    outcomes = list(_asked(model, found, max_tokens, quiet=settings.quiet))
    estimates = figures(found, outcomes)
    document: dict[str, Any] = {
        "agent": run.manifest.agent,
        "probes": len(found),
        "seed": settings.seed,
        "figures": {name: estimate.model_dump(mode="json") for name, estimate in estimates.items()},
    }
    with atomic_write(run.path / REPORT) as file:
        file.write(json.dumps(document, indent=2, allow_nan=False) + "\n")  # type: ignore[call-overload]
    if settings.json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        _print(run, estimates)
    return 0


def _asked(model: Model, found: Sequence[Probe], max_tokens: int, *, quiet: bool) -> Iterator[Outcome]:
    with shown(quiet=quiet) as progress:
        for number, probe in enumerate(found, 1):
            yield ask(model, probe, max_tokens)
            progress("steps probed", number, len(found))


def _model_of(run: RunFolder, agent: str) -> tuple[Model, int]:
    stored = dict(run.manifest.settings)
    stored["options"] = tuple(stored.get("options", ()))
    if agent:
        stored.update(agent=agent, model="")
    settings = EvalSettings(**{**stored, "perturb": "none"})
    recipe = WorldRecipe(settings.env, world_options(settings, str(run.manifest.identity.get("world split", ""))))
    made = make_agent(settings, recipe)
    if not isinstance(made, ReActAgent):
        raise ConfigError(f"{one_line(made.name, 60)!r} is no language model: its reasoning cannot be replaced")
    return made.model, settings.max_new_tokens


def _print(run: RunFolder, estimates: dict[str, Estimate]) -> None:
    out = console()
    out.print(safe_text(f"{one_line(run.manifest.agent, 40)} in {run.manifest.world}", "bold"))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for index, heading in enumerate(("", "value", "95 % interval", "n")):
        table.add_column(heading, justify="left" if index == 0 else "right")
    for name, one in estimates.items():
        label = safe_text(name.replace("_", " "), "bold" if name == "faithfulness" else "")
        table.add_row(label, f"{one.value:.3f}", f"{one.low:.3f} – {one.high:.3f}", f"{one.n:,}")
    out.print(table)

"""The level "rerun": the named agent, run again on the same tasks and seeds, gives the same episodes."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from sad_agents.model_settings import DTYPES
from sad_agents.rollout.rollout import Finished, Job
from sad_eval.commands.evaluate import player_of
from sad_eval.records import EpisodeKey, EpisodeLine, Manifest
from sad_eval.runs.harness import evaluate
from sad_eval.runs.plan import RECORDED_LATER, EvaluationPlan, claimed, make_plan
from sad_eval.runs.score import sums_for
from sad_eval.runs.settings import EvalSettings, present_settings

from sad_env.data import Progress, silent
from sad_env.safe_text import one_line
from sad_env.transcript import FORMS, LINES
from sad_leaderboard.conditions import world_options
from sad_leaderboard.entries import EntryError, Submission
from sad_leaderboard.recompute import Findings
from sad_leaderboard.verify import Rerun
from sad_leaderboard.worlds import data_of, split_of

_NUMBERS = ("temperature", "top_p", "max_new_tokens", "shots", "votes", "context", "max_episode_tokens", "max_seconds")
"""Settings taken from the entry: numbers that decide what an agent does, but no path and no address. `recompute` has
checked the world options and the perturbation, which are taken from the identity, as is what is on or off."""


def rerunner(agent: str, *, data: str = "", workers: int = 2, progress: Progress = silent) -> Rerun:
    """Makes the check that runs `agent` again.

    Args:
        agent: as for ``sad-eval --agent``: the checkpoint that the entry names, on this machine.
        data: the world's data where the entry's kind does not name them.
        workers: processes that hold worlds.
        progress: called after every episode.

    Returns:
        A function from an entry to what differs. Exact only for greedy decoding on like hardware: elsewhere a
        difference is a reason to look, not a proof of fraud.
    """

    def rerun(submission: Submission) -> Findings:
        findings, manifest = Findings(), submission.manifest
        planned = len(manifest.planned())
        progress(f"rerun {submission.name}", 0, planned)  # a large model takes its time before the first episode
        with tempfile.TemporaryDirectory() as scratch:
            settings = rerun_settings(manifest, agent, data, Path(scratch) / "run", workers)
            plan = make_plan(settings, split_of(manifest)[0], command="sad-leaderboard verify --level rerun")
            if plan.manifest.agent_sha256 != manifest.agent_sha256:
                wanted = manifest.agent_sha256[:12] or "none"
                findings.report(f"{agent} is not the entry's checkpoint, whose sha256 begins {wanted}")
                return findings
            again = _played_again(
                plan,
                lambda done: progress(f"rerun {submission.name}", done, planned),
            )
        differing = [line.id for line in submission.episodes() if again.get(line.id) != _outcome(line)]
        if differing:
            first = differing[0]
            example = f"{first.task_id!r} repeat {first.repeat}"
            findings.report(f"{len(differing)} of {len(again)} episodes differ, e.g. {example}")
        for name, entrys, ours in _differing_facts(manifest, plan.manifest):
            findings.report(f"the entry was run with {name} {_shown(entrys)}, the rerun with {_shown(ours)}")
        return findings

    return rerun


def _played_again(plan: EvaluationPlan, report: Callable[[int], None]) -> dict[EpisodeKey, bytes]:
    """Play the plan's episodes; `report` is called with the number of those that have ended."""
    play = player_of(plan)

    def counted(jobs: Sequence[Job]) -> Iterator[Finished]:
        for number, finished in enumerate(play(jobs), start=1):
            report(number)
            yield finished

    with claimed(plan) as run:
        evaluate(run, counted, sums_for(plan.manifest), quiet=True)
        return {line.id: _outcome(line) for line in run.episodes()}


def _outcome(line: EpisodeLine) -> bytes:
    """Hash of all that agent and world wrote in an episode, without times, error messages and the agent's name.

    Log-probabilities are left out, too: their last digits depend on what was sampled in the same batch.
    """
    left_out = {"seconds", "error", "agent"}
    steps = {"__all__": {"agent_seconds", "world_seconds", "logprobs"}}
    episode = line.trajectory.model_dump(mode="json", exclude={**dict.fromkeys(left_out, True), "steps": steps})
    return hashlib.sha256(json.dumps(episode, sort_keys=True).encode()).digest()


def _differing_facts(entry: Manifest, again: Manifest) -> list[tuple[str, object, object]]:
    """Facts of the two identities that differ. Names of checkpoint file and panel may: their sha256 are compared."""
    old, new = entry.identity, again.identity
    unrecorded = {name for name in new if name.startswith(RECORDED_LATER) and name not in old}
    names = sorted({*old, *new} - {"agent checkpoint", "panel"} - unrecorded)
    return [(name, old.get(name), new.get(name)) for name in names if (old.get(name) or "") != (new.get(name) or "")]


def _shown(value: object) -> str:
    return repr(one_line(str(value), 40))


def rerun_settings(manifest: Manifest, agent: str, data: str, out: Path, workers: int) -> EvalSettings:
    """Settings of `sad-eval` that repeat an entry's run with an agent of this machine.

    Raises:
        EntryError: the entry's settings are not numbers, or words of this version.
        SadEnvError: the entry's data are not here.
    """
    stored = present_settings(manifest.settings)
    taken: dict[str, Any] = {name: stored[name] for name in _NUMBERS if name in stored}
    for name, value in taken.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise EntryError(f"the entry's {name} is not a number")
    form = manifest.identity.get("agent form", LINES.name)
    if form not in FORMS:
        raise EntryError(f"the entry's form is none of {', '.join(FORMS)}")
    precision = stored.get("precision", "auto")
    if precision not in tuple(DTYPES):
        raise EntryError(f"the entry's precision is none of {', '.join(DTYPES)}")
    # A server without completions is asked by chat without its identity saying so.
    unsaid: Literal["auto", "off"] = "auto" if agent.startswith("openai:") else "off"
    return EvalSettings(
        env=manifest.world,
        agent=agent,
        data=data_of(manifest, data),
        options=tuple(f"{name}={json.dumps(value)}" for name, value in world_options(manifest).items()),
        perturb=str(manifest.identity.get("perturb", "none")),
        episodes=split_of(manifest)[1],
        repeats=manifest.repeats,
        seed=manifest.seed,
        out=str(out),
        workers=workers,
        quiet=True,
        form=form,
        constrained="on" if "agent decoding" in manifest.identity else "off",
        chat="on" if manifest.identity.get("agent chat") == "on" else unsaid,
        api="tools" if manifest.identity.get("agent api") == "tools" else "auto",
        precision=precision,
        record_logprobs=manifest.identity.get("agent logprobs") == "on",
        **taken,
    )

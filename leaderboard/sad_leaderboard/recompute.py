"""The level "recomputed": the right episodes, each once, whole, and the figures that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sad_eval.metrics.aggregate import Tally
from sad_eval.metrics.episode_metrics import SAMPLED, WORDS
from sad_eval.runs.plan import identity_sha256
from sad_eval.runs.run_folder import EpisodeKey, EpisodeLine, Manifest, Results

from sad_env import registry
from sad_env.errors import ConfigError
from sad_env.files import safe_name
from sad_env.panels import Panel
from sad_env.records import Status
from sad_env.safe_text import one_line
from sad_leaderboard.entries import EntryError, Submission
from sad_leaderboard.worlds import KINDS, open_world, panel_fault

SHOWN = 20
"""Findings that are kept in full; the rest is counted."""

MOST_EPISODES = 1_000_000

BOARD_METRICS = ("success_rate", "score", "environment_steps", "reasoning_per_step", "invalid_actions")
"""Metrics on the board: those that follow from the episodes alone. Whatever else results.json claims is not shown."""

PRIVILEGED = ("oracle", "expert-gold-titles")
"""Agents of ours that are told hidden state or gold answers. Of the others their submitters have to say it."""

_OUR_COUNTERS = (WORDS, SAMPLED)


class Findings(list[str]):
    """What keeps an entry from a level, one line each; beyond `SHOWN` only the number grows.

    Attributes:
        more: findings that are not kept.
        refutes: a check contradicts the entry. False while it only could not be made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.more = 0
        self.refutes = False

    def report(self, text: str, *, refutes: bool = True) -> None:
        """Add a finding."""
        self.refutes = self.refutes or refutes
        if len(self) < SHOWN:
            self.append(one_line(text, 300))
        else:
            self.more += 1


@dataclass(frozen=True)
class Recomputed:
    """Results as they follow from the episodes (None when they cannot), and what speaks against the entry."""

    results: Results | None
    findings: Findings


def recompute(submission: Submission) -> Recomputed:
    """Check the episodes of an entry against its manifest, and compute its results afresh."""
    manifest, findings = submission.manifest, Findings()
    _check_size(manifest, findings)
    if findings:
        return Recomputed(None, findings)
    _check_plan(manifest, findings)
    if manifest.agent in PRIVILEGED and submission.entry.track != "privileged":
        findings.report(f"{manifest.agent} sees what agents do not: its track is privileged (add --track privileged)")
    # The board counts reasoning in words for all entries; what an entry claims is compared in its own unit, where
    # that is a counter that every installation has.
    tally = Tally(step_limit(manifest), tokenizer=WORDS)
    counter = submission.results.tokenizer if _countable(submission.results) else WORDS
    claim = tally if counter == WORDS else Tally(step_limit(manifest), tokenizer=counter)
    planned, seen = set(manifest.planned()), set[EpisodeKey]()
    try:
        for line in submission.episodes():
            if line.id in seen:
                findings.report(f"the episode {_named(line.id)} stands twice")
            elif line.id not in planned:
                findings.report(f"the episode {_named(line.id)} is not one of the panel, seed and repeats")
            else:
                _check_line(line, manifest, findings)
                tally.add(line)
                if claim is not tally:
                    claim.add(line)
            seen.add(line.id)
    except EntryError as error:
        findings.report(str(error))
        return Recomputed(None, findings)
    missing = sorted(planned - seen)
    if missing:
        findings.report(f"{len(missing)} of {len(planned)} episodes are missing, e.g. {_named(missing[0])}")
    if not len(tally):
        return Recomputed(None, findings)
    results = tally.results(manifest, {})
    _compare(submission.results, results if claim is tally else claim.results(manifest, {}), findings)
    return Recomputed(results, findings)


def _check_size(manifest: Manifest, findings: Findings) -> None:
    """Refuse what could not be gone through, before anything is counted by it."""
    tasks = len(manifest.panel.task_ids)
    if not 1 <= manifest.repeats * tasks <= MOST_EPISODES:
        findings.report(f"{manifest.repeats} repeats of {tasks} tasks; 1 to {MOST_EPISODES:,} episodes are taken")
    if any("\ud800" <= character <= "\udfff" for task in manifest.panel.task_ids for character in task):
        findings.report("a task's name holds half a character")
    if not 0 <= manifest.seed < 2**63:
        findings.report("the seed is not a number from 0 to 2^63 - 1")
    known = {spec.name for spec in registry.known()}
    if manifest.world not in known:
        findings.report(f"no world {manifest.world!r}; known: {', '.join(sorted(known))}")
    if manifest.data not in KINDS:
        findings.report(f"no kind of data {manifest.data!r}; known: {', '.join(KINDS)}")
    try:
        safe_name(manifest.panel.name, "panel")
    except ConfigError as error:
        findings.report(str(error))
    if manifest.shard != (1, 1):
        findings.report("a part of a run: join the parts with `sad-eval merge`")


def _check_plan(manifest: Manifest, findings: Findings) -> None:
    tasks = manifest.panel.task_ids
    if list(tasks) != sorted(set(tasks)):
        findings.report("the panel's tasks are not sorted, or one stands twice")
        return
    panel = Panel(manifest.world, manifest.data, manifest.panel.name, tasks)
    if panel.sha256 != manifest.panel.sha256:
        findings.report("the panel's sha256 is not that of its tasks")
    if manifest.data == "generated":
        try:
            world, registered = open_world(manifest)
        except ConfigError as error:
            findings.report(str(error))
        else:
            world.close()
            if fault := panel_fault(manifest, registered):
                findings.report(fault)
    own = registry.world(manifest.world).max_steps
    if step_limit(manifest) != own:
        findings.report(f"episodes of {step_limit(manifest)} steps; the benchmark's are of {own}")
    if manifest.settings.get("perturb", "none") != "none":
        findings.report("a run with reworded instructions is not ranked with plain ones")
    if manifest.settings.get("options"):
        findings.report("a world with --options of its own is not ranked with the benchmark's")
    if identity_sha256(manifest.identity) != manifest.identity_sha256:
        findings.report("the manifest's identity is not the one that its sha256 names")
    for name, told in _identified(manifest).items():
        if manifest.identity.get(name) != told:
            findings.report(
                f"the manifest says {name} {str(told)!r}, its identity {str(manifest.identity.get(name))!r}"
            )


def _identified(manifest: Manifest) -> dict[str, object]:
    """What stands in the manifest and in its identity."""
    return {
        "agent": manifest.agent,
        "world": manifest.world,
        "data": manifest.data,
        "panel": manifest.panel.name,
        "panel_sha256": manifest.panel.sha256,
        "seed": manifest.seed,
        "repeats": manifest.repeats,
        "max_steps": manifest.limits.get("max_steps"),
    }


def _check_line(line: EpisodeLine, manifest: Manifest, findings: Findings) -> None:
    trajectory, name = line.trajectory, _named(line.id)
    if not line.chain_holds():
        findings.report(f"the episode {name} was changed after it was written: its hash chain does not hold")
    said = (trajectory.world, trajectory.data, trajectory.agent)
    if said != (manifest.world, manifest.data, manifest.agent):
        findings.report(f"the episode {name} is of {' · '.join(said)}")
    if trajectory.status.owed:
        findings.report(f"the episode {name} ended as {trajectory.status.value}, which is no scored ending")
    if trajectory.success != (trajectory.status is Status.SUCCESS) and trajectory.status is not Status.FORCED_FINISH:
        findings.report(f"the episode {name} ended as {trajectory.status.value} but its verdict says otherwise")
    limit = step_limit(manifest)
    if len(trajectory.steps) > limit:
        findings.report(f"the episode {name} has {len(trajectory.steps)} steps; the limit is {limit}")


def _compare(claimed: Results, computed: Results, findings: Findings) -> None:
    for field in ("world", "data", "panel", "panel_sha256", "agent", "planned", "scored", "owed", "status"):
        said, is_so = getattr(claimed, field), getattr(computed, field)
        if said != is_so:
            findings.report(f"results.json claims {field} {str(said)!r}; the episodes give {str(is_so)!r}")
    for status, count in computed.counts.items():
        if claimed.counts.get(status, 0) != count:
            findings.report(f"results.json claims {claimed.counts.get(status, 0)} {status}; the episodes give {count}")
    for name in BOARD_METRICS:
        told, found = claimed.metrics.get(name), computed.metrics.get(name)
        if told is None or (name == "reasoning_per_step" and not _countable(claimed)):
            continue
        if found is None:
            findings.report(f"results.json claims {name}, which does not follow from the episodes")
        elif told.n != found.n or not _close(told.value, found.value):
            findings.report(
                f"results.json claims {name} {told.value:.6g} of {told.n}; "
                f"the episodes give {found.value:.6g} of {found.n}"
            )


def _countable(results: Results) -> bool:
    return results.tokenizer in _OUR_COUNTERS


def _close(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


def step_limit(manifest: Manifest) -> int:
    """Steps of an episode at most."""
    chosen = manifest.limits.get("max_steps")
    return int(chosen) if chosen else registry.world(manifest.world).max_steps


def _named(key: EpisodeKey) -> str:
    return f"{one_line(key.task_id, 80)!r} (seed {key.seed}, repeat {key.repeat})"

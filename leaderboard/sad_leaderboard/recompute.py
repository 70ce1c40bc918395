"""The level "recomputed": every planned episode is there exactly once, and the figures follow from the episodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sad_agents.rollout.episodes import NO_LIMITS
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.metrics.episode_metrics import SAMPLED, WORDS
from sad_eval.records import EpisodeKey, EpisodeLine, Manifest, Results, identity_sha256
from sad_eval.report.model import parameters_of

from sad_env import registry
from sad_env.data import Progress, silent
from sad_env.errors import ConfigError
from sad_env.files import safe_name
from sad_env.panels import Panel, name_fault
from sad_env.records import Status
from sad_env.safe_text import one_line
from sad_leaderboard.conditions import condition_faults, world_options
from sad_leaderboard.entries import EntryError, Submission
from sad_leaderboard.schema import ENTRY, Entry
from sad_leaderboard.worlds import KINDS, open_world, panel_fault

SHOWN = 20
"""Findings that are kept in full; the rest is counted."""

MOST_EPISODES = 1_000_000
MOST_REPEATS = 10_000
MOST_VERSIONS = 64

BOARD_METRICS = ("success_rate", "score", "environment_steps", "reasoning_per_step", "invalid_actions")
"""Metrics on the board: those that follow from the episodes alone. Whatever else results.json claims is not shown."""

PRIVILEGED = ("oracle", "expert-gold-titles")
"""Agents of ours that see hidden state or gold answers. Other such agents are declared by their submitters."""

LARGEST = 10**9
"""Tokens, seconds and scores beyond it are refused: sums of larger ones would leave the range of numbers."""

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
    """Results that follow from the episodes, None where they cannot be computed, and the findings."""

    results: Results | None
    findings: Findings


def recompute(submission: Submission, progress: Progress = silent) -> Recomputed:
    """Check the episodes of an entry against its manifest and compute its results from them.

    Args:
        submission: the entry.
        progress: called for every episode.

    Returns:
        Results and findings; no results where the episodes do not hold.
    """
    manifest, findings = submission.manifest, Findings()
    _check_size(manifest, findings)
    if findings:
        return Recomputed(None, findings)
    _check_plan(manifest, findings)
    _check_entry(submission.entry, manifest, findings)
    # The board counts reasoning in words for all entries; what an entry claims is compared in its own unit, where
    # that is a counter that every installation has.
    sums = MetricSums(step_limit(manifest), tokenizer=WORDS)
    counter = submission.results.tokenizer if _countable(submission.results) else WORDS
    counted = [sums] if counter == WORDS else [sums, MetricSums(step_limit(manifest), tokenizer=counter)]
    try:
        _read_episodes(submission, counted, findings, progress)
    except EntryError as error:
        findings.report(str(error))
    if findings:
        return Recomputed(None, findings)
    computed = [each.results(manifest, {}) for each in counted]
    _compare(submission.results, computed[-1], findings)
    return Recomputed(computed[0], findings)


def _read_episodes(submission: Submission, sums: Sequence[MetricSums], findings: Findings, progress: Progress) -> None:
    """Check every episode, and count it while there is no finding."""
    planned, seen = set(submission.manifest.planned()), set[EpisodeKey]()
    for number, line in enumerate(submission.episodes(), start=1):
        progress(f"recompute {submission.name}", number, len(planned))
        if line.id in seen:
            findings.report(f"the episode {_named(line.id)} comes twice")
        elif line.id not in planned:
            findings.report(f"the episode {_named(line.id)} is not one of the panel, seed and repeats")
        else:
            seen.add(line.id)
            _check_line(line, submission.manifest, findings)
            for each in sums if not findings else ():
                each.add(line)
    if missing := sorted(planned - seen):
        findings.report(f"{len(missing)} of {len(planned)} episodes are missing, e.g. {_named(missing[0])}")


def _check_size(manifest: Manifest, findings: Findings) -> None:
    """Bounds on what the other checks loop over or pass on."""
    tasks = len(manifest.panel.task_ids)
    if not 1 <= manifest.repeats * tasks <= MOST_EPISODES:
        findings.report(f"{manifest.repeats} repeats of {tasks} tasks; 1 to {MOST_EPISODES:,} episodes are taken")
    if manifest.repeats > MOST_REPEATS:
        findings.report(f"{manifest.repeats} repeats; at most {MOST_REPEATS:,} are taken")
    for fault in filter(None, map(name_fault, manifest.panel.task_ids)):
        findings.report(fault)
    for name, value in manifest.identity.items():
        if value is not None and not isinstance(value, str | int | float):
            findings.report(f"the identity's {one_line(name, 40)} is neither text nor a number")
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
    if len(manifest.versions) > MOST_VERSIONS or any(
        len(text) > 100 for pair in manifest.versions.items() for text in pair
    ):
        findings.report(f"versions are at most {MOST_VERSIONS} names and values of at most 100 characters")
    if len(manifest.panel.description) > 500 or "\n" in manifest.panel.description:
        findings.report("the panel's description is more than one line of 500 characters")
    if manifest.data == "generated" and manifest.data_sha256:
        findings.report("generated data have no files, yet data_sha256 names some")
    if manifest.shard != (1, 1):
        findings.report("a part of a run: join the parts with `sad-eval merge`")


def _check_entry(entry: Entry, manifest: Manifest, findings: Findings) -> None:
    if manifest.agent.partition("+")[0] in PRIVILEGED and entry.track != "privileged":
        findings.report(f"{manifest.agent} sees what agents do not: its track is privileged (add --track privileged)")
    parameters = parameters_of(manifest)
    if parameters is not None and entry.parameters not in (None, parameters):
        findings.report(f"{ENTRY} says {entry.parameters:,} parameters, the run's agent {parameters:,}")


def _check_plan(manifest: Manifest, findings: Findings) -> None:
    tasks = manifest.panel.task_ids
    if list(tasks) != sorted(set(tasks)):
        findings.report("the panel's tasks are not sorted, or one comes twice")
        return
    panel = Panel(manifest.world, manifest.data, manifest.panel.name, tasks)
    if panel.sha256 != manifest.panel.sha256:
        findings.report("the panel's sha256 is not that of its tasks")
    if manifest.data == "generated" and not condition_faults(manifest):
        try:
            world, registered = open_world(manifest)
        except ConfigError as error:
            findings.report(str(error))
        else:
            world.close()
            if fault := panel_fault(manifest, registered):
                findings.report(fault)
    _check_limits(manifest, findings)
    for fault in condition_faults(manifest):
        findings.report(fault)
    if identity_sha256(manifest.identity) != manifest.identity_sha256:
        findings.report("the manifest's identity is not the one that its sha256 names")
    for name, said in _identified(manifest).items():
        if manifest.identity.get(name) != said:
            findings.report(
                f"the manifest says {name} {str(said)!r}, its identity {str(manifest.identity.get(name))!r}"
            )


def _check_limits(manifest: Manifest, findings: Findings) -> None:
    limits, own = manifest.limits, _own_limit(manifest)
    if step_limit(manifest) != own:
        findings.report(f"episodes of {step_limit(manifest)} steps; the benchmark's are of {own}")
    if limits.get("invalid_actions", NO_LIMITS.invalid_actions) != NO_LIMITS.invalid_actions:
        findings.report(
            f"episodes end after {limits['invalid_actions']} invalid actions; ours after {NO_LIMITS.invalid_actions}"
        )
    for name in ("max_tokens", "max_seconds", "max_new_tokens"):
        value = limits.get(name)
        if value is not None and not 0 < value <= LARGEST:
            findings.report(f"the limit {name} is {value:.6g}; a limit is above 0, or null")


def _identified(manifest: Manifest) -> dict[str, object]:
    """Facts that the manifest holds twice: in a field of its own and in its identity."""
    return {
        **manifest.limits,  # first, so that none of them takes the place of another fact
        "agent": manifest.agent,
        "world": manifest.world,
        "data": manifest.data,
        "data_sha256": manifest.data_sha256,
        "panel": manifest.panel.name,
        "panel_sha256": manifest.panel.sha256,
        "seed": manifest.seed,
        "repeats": manifest.repeats,
        **_where_given("agent checkpoint_sha256", manifest.agent_sha256, manifest.identity),
        **_where_given("agent prompt_sha256", manifest.prompt_sha256, manifest.identity),
    }


def _where_given(name: str, said: str, identity: dict[str, Any]) -> dict[str, str]:
    """A fact that both name or neither."""
    return {name: said} if said or name in identity else {}


def _check_line(line: EpisodeLine, manifest: Manifest, findings: Findings) -> None:
    trajectory, name = line.trajectory, _named(line.id)
    if not line.chain_holds():
        findings.report(f"the episode {name} was changed after it was written: its hash chain does not hold")
    said = (trajectory.world, trajectory.data, trajectory.agent)
    if said != (manifest.world, manifest.data, manifest.agent):
        findings.report(f"the episode {name} is of {' · '.join(said)}")
    # Both mark episodes that no evaluation plays: imported ones, and those in which a teacher takes turns.
    if trajectory.unknown:
        findings.report(f"the episode {name} is of a source that does not tell its {', '.join(trajectory.unknown)}")
    if authors := sorted({step.author for step in trajectory.steps if step.author}):
        findings.report(f"the episode {name} has turns that are not the agent's but of {', '.join(authors)}")
    if trajectory.status.owed:
        findings.report(f"the episode {name} ended as {trajectory.status.value}, which is no scored ending")
    if trajectory.success != (trajectory.status is Status.SUCCESS):
        findings.report(f"the episode {name} ended as {trajectory.status.value} but its verdict says otherwise")
    figures = [trajectory.score, trajectory.seconds, *trajectory.extra.values()]
    for step in trajectory.steps:
        figures += (step.reward, step.generated_tokens, step.agent_seconds, step.world_seconds, step.progress or 0.0)
    if not all(-LARGEST <= figure <= LARGEST for figure in figures):
        findings.report(f"the episode {name} holds a number beyond {LARGEST:,}")
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
        said, computed_value = claimed.metrics.get(name), computed.metrics.get(name)
        if said is None or (name == "reasoning_per_step" and not _countable(claimed)):
            continue
        if computed_value is None:
            findings.report(f"results.json claims {name}, which does not follow from the episodes")
        elif said.n != computed_value.n or not math.isclose(
            said.value, computed_value.value, rel_tol=1e-9, abs_tol=1e-12
        ):
            findings.report(
                f"results.json claims {name} {said.value:.6g} of {said.n}; "
                f"the episodes give {computed_value.value:.6g} of {computed_value.n}"
            )


def _countable(results: Results) -> bool:
    return results.tokenizer in _OUR_COUNTERS


def step_limit(manifest: Manifest) -> int:
    """Steps of an episode at most."""
    chosen = manifest.limits.get("max_steps")
    return int(chosen) if chosen else _own_limit(manifest)


def _own_limit(manifest: Manifest) -> int:
    """The benchmark's step limit."""
    return registry.world(manifest.world).limit(world_options(manifest))


def _named(key: EpisodeKey) -> str:
    return f"{one_line(key.task_id, 80)!r} (seed {key.seed}, repeat {key.repeat})"

"""Verification of an entry, level by level."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sad_eval.records import EpisodeLine, Results

from sad_env.data import Progress, silent
from sad_env.errors import SadEnvError
from sad_leaderboard.entries import Submission, entry_name, read_submission
from sad_leaderboard.recompute import Findings, recompute
from sad_leaderboard.replay import replay
from sad_leaderboard.schema import Level

Rerun = Callable[[Submission], Findings]
"""Runs the named agent again; what differs are its findings."""


@dataclass(frozen=True)
class Verification:
    """What is known of one entry.

    Attributes:
        name: of the entry's folder.
        level: the highest level passed; None when not even its files could be read.
        findings: why the next level was not reached, one line each.
        submission: the entry; None when it could not be read.
        results: recomputed results; None below the level "recomputed".
        refuted: a check contradicts the entry: it is not shown, whatever level it had reached before.
    """

    name: str
    level: Level | None
    findings: tuple[str, ...] = ()
    submission: Submission | None = None
    results: Results | None = None
    refuted: bool = False


def verify(
    folder: Path, level: Level, *, data: str = "", rerun: Rerun | None = None, progress: Progress = silent
) -> Verification:
    """Check an entry up to a level; nothing that an entry holds makes it raise.

    Args:
        folder: the entry folder.
        level: how far to go.
        data: the world's data for the replay, where the entry's kind does not name them.
        rerun: needed for `Level.RERUN`.
        progress: called for every episode that is read or replayed.
    """
    name = entry_name(folder)
    try:
        submission = read_submission(folder)
    except (SadEnvError, OSError) as error:
        return Verification(name, None, (str(error),), refuted=True)
    if level is Level.CLAIMED:
        return Verification(name, Level.CLAIMED, submission=submission)
    passed, results, findings = Level.CLAIMED, None, Findings()
    try:
        computed = recompute(submission, progress)
        findings = computed.findings
        if findings or computed.results is None:
            return Verification(name, passed, _lines(findings), submission, refuted=True)
        passed, results = Level.RECOMPUTED, computed.results
        if level >= Level.REPLAYED:
            findings = replay(submission, data=data, progress=progress)
            passed = passed if findings else Level.REPLAYED
        if level is Level.RERUN and passed is Level.REPLAYED and rerun is not None:
            findings = rerun(submission)
            passed = passed if findings else Level.RERUN
    except Exception as error:
        # A submission that breaks the code that reads it is refused like any other.
        findings.report(f"it cannot be checked: {type(error).__name__}: {error}")
    # A rerun differs on other hardware, too: that is a reason to look and refutes nothing.
    refuted = findings.refutes and passed < Level.REPLAYED
    return Verification(name, passed, _lines(findings), submission, results, refuted)


def duplicates(submissions: Sequence[Submission], *, least: int = 5) -> list[str]:
    """Pairs of entries that share episodes word for word, one line a pair.

    Two runs of one deterministic agent do, agents that were trained apart hardly ever: a person has to look.

    Args:
        submissions: the entries.
        least: pairs that share fewer episodes are not reported.
    """
    if len(submissions) < 2:
        return []
    prints = [(submission.name, set(map(fingerprint, submission.episodes()))) for submission in submissions]
    lines = []
    for index, (name, episodes) in enumerate(prints):
        for other, others in prints[index + 1 :]:
            shared = len(episodes & others)
            if shared >= min(least, len(episodes), len(others)):
                lines.append(
                    f"{name} and {other} share {shared} episodes word for word, of {len(episodes)} and {len(others)}"
                )
    return lines


def fingerprint(line: EpisodeLine) -> bytes:
    """Hash of all that the agent wrote in an episode, and of the task."""
    written = [line.trajectory.world, line.key.task_id, *(step.completion for step in line.trajectory.steps)]
    return hashlib.sha256(json.dumps(written).encode()).digest()


def _lines(findings: Findings) -> tuple[str, ...]:
    more = (f"and {findings.more} more like these",) if findings.more else ()
    return (*findings, *more)

"""The level "rerun": the named agent, run again on the same tasks and seeds, does the same, episode by episode."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from sad_eval.commands.evaluate import run_plan
from sad_eval.records import EpisodeLine, Manifest
from sad_eval.runs.plan import make_plan, open_or_create
from sad_eval.runs.settings import EvalSettings

from sad_leaderboard.entries import EntryError, Submission
from sad_leaderboard.recompute import Findings
from sad_leaderboard.verify import Rerun, fingerprint
from sad_leaderboard.worlds import split_of

_SAMPLING = ("temperature", "top_p", "max_new_tokens", "shots", "votes", "context")
"""Settings taken from the entry: numbers that decide what an agent does. No path and no address is."""


def rerunner(agent: str, *, data: str = "", workers: int = 2) -> Rerun:
    """Makes the check that runs `agent` again.

    Args:
        agent: as for ``sad-eval --agent``: the checkpoint that the entry names, on this machine.
        data: the world's data where the entry's kind does not name them.
        workers: processes that hold worlds.

    Returns:
        A function from an entry to what differs. Exact only for greedy decoding on like hardware: elsewhere a
        difference is a reason to look, not a proof of fraud.
    """

    def rerun(submission: Submission) -> Findings:
        findings = Findings()
        with tempfile.TemporaryDirectory() as scratch:
            settings = rerun_settings(submission.manifest, agent, data, Path(scratch) / "run", workers)
            plan = make_plan(settings, split_of(submission.manifest)[0], command="sad-leaderboard verify --level rerun")
            wanted = submission.manifest.agent_sha256
            if wanted and plan.manifest.agent_sha256 != wanted:
                findings.report(f"{agent} is not the entry's checkpoint, whose sha256 begins {wanted[:12]}")
                return findings
            run_plan(plan)
            again = {line.id: _done_and_written(line) for line in open_or_create(plan).episodes()}
        differing = [line.id for line in submission.episodes() if again.get(line.id) != _done_and_written(line)]
        if differing:
            first = differing[0]
            example = f"{first.task_id!r} repeat {first.repeat}"
            findings.report(f"{len(differing)} of {len(again)} episodes differ, e.g. {example}")
        return findings

    return rerun


def _done_and_written(line: EpisodeLine) -> tuple[str, bytes]:
    """The chain holds actions and observations; the reasoning stands in the completions alone."""
    return line.chain, fingerprint(line)


def rerun_settings(manifest: Manifest, agent: str, data: str, out: Path, workers: int) -> EvalSettings:
    """Settings of `sad-eval` that repeat an entry's run with an agent of this machine.

    Raises:
        EntryError: the entry's settings are not numbers.
    """
    taken: dict[str, Any] = {name: manifest.settings[name] for name in _SAMPLING if name in manifest.settings}
    for name, value in taken.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise EntryError(f"the entry's {name} is no number")
    return EvalSettings(
        env=manifest.world,
        agent=agent,
        data=data or manifest.data,
        episodes=split_of(manifest)[1],
        repeats=manifest.repeats,
        seed=manifest.seed,
        out=str(out),
        workers=workers,
        quiet=True,
        **taken,
    )

"""The harness: plays what a run still owes, writes every episode as it ends, and computes the results.

All state is in the run folder: an evaluation that was killed goes on where episodes.jsonl ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sad_agents.rollout.backend import Play
from sad_agents.rollout.rollout import Finished, Job

from sad_env.errors import DataError, InfrastructureError
from sad_env.json_lines import JsonLinesWriter
from sad_env.records import Status
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.records import Attempt, EpisodeKey, EpisodeLine, Manifest, Results
from sad_eval.runs.progress import shown_run
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.signals import Interrupts, TimeUp


class EvaluationOutcome(NamedTuple):
    """How an evaluation ended.

    Attributes:
        results: what results.json holds.
        interrupted: by Ctrl-C.
        failure: one line when the model stopped answering, the disk is full, or the run's time is up.
        idle: nothing was owed, so that nothing was played.
    """

    results: Results
    interrupted: bool = False
    failure: str = ""
    idle: bool = False


@dataclass
class _Books:
    """The state of a run while it is played."""

    run: RunFolder
    sums: MetricSums
    earlier: dict[EpisodeKey, tuple[Attempt, ...]]
    episodes: JsonLinesWriter
    owed: JsonLinesWriter

    def enter(self, finished: Finished) -> Iterator[EpisodeLine]:
        """Write an episode and the attempts at it that could not be scored."""
        job = finished.job
        key = EpisodeKey(job.task_id, job.seed, job.repeat)
        for trajectory in (*finished.attempts, finished.trajectory):
            line = EpisodeLine.of(trajectory, self.earlier.get(key, ()))
            if trajectory.status.owed:
                self.earlier[key] = line.attempts
                self.owed.append(line.to_json())
            else:
                self.episodes.append(line.to_json())
                self.sums.add(line)
            yield line

    def last_endings(self) -> dict[EpisodeKey, Status]:
        return {key: attempts[-1].status for key, attempts in self.earlier.items()}


def evaluate(
    run: RunFolder,
    play: Play,
    sums: MetricSums,
    *,
    reference: str = "",
    quiet: bool = True,
    seconds: float = 0.0,
    now: Manifest | None = None,
) -> EvaluationOutcome:
    """Play what the run owes and write its results.

    Args:
        run: a run folder with its manifest; hold its lock (see `claimed`).
        play: plays the jobs it is given.
        sums: without an episode, with the run's options.
        reference: name of the reference run, for the results.
        quiet: show no progress.
        seconds: wall time of playing; what is owed then stays owed. 0 sets no limit.
        now: the manifest that a run begun at this moment would have; when the run has been played before, its
            versions are added to the run's own.

    Returns:
        How it ended. Episodes may still be owed; the same call goes on with them.

    Raises:
        DataError: files of the run are damaged, or the world's data.
        InfrastructureError: a model or a cluster does not answer, and no episode of the run was ever begun.
    """
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        episodes, owed = (stack.enter_context(writer) for writer in run.writers())
        books = _Books(run, sums, {}, episodes, owed)
        jobs = _owed_jobs(books)
        interrupted, failure = False, ""
        if jobs:
            try:
                with shown_run(len(run.manifest.planned()), sums, quiet=quiet) as ended, interrupts.limit(seconds):
                    failure = _play(books, play, jobs, ended, interrupts, now)
            except TimeUp:
                failure = f"the run's {seconds:g} s are up"
            except KeyboardInterrupt:
                interrupted = True
        results = sums.results(run.manifest, books.last_endings(), reference)
        try:
            run.write_results(results)
        except OSError as error:
            failure = failure or f"cannot write the results: {error}"
    return EvaluationOutcome(results, interrupted, failure, idle=not jobs)


def _owed_jobs(books: _Books) -> list[Job]:
    """Add what is done to the sums; return what is not."""
    manifest = books.run.manifest
    planned = manifest.planned()
    known = set(planned)
    done = set()
    for line in books.run.episodes():
        if line.id not in known:
            raise DataError(f"{books.run.path}: the episode {line.id} is not one of this run")
        if not line.chain_holds():
            raise DataError(f"{books.run.path}: the episode {line.id} was changed after it was written")
        done.add(line.id)
        books.sums.add(line)
    for line in books.run.owed_attempts():
        if line.id not in known:
            raise DataError(f"{books.run.path}: the owed episode {line.id} is not one of this run")
        books.earlier[line.id] = line.attempts
    return [Job(*key) for key in planned if key not in done]


def _play(
    books: _Books,
    play: Play,
    jobs: Sequence[Job],
    ended: Callable[[EpisodeLine], None],
    interrupts: Interrupts,
    now: Manifest | None,
) -> str:
    """Play the jobs and write the episodes; returns one line when a model or a cluster stopped answering."""
    finished = play(jobs)
    try:
        if now is not None and (len(books.sums) or books.earlier):
            later = now.resumption(scored=len(books.sums))
            if later not in books.run.manifest.resumptions:  # a call that extends the run is there already
                books.run.add_resumption(later)
        for one in finished:
            with interrupts.shield():
                for line in books.enter(one):
                    ended(line)
    except InfrastructureError as error:
        if not len(books.sums) and not books.earlier:
            raise
        return str(error)
    except OSError as error:
        return f"cannot go on: {error}"
    finally:
        close = getattr(finished, "close", None)
        if close is not None:
            close()
    return ""

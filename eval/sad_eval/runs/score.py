"""Results from episodes: how a run is scored while it is played, and later from its files."""

from __future__ import annotations

from sad_env.records import Status
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.records import EpisodeKey, Manifest, Results
from sad_eval.runs.reference import references, sentence_similarity
from sad_eval.runs.run_folder import RunFolder


def sums_for(manifest: Manifest, **changes: object) -> MetricSums:
    """`MetricSums` without an episode, with the options that a run was made with.

    Args:
        manifest: of the run.
        changes: `reference`, `tokenizer` or `semantic`, where they are to be others than the run's.

    Raises:
        DataError: its reference run or its tokenizer cannot be read.
        ConfigError: its reference is of another world, or an extra is not installed.
    """
    settings = {**manifest.settings, **changes}
    reference = str(settings.get("reference") or "")
    return MetricSums(
        int(manifest.limits.get("max_steps") or 0),
        tokenizer=str(settings.get("tokenizer") or "auto"),
        references=references(reference, manifest) if reference else None,
        similarity=sentence_similarity() if reference and settings.get("semantic") else None,
    )


def score(run: RunFolder, **changes: object) -> Results:
    """The results of a run, computed from its episodes; nothing is written.

    Args:
        run: the run folder.
        changes: as in `sums_for`.

    Raises:
        DataError: a file of the run cannot be read.
        ConfigError: a reference of another world, or an extra that is not installed.
    """
    sums = sums_for(run.manifest, **changes)
    for line in run.episodes():
        sums.add(line)
    endings: dict[EpisodeKey, Status] = {line.id: line.attempts[-1].status for line in run.owed_attempts()}
    reference = {**run.manifest.settings, **changes}.get("reference")
    return sums.results(run.manifest, endings, str(reference or ""))

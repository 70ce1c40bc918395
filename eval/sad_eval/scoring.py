"""Results from episodes: how a run is scored while it is played, and again from what it left on disk."""

from __future__ import annotations

from sad_env.records import Status
from sad_eval.reference import references, sentence_similarity
from sad_eval.run_folder import EpisodeKey, Manifest, Results, RunFolder
from sad_eval.tally import Tally


def tally_for(manifest: Manifest) -> Tally:
    """An empty tally with the options that a run was made with.

    Raises:
        DataError: its reference run or its tokenizer cannot be read.
        ConfigError: its reference is of another world, or an extra is not installed.
    """
    settings = manifest.settings
    reference = str(settings.get("reference") or "")
    return Tally(
        int(manifest.limits.get("max_steps") or 0),
        tokenizer=str(settings.get("tokenizer") or "auto"),
        references=references(reference, manifest) if reference else None,
        similarity=sentence_similarity() if reference and settings.get("semantic") else None,
    )


def score(run: RunFolder) -> Results:
    """The results of a run, computed from its episodes; nothing is written.

    Raises:
        DataError: a file of the run cannot be read.
    """
    tally = tally_for(run.manifest)
    for line in run.episodes():
        tally.add(line)
    endings: dict[EpisodeKey, Status] = {line.id: line.attempts[-1].status for line in run.owed_attempts()}
    return tally.results(run.manifest, endings, str(run.manifest.settings.get("reference") or ""))

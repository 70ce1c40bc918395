"""Evaluation: metrics, statistics, the harness and its run folders, reports, comparison and playback."""

from sad_eval.records import EpisodeLine, Estimate, Manifest, Results
from sad_eval.runs.harness import evaluate
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.score import score

__all__ = ["EpisodeLine", "Estimate", "Manifest", "Results", "RunFolder", "evaluate", "score"]

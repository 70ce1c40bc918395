"""Evaluation: metrics, statistics, the harness and its run folders, reports, comparison and playback."""

from sad_eval.harness import evaluate
from sad_eval.run_folder import EpisodeLine, Estimate, Manifest, Results, RunFolder
from sad_eval.scoring import score
from sad_eval.tally import Tally

__all__ = ["EpisodeLine", "Estimate", "Manifest", "Results", "RunFolder", "Tally", "evaluate", "score"]

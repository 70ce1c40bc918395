"""Evaluation: metrics, statistics, the harness and its run folders, reports, comparison and playback.

The names below are imported when they are first used.
"""

from typing import TYPE_CHECKING

from sad_env.lazy import lazy_names

if TYPE_CHECKING:
    from sad_eval.analysis.compare import Comparison
    from sad_eval.api import EvaluatedRun, compare, evaluate
    from sad_eval.metrics.episode_metrics import Metric, Share, register
    from sad_eval.records import EpisodeLine, Estimate, Manifest, Results
    from sad_eval.report.comparison import print_comparison, verdict
    from sad_eval.runs.run_folder import RunFolder
    from sad_eval.runs.score import score
    from sad_eval.runs.settings import EvalSettings

__all__ = [
    "Comparison",
    "EpisodeLine",
    "Estimate",
    "EvalSettings",
    "EvaluatedRun",
    "Manifest",
    "Metric",
    "Results",
    "RunFolder",
    "Share",
    "compare",
    "evaluate",
    "print_comparison",
    "register",
    "score",
    "verdict",
]

__getattr__ = lazy_names(
    __name__,
    {
        "sad_eval.analysis.compare": "Comparison",
        "sad_eval.api": "EvaluatedRun compare evaluate",
        "sad_eval.metrics.episode_metrics": "Metric Share register",
        "sad_eval.records": "EpisodeLine Estimate Manifest Results",
        "sad_eval.report.comparison": "print_comparison verdict",
        "sad_eval.runs.run_folder": "RunFolder",
        "sad_eval.runs.score": "score",
        "sad_eval.runs.settings": "EvalSettings",
    },
)

"""What trackers are told of an evaluation: its figures, curves over its episodes, and some of the episodes."""

from __future__ import annotations

from sad_agents.tracking import open_trackers

from sad_eval.records import Results
from sad_eval.runs.run_folder import RunFolder


def report_run(report_to: str, run: RunFolder, results: Results) -> None:
    """Tell the trackers of `--report-to` of a complete run.

    Curves have a point an episode, in the order in which they ended: success, score and steps, and the share of
    successes up to there. Figures are `final/NAME`, with `_low` and `_high` for the ends of the interval.

    Raises:
        ConfigError: a tracker cannot begin.
        UnknownNameError: no such tracker.
    """
    manifest = run.manifest
    told = {**manifest.settings, "world": manifest.world, "panel": manifest.panel.name, "agent": manifest.agent}
    trackers = open_trackers(report_to, run.path, told)
    try:
        won = count = 0
        for count, line in enumerate(run.episodes(), 1):
            one = line.trajectory
            won += one.success
            trackers.write(
                count,
                {
                    "episode/success": float(one.success),
                    "episode/score": one.score,
                    "episode/steps": float(len(one.steps)),
                    "episode/success_so_far": won / count,
                },
            )
        for name, figure in results.metrics.items():
            values = {"": figure.value, "_low": figure.low, "_high": figure.high}
            trackers.write(count, {f"final/{name}{end}": value for end, value in values.items()})
        trackers.episodes(count, (line.trajectory for line in run.episodes()))
    finally:
        trackers.close()

"""Evaluating and comparing in one call each from Python; `sad_eval.evaluate` and `sad_eval.compare` are these."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sad_agents.api import named

from sad_env.calls import called_with, data_frame
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import Trajectory
from sad_eval.analysis import compare as paired
from sad_eval.analysis.compare import Comparison
from sad_eval.commands.evaluate import play_plan
from sad_eval.records import Results
from sad_eval.report.episode_tables import episode_columns, episode_lines
from sad_eval.report.html import environment
from sad_eval.report.numbers import interval_text, value_text
from sad_eval.runs.plan import make_plan, panels_of
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.settings import EvalSettings, effective

if TYPE_CHECKING:
    import pandas

_OF_THE_COMMAND = {
    "json": "results are returned: leave it out",
    "dry_run": "a call plays: leave it out, or give --dry-run to sad-eval",
}


@dataclass(frozen=True, repr=False)
class EvaluatedRun:
    """A run that was played, as a notebook shows it.

    Attributes:
        run: its folder, see `RunFolder`.
        results: metrics with their intervals, endings; `status` is incomplete while episodes are owed.
    """

    run: RunFolder
    results: Results

    @property
    def folder(self) -> Path:
        """Where the run lies; the commands take it: `sad-play`, `sad-eval report`."""
        return self.run.path

    @functools.cached_property
    def episodes(self) -> tuple[Trajectory, ...]:
        """The scored episodes in the order of the panel."""
        return tuple(line.trajectory for line in self._lines())

    def _lines(self) -> list[Any]:
        place = self._places()
        return sorted(self.run.episodes(), key=lambda line: place[line.id])

    def _places(self) -> dict[Any, int]:
        """Where an episode stands among the planned ones; those of several at once end in another order."""
        return {key: index for index, key in enumerate(self.run.manifest.planned())}

    def to_pandas(self) -> pandas.DataFrame:
        """A row an episode: task, ending, success, every metric, as `sad-eval report --csv` writes them.

        Raises:
            ConfigError: pandas is not installed.
        """
        place = self._places()
        order = [place[line.id] for line in self.run.episodes()]
        return data_frame(list(episode_lines([self.run])), columns=list(episode_columns()), index=order).sort_index()

    def __repr__(self) -> str:
        found = self.results
        rate = found.metrics.get("success_rate")
        said = (
            f"success {value_text('success_rate', rate)} [{interval_text('success_rate', rate)}]" if rate else "empty"
        )
        owed = f", INCOMPLETE: {found.owed:,} owed" if found.owed else ""
        return f"<{found.agent} in {found.world} {found.panel} ({found.data}): {said}, {found.scored:,} episodes{owed}>"

    def _repr_html_(self) -> str:
        return environment("sad_eval").get_template("evaluation.html.j2").render(results=self.results)


def evaluate(*, agent: str | type, env: str, **settings: Any) -> EvaluatedRun:
    """Evaluate an agent in a world, as `sad-eval` does: the same call goes on where an earlier one was stopped.

    Args:
        agent: who acts: nano, expert, FILE.pt, openai:URL#NAME, ... (see `sad_agents.resolve`), or a class that makes
            an `Agent`.
        env: the world's name.
        settings: of `EvalSettings`, under the names of the flags: episodes, panel (one), repeats, seed, out, ...;
            `quiet=False` shows progress. A world that was registered in this program alone needs `workers=0`.

    Returns:
        The run. Episodes whose world broke are owed, and its results say INCOMPLETE.

    Raises:
        UnknownNameError: no such agent, world, panel or setting.
        ConfigError: a setting of a wrong kind or without effect, or another run lies in `out`.
        DataError: files of the run are damaged, or the world's data.
        InfrastructureError: a model or a cluster does not answer; what was played is kept.
    """
    values = {"agent": named(agent), "env": env, "quiet": True, **settings}
    parsed = called_with(EvalSettings, values)
    parsed.refuse_ignored(_OF_THE_COMMAND)
    chosen = effective(parsed)
    panels = panels_of(chosen)
    if len(panels) > 1:
        raise ConfigError(f"panel={chosen.panel!r}: one panel a call")
    plan = make_plan(chosen, panels[0], command="sad_eval.evaluate")
    outcome = play_plan(plan)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.failure:
        left = f"{outcome.results.owed:,} episodes are owed: the same call goes on"
        raise InfrastructureError(f"{outcome.failure}; {left}")
    return EvaluatedRun(RunFolder.open(plan.folder), outcome.results)


def compare(*runs: EvaluatedRun | RunFolder | str | os.PathLike[str], reference: str = "") -> Comparison:
    """Runs on the same tasks, paired episode by episode, as `sad-eval compare` compares them.

    Args:
        runs: two or more: what `evaluate` returned, or run folders.
        reference: run folder whose reasoning CoT match compares with.

    Raises:
        ConfigError: fewer than two, or runs that share no task.
        DataError: a folder that is no run.
    """
    return paired.compare(_folders(runs), reference)


def _folders(runs: Sequence[EvaluatedRun | RunFolder | str | os.PathLike[str]]) -> list[RunFolder]:
    found = [one.run if isinstance(one, EvaluatedRun) else one for one in runs]
    return [one if isinstance(one, RunFolder) else RunFolder.open(one) for one in found]

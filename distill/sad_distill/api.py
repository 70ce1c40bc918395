"""Distilling in one call from Python; `sad_distill.distill` is this one."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sad_distill.config import TrainConfig
from sad_distill.config_checks import caution
from sad_distill.stages import stages_of
from sad_distill.training.progress import Reporter, progress
from sad_distill.training.ranks import launched
from sad_distill.training.run import Run, silent
from sad_distill.training.staged import train_stages
from sad_env.calls import called_with, data_frame
from sad_env.html import environment
from sad_env.json_lines import parse_json, read_lines
from sad_env.settings import flat, replaced

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Distilled:
    """A student that was trained, as a notebook shows it.

    Attributes:
        folder: of the run: settings, metrics, state, `student.pt` and the folder `student/`.
    """

    folder: Path

    @property
    def student(self) -> str:
        """Path of `student.pt`: `sad_eval.evaluate(agent=...)` and another `student=` or `teacher=` take it."""
        return str(self.folder / "student.pt")

    @functools.cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The numbers of each update; None where one was not finite."""
        return [parse_json(line) for _, line in read_lines(self.folder / "metrics.jsonl")]

    def to_pandas(self) -> pandas.DataFrame:
        """A row an update.

        Raises:
            ConfigError: pandas is not installed.
        """
        return data_frame(self.metrics)

    def __repr__(self) -> str:
        return f"<{self.student}: {len(self.metrics):,} updates, last loss {self.metrics[-1]['loss']}>"

    def _repr_html_(self) -> str:
        numbers = [(name, self.metrics[0].get(name), value) for name, value in self.metrics[-1].items()]
        template = environment("sad_distill").get_template("distilled.html.j2")
        return template.render(student=self.student, updates=len(self.metrics), numbers=numbers)


def distill(
    *, teacher: str = "", student: str, env: str, out: str | os.PathLike[str] = "", **settings: Any
) -> Distilled:
    """Train a student, as `sad-distill` does: the same call resumes what is in its folder.

    Args:
        teacher: model that teaches, or expert; methods without one take the trajectories alone.
        student: what is trained: nano-0.7m, layers:N (of the teacher), FILE.pt, hf:ID, ...
        env: the world's name.
        out: the run's folder; a name of its own in runs/, made from the settings, when left out.
        settings: of `TrainConfig`, under the names of the flags: method, mode, trajectories, steps, learning_rate, ...;
            `quiet=False` shows progress.

    Raises:
        UnknownNameError: a setting, world or student that is none.
        ConfigError: settings that contradict one another or what is in `out`, or that have no effect.
        DataError: the trajectories hold no episode.
        DivergedError: the loss is no longer finite; the folder keeps the state of before.
        InfrastructureError: a teacher does not answer; the same call goes on later.
    """
    quiet = settings.pop("quiet", True)
    values = {"student": student, "env": env, "out": str(out), **settings}
    parsed = called_with(TrainConfig, values | ({"teacher": teacher} if teacher else {}))
    if not out:
        parsed = replace(parsed, settings=replaced(parsed.settings, out=str(_folder(parsed.settings))))
    stages = stages_of(parsed, "distill")
    for warning in filter(None, (caution(stage.config) for stage in stages)):
        warnings.warn(warning, stacklevel=2)
    with launched(parsed.settings.hardware.device) as ranks:

        def train(config: TrainConfig, _: str) -> Path:
            with _reported(config, quiet or not ranks.first) as report:
                return Run(config, report, ranks).train()

        return Distilled(train_stages(parsed.settings, stages, train, ranks).parent)


def _reported(config: TrainConfig, quiet: bool) -> contextlib.AbstractContextManager[Reporter]:
    return contextlib.nullcontext(silent) if quiet else progress(config.optimisation.steps)


def _folder(config: TrainConfig) -> Path:
    """A folder named by the settings; more steps go on in the same one."""
    kept = {name: value for name, value in flat(config).items() if name not in ("out", "steps")}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    return Path("runs") / f"{config.data.env}-{config.method}-{config.mode}-{digest[:8]}"

"""A training run in stages: each is a run of its own, which begins with the student of the one before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from sad_distill.config import TrainConfig
from sad_distill.stages import Stage
from sad_distill.training.page import TrainingPage
from sad_distill.training.ranks import Ranks
from sad_distill.training.run_dir import told_settings
from sad_env.curves import METRICS
from sad_env.errors import ConfigError
from sad_env.files import part_folder, write_bytes, write_text
from sad_env.json_lines import parse_json, read_lines
from sad_env.settings import replaced

_CONFIG = "config.json"


def train_stages(
    config: TrainConfig, stages: Sequence[Stage], train: Callable[[TrainConfig, str], Path], ranks: Ranks
) -> Path:
    """Train all stages, from wherever the folder is, and put together what the last and the kept students are.

    Args:
        config: of the whole run.
        stages: its parts.
        train: a stage by its settings and name; returns its student.
        ranks: processes that train together.

    Returns:
        The path of the last stage's student, in the folder of the whole run.

    Raises:
        StoppedError: Ctrl-C; the same call goes on. And what `Run` raises.
        ConfigError: the folder holds another run, or one whose stages are of other lengths.
    """
    out = Path(config.out)
    student = ""
    if config.stages and ranks.first:
        _begin(out, config, stages)
    for stage in stages:
        settings = replaced(stage.config, student=student) if student else stage.config
        student = str(train(settings, stage.name))
    if config.stages and ranks.first:
        _put_together(out, config, stages)
    ranks.wait()
    return out / "student.pt"


def _begin(out: Path, config: TrainConfig, stages: Sequence[Stage]) -> None:
    """Refuse a folder of another run before anything is trained, and say whose it is."""
    settings, path = told_settings(config), out / _CONFIG
    if path.exists():
        had = parse_json(path.read_text(encoding="utf-8")).get("stages", [])
        if had != settings["stages"]:
            raise ConfigError(
                f"{out} holds a run with stages = {had!r}, not {settings['stages']!r}: choose another --out or the old"
                " setting"
            )
    for stage, after in pairwise(stages):
        begun, steps = out / stage.name / _CONFIG, stage.config.optimisation.steps
        if not (out / after.name / _CONFIG).exists() or not begun.exists():
            continue
        if (made := parse_json(begun.read_text(encoding="utf-8")).get("steps")) != steps:
            raise ConfigError(
                f"{out} holds a run whose stage {stage.name} has {made} updates, not {steps}, and the next one began"
                " with its student: give the --steps of before, or another --out"
            )
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(settings, indent=1))


def _put_together(out: Path, config: TrainConfig, stages: Sequence[Stage]) -> None:
    for stage in stages:
        for share, file in stage.kept.items():
            kept, target = out / stage.name / file, out / f"at-{100 * share:g}.pt"
            if kept.exists():
                write_bytes(target, kept.read_bytes())
            else:  # asked for when that was over, or of a length that the run had before
                target.unlink(missing_ok=True)
    last = out / stages[-1].name
    for name in ("student", "adapter"):
        if (last / name).exists():
            _copy_folder(last / name, out / name)
    settings = told_settings(config)
    write_text(out / _CONFIG, json.dumps(settings, indent=1))
    write_text(out / METRICS, "".join(json.dumps(line) + "\n" for line in _metrics(out, stages)))
    TrainingPage(out, settings).write()
    write_bytes(out / "student.pt", (last / "student.pt").read_bytes())


def _copy_folder(source: Path, target: Path) -> None:
    with part_folder(target) as part:
        shutil.copytree(source, part / "whole")
        shutil.rmtree(target, ignore_errors=True)
        (part / "whole").rename(target)


def _metrics(out: Path, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """The metrics of all stages in one count of updates and of seconds."""
    found: list[dict[str, Any]] = []
    for number, stage in enumerate(stages, start=1):
        before = found[-1] if found else {"step": -1}
        for _, line in read_lines(out / stage.name / METRICS):
            metrics = parse_json(line)
            for name in ("seconds", "processor_seconds"):
                if name in metrics:
                    metrics[name] += before.get(name, 0.0)
            found.append({**metrics, "step": metrics["step"] + before["step"] + 1, "stage": number})
    return found

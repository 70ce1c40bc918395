"""Configurations one after the other in one run: what each is told, and which share of the run is its."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.config_former import GONE_CONFIGS
from sad_distill.config_heads import by_head
from sad_distill.config_ignored import ignored_by
from sad_env import cli
from sad_env.cli import ParsedSettings
from sad_env.errors import ConfigError
from sad_env.settings import flat, replaced

PACKAGE = "sad_distill"
"""Its folder configs/ holds settings that `--config` takes by name."""

_OF_ALL = frozenset({"stages", "out", "steps", "processor_seconds", "keep_at"})
"""Settings of the whole run, which are dealt out."""
_OF_EACH = ("method", "mode", "terms", "method_weight")
"""Settings that each stage's own configuration makes."""

_ITSELF = ("self", "base")
"""Teachers that are the student as a stage finds it."""


@dataclass(frozen=True)
class Stage:
    """A part of a run.

    Attributes:
        name: of its folder.
        config: its settings; `student` is that of the whole run, which all stages but the first replace.
        kept: shares of the whole run after which its student is kept, with the name of the stage's file.
    """

    name: str
    config: TrainConfig
    kept: dict[float, str]


def stages_of(parsed: ParsedSettings[TrainConfig], prog: str) -> list[Stage]:
    """The stages of a run: those that `--stages` names, or the run itself as the only one.

    What was set beside them is for all stages; where it has no effect it is left out.

    Raises:
        ConfigError: no share, shares that are not 1 together, a setting without effect in any stage, one that each
            stage makes itself, settings of any stage that contradict one another, or a head that is left behind.
    """
    config = parsed.settings
    if not config.stages:
        parsed.refuse_ignored(ignored_by(config))
        return [Stage("", config, {})]
    names, shares = zip(*(_share_of(entry) for entry in config.stages), strict=True)
    if abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(f"--stages have {sum(shares):g} of the run together: give shares whose sum is 1")
    for name in _OF_EACH:
        if name in parsed.given:
            raise ConfigError(f"--{name.replace('_', '-')} is for the stages' configurations to say: leave it out")
    # With a budget, `steps` is only the length of schedules: each stage's whole, as it says or is told.
    dealt = _OF_ALL - ({"steps"} if config.optimisation.processor_seconds else set())
    given = {name: value for name, value in flat(config).items() if name in parsed.given - dealt}
    unused: list[dict[str, str]] = []
    found = []
    ends = [0.0, *accumulate(shares)]
    for number, (name, (begin, end)) in enumerate(zip(names, pairwise(ends), strict=True), start=1):
        own = cli.read(
            TrainConfig, ["--config", name, "--out", config.out], prog=prog, configs=PACKAGE, gone=GONE_CONFIGS
        )
        settings = replaced(own.settings, **given)
        ignored = {key: why for key, why in ignored_by(settings).items() if key in given}
        unused.append(ignored)
        before = flat(own.settings)
        settings = replaced(settings, **{key: before[key] for key in ignored})
        found.append(_stage(number, name, settings, config, begin, end))
    for key in set.intersection(*(set(ignored) for ignored in unused)):
        parsed.refuse_ignored({key: f"in every stage, {unused[0][key]}"})
    found = [_without_panels(stage, found) for stage in found]
    _check(found)
    return found


def _without_panels(stage: Stage, stages: list[Stage]) -> Stage:
    """The stage without the tasks that any stage validates on: its student is judged by them later."""
    data, own = stage.config.data, stage.config.validation
    world = (data.env, data.data, data.split)
    others = [
        one.config for one in stages if (one.config.data.env, one.config.data.data, one.config.data.split) == world
    ]
    most = max(one.validation.untrained for one in others)
    return replace(stage, config=replaced(stage.config, held_out=most)) if most > own.untrained else stage


def _check(stages: list[Stage]) -> None:
    """Refuse at once what a later stage would refuse after the earlier ones have been trained."""
    for stage in stages:
        try:
            check(stage.config)
        except ConfigError as error:
            raise ConfigError(f"stage {stage.name}: {error}") from None
    for before, stage in pairwise(stages):
        if by_head(before.config) and not by_head(stage.config) and stage.config.mode != "offline":
            raise ConfigError(
                f"stage {before.name} learns to act by an action head, which stage {stage.name} does not have: its"
                " student would write actions that it never learned to write; leave --act-loss out"
            )
        if by_head(before.config) and stage.config.model.teacher.partition(":")[0] in _ITSELF:
            raise ConfigError(
                f"stage {before.name} learns to act by an action head, not to write actions, of which stage"
                f" {stage.name} asks it as its own teacher: name another --teacher, or leave --act-loss out"
            )


def _share_of(entry: str) -> tuple[str, float]:
    name, _, share = entry.rpartition("=")
    try:
        number = float(share)
    except ValueError:
        number = 0.0
    if not name or not 0 < number <= 1:
        raise ConfigError(f"--stages {entry}: give NAME=SHARE, e.g. field/sad-offline=0.6 field/gigpo=0.4")
    return name, number


def _stage(number: int, name: str, settings: TrainConfig, whole: TrainConfig, begin: float, end: float) -> Stage:
    """What of the whole run falls to this stage."""
    share = end - begin
    folder = f"{number}-{re.sub(r'[^A-Za-z0-9.-]+', '-', name.rpartition('/')[2].removesuffix('.toml'))}"
    kept = dict(_kept(whole.output.keep_at, begin, end))
    inside = tuple((at - begin) / share for at, file in kept.items() if file != "student.pt")
    budget, steps = whole.optimisation.processor_seconds, whole.optimisation.steps
    length: dict[str, Any] = (
        {"processor_seconds": share * budget}
        if budget
        else {"steps": max(1, round(end * steps) - round(begin * steps))}
    )
    if number < len(whole.stages):
        length["stored"] = "fp32"  # the next one goes on from these weights, which are not to be rounded
    config = replaced(settings, out=f"{whole.out}/{folder}", stages=whole.stages, keep_at=inside, **length)
    return Stage(folder, config, kept)


def _kept(shares: tuple[float, ...], begin: float, end: float) -> Iterator[tuple[float, str]]:
    """Shares of the whole run that end within a stage, and the file of the stage that is kept for each."""
    for share in shares:
        if begin + 1e-9 < share < end - 1e-9:
            yield share, f"at-{100 * (share - begin) / (end - begin):g}.pt"
        elif abs(share - end) <= 1e-9:
            yield share, "student.pt"

"""Curves, settings and sample episodes of a run for TensorBoard, trackio and wandb."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import itertools
import json
import math
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sad_env.errors import ConfigError, UnknownNameError
from sad_env.files import write_text
from sad_env.records import Trajectory
from sad_env.safe_text import one_line, visible
from sad_env.transcript import render

PROJECT = "sad-env"
"""Where trackers list our runs, unless TRACKIO_PROJECT or WANDB_PROJECT says otherwise."""

ID_FILE = "tracking_id"
"""File of a run's folder that makes a resumed run the same one for a tracker."""

SAMPLES = 20
"""Episodes of a table at most."""

_LONGEST = 20_000
_COLUMNS = ("task", "agent", "ending", "success", "score", "steps", "transcript")


class Tracker(Protocol):
    """An open run of one tracker."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Points of curves; steps do not fall."""
        ...

    def episodes(self, step: int, samples: Iterable[Trajectory]) -> None:
        """A table of the first `SAMPLES` episodes."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


def tracker_names(report_to: str) -> list[str]:
    """The words of `--report-to`.

    Raises:
        ConfigError: a package is missing.
        UnknownNameError: one is no tracker.

    >>> tracker_names("")
    []
    """
    names = list(dict.fromkeys(filter(None, (name.strip() for name in report_to.split(",")))))
    for name in names:
        if name not in _TRACKERS:
            raise UnknownNameError("tracker", one_line(name, 40), _TRACKERS)
        modules, package = _NEEDED[name]
        if any(importlib.util.find_spec(module) is None for module in modules):
            raise ConfigError(f"--report-to {name} needs a package: pip install '{package}'")
    return names


def open_trackers(report_to: str, folder: Path, settings: Mapping[str, Any]) -> Trackers:
    """Begin a run, or go on with it, at every tracker of `--report-to`.

    Args:
        report_to: names with commas between; "" for none.
        folder: of the run; trackers that write files write them there. Its name and `ID_FILE` are the run's name.
        settings: plain values, without secrets.

    Raises:
        ConfigError: a package is missing, or a tracker cannot begin.
        UnknownNameError: no such tracker.
    """
    names = tracker_names(report_to)
    found = Trackers()
    if not names:
        return found
    name = _run_name(folder)
    for one in names:
        try:
            found.open.append(_TRACKERS[one](folder, name, settings))
        except Exception as error:  # whatever a tracker's own code raises: no login, no network
            found.close()
            raise ConfigError(f"--report-to {one}: {one_line(f'{type(error).__name__}: {error}', 160)}") from None
    return found


class Trackers:
    """Several of them, or none.

    Attributes:
        open: those that are.
    """

    def __init__(self) -> None:
        self.open: list[Tracker] = []

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """`Tracker.write` of each, without numbers that are not finite."""
        finite = {name: float(value) for name, value in numbers.items() if math.isfinite(value)}
        for one in self.open:
            one.write(step, finite)

    def episodes(self, step: int, samples: Iterable[Trajectory]) -> None:
        """`Tracker.episodes` of each."""
        if self.open:
            some = list(itertools.islice(samples, SAMPLES))
            for one in self.open:
                one.episodes(step, some)

    def close(self) -> None:
        """Close all."""
        while self.open:
            self.open.pop().close()


def _run_name(folder: Path) -> str:
    """The folder's name and a few letters that are its own, so that other folders of that name are other runs."""
    path = folder / ID_FILE
    if not path.exists():
        write_text(path, secrets.token_hex(3) + "\n")
    return f"{folder.resolve().name}-{one_line(path.read_text(encoding='utf-8'), 12)}"


def _rows(samples: Iterable[Trajectory]) -> list[list[Any]]:
    rows = []
    for one in samples:
        text = visible(render(one).text)
        shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
        ending = (one_line(one.agent, 80), one.ending, one.success, one.score)
        rows.append([one_line(one.task_id, 120), *ending, len(one.steps), shown])
    return rows


class _TensorBoard:
    """Files below the run's folder, written by torch."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._board: Any = SummaryWriter(str(folder / "tensorboard"))
        self._board.add_text("settings", _indented(json.dumps(dict(settings), indent=1, default=str)))

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def episodes(self, step: int, samples: Iterable[Trajectory]) -> None:
        for row in _rows(samples):
            told = "\n".join(f"{name}: {value}" for name, value in zip(_COLUMNS, row, strict=True))
            self._board.add_text(f"episodes/{row[0]}", _indented(told), step)

    def close(self) -> None:
        self._board.close()


def _indented(text: str) -> str:
    """A text that Markdown shows as it is."""
    return "".join(f"    {line}\n" for line in text.splitlines())


class _Service:
    """trackio, and wandb, whose calls it has: one run of a process at a time."""

    def __init__(self, module: str, name: str, settings: Mapping[str, Any], **options: Any) -> None:
        with _quiet():
            self._service: Any = importlib.import_module(module)
            self._service.init(name=name, config=dict(settings), resume="allow", **options)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._service.log(dict(numbers), step=step)

    def episodes(self, step: int, samples: Iterable[Trajectory]) -> None:
        self._service.log({"episodes": self._service.Table(columns=list(_COLUMNS), data=_rows(samples))}, step=step)

    def close(self) -> None:
        with _quiet():
            self._service.finish()


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """Standard output is the command's own; what a service says goes to standard error."""
    return contextlib.redirect_stdout(sys.stderr)


def _trackio(folder: Path, name: str, settings: Mapping[str, Any]) -> Tracker:
    return _Service("trackio", name, settings, project=os.environ.get("TRACKIO_PROJECT", PROJECT), embed=False)


def _wandb(folder: Path, name: str, settings: Mapping[str, Any]) -> Tracker:
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    return _Service("wandb", name, settings, project=project, id=name, dir=str(folder))


_TRACKERS: Mapping[str, Callable[[Path, str, Mapping[str, Any]], Tracker]] = {
    "tensorboard": _TensorBoard,
    "trackio": _trackio,
    "wandb": _wandb,
}
_NEEDED = {
    "tensorboard": (("torch", "tensorboard"), "sad-env[track]"),
    "trackio": (("trackio",), "sad-env-core[track]"),
    "wandb": (("wandb",), "wandb"),
}
"""Modules of each, and what to install for them."""

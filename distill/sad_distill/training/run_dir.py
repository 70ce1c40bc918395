"""A training run's folder: settings, metrics as JSON lines, state, rollouts; resumable after any kill."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sad_agents.tracking import Trackers, open_trackers

from sad_distill.config import TrainConfig
from sad_distill.config_former import present_settings
from sad_distill.training.page import TrainingPage
from sad_env.addresses import public_address
from sad_env.errors import ConfigError
from sad_env.files import write_bytes, write_text
from sad_env.json_lines import JsonLinesWriter, parse_json, read_lines
from sad_env.records import Trajectory
from sad_env.settings import flat

_FREE = frozenset(
    {"out", "steps", "workers", "device", "micro_batch", "save_every", "report_to", "cache", "patience", "stored"}
    # What form, chat and precision come to is among the contents.
    | {"form", "chat", "teacher_precision", "teacher_concurrency"}
    # Draws of another sampler are others of the same distribution.
    | {"sampler", "backend", "shard_learner", "gradients_every", "keep_at"}
)
"""Settings that may change between two starts of a run: they change no result but for rounding and draws; `steps` may
grow."""
_AS_BEFORE = {"writing": "lines", "teacher_precision": "fp32"}
"""Contents of runs that earlier releases began, which did not record them."""
_FORMER_CONTENTS = {"episodes": "trajectories"}


class RunDir:
    """The directory of a run.

    Args:
        folder: made when missing.
        config: the run's settings.
        contents: what the files and models that they name hold, by setting: a path stays when its file changes.
        writes: False in all but the first of several processes, which only read.
        report_to: trackers that metrics and episodes are told, see `open_trackers`.

    Raises:
        ConfigError: the folder holds a run with other settings or contents, or with more steps.

    Attributes:
        earlier_steps: updates in all that the run was given before it was extended, oldest first.
    """

    def __init__(
        self,
        folder: Path,
        config: TrainConfig,
        contents: Mapping[str, str],
        *,
        writes: bool = True,
        report_to: str = "",
    ) -> None:
        self.folder = folder
        self._writes = writes
        self._metrics: JsonLinesWriter | None = None
        self._trackers = Trackers()
        self._last_step = 0
        self._page: TrainingPage | None = None
        self._settings: dict[str, Any] = {}
        self.earlier_steps: list[int] = []
        if not writes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        # The contrastive term compares the rows of a micro-batch with one another.
        free = _FREE - {"micro_batch"} if "contrastive" in config.terms.weights else _FREE
        self._settings = settings = told_settings(config)
        path = folder / "config.json"
        if path.exists():
            # What a run of an earlier release could not be told was as it is by default.
            found = present_settings(parse_json(public_address(path.read_text(encoding="utf-8"))))
            before = {**json.loads(json.dumps(flat(TrainConfig(out="")))), **found}
            for key, value in settings.items():
                if key not in free and before.get(key) != value and not _moved(folder, key, before.get(key), value):
                    raise ConfigError(
                        f"{folder} holds a run with {key} = {before.get(key)!r}, not {value!r}:"
                        " choose another --out or the old setting"
                    )
            self.earlier_steps = _extended(folder, before, settings["steps"])
            # Runs of earlier releases did not record contents.
            recorded = before.get("contents")
            for former, value in ({**_AS_BEFORE, **recorded} if recorded else {}).items():
                key = _FORMER_CONTENTS.get(former, former)
                if contents[key] != value:
                    raise ConfigError(
                        f"{folder} holds a run on other {key}: {value!r}, now {contents[key]!r} under the same name:"
                        " choose another --out, or delete the folder to train again"
                    )
            _forget_kept(folder, config, extended=self.earlier_steps != before.get("earlier_steps", []))
        earlier = {"earlier_steps": self.earlier_steps} if self.earlier_steps else {}
        write_text(path, json.dumps({**settings, **earlier, "contents": dict(contents)}, indent=1))
        self._trackers = open_trackers(report_to, folder, settings)

    @property
    def state(self) -> Path:
        """The file of the state."""
        return self.folder / "state.safetensors"

    @property
    def metrics(self) -> Path:
        """The file of the metrics."""
        return self.folder / "metrics.jsonl"

    def begin(self, step: int) -> None:
        """Open the metrics for update `step` and later ones; lines of updates that no state holds are dropped."""
        if not self._writes:
            return
        if self.metrics.exists():
            kept = [line for _, line in read_lines(self.metrics) if parse_json(line)["step"] < step]
            write_bytes(self.metrics, b"".join(line + b"\n" for line in kept))
        self._metrics = JsonLinesWriter(self.metrics)
        self._page = TrainingPage(self.folder, self._settings)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """One line of metrics."""
        if not self._writes:
            return
        assert self._metrics is not None
        # JSON knows neither NaN nor infinity: such a number is null.
        finite = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
        self._metrics.append(json.dumps({"step": step, **finite}, allow_nan=False))
        self._trackers.write(step, metrics)
        self._last_step = step
        assert self._page is not None
        self._page.refresh()

    def close(self) -> None:
        """Close the files."""
        if self._metrics is not None:
            self._metrics.close()
        if self._page is not None:
            self._page.write()
        newest = max((self.folder / "rollouts").glob("*.jsonl"), default=None)
        if newest is not None and self._trackers.open:
            self._trackers.episodes(self._last_step, read_whole(newest))
        self._trackers.close()

    def rollouts(self, iteration: int, rank: int = 0) -> Path:
        """The file of the episodes of an online iteration, kept until a state holds its updates."""
        return self.folder / "rollouts" / (f"{iteration:06d}.jsonl" if rank == 0 else f"{iteration:06d}.{rank}.jsonl")

    def forget_rollouts(self, before: int, keep: int = 2) -> None:
        """Delete rollouts that no resumption can need, except the last few, which a reader may want to see."""
        if not self._writes:
            return
        for path in sorted((self.folder / "rollouts").glob("*.jsonl")):
            if int(path.name.partition(".")[0]) < before - keep:
                path.unlink()

    def forget_rollouts_from(self, iteration: int) -> None:
        """Delete the rollouts of this iteration and of later ones."""
        if not self._writes:
            return
        for path in (self.folder / "rollouts").glob("*.jsonl"):
            if int(path.name.partition(".")[0]) >= iteration:
                path.unlink()


def told_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings as a folder's config.json tells them: flat, as JSON gives them back, no password in an address."""
    return present_settings(json.loads(public_address(json.dumps(flat(config)))))


def read_whole(path: Path) -> list[Trajectory]:
    """The whole lines of a file of trajectories that may not exist yet."""
    if not path.exists():
        return []
    return [Trajectory.from_json(line) for _, line in read_lines(path)]


def _moved(folder: Path, key: str, before: object, now: object) -> bool:
    """Whether both are the student of the stage before, in a run of stages that lies elsewhere now."""
    if key != "student" or Path(str(now)).parent.parent != folder.parent:
        return False
    return Path(str(before)).parts[-2:] == Path(str(now)).parts[-2:]


def _extended(folder: Path, before: Mapping[str, Any], steps: int) -> list[int]:
    """The earlier totals of updates of a run that is to have `steps`."""
    had, earlier = before.get("steps"), list(before.get("earlier_steps", []))
    if type(had) is not int or steps == had:
        return earlier
    if steps < had:
        raise ConfigError(
            f"{folder} holds a run of {had} updates, which --steps {steps} would shorten: give {had} or more, or"
            " another --out"
        )
    return [*earlier, had]


def _forget_kept(folder: Path, config: TrainConfig, *, extended: bool) -> None:
    """Delete the students of `--keep-at` where they are of shares of a former total, not of a budget."""
    for path in folder.glob("at-*.pt") if extended and not config.optimisation.processor_seconds else ():
        path.unlink()

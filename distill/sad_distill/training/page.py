"""training.html of a run: its curves on one self-contained page, written anew while it trains."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from pathlib import Path

from sad_env.charts import BOX
from sad_env.curves import METRICS, Curves
from sad_env.files import write_text
from sad_env.html import environment

PAGE = "training.html"

_SECONDS = 10.0
"""Between two writings of the page at least."""
_SHARE = 200
"""The page waits this many times as long as its last writing took, so that it costs at most half a per cent."""

_CARDS = (
    ("loss", "loss", "{:.4g}"),
    ("reason_divergence", "divergence, reasoning", "{:.3g}"),
    ("act_divergence", "divergence, action", "{:.3g}"),
    ("rollout_success", "success of rollouts", "{:.0%}"),
    ("learning_rate", "learning rate", "{:.2g}"),
    ("cosine", "cosine of gradients", "{:.2f}"),
)


class TrainingPage:
    """The page of one run.

    Args:
        folder: of the run; the metrics are read from it.
        settings: as config.json has them.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self.folder = folder
        self._settings = settings
        self._curves = Curves(folder / METRICS)
        self._template = environment("sad_distill.training").get_template("training.html.j2")
        self._due = time.monotonic() + 1.0

    def refresh(self) -> None:
        """Write the page where it is due; called after every update."""
        if time.monotonic() >= self._due:
            began = time.monotonic()
            self.write()
            self._due = time.monotonic() + max(_SECONDS, _SHARE * (time.monotonic() - began))

    def write(self) -> None:
        """Write the page from all metrics that are there."""
        self._curves.read()
        latest, done = self._curves.latest, self._curves.updates
        steps = self._settings.get("steps")
        # A divergence of 0 says that nothing was compared.
        shown = [
            (label, form.format(value))
            for name, label, form in _CARDS
            if (value := latest.get(name)) is not None and (value or not name.endswith("divergence"))
        ]
        page = self._template.render(
            title=f"Training of {self.folder.resolve().name}",
            done=done,
            steps=steps if isinstance(steps, int) else done,
            seconds=latest.get("seconds", 0.0),
            at=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC"),
            cards=shown,
            plots=self._curves.plots(),
            box=BOX,
            settings={name: value for name, value in self._settings.items() if value not in ("", None, [], ())},
        )
        write_text(self.folder / PAGE, page)

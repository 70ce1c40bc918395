"""Curves of a training run, from its metrics.jsonl: read as it grows, in memory that does not grow with it."""

from __future__ import annotations

import os
from pathlib import Path

from sad_env.charts import Plot, line_plot
from sad_env.json_lines import MAX_LINE_BYTES, RecordError, parse_json

METRICS = "metrics.jsonl"
"""Name of the file that a training run writes: one JSON object a line, with "step" and numbers."""

_NOTHING = 1e-5
"""A divergence, or seconds, below this throughout."""
POINTS = 400
"""Points of a curve at most; more than a screen shows apart."""

CHARTS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Loss", (("loss", "loss"), ("recorded_loss", "of recorded episodes"), ("extra", "of further terms"))),
    (
        "Divergence from the teacher, by kind of token",
        (("reason_divergence", "reasoning"), ("act_divergence", "action"), ("observation_divergence", "observation")),
    ),
    (
        "Negative log-likelihood, by kind of token",
        (("reason_nll", "reasoning"), ("act_nll", "action"), ("observation_nll", "observation")),
    ),
    (
        "Most likely token is the target, by kind",
        (("reason_agree", "reasoning"), ("act_agree", "action"), ("observation_agree", "observation")),
    ),
    (
        "Rollouts and validation",
        (
            ("rollout_success", "success"),
            ("rollout_valid", "valid actions"),
            ("flat_groups", "groups whose episodes ended alike"),
            ("validation_success", "success in validation"),
        ),
    ),
    ("Tokens of a turn of the student", (("rollout_length", "tokens"),)),
    ("Entropy of the student's tokens, nats", (("entropy", "entropy"),)),
    ("Distance of the student's tokens, nats", (("kl_teacher", "from the teacher"), ("kl_start", "from the start"))),
    ("Share of tokens whose ratio was clipped", (("clipped", "clipped"),)),
    ("Learning rate", (("learning_rate", "learning rate"),)),
    ("Cosine of the gradients of reasoning and action", (("cosine", "cosine"),)),
    ("Weights of reasoning and action", (("reason_weight", "reasoning"), ("act_weight", "action"))),
    ("Gradient norm", (("gradient_norm", "gradient norm"),)),
    ("Rows at which noise and signal of the gradient are alike", (("gradient_noise", "rows"),)),
    ("Cosine of the gradients of two halves of the rows", (("gradient_agreement", "cosine"),)),
    ("Cost of an update, seconds", (("update_seconds", "student"), ("score_seconds", "teacher"))),
    (
        "Cost of an iteration's rollouts, seconds",
        (("rollout_seconds", "all"), ("act_seconds", "model"), ("rollout_score_seconds", "scoring afterwards")),
    ),
    ("Tokens of an update", (("tokens", "tokens"),)),
)
"""What is drawn: titles, and for each curve its metric and its label. A curve without a number is left out."""


class Thinned:
    """A curve of at most `POINTS` points, each the mean over so many updates that they suffice."""

    def __init__(self) -> None:
        self.width = 1
        """Updates that one point stands for."""
        self.last = 0.0
        self._sums: dict[int, tuple[float, int]] = {}

    def add(self, step: int, value: float) -> None:
        """Add the number of an update."""
        self.last = value
        self._put(step // self.width, value, 1)
        if len(self._sums) > POINTS:
            finer, self._sums = self._sums, {}
            self.width *= 2
            for bucket, (total, count) in finer.items():
                self._put(bucket // 2, total, count)

    def points(self) -> list[tuple[float, float]]:
        """Middle of the updates and mean of the numbers, in order."""
        middle = (self.width - 1) / 2
        return [(bucket * self.width + middle, total / count) for bucket, (total, count) in sorted(self._sums.items())]

    def _put(self, bucket: int, total: float, count: int) -> None:
        before = self._sums.get(bucket, (0.0, 0))
        self._sums[bucket] = (before[0] + total, before[1] + count)


class Curves:
    """The curves of one metrics file.

    Args:
        path: of the file; it may not be there yet.

    Attributes:
        updates: lines read.
        latest: the last number of each metric that is drawn, and of "seconds".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.updates = 0
        self.latest: dict[str, float] = {}
        self._offset = 0
        self._lines = {name: Thinned() for _, names in CHARTS for name, _ in names}

    def read(self) -> None:
        """Read the whole lines that were written since the last call.

        Raises:
            RecordError: a line that is no object of numbers with a step.
        """
        if not self.path.exists():
            return
        with open(self.path, "rb") as file:
            file.seek(self._offset, os.SEEK_SET)
            while (line := file.readline(MAX_LINE_BYTES + 1)).endswith(b"\n"):
                self._offset += len(line)
                self._add(line)

    def plots(self) -> list[Plot]:
        """The charts that have a curve. A divergence or cost of nothing throughout was not computed: it is left out."""
        found = []
        for title, names in CHARTS:
            lines = [(label, self._lines[name].points()) for name, label in names if name in self.latest]
            if title.startswith(("Divergence", "Cost")):
                lines = [(label, points) for label, points in lines if any(abs(y) > _NOTHING for _, y in points)]
            width = max((self._lines[name].width for name, _ in names), default=1)
            mean = f", means of {width:,}" if width > 1 else ""
            if plot := line_plot(title, f"updates{mean}", lines):
                found.append(plot)
        return found

    def _add(self, line: bytes) -> None:
        values = parse_json(line)
        step = values.get("step") if isinstance(values, dict) else None
        if type(step) is not int or step < 0:
            raise RecordError(f"{self.path}: a line of metrics has no step")
        self.updates += 1
        for name, value in values.items():
            if isinstance(value, (int, float)) and name in self._lines:
                self._lines[name].add(step, float(value))
            if isinstance(value, (int, float)) and (name in self._lines or name == "seconds"):
                self.latest[name] = float(value)

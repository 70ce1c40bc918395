"""Charts from numbers, and curves from a metrics file that grows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sad_env.charts import BOX, line_plot
from sad_env.curves import POINTS, Curves, Thinned
from sad_env.html import environment
from sad_env.json_lines import RecordError


def coordinates(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_a_line_goes_from_corner_to_corner_of_its_axes() -> None:
    plot = line_plot("loss", "updates", [("loss", [(0, 10.0), (50, 5.0), (100, 0.0)])])
    assert plot is not None
    left, right, middle = BOX.left, BOX.width - BOX.right, (BOX.top + BOX.height - BOX.bottom) / 2
    assert coordinates(plot.series[0].path) == [
        (left, BOX.top),
        ((left + right) / 2, middle),
        (right, BOX.height - BOX.bottom),
    ]
    assert [tick.label for tick in plot.y_ticks] == ["0", "2", "4", "6", "8", "10"]
    assert [tick.label for tick in plot.x_ticks] == ["0", "20", "40", "60", "80", "100"]


def test_what_begins_far_above_where_it_stays_is_drawn_on_a_logarithmic_scale() -> None:
    plot = line_plot("loss", "updates", [("loss", [(0, 10.0), *((step, 0.1) for step in range(1, 99)), (99, 0.0)])])
    assert plot is not None
    assert plot.title == "loss, logarithmic"
    assert [tick.label for tick in plot.y_ticks] == ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10"]
    heights = [y for _, y in coordinates(plot.series[0].path)]
    span = BOX.height - BOX.top - BOX.bottom
    assert heights[0] == BOX.top
    assert heights[1] == pytest.approx(BOX.top + 2 / 3 * span, abs=0.1)  # of three decades, 0.1 is two below 10
    assert heights[-1] == BOX.height - BOX.bottom  # what is below the scale lies on its lower edge


def test_a_line_of_one_point_or_of_zeros_stays_in_its_box_and_no_point_is_no_plot() -> None:
    assert line_plot("empty", "x", [("none", [])]) is None
    for points in ([(3.0, -2.5)], [(0.0, 0.0), (1.0, 0.0)], [(0.0, -1e-9), (1e6, 1e9)]):
        plot = line_plot("one", "x", [("one", points)])
        assert plot is not None
        for x, y in coordinates(plot.series[0].path):
            assert BOX.left <= x <= BOX.width - BOX.right
            assert BOX.top <= y <= BOX.height - BOX.bottom


def test_a_label_is_escaped_where_a_chart_is_drawn() -> None:
    plot = line_plot("loss", "updates", [("<script>", [(0, 1.0)])])
    svg = environment("sad_env.templates").get_template("charts.html.j2").module.curves(plot, BOX)
    assert ElementTree.fromstring(f"<div>{svg}</div>").findtext(".//title") == "<script>"


def test_a_thinned_curve_is_the_mean_over_equal_runs_of_updates() -> None:
    curve = Thinned()
    for step in range(10_000):
        curve.add(step, float(step % 7))
    points = curve.points()
    assert curve.width == 32
    assert len(points) == -(-10_000 // 32) <= POINTS
    assert points[3] == (3 * 32 + 15.5, sum(step % 7 for step in range(96, 128)) / 32)
    assert curve.last == 9_999 % 7


def test_curves_read_what_a_file_has_grown_by_and_leave_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    curves = Curves(path)
    curves.read()
    assert (curves.updates, curves.plots()) == (0, [])
    path.write_text(json.dumps({"step": 0, "loss": 2.0, "act_divergence": 0.0, "cosine": None}) + "\n" + '{"step": 1')
    curves.read()
    assert (curves.updates, curves.latest) == (1, {"loss": 2.0, "act_divergence": 0.0})
    with path.open("a") as file:
        file.write(', "loss": 1.0, "seconds": 3.5}\n')
    curves.read()
    assert (curves.updates, curves.latest["loss"], curves.latest["seconds"]) == (2, 1.0, 3.5)
    assert [plot.title for plot in curves.plots()] == ["Loss"]


def test_a_line_that_is_no_metrics_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("[1]\n")
    with pytest.raises(RecordError, match="no step"):
        Curves(path).read()

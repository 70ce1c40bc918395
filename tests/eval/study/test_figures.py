"""Figures of a study: what they show, that nothing in them collides, and that equal figures are equal files."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest
from sad_eval.records import Estimate
from sad_eval.study.figures import METADATA, STYLE, Point, cost_figure, success_figure, write_figures
from sad_eval.study.report import NO_FIGURES, write_report

TOKENS = "supervised tokens"
REFERENCES = [("expert", 1.0), ("random", 0.01), ("teacher", 1.0)]


def point(method: str, size: str, value: float, tokens: float) -> Point:
    return Point(
        method, size, Estimate(value=value, low=max(0, value - 0.1), high=min(1, value + 0.1), n=9), {TOKENS: tokens}
    )


POINTS = [
    point(method, size, 0.1 * number, tokens)
    for size, factor in (("nano-2m", 1.0), ("nano-0.7m", 1.01))
    for number, (method, tokens) in enumerate(
        {
            "SFT start": 9000 * factor,
            "SeqKD": 2294 * factor,
            "token KL, offline": 2294 * factor,
            "costs $100_x^2$": 2300 * factor,
            "SAD, online": 3761 * factor,
        }.items()
    )
]


@pytest.mark.parametrize("kind", ["success", "cost"])
def test_every_method_size_and_reference_has_one_label_and_no_two_labels_overlap(kind: str) -> None:
    with matplotlib.rc_context(STYLE):
        if kind == "success":
            figure = success_figure("toy", POINTS, REFERENCES)
        else:
            figure = cost_figure("toy", TOKENS, POINTS, REFERENCES)
        figure.draw_without_rendering()
    (axes,), (legend,) = figure.axes, figure.legends
    methods = {one.method for one in POINTS}
    labels = [text.get_text() for text in legend.get_texts()]
    named = {"nano-2m", "nano-0.7m", "expert, 100 %", "random, 1 %", "teacher, 100 %"}
    if kind == "success":
        assert {text.get_text() for text in axes.get_yticklabels()} == methods
    else:
        named |= methods
    assert sorted(labels) == sorted(named)
    ticks = [
        label
        for axis in (axes.xaxis, axes.yaxis)
        for place, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
        if min(axis.get_view_interval()) <= place <= max(axis.get_view_interval())
    ]
    texts = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *legend.get_texts(), *ticks]
    boxes = {id(text): text.get_window_extent() for text in texts if text.get_text()}
    assert len(boxes) > 10
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    for box in boxes.values():
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1


def test_points_are_where_the_figures_say() -> None:
    axes = success_figure("toy", POINTS[:5], []).axes[0]
    (line,) = [one for one in axes.lines if len(one.get_xdata()) == 5 and one.get_marker() == "o"]
    assert list(line.get_xdata()) == pytest.approx([0, 10, 20, 30, 40])
    assert list(line.get_ydata()) == [0, 1, 2, 3, 4]
    axes = cost_figure("toy", TOKENS, POINTS[:5], REFERENCES).axes[0]
    drawn = {float(one.get_ydata()[0]): one.get_xdata()[0] for one in axes.lines if one.get_marker() == "o"}
    assert drawn == {100 * one.success.value: one.costs[TOKENS] for one in POINTS[:5]}


def test_equal_figures_are_equal_files_in_three_formats(tmp_path: Path) -> None:
    names = write_figures(tmp_path / "one", "toy", POINTS, REFERENCES)
    assert names == ["toy-success", "toy-tokens"]  # no seconds are known
    assert write_figures(tmp_path / "other", "toy", POINTS, REFERENCES) == names
    for name, ending in itertools.product(names, METADATA):
        content = (tmp_path / "one" / f"{name}.{ending}").read_bytes()
        assert content.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending])
        assert (tmp_path / "other" / f"{name}.{ending}").read_bytes() == content


def test_without_matplotlib_the_report_says_what_to_install(
    golden_study: Path,
    published: dict[str, str],
    as_before: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_report(golden_study)
    report = (golden_study / "README.md").read_text(encoding="utf-8")
    assert report.count(NO_FIGURES) == 2
    assert "![" not in report
    assert not list(golden_study.glob("*.svg"))
    csv_text = (golden_study / "results.csv").read_text(encoding="utf-8")
    assert as_before("results.csv", csv_text) == published["results.csv"]

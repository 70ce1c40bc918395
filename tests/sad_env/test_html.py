"""The shared environment of pages: everything is escaped, nothing is missing in silence, charts are well-formed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from jinja2 import UndefinedError

from sad_env.html import environment

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a page of its own."""
    folder = tmp_path / "guest_pages"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "guest.html.j2").write_text(
        '{% extends "page.html.j2" %}{% block body %}<p>{{ shown(words) }}</p>{% endblock %}'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "guest_pages"


def test_a_page_of_another_package_has_the_frame_and_escapes_what_is_inserted(package: str) -> None:
    page = environment(package).get_template("guest.html.j2").render(title=HOSTILE, words=HOSTILE)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3
    assert "default-src 'none'" in page
    assert "--reason: #1b57b0" in page
    assert "\x1b" not in page.partition("<body>")[2].partition("<p>")[2]


def test_a_value_that_is_missing_is_an_error(package: str) -> None:
    with pytest.raises(UndefinedError, match="words"):
        environment(package).get_template("guest.html.j2").render(title="a page")


def test_a_histogram_has_a_bar_for_each_bin_within_its_box(package: str) -> None:
    charts = environment(package).get_template("charts.html.j2").module
    svg = ElementTree.fromstring(charts.histogram([(0, 5, 2), (5, 10, 8), (10, 15, 0)], "R", "spans", "tokens"))
    bars = svg.findall("rect")
    assert [bar.findtext("title") for bar in bars] == ["0-4: 0.200 (2)", "5-9: 0.800 (8)", "10-14: 0.000 (0)"]
    heights = [float(bar.get("height", "nan")) for bar in bars]
    assert heights == [25.0, 100.0, 0.0]
    assert all(0 <= float(bar.get("x", "-1")) <= 420 for bar in bars)


def test_an_interval_lies_around_its_value(package: str) -> None:
    charts = environment(package).get_template("charts.html.j2").module
    svg = ElementTree.fromstring(charts.interval(0.25, 0.5, 0.8, "25 - 80 %"))
    ends = [(line.get("x1"), line.get("x2")) for line in svg.findall("line")[1:]]
    assert ends == [("25.00", "80.00"), ("50.00", "50.00")]

"""Report and board in a real browser: no message in the console, no request to the network."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.report.html import render_html
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.add import add
from sad_leaderboard.command import main as leaderboard

pytestmark = pytest.mark.browser

Browse = Callable[[Path, str], None]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Opens a page, takes its picture, and fails on anything in the console or on the network."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no chromium found")

    def open_page(page: Path, size: str) -> None:
        log, picture = tmp_path / "net.json", page.with_suffix(f".{size}.png")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr"]
        command += [f"--window-size={size}", f"--screenshot={picture}", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert "CONSOLE" not in done.stderr, "CONSOLE"
        events = json.loads(log.read_text())
        kind = events["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
        starts = [event.get("params", {}) for event in events["events"] if event["type"] == kind]
        # What the browser asks its maker on its own account has no origin; what a page asks for has the page's.
        asked = {start["url"] for start in starts if start.get("initiator", "not an origin") != "not an origin"}
        assert asked == set(), "the page asked the network"
        assert picture.stat().st_size > 10_000

    return open_page


@pytest.fixture(scope="module")
def runs(toy_run: Callable[..., RunFolder]) -> list[RunFolder]:
    return [toy_run(), toy_run("random", repeats=2)]


@pytest.mark.parametrize("size", ["1100,1600", "400,1600"])
def test_the_report_opens_quietly(browse: Browse, runs: list[RunFolder], tmp_path: Path, size: str) -> None:
    page = tmp_path / "report.html"
    page.write_text("".join(render_html(runs)), encoding="utf-8")
    browse(page, size)


def test_the_board_opens_quietly(browse: Browse, runs: list[RunFolder], tmp_path: Path) -> None:
    for run in runs:
        add(run, tmp_path / "entries", run.path.name, title=run.path.name, submitter="tests", submitted="2026-01-01")
    assert leaderboard(["build", "--root", str(tmp_path / "entries"), "--out", str(tmp_path / "board")]) == 0
    browse(tmp_path / "board" / "board.html", "1100,1000")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("<script>console.log('heard')</script>", "CONSOLE"),
        ("<img src='http://example.org/x.png'>", "asked the network"),
    ],
)
def test_the_browser_would_tell_of_a_page_that_is_not_quiet(
    browse: Browse, tmp_path: Path, source: str, complaint: str
) -> None:
    page = tmp_path / "loud.html"
    page.write_text(source, encoding="utf-8")
    with pytest.raises(AssertionError, match=complaint):
        browse(page, "400,400")

"""Long work says what it is, how far it is, and when it will be done."""

from __future__ import annotations

import io
import time

import pytest

from sad_env import progress
from sad_env.progress import Bars, Lines, announced
from sad_env.safe_text import console


class Clock:
    """A `time.monotonic` that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_a_line_has_the_count_the_time_left_and_the_pace_before_the_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    report = Lines()
    report("update", 100, 400)  # a run that goes on: what was done before says nothing of the pace
    clock.now = 4.9
    report("update", 101, 400)
    assert capsys.readouterr().err == ""
    clock.now = 50.0
    report("update", 200, 400, lambda: "loss 0.5")
    assert capsys.readouterr().err == "update  200/400  1 min 40 s left, 2.0/s  loss 0.5\n"
    clock.now = 100.0
    report("update", 400, 400)
    assert capsys.readouterr().err == "update  400/400\n"


def test_a_unit_that_takes_long_makes_the_rest_take_longer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    report = Lines(seconds=5)
    report("episodes", 0, 4)
    clock.now = 2.0
    report("episodes", 2, 4)
    clock.now = 20.0
    report._speak(5)
    assert capsys.readouterr().err == "episodes  2/4  20 s left, 6.0/min\n"


def test_work_of_which_no_unit_ends_is_spoken_of_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BEFORE_LINES", 0.01)
    with progress.shown(seconds=0.01) as report:
        report("episodes", 0, 4, lambda: "no episode has ended yet")
        deadline = time.monotonic() + 30
        lines: list[str] = []
        while len(lines) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
            lines += capsys.readouterr().err.splitlines()
    assert set(lines) == {"episodes  0/4  0 s so far  no episode has ended yet"}
    with progress.shown() as report:
        report("episodes", 0, 4)  # it is over before anybody wonders
    assert capsys.readouterr().err == ""


def test_on_80_columns_step_time_left_and_pace_come_first_and_the_numbers_below() -> None:
    bars = Bars()
    for step in (0, 1, 2):
        bars("update", step, 12_000, lambda: "loss 0.1234  divergence: reasoning 0.123, action 0.012  won 50%")
        time.sleep(0.01)
    out = io.StringIO()
    console(out, width=80).print(bars.draw())
    first, second = out.getvalue().splitlines()
    assert first.startswith("update     2/12000 ")
    assert " left, " in first
    assert "/s" in first
    assert second.rstrip() == "loss 0.1234  divergence: reasoning 0.123, action 0.012  won 50%"


def test_work_that_takes_long_says_what_it_is_and_how_long_it_has_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with announced("loading"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", 0.01)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    with announced("loading \x1b[31m"):
        time.sleep(0.1)
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == second == "loading ␛[31m ... 0 s"
    with announced("loading", quiet=True):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_of_work_inside_work_the_inner_speaks_and_where_lines_are_printed_neither(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", 0.02)
    with announced("the whole"):
        with announced("a part"):
            time.sleep(0.1)
        assert capsys.readouterr().err == "a part ... 0 s\n"
        monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", 10.0)
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    capsys.readouterr()
    monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", 0.5)
    with announced("the whole"), progress.shown() as report:
        for step in range(20):
            report("update", step, 20)
            time.sleep(0.02)
    assert "the whole" not in capsys.readouterr().err

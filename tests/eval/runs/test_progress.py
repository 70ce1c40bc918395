"""What a running evaluation shows, also of names that would rather steer the terminal."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable

import pytest
from rich.console import RenderableType
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.records import EpisodeLine
from sad_eval.runs.progress import headline, shown_run

from sad_env import progress
from sad_env.progress import Bars, duration
from sad_env.records import Status, Trajectory
from sad_env.safe_text import console

HOSTILE = "\x1b[2J\x1b]0;owned\x07[/bold][link=file:///etc/passwd]\u202etask\n\nsecond line"


def ended(sums: MetricSums, number: int, status: Status, task: str = "") -> EpisodeLine:
    line = EpisodeLine.of(
        Trajectory(
            world="toy",
            data="generated",
            split="test",
            task_id=task or f"task {number}",
            agent="someone",
            observation="",
            steps=(),
            status=status,
            success=status is Status.SUCCESS,
            error=HOSTILE if status.owed else "",
        )
    )
    if not status.owed:
        sums.add(line)
    return line


class Terminal(io.StringIO):
    """A standard error that takes colours and moves of the cursor."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bars]:
    """The bars of every `shown` on what looks like a terminal."""
    made: list[Bars] = []

    class Kept(Bars):
        def __init__(self, *arguments: Callable[[], RenderableType] | None) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(progress, "Bars", Kept)
    return made


def drawn(bars: Bars) -> str:
    out = io.StringIO()
    console(out, width=80).print(bars.draw())
    return out.getvalue()


def test_a_terminal_shows_counts_and_the_last_episodes(bars: list[Bars], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    sums = MetricSums(20)
    with shown_run(9, sums) as told:
        for number in range(7):
            told(ended(sums, number, Status.SUCCESS if number % 2 else Status.FAILURE))
        told(ended(sums, 7, Status.ENV_ERROR))
        text = drawn(bars[0])
    assert "7/9" in text
    assert "success 3/7 (43% [16, 75])" in text
    assert "1 to be tried again" in text
    assert "task 6" in text
    assert "task 1" not in text


def test_names_and_errors_cannot_steer_a_terminal(bars: list[Bars], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    sums = MetricSums(20)
    with shown_run(3, sums) as told:
        for status in (Status.ENV_ERROR, Status.FAILURE):
            told(ended(sums, 0, status, HOSTILE))
        harmless(drawn(bars[0]))


def test_names_and_errors_cannot_steer_what_reads_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    sums = MetricSums(20)
    with shown_run(3, sums) as told:
        for status in (Status.ENV_ERROR, Status.FAILURE):
            told(ended(sums, 0, status, HOSTILE))
    harmless(capsys.readouterr().err)


def harmless(text: str) -> None:
    assert "[/bold]" in text
    for sign in ("\x1b", "\x07", "\u202e"):
        assert sign not in text


def test_lines_come_at_intervals_and_owed_attempts_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = MetricSums(20)
    with shown_run(3, sums) as told:
        told(ended(sums, 0, Status.SUCCESS))
        assert capsys.readouterr().err == ""
        told(ended(sums, 1, Status.INFRA_ERROR))
        assert capsys.readouterr().err.startswith("infra_error in task 1: ")
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
        told(ended(sums, 2, Status.SUCCESS))
        counted, left, headed, *_ = capsys.readouterr().err.split("  ")
        assert (counted, headed) == ("2/3", "success 2/2 (100% [34, 100])")
        assert re.fullmatch(r"0 s left, [0-9.,]+/s", left)
    with shown_run(3, sums, quiet=True) as told:
        told(ended(sums, 3, Status.INFRA_ERROR))
        told(ended(sums, 4, Status.SUCCESS))
    assert capsys.readouterr().err == ""


def test_before_the_first_episode_there_is_nothing_to_say() -> None:
    assert headline(MetricSums(20)) == "no episode has ended yet"
    assert duration(59.9) == "59 s"

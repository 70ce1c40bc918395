"""What a running evaluation shows, also of names that would rather steer the terminal."""

from __future__ import annotations

import io

import pytest
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.records import EpisodeLine
from sad_eval.runs import progress
from sad_eval.runs.progress import Lines, LiveTable, chosen, duration, headline

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


def drawn(table: LiveTable) -> str:
    out = io.StringIO()
    console(out, width=80).print(table._draw())
    return out.getvalue()


def test_the_live_table_shows_counts_and_the_last_episodes() -> None:
    sums, table = MetricSums(20), LiveTable()
    table._clock.begin(9, sums)
    table._tally = sums
    for number in range(7):
        table.ended(ended(sums, number, Status.SUCCESS if number % 2 else Status.FAILURE), sums)
    table.ended(ended(sums, 7, Status.ENV_ERROR), sums)
    text = drawn(table)
    assert "7/9" in text
    assert "success 3/7 (43% [16, 75])" in text
    assert "1 to be tried again" in text
    assert "task 6" in text
    assert "task 1" not in text


def test_names_and_errors_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    sums, table, lines = MetricSums(20), LiveTable(), Lines()
    table._clock.begin(3, sums)
    table._tally = sums
    lines.begin(3, sums)
    for status in (Status.ENV_ERROR, Status.FAILURE):
        line = ended(sums, 0, status, HOSTILE)
        table.ended(line, sums)
        lines.ended(line, sums)
    for text in (drawn(table), capsys.readouterr().err):
        assert "[/bold]" in text
        for sign in ("\x1b", "\x07", "\u202e"):
            assert sign not in text


def test_lines_come_at_intervals_and_owed_attempts_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sums, lines = MetricSums(20), Lines()
    lines.begin(3, sums)
    lines.ended(ended(sums, 0, Status.SUCCESS), sums)
    assert capsys.readouterr().err == ""
    lines.ended(ended(sums, 1, Status.INFRA_ERROR), sums)
    assert capsys.readouterr().err.startswith("infra_error in task 1: ")
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    lines.ended(ended(sums, 2, Status.SUCCESS), sums)
    assert capsys.readouterr().err.startswith("2/3  success 2/2 (100% [34, 100])")
    assert isinstance(chosen(quiet=False), Lines)
    assert not isinstance(chosen(quiet=True), Lines | LiveTable)


def test_before_the_first_episode_there_is_nothing_to_say() -> None:
    assert headline(MetricSums(20)) == "no episode has ended yet"
    assert duration(59.9) == "59 s"

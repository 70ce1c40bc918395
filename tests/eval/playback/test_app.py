"""The full screen, driven headless key by key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("textual", reason="the full screen needs the extra play (textual)")

from sad_eval.playback.app import PlaybackApp
from sad_eval.runs.run_folder import RunFolder
from textual.pilot import Pilot
from textual.widgets import OptionList

from sad_env.records import SpanKind, Trajectory

Drive = Callable[[PlaybackApp, "Pilot[Any]"], Awaitable[None]]
MakeRun = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def episodes(toy_run: MakeRun) -> list[Trajectory]:
    return [line.trajectory for line in toy_run("random", repeats=2).episodes()]


@pytest.fixture(scope="module")
def teacher(toy_run: MakeRun) -> dict[str, Trajectory]:
    return {line.key.task_id: line.trajectory for line in toy_run().episodes()}


def drive(app: PlaybackApp, script: Drive, size: tuple[int, int] = (130, 40)) -> None:
    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await script(app, pilot)

    asyncio.run(run())


def screen(app: PlaybackApp) -> str:
    """The screen as text."""
    return "\n".join("".join(segment.text for segment in line) for line in app.screen._compositor.render_strips())


def test_the_first_screen_names_the_episode_and_the_keys(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        text = screen(app)
        assert episodes[0].task_id in text
        assert "run-x · random · toy · generated · episode 1 of 24" in text
        assert "space play" in text
        assert "You are in a corridor." in text
        assert "step 1: 4 admissible" in text

    drive(PlaybackApp(episodes, title="run-x"), script)


def test_keys_walk_through_beats_actions_and_episodes(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        await pilot.press("a")
        assert app.player.shown[-1].kind is SpanKind.ACT
        assert f"▸ {episodes[0].steps[0].action}" in screen(app)
        await pilot.press("right", "left", "left")
        assert app.player.beat == 0
        await pilot.press("n", "down", "up")
        assert app.player.place == 1
        assert app.query_one("#list", OptionList).highlighted == 1
        await pilot.press("end")
        assert app.player.at_end

    drive(PlaybackApp(episodes, title="x"), script)


def test_the_choice_is_not_told_before_the_action(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        assert "▸" not in screen(app)

    drive(PlaybackApp(episodes, title="x"), script)


def test_space_plays_and_pauses(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        await pilot.press("plus", "space")
        assert app.player.playing
        while app.player.beat == 0:
            await pilot.pause(0.05)
        await pilot.press("space")
        assert not app.player.playing
        assert app._timer is None

    longest = max(episodes, key=lambda one: len(one.steps))
    drive(PlaybackApp([longest], title="x"), script)


def test_the_filter_goes_round(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        failed = sum(not one.success for one in episodes)
        await pilot.press("f")
        assert f"episode 1 of {failed} failed" in screen(app)
        assert app.query_one("#list", OptionList).option_count == failed
        await pilot.press("f", "f")
        assert app.player.choice == "all"

    drive(PlaybackApp(episodes, title="x"), script)


def test_search_takes_blanks_and_finds_in_later_episodes(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        await pilot.press("slash", *"you take", "enter")
        assert app.player.needle == "you take"
        assert "You take" in app.player.shown[-1].text
        before = (app.player.place, app.player.beat)
        await pilot.press("N")
        assert (app.player.place, app.player.beat) != before
        await pilot.press("slash", *"nowhere at all", "enter")
        assert "occurs nowhere else" in screen(app)
        await pilot.press("slash", *"n", "escape", "n")
        assert not app.query_one("#search").display

    drive(PlaybackApp(episodes, title="x"), script)


def test_the_teacher_plays_beside_and_reasoning_hides_in_both(
    episodes: list[Trajectory], teacher: dict[str, Trajectory]
) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        await pilot.press("end")
        text = screen(app)
        assert "expert · success" in text
        assert "Reasoning: " in text
        await pilot.press("r")
        assert "Reasoning: " not in screen(app)
        assert "reasoning hidden" in screen(app)
        await pilot.press("t")
        assert not app.query_one("#teacher").display

    drive(PlaybackApp(episodes, title="x", reference=teacher), script)


def test_panes_open_and_close_and_help_lists_every_key(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        await pilot.press("c", "l")
        assert not app.query_one("#choices").display
        assert not app.query_one("#list").display
        await pilot.press("question_mark")
        assert "search all episodes" in screen(app)

    drive(PlaybackApp(episodes, title="x"), script)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 60)])
def test_every_size_of_terminal_works(
    episodes: list[Trajectory], teacher: dict[str, Trajectory], size: tuple[int, int]
) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        await pilot.press("end", "n", "a", "question_mark", "f", "r")
        assert app.player.trajectory is not None

    drive(PlaybackApp(episodes, title="x", reference=teacher), script, size)


def test_a_small_screen_has_the_episode_alone_until_a_pane_is_asked_for(
    episodes: list[Trajectory], teacher: dict[str, Trajectory]
) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        panes = {name: app.query_one(f"#{name}") for name in ("list", "choices", "teacher")}
        assert not any(pane.display for pane in panes.values())
        assert app.query_one("#episode").size.width >= 38
        await pilot.press("t")
        assert [name for name, pane in panes.items() if pane.display] == ["teacher"]

    drive(PlaybackApp(episodes, title="x", reference=teacher), script, (40, 12))


def test_a_click_in_the_list_opens_the_episode(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        await pilot.click("#list", offset=(4, 5))
        assert app.player.place == 5

    drive(PlaybackApp(episodes, title="x"), script)


def test_it_begins_where_it_is_told_to(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        assert app.player.trajectory is not None
        assert app.player.trajectory.task_id == episodes[4].task_id
        assert app.player.hide_reasoning

    drive(PlaybackApp(episodes, title="x", task_id=episodes[4].task_id, hide_reasoning=True), script)


def test_a_narrow_screen_shows_the_ending_of_a_task_with_a_long_name(episodes: list[Trajectory]) -> None:
    long = episodes[0].model_copy(update={"task_id": "pick_and_place_simple-SoapBottle-None-Toilet-" * 4})

    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        assert f"{long.ending}  score {long.score:g}  pick_and_place" in screen(app)

    drive(PlaybackApp([long], title="x"), script, size=(80, 24))


def test_escape_closes_the_list_of_keys(episodes: list[Trajectory]) -> None:
    async def script(app: PlaybackApp, pilot: Pilot[Any]) -> None:
        await pilot.press("question_mark")
        assert app.query_one("#keys").display
        await pilot.press("escape")
        assert not app.query_one("#keys").display

    drive(PlaybackApp(episodes, title="x"), script)

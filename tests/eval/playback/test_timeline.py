"""The player's state: where every key leads, on real episodes of the toy world."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sad_eval.commands.play import main
from sad_eval.playback.cast import cast_lines
from sad_eval.playback.person import play_world
from sad_eval.playback.plain import print_episodes
from sad_eval.playback.timeline import CHOICES, SPEEDS, EpisodePlayer, beats, reading_seconds
from sad_eval.runs.run_folder import RunFolder

from sad_env.records import SpanKind, Trajectory, read_trajectories
from sad_env.safe_text import console

MakeRun = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def run(toy_run: MakeRun) -> RunFolder:
    return toy_run("random", repeats=2)


@pytest.fixture(scope="module")
def episodes(run: RunFolder) -> list[Trajectory]:
    return [line.trajectory for line in run.episodes()]


@pytest.fixture(scope="module")
def expert(toy_run: MakeRun) -> RunFolder:
    return toy_run()


def test_beats_tell_the_episode_in_order(expert: RunFolder) -> None:
    trajectory = next(expert.episodes()).trajectory
    told = beats(trajectory)
    assert told[0].text == trajectory.observation
    assert [beat.kind.value for beat in told] == ["O"] + ["R", "A", "O"] * len(trajectory.steps)
    assert [beat.text for beat in told if beat.kind is SpanKind.ACT] == [step.action for step in trajectory.steps]


def test_next_action_stops_at_every_action_and_then_at_the_end(episodes: list[Trajectory]) -> None:
    player = EpisodePlayer(episodes[:1])
    stops = []
    for _ in range(len(episodes[0].steps)):
        player.next_action()
        stops.append(player.shown[-1].kind)
    assert set(stops) == {SpanKind.ACT}
    player.next_action()
    assert player.at_end


def test_filters_keep_failures_or_successes_and_stay_near(episodes: list[Trajectory]) -> None:
    player = EpisodePlayer(episodes)
    player.select("failed")
    assert len(player.chosen) == sum(not one.success for one in episodes)
    player.open(3)
    kept = player.trajectory
    player.select("all")
    assert player.trajectory is kept
    player.select("solved")
    assert player.trajectory is not None
    assert player.trajectory.success


def test_a_filter_that_leaves_nothing_leaves_a_quiet_player(expert: RunFolder) -> None:
    player = EpisodePlayer([line.trajectory for line in expert.episodes()], "failed")
    assert player.trajectory is None
    assert player.shown == ()
    for act in (player.next_action, player.tick, player.toggle, player.toggle_reasoning, player.search):
        act()
    assert not player.playing
    player.select("all")
    assert player.trajectory is not None


def test_hidden_reasoning_keeps_the_step(expert: RunFolder) -> None:
    player = EpisodePlayer([line.trajectory for line in expert.episodes()])
    player.move(5)
    step = player.step_number
    player.toggle_reasoning()
    assert player.step_number == step
    assert SpanKind.REASON not in {beat.kind for beat in player.beats}
    player.toggle_reasoning()
    assert SpanKind.REASON in {beat.kind for beat in player.beats}


def test_search_goes_through_all_episodes_and_comes_round(episodes: list[Trajectory]) -> None:
    player = EpisodePlayer(episodes)
    hits = sum("attic" in beat.text.lower() for one in episodes for beat in beats(one))
    places = set()
    for _ in range(hits):
        assert player.search("ATTIC")
        places.add((player.place, player.beat))
        assert "attic" in player.shown[-1].text.lower()
    assert len(places) == hits
    assert not player.search("a word that stands nowhere")


def test_playing_ends_at_the_end_and_starts_again(episodes: list[Trajectory]) -> None:
    player = EpisodePlayer(episodes)
    player.toggle()
    for _ in range(len(player.beats)):
        player.tick()
    assert player.at_end
    assert not player.playing
    player.toggle()
    assert player.playing
    assert player.beat == 0


def test_speeds_divide_the_reading_time(episodes: list[Trajectory]) -> None:
    player = EpisodePlayer(episodes)
    assert player.seconds() == reading_seconds(player.beats[0])
    player.change_speed(100)
    assert player.seconds() == reading_seconds(player.beats[0]) / SPEEDS[-1]


MOVES = ["tick", "toggle", "next_action", "toggle_reasoning", "search"]
KEYS = st.one_of(
    st.sampled_from(MOVES),
    st.tuples(st.just("move"), st.integers(-50, 50)),
    st.tuples(st.just("open"), st.integers(-5, 50)),
    st.tuples(st.just("select"), st.sampled_from(CHOICES)),
    st.tuples(st.just("change_speed"), st.integers(-9, 9)),
    st.tuples(st.just("search"), st.sampled_from(["attic", "zzz", ""])),
)


@given(keys=st.lists(KEYS, max_size=30))
def test_no_order_of_keys_leaves_the_episode(episodes: list[Trajectory], keys: list[str | tuple[str, object]]) -> None:
    player = EpisodePlayer(episodes)
    for key in keys:
        name, arguments = (key, ()) if isinstance(key, str) else (key[0], key[1:])
        getattr(player, name)(*arguments)
        assert player.trajectory is not None
        assert player.choice == "all" or player.trajectory.success == (player.choice == "solved")
        assert 0 <= player.beat < len(player.beats)
        assert 0 < player.seconds() < 20


def test_plain_playback_prints_every_word(episodes: list[Trajectory]) -> None:
    out = io.StringIO()
    print_episodes(episodes, console(out))
    text = out.getvalue()
    assert text.count("✓") == sum(one.success for one in episodes)
    for step in episodes[0].steps:
        assert step.action in text
        assert step.observation in text


def test_a_recording_is_an_asciicast_whose_clock_runs_forward(episodes: list[Trajectory]) -> None:
    header, *events = [json.loads(line) for line in cast_lines(episodes[:3])]
    assert header["version"] == 2
    times = [event[0] for event in events]
    assert times == sorted(times)
    assert all(event[1] == "o" for event in events)
    assert len(list(cast_lines(episodes[:3], hide_reasoning=True))) <= len(events) + 1


def test_the_command_prints_what_was_asked_for(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run.path), "--only", "failed"]) == 0
    shown = capsys.readouterr().out
    assert "✓" not in shown
    assert shown.count("✗") == sum(not line.trajectory.success for line in run.episodes())


def test_the_command_prints_as_many_as_were_asked_for_and_always_the_same(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for count in ("1", "3", "0"):
        assert main([str(run.path), "--plain", "--episodes", count]) == 0
        out = capsys.readouterr().out
        shown.append([line.split()[1] for line in out.splitlines() if line.startswith(("✓", "✗"))])
    assert [len(tasks) for tasks in shown[:2]] == [1, 3]
    assert shown[2] == sorted(shown[2])
    assert shown[2][:3] == shown[1]
    assert main([str(run.path), "--episodes", "-1"]) == 2


def test_a_reference_is_printed_below_and_a_wrong_one_told(
    run: RunFolder, expert: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run.path), "--plain", "--episodes", "3", "--reference", str(expert.path)]) == 0
    heads = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("✓", "✗"))]
    assert [words[4] for words in heads] == ["random", "expert"] * 3
    tasks = [words[1] for words in heads]
    assert tasks[0::2] == tasks[1::2]
    assert main([str(run.path), "--plain", "--reference", "nowhere"]) == 5
    assert "is no run folder" in capsys.readouterr().err


def test_the_file_of_a_runs_episodes_is_the_run(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for path in (run.path, run.path / "episodes.jsonl"):
        assert main([str(path), "--episodes", "1"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def test_the_command_writes_a_recording(run: RunFolder, tmp_path: Path) -> None:
    assert main([str(run.path), "--export", str(tmp_path / "run.cast")]) == 0
    assert json.loads((tmp_path / "run.cast").read_text().splitlines()[0])["version"] == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "give either a run to play back"),
        (["nowhere"], 5, "is no run folder"),
        (["RUN", "--only", "failed", "--task", "test-9999"], 2, "none of 'test-9999' that is failed"),
        (["RUN", "--env", "toy"], 2, "give either a run to play back"),
        (["RUN", "--task", "test-9999"], 2, "none of 'test-9999'"),
        (["--env", "toyy"], 2, "did you mean 'toy'"),
        (["--env", "toy", "--serve"], 2, "'toy' has no web pages"),
        (["--env", "toy", "--task", "nothing"], 2, "no task 'nothing'"),
        (["--env", "webshop", "--serve", "--task", "nothing"], 2, "no task 'nothing' in the panel 'test'"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    words: list[str], code: int, message: str, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run.path) if word == "RUN" else word for word in words]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_person_plays_by_number_and_by_word_and_is_recorded_like_an_agent(tmp_path: Path) -> None:
    screen, out = io.StringIO(), tmp_path / "human.jsonl"
    lines = io.StringIO("go to attic\nsing\n2\n3\ngo to cellar\ntake violin\ntake ring\n")
    code = play_world(
        "toy", data="generated", panel="", task_id="test-0003", seed=0, out=out, inbox=lines, outbox=screen
    )
    assert code == 0
    (episode,) = read_trajectories(out)
    assert episode.agent == "human"
    assert [step.action for step in episode.steps][:3] == ["go to attic", "sing", "go to cellar"]
    assert [step.valid for step in episode.steps][:3] == [True, False, True]
    assert episode.steps[0].admissible is not None
    assert "  1  go to attic" in screen.getvalue()
    assert "Actions: " in screen.getvalue()


def test_a_person_who_leaves_is_not_recorded(tmp_path: Path) -> None:
    screen, out = io.StringIO(), tmp_path / "human.jsonl"
    leaving = io.StringIO("look\nquit\nlook\n")
    arguments = {"data": "generated", "panel": "", "task_id": "", "seed": 1}
    assert play_world("toy", **arguments, out=out, inbox=leaving, outbox=screen) == 130
    assert not out.exists()
    assert "Not recorded" in screen.getvalue()


def test_a_reference_of_another_world_is_refused(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.jsonl"
    trajectory = next(iter(run.episodes())).trajectory.model_copy(update={"world": "webshop"})
    other.write_text(trajectory.to_json() + "\n")
    assert main([str(run.path), "--plain", "--reference", str(other)]) == 2
    assert "is of webshop, the episodes are of toy" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["sad_eval.commands.play", "sad_eval.commands.report", "sad_leaderboard.command"])
def test_these_commands_load_neither_torch_nor_textual(module: str) -> None:
    source = f"import {module}, sys; print(sorted({{'torch', 'transformers', 'textual'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_textual_the_command_prints_and_says_how_to_get_it(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules is how Python itself marks a module that cannot be imported.
    for name in [name for name in sys.modules if name == "textual" or name.startswith("textual.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main([str(run.path)]) == 0
    shown = capsys.readouterr()
    assert "pip install 'sad-env-core[play]'" in shown.err
    assert "✗" in shown.out

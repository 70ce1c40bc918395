"""Game files: what is written is read back, and what is no game is refused in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sad_env.alfworld.game import Game
from sad_env.alfworld.problem import Problem, parse_game, read_game, write_game
from sad_env.errors import DataError


def test_a_written_game_is_read_back_as_it_was(problems: list[Problem]) -> None:
    for problem in problems:
        assert parse_game(write_game(problem, "some_name"), "written") == problem


def test_an_official_game_survives_being_written_and_read(official_games: Path) -> None:
    paths = sorted(official_games.glob("json_2.1.1/valid_seen/*/*/game.tw-pddl"))[::20]
    for path in paths:
        problem = read_game(path)
        again = parse_game(write_game(problem, "again"), "again")
        assert (again.facts, again.goal, again.task) == (problem.facts, problem.goal, problem.task)
        assert problem.washers == ("sinkbasintype", "sinktype")


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        game = json.loads(text)
        return json.dumps(change(game) or game)

    return edit


def in_problem(old: str, new: str) -> Callable[[str], str]:
    return edited(lambda game: game.update(pddl_problem=game["pddl_problem"].replace(old, new, 1)))


def in_key(key: str, old: str, new: str) -> Callable[[str], str]:
    return edited(lambda game: game.update({key: game[key].replace(old, new, 1)}))


SPOILED: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "", "not JSON"),
    "truncated": (lambda text: text[: len(text) // 2], "not JSON"),
    "a list": (lambda text: "[1, 2]", "a game file is a JSON object"),
    "a pointer of git-lfs": (lambda text: "version https://git-lfs.github.com/spec/v1\n", "not JSON"),
    "deep": (lambda text: "[" * 100_000, "nested too deep|not JSON"),
    "a key twice": (lambda text: '{"grammar": "", ' + text[1:], "comes twice"),
    "no problem": (edited(lambda game: {**game, "pddl_problem": None}), "no text under 'pddl_problem'"),
    "no domain": (edited(lambda game: {"grammar": game["grammar"]}), "no text under 'pddl_domain'"),
    "a foreign domain": (in_key("pddl_domain", "PickupObject", "Grab"), "unknown PDDL domain.*backend='textworld'"),
    "a foreign grammar": (in_key("grammar", "You pick up", "You get"), "unknown grammar.*backend='textworld'"),
    "a hostile task": (in_key("grammar", "Your task is to: ", "Your task is to: \\u001b[2J"), "task sentence"),
    "walkthrough no list": (edited(lambda game: game.update(walkthrough="go")), "'walkthrough' is a list"),
    "walkthrough of numbers": (edited(lambda game: game.update(walkthrough=[1])), "'walkthrough' is a list"),
    "no initial state": (in_problem("(:init", "(:unit"), "lacks :objects, :init or :goal"),
    "nested facts": (in_problem("(:init", "(:init (not (openable x))"), "not a list of plain facts"),
    "an open bracket": (in_problem("(:init", "(:init ("), "not a list of plain facts"),
    "an unknown fact": (in_problem("(:init", "(:init (flies agent1)"), "'flies agent1' is no fact"),
    "a fact too long": (in_problem("(:init", "(:init (openable a b)"), "is no fact"),
    "an empty fact": (in_problem("(:init", "(:init ()"), "is no fact"),
    "an undeclared name": (in_problem("(:init", "(:init (openable ghost_bar_1)"), "not declared as receptacle"),
    "a wrong type": (in_problem("(:init", "(:init (openable agent1)"), "not declared as receptacle"),
    "an unknown goal": (in_problem("(:goal", "(:goal (and)"), "none of the six known shapes"),
    "two starts": (in_problem("(:init", "(:init (atlocation agent1 loc_bar_77)"), "not declared as location"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_file_is_one_clear_line(case: str, problems: list[Problem]) -> None:
    spoil, complaint = SPOILED[case]
    with pytest.raises(DataError, match=complaint) as caught:
        parse_game(spoil(write_game(problems[0], "name")), "TASK/TRIAL")
    message = str(caught.value)
    assert message.startswith("TASK/TRIAL: ")
    assert len(message.splitlines()) == 1
    assert len(message) < 400
    assert message.isprintable()
    assert caught.value.exit_code == 5


def changed(problem: Problem, drop: tuple[str, ...] = (), add: tuple[tuple[str, ...], ...] = ()) -> Problem:
    facts = {fact for fact in problem.facts if fact[0] not in drop}
    return Problem(tuple(sorted({*facts, *add})), problem.goal, problem.task, (), problem.washers)


@pytest.mark.parametrize(
    ("drop", "add", "complaint"),
    [
        (("receptacleatlocation",), (), "exactly one location"),
        (("atlocation",), (), "starts at one location"),
        ((), (("atlocation", "agent1", "loc_bar_0"),), "starts at one location"),
        ((), (("objecttype", "mug", "mugtype"),), "'mug' has no '_bar_'"),
    ],
)
def test_a_world_without_rules_is_refused(
    drop: tuple[str, ...], add: tuple[tuple[str, ...], ...], complaint: str, problems: list[Problem]
) -> None:
    with pytest.raises(DataError, match=complaint):
        Game(changed(problems[0], drop, add), "TASK/TRIAL")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "absent", Path("/dev/zero")):
        with pytest.raises(DataError, match="no such file"):
            read_game(path)


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "game.tw-pddl"
    with open(path, "wb") as file:
        file.truncate(2**33)
    with pytest.raises(DataError, match="larger than"):
        read_game(path)

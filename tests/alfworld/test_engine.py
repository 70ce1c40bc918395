"""The engine replays what the original answered, and its states are values."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sad_env.alfworld import engine
from sad_env.alfworld.game import Game
from sad_env.alfworld.problem import read_game
from sad_env.alfworld.session import ALFWorldSession


def test_every_golden_episode_replays_without_a_difference(
    golden: Callable[[str], Iterator[Any]], official_games: Path
) -> None:
    steps = 0
    for episode in golden("alfworld_golden.jsonl.gz"):
        game = Game(read_game(official_games / episode["game"]))
        session = ALFWorldSession(game)
        assert engine.introduction(game) == episode["reset_obs"]
        assert session.admissible() == episode["reset_admissible"]
        for step in episode["steps"]:
            observation, _ = session.step(step["command"])
            found = (observation, session.admissible(), int(session.won), session.won, session.won)
            assert found == tuple(step[key] for key in ("obs", "admissible", "score", "won", "done")), episode["game"]
            steps += 1
    assert steps > 10_000


@pytest.fixture
def session(a_game: Game) -> ALFWorldSession:
    return ALFWorldSession(a_game)


def wander(session: ALFWorldSession, seed: int, steps: int = 25) -> list[str]:
    draw = random.Random(seed)
    return [session.step(draw.choice(session.admissible()))[0] for _ in range(steps)]


def test_a_state_put_back_gives_the_same_future(session: ALFWorldSession) -> None:
    wander(session, 1)
    middle = session.state
    future = wander(session, 2)
    assert session.state != middle
    session.state = middle
    assert wander(session, 2) == future


def test_states_compare_hash_copy_and_pickle_as_values(session: ALFWorldSession) -> None:
    beginning = session.state
    wander(session, 1)
    same = pickle.loads(pickle.dumps(session.state))
    assert same == session.state == copy.deepcopy(session.state)
    assert {same: "here"}[session.state] == "here"
    assert beginning == engine.initial_state(session.game) != session.state


def test_two_sessions_of_one_game_do_not_touch_each_other(session: ALFWorldSession) -> None:
    other = ALFWorldSession(session.game)
    wander(session, 3)
    assert other.state == engine.initial_state(session.game)


def test_only_admissible_commands_change_the_state(session: ALFWorldSession) -> None:
    draw = random.Random(5)
    for _ in range(300):
        before = session.state
        command = draw.choice(session.admissible())
        broken = command[:-1] if draw.random() < 0.5 else command.upper()
        if broken.strip() not in session.admissible():
            assert session.step(broken) == (engine.NOTHING_HAPPENS, False)
            assert session.state is before
        assert session.step(f" {command}\n")[1]


def test_threads_that_share_a_game_play_as_one_alone(a_game: Game) -> None:
    with ThreadPoolExecutor(8) as pool:
        played = list(pool.map(lambda seed: wander(ALFWorldSession(a_game), seed, 300), [1, 2, 3, 4] * 4))
    assert played == [wander(ALFWorldSession(a_game), seed, 300) for seed in (1, 2, 3, 4)] * 4

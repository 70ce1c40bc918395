"""A small game that needs no data."""

from __future__ import annotations

import pytest

from sad_env.alfworld.game import Game
from sad_env.alfworld.problem import read_game


@pytest.fixture(scope="session")
def a_game(official_games) -> Game:
    return Game(read_game(next(official_games.glob("json_2.1.1/valid_seen/*/*/game.tw-pddl"))))

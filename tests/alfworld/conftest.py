"""Generated games: they need no data."""

from __future__ import annotations

import pytest

from sad_env.alfworld.game import Game
from sad_env.alfworld.generator import blueprints, generate
from sad_env.alfworld.problem import Problem


@pytest.fixture(scope="session")
def problems() -> list[Problem]:
    """Twelve games of the training split."""
    return [generate(one) for one in blueprints("train", 12)]


@pytest.fixture(scope="session")
def a_game(problems: list[Problem]) -> Game:
    return Game(problems[0])

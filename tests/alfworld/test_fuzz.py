"""Whatever an agent writes, nothing breaks, and nothing changes unless it was admissible."""

from __future__ import annotations

import random
import sys
import tracemalloc

from sad_env.alfworld.game import Game
from sad_env.alfworld.generator import blueprints, generate
from sad_env.alfworld.problem import Problem
from sad_env.alfworld.session import ALFWorldSession

STRINGS = 100_000


def a_string(session: ALFWorldSession, draw: random.Random) -> str:
    choice = draw.random()
    if choice < 0.3:
        return "".join(chr(draw.randrange(sys.maxunicode + 1)) for _ in range(draw.randrange(30)))
    if choice < 0.5:
        return "".join(chr(draw.randrange(128)) for _ in range(draw.randrange(40)))
    if choice < 0.501:
        return draw.choice(["take ", "\0", "💥", "go to "]) * 10_000
    command = draw.choice(session.admissible())
    if choice < 0.6:
        return command
    position = draw.randrange(len(command) + 1)
    if choice < 0.8:
        return command[:position] + chr(draw.randrange(0x3000)) + command[position:]
    return command[:position] + command[position + 1 :]


def test_arbitrary_strings_never_raise_and_change_nothing_unless_admissible(problems: list[Problem]) -> None:
    draw, tried = random.Random("fuzz"), 0
    for problem in problems[:10]:
        session = ALFWorldSession(Game(problem))
        for _ in range(STRINGS // 10):
            before, text = session.state, a_string(session, draw)
            admissible = text.strip() in session.admissible()
            observation, valid = session.step(text)
            assert valid == admissible
            assert valid or (observation == "Nothing happens." and session.state is before)
            tried += 1
    assert tried == STRINGS


def test_a_thousand_open_games_take_less_than_400_megabytes() -> None:
    problems = [generate(one) for one in blueprints("train", 40)]
    tracemalloc.start()
    try:
        open_games = [ALFWorldSession(Game(problem)) for problem in problems]
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / len(open_games) < 400e6 / 1000

"""ALFWorld's two dialects: today's text, and the older one of ReAct's prompts and most published results."""

from __future__ import annotations

import re
from typing import Literal, get_args

from sad_env.errors import UnknownNameError

Dialect = Literal["2.1.3", "react"]
"""`2.1.3`: what alfworld 0.4 says. `react`: what the older engine said as ReAct's script handed it on: "put X in/on Y",
no greeting, no "You arrive at …", no `help`."""

_PUT = re.compile(r"put (.+) in/on (.+)")
_MOVE = re.compile(r"move (.+) to (.+)")
_MOVED = re.compile(r"You move the (.+) to the (.+)\.")


def check_dialect(name: str) -> Dialect:
    """`name` itself.

    Raises:
        UnknownNameError: no such dialect.
    """
    for known in get_args(Dialect):
        if known == name:
            return known  # type: ignore[no-any-return]
    raise UnknownNameError("dialect of alfworld", name, get_args(Dialect))


def command_in(action: str, dialect: Dialect) -> str:
    """What the engine is asked when an agent writes `action`; empty for what the dialect does not know."""
    if dialect == "2.1.3":
        return action
    action = action.strip()
    if put := _PUT.fullmatch(action):
        return f"move {put[1]} to {put[2]}"
    return "" if action == "help" or _MOVE.fullmatch(action) else action


def command_out(command: str, dialect: Dialect) -> str:
    """A command of the engine as the dialect writes it.

    >>> command_out("move mug 1 to desk 1", "react")
    'put mug 1 in/on desk 1'
    """
    if dialect == "react" and (move := _MOVE.fullmatch(command)):
        return f"put {move[1]} in/on {move[2]}"
    return command


def commands_out(commands: list[str], dialect: Dialect) -> list[str]:
    """Admissible commands as the dialect writes them, sorted."""
    if dialect == "2.1.3":
        return commands
    return sorted(command_out(command, dialect) for command in commands if command != "help")


def observation_out(text: str, dialect: Dialect) -> str:
    r"""What is seen, as the dialect says it.

    >>> observation_out("You arrive at desk 1. On the desk 1, you see nothing.", "react")
    'On the desk 1, you see nothing.'
    """
    if dialect == "2.1.3":
        return text
    if text.startswith("-= Welcome"):
        return "\n".join(text.split("\n\n")[1:])
    if text.startswith("You arrive at "):
        return text.partition(". ")[2]
    if moved := _MOVED.fullmatch(text):
        return f"You put the {moved[1]} in/on the {moved[2]}."
    return text

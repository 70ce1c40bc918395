"""A world's actions as functions that a model calls: their schemas, and calls turned into actions and back."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from sad_env.safe_text import one_line


@dataclass(frozen=True)
class ActionTool:
    """One kind of action as a function whose arguments are all texts and all required.

    >>> take = ActionTool("take", "Take a thing.", "take {thing} from {place}", {"thing": "What.", "place": "Where."})
    >>> take.action({"thing": "apple 1", "place": "countertop 2"})
    'take apple 1 from countertop 2'
    >>> take.arguments("take apple 1 from countertop 2")
    {'thing': 'apple 1', 'place': 'countertop 2'}

    Attributes:
        name: of the function.
        description: what it does.
        pattern: the action as the world reads it, with its arguments in braces.
        parameters: each argument with what it is.
    """

    name: str
    description: str
    pattern: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> dict[str, Any]:
        """The function in the form of OpenAI's `tools`."""
        properties = {name: {"type": "string", "description": text} for name, text in self.parameters.items()}
        parameters = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}

    def action(self, arguments: Mapping[str, str]) -> str:
        """The action that a call with exactly these arguments is."""
        return self.pattern.format(**arguments)

    def arguments(self, action: str) -> dict[str, str] | None:
        """The arguments of the call that is this action, None for an action of another kind."""
        found = self._expression.fullmatch(action)
        return found.groupdict() if found else None

    @functools.cached_property
    def _expression(self) -> re.Pattern[str]:
        parts = [
            re.escape(text) + (f"(?P<{name}>.*)" if name else "") for text, name, *_ in Formatter().parse(self.pattern)
        ]
        return re.compile("".join(parts), re.DOTALL)


class CallError(ValueError):
    """A call that is no action, in one line for the one who made it."""


def called_action(tools: Sequence[ActionTool], name: object, arguments: object) -> str:
    """The action that a call is.

    Args:
        tools: of the world.
        name: of the function.
        arguments: read from JSON.

    Raises:
        CallError: no such function, or other arguments than it has.
    """
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        known = ", ".join(tool.name for tool in tools)
        raise CallError(f"there is no function {one_line(str(name), 40)!r}; the functions are {known}")
    if not isinstance(arguments, dict):
        raise CallError(f"the arguments of {tool.name} are no JSON object")
    for key in tool.parameters:
        if key not in arguments:
            raise CallError(f"the call of {tool.name} lacks the argument {key!r}")
        if type(arguments[key]) is not str:
            raise CallError(f"the argument {key!r} of {tool.name} is no text")
    for key in arguments:
        if key not in tool.parameters:
            raise CallError(f"{tool.name} has no argument {one_line(str(key), 40)!r}")
    return tool.action(arguments)


def call_of(tools: Sequence[ActionTool], action: str) -> tuple[str, dict[str, str]] | None:
    """Function and arguments of the call that is this action; None where no function of the world writes it.

    The first function that fits is taken: `called_action` of what is returned is `action` again, to the character.
    """
    for tool in tools:
        if (arguments := tool.arguments(action)) is not None:
            return tool.name, arguments
    return None

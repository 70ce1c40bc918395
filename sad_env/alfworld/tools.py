"""ALFWorld's commands as functions for models that act by calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sad_env.alfworld.dialect import command_out
from sad_env.tools import ActionTool

_OBJECT = 'A thing with its number, e.g. "apple 1".'
_RECEPTACLE = 'A place with its number, e.g. "countertop 2".'
_BOTH = {"object": _OBJECT, "receptacle": _RECEPTACLE}

_TOOLS = (
    ActionTool("look", "Look around where you are.", "look"),
    ActionTool("inventory", "Say what you carry.", "inventory"),
    ActionTool("help", "List the kinds of actions.", "help"),
    ActionTool("go_to", "Go to a place.", "go to {receptacle}", {"receptacle": _RECEPTACLE}),
    ActionTool("open", "Open a place that is closed.", "open {receptacle}", {"receptacle": _RECEPTACLE}),
    ActionTool("close", "Close a place that is open.", "close {receptacle}", {"receptacle": _RECEPTACLE}),
    ActionTool("take", "Take a thing from the place where you are.", "take {object} from {receptacle}", _BOTH),
    ActionTool("move", "Put a thing that you carry into or onto a place.", "move {object} to {receptacle}", _BOTH),
    ActionTool("examine", "Look closely at a thing or a place.", "examine {target}", {"target": "A thing or a place."}),
    ActionTool("use", "Turn on a thing, e.g. a lamp.", "use {object}", {"object": _OBJECT}),
    ActionTool("clean", "Clean a thing that you carry at a sink.", "clean {object} with {receptacle}", _BOTH),
    ActionTool("heat", "Heat a thing that you carry in a microwave.", "heat {object} with {receptacle}", _BOTH),
    ActionTool("cool", "Cool a thing that you carry in a fridge.", "cool {object} with {receptacle}", _BOTH),
    ActionTool(
        "slice", "Slice a thing with a knife that you carry.", "slice {object} with {knife}",
        {"object": _OBJECT, "knife": 'A knife with its number, e.g. "knife 1".'},
    ),
)  # fmt: skip


def tools(options: Mapping[str, Any]) -> tuple[ActionTool, ...]:
    """The functions of a world that is made with these options: "move" writes what the dialect reads."""
    dialect = options.get("dialect", "2.1.3")
    written = (
        ActionTool(tool.name, tool.description, command_out(tool.pattern, dialect), tool.parameters) for tool in _TOOLS
    )
    return tuple(tool for tool in written if dialect == "2.1.3" or tool.name != "help")

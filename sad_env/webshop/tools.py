"""WebShop's actions as functions for models that act by calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sad_env.tools import ActionTool

_TOOLS = (
    ActionTool("search", "Search, where there is a search bar.", "search[{words}]", {"words": "Keywords."}),
    ActionTool(
        "click", "Click a button, a product or an option of this page.", "click[{name}]",
        {"name": "What is clicked, as the page writes it between brackets."},
    ),
)  # fmt: skip


def tools(options: Mapping[str, Any]) -> tuple[ActionTool, ...]:
    """The functions of a world that is made with these options; they are the same for all."""
    return _TOOLS

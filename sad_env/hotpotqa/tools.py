"""HotPotQA's actions as functions for models that act by calls; ReAct's think[...] is what is said beside a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sad_env.tools import ActionTool

_TOOLS = (
    ActionTool("search", "Open an article, or list similar titles.", "search[{title}]", {"title": "A title."}),
    ActionTool(
        "lookup", "Show the next sentence of the open article that holds these words.", "lookup[{words}]",
        {"words": "Words of the article."},
    ),
    ActionTool("finish", "Answer, which ends the task.", "finish[{answer}]", {"answer": "The answer alone."}),
)  # fmt: skip


def tools(options: Mapping[str, Any]) -> tuple[ActionTool, ...]:
    """The functions of a world that is made with these options; they are the same for all."""
    return _TOOLS

"""HotPotQA as ReAct plays it: questions that are answered by reading an encyclopedia."""

from sad_env.hotpotqa.actions import canonical_action

__all__ = ["canonical_action"]

"""A teacher whose words are known beforehand: for tests and documentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sad_distill.teachers.base import WritingPrompt


@dataclass(frozen=True)
class ScriptedTeacher:
    """Writes what a function says.

    Attributes:
        script: gives the completion for a prompt.
        name: for the records.
    """

    script: Callable[[WritingPrompt], str]
    name: str = "scripted"

    def generate(self, prompts: Sequence[WritingPrompt]) -> list[str]:
        """See `WritingTeacher`."""
        return [self.script(prompt) for prompt in prompts]

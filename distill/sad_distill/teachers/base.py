"""The protocol of a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sad_distill.data.batch import Batch
from sad_distill.losses.targets import Target
from sad_env.records import FormName


class ScoringTeacher(Protocol):
    """A teacher that can say how likely any token was at any position of the student's own ids.

    Attributes:
        name: identity and revision; it is part of the key of cached answers.
    """

    name: str

    @property
    def setting(self) -> str:
        """What its answers depend on besides name and request: the other part of that key."""
        ...

    def score(self, batch: Batch) -> Target:
        """Its distribution at each predicted position of the batch.

        Raises:
            InfrastructureError: it did not answer, also after retries; the update may be repeated.
        """
        ...


def concurrency_of(teacher: ScoringTeacher | None) -> int:
    """Batches that a teacher may be asked for at once: one, but for clients of a server."""
    return int(getattr(teacher, "concurrency", 1))


@dataclass(frozen=True)
class WritingPrompt:
    """What a teacher is to continue.

    Attributes:
        text: everything before the completion, as one text.
        seed: seeds the draw.
        form: the form that it is to write in.
        messages: role and content of each turn, for a teacher that is asked in a chat; empty where it continues `text`.
    """

    text: str
    seed: int = 0
    form: FormName = "lines"
    messages: tuple[tuple[str, str], ...] = ()


class WritingTeacher(Protocol):
    """A teacher that can write completions: a text-only server, or a script.

    Attributes:
        name: identity and revision.
    """

    name: str

    def generate(self, prompts: Sequence[WritingPrompt]) -> list[str]:
        """One completion for each prompt, reasoning and action, final newline included.

        Raises:
            InfrastructureError: it did not answer, also after retries.
        """
        ...

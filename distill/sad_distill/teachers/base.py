"""The protocol of a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sad_distill.data.batch import Batch
from sad_distill.losses.targets import Target
from sad_distill.models.token_ids import TokenIds
from sad_env.errors import DataError
from sad_env.records import FormName
from sad_env.safe_text import one_line


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


def check_ids(batch: Batch, ids: TokenIds, teacher: str) -> None:
    """Refuse rows with tokens that student and teacher do not share: what one of them has alone may not occur.

    Raises:
        DataError: naming such an id.
    """
    if len(found := ids.foreign(batch.ids_BT[batch.mask_BT > 0])):
        raise DataError(
            f"the episodes hold token {int(found[0])}, which student and teacher {one_line(teacher, 60)!r} do not"
            " share: leave out episodes with it, or give a teacher of the student's own tokenizer"
        )


def said_of(ids: TokenIds, rows: int) -> str:
    """How a teacher's `setting` names what its distributions are over; nothing where that is all rows of its head."""
    if ids.end == rows and not ids.without:
        return ""
    return f", ids below {ids.end}" + (f" without {sorted(ids.without)}" if ids.without else "")


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

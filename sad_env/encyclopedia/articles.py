"""What a corpus is made of."""

from __future__ import annotations

from dataclasses import dataclass

AMBIGUOUS = "may refer to:"
"""An article that says so is a disambiguation page: it lists the namesakes."""


@dataclass(frozen=True)
class Article:
    """An article of a corpus.

    Attributes:
        title: its title.
        sentences: its text, cut into sentences; each but the first begins with a blank.
        aliases: titles that redirect to it.
    """

    title: str
    sentences: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.sentences)

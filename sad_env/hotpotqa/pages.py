"""Page sources: the interface that live Wikipedia and all offline corpora implement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SHOWN_TITLES = 5
"""Titles that ReAct shows of a result list."""


@dataclass(frozen=True)
class Page:
    """A page that was found.

    Attributes:
        title: its title, for scoring what was read; the agent does not see it.
        text: its paragraphs, joined by newlines.
        date: when the text was taken from a live source, ISO 8601; empty for a corpus.
        damaged: paragraphs whose escapes could not be decoded and were kept as they came; ReAct's own environment
            crashes on such a page.
    """

    title: str
    text: str
    date: str = ""
    damaged: int = 0


@dataclass(frozen=True)
class Similar:
    """No page of that name: titles that come close, best first."""

    titles: tuple[str, ...]


class PageSource(Protocol):
    """Where pages come from."""

    def find(self, entity: str) -> Page | Similar:
        """The page of this name, or titles that come close.

        A name in square brackets ("[Ed Wood]") asks for titles only, as it does at Wikipedia.

        Raises:
            InfrastructureError: the source does not answer; asking again is harmless.
        """
        ...

    def close(self) -> None:
        """Free what the source holds; twice is fine."""
        ...


def sentences(text: str) -> list[str]:
    r"""A page cut into sentences as ReAct does it.

    Paragraphs are cut at each ". " and every piece gets a full stop, so that the last sentence of a paragraph ends
    in two.

    >>> sentences("He sang. He wrote.\nShe ran")
    ['He sang.', 'He wrote..', 'She ran.']
    """
    pieces: list[str] = []
    for paragraph in text.split("\n"):
        if stripped := paragraph.strip():
            pieces += stripped.split(". ")
    return [piece.strip() + "." for piece in pieces if piece.strip()]

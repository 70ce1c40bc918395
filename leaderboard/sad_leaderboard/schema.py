"""The documents and levels of an entry. It declares no figures: they are recomputed from the episodes."""

from __future__ import annotations

import datetime
import re
import unicodedata
from enum import IntEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sad_env.records import Record
from sad_env.safe_text import visible

ENTRY, MANIFEST, RESULTS, EPISODES = "entry.json", "manifest.json", "results.json", "episodes.jsonl.gz"
FILES = (ENTRY, MANIFEST, RESULTS, EPISODES)
"""The files of an entry folder; there are no others."""

_LINK = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/%+=&?#:@!,;()*-]*)?")

_MARKS = re.compile("m+")
MOST_MARKS = 4
"""Combining marks in a row; more would cover the lines above and below."""


def _one_visible_line(text: str) -> str:
    if text != visible(text) or "\n" in text or "\t" in text or text != text.strip():
        raise ValueError("one line of visible characters, without blanks at its ends")
    if max(map(len, _MARKS.findall("".join(map(_is_mark, text)))), default=0) > MOST_MARKS:
        raise ValueError(f"at most {MOST_MARKS} combining marks on a character")
    return text


def _is_mark(character: str) -> str:
    return "m" if unicodedata.category(character) in ("Mn", "Me") else " "


def _drawn(text: str) -> str:
    if not any(unicodedata.category(character)[0] in "LNPS" and character != "\u2800" for character in text):
        raise ValueError("at least one character that can be seen")
    return text


def _https(text: str) -> str:
    if text and not _LINK.fullmatch(text):
        raise ValueError("empty or an https:// address of plain characters")
    return text


def _date(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError("a date as YYYY-MM-DD")
    datetime.date.fromisoformat(text)
    return text


Line = Annotated[str, AfterValidator(_one_visible_line)]
Name = Annotated[Line, Field(min_length=1, max_length=80), AfterValidator(_drawn)]


class Level(IntEnum):
    """How far an entry has been checked; each level holds those before it."""

    CLAIMED = 0
    """Its files are whole and of this version; its figures are claims."""
    RECOMPUTED = 1
    """Every planned episode is there once, and the figures are those of the episodes."""
    REPLAYED = 2
    """The recorded actions, played again in the world, give the recorded observations, verdicts and endings."""
    RERUN = 3
    """The named agent, run again, writes and does the same."""

    @property
    def label(self) -> str:
        """The level in lower case."""
        return self.name.lower()


class Entry(Record):
    """entry.json."""

    schema_version: Literal[1] = 1
    title: Name
    """What the agent is called on the board."""
    submitter: Name
    """Person or group."""
    submitted: Annotated[str, AfterValidator(_date)]
    """YYYY-MM-DD."""
    description: Annotated[Line, Field(max_length=500)] = ""
    link: Annotated[str, Field(max_length=200), AfterValidator(_https)] = ""
    """Paper, checkpoint or code."""
    track: Literal["standard", "privileged"] = "standard"
    """privileged: it saw more than an agent sees (hidden state, gold answers). The two are ranked apart."""
    parameters: Annotated[int | None, Field(ge=1, le=10**15)] = None
    """Number of the model's parameters."""
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    """sha256 of the other files of the folder."""

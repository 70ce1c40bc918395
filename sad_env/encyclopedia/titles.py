"""Titles of articles: normal forms in which they are compared, and the bracket that tells namesakes apart."""

from __future__ import annotations

import html
import re
import unicodedata

_NOT_WORD = re.compile(r"[\W_]+")
_LABEL = re.compile(r" \(([^()]*)\)$")


def folded(title: str) -> str:
    """A title without case, HTML escapes, further blanks and forms of the same character; its signs stay.

    >>> folded("romeo  &times; Juliet ") == folded("Romeo × Juliet"), folded("C++") == folded("C")
    (True, False)
    """
    return " ".join(unicodedata.normalize("NFKC", html.unescape(title)).casefold().split())


def normalize_title(title: str) -> str:
    """A title without case, punctuation, HTML escapes and forms of the same character.

    >>> normalize_title("Ed Wood (film)"), normalize_title("Tunnels &amp; Trolls")
    ('ed wood film', 'tunnels trolls')
    """
    return _NOT_WORD.sub(" ", folded(title)).strip()


def base_name(title: str) -> str:
    """A title without the bracket that tells it from its namesakes, normalised.

    >>> base_name("Ed Wood (film)")
    'ed wood'
    """
    return normalize_title(_LABEL.sub("", title))


def bracket(title: str) -> str:
    """What a title's bracket says; empty where it has none.

    >>> bracket("Ed Wood (film)")
    'film'
    """
    match = _LABEL.search(title)
    return match[1] if match else ""

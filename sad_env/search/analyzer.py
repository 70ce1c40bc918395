"""Text to index terms exactly as Lucene's English analysis does: words, possessives, lower case, stop words, Porter.

Sources: Unicode Standard Annex 29 (word boundaries) as the StandardTokenizer of Lucene 8.11 applies it, and the filter
chain of Anserini's default English analyzer. `analyze` is the whole chain, `words` its first link.

Only a text that ends in a lone high surrogate differs: Lucene drops its last tokens, `words` keeps them.
"""

from __future__ import annotations

import bisect
import functools
import re
import sys
from collections.abc import Iterator

from sad_env.search.porter import stem
from sad_env.tables import read_table

MAX_TOKEN = 255
"""Lucene cuts longer words into pieces of this many UTF-16 code units."""

_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such
that the their then there these they this to was will with
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


class _Classes(dict[int, str]):
    """Code point to the letter of its class in word_break.toml, looked up when a character first occurs."""

    def __init__(self) -> None:
        super().__init__()
        ranges = [
            (int(low, 16), int(high or low, 16), letter)
            for letter, text in read_table("sad_env.search", "word_break.toml").items()
            for low, _, high in (part.partition("-") for part in text.split())
        ]
        self._ranges = sorted(ranges)

    def __missing__(self, code: int) -> str:
        low, high, letter = self._ranges[bisect.bisect_right(self._ranges, (code, sys.maxunicode + 1, "")) - 1]
        self[code] = letter if low <= code <= high else "-"
        return self[code]


_CLASSES = _Classes()

# A text is mapped to a string of class letters, and one regular expression over that string matches the longest word
# at each position. Names follow UAX 29. Nothing looks ahead, so that a text which is cut anywhere matches alike.
_X = "[XTZVFCGH]*"
_UNIT = f"(?:W{_X}(?:Q{_X}|D{_X}W{_X})|N{_X}(?:[MBQ]{_X}N{_X})*|[AWi]{_X}(?:[LBQ]{_X}[AWi]{_X})*)"
_BLOCK = f"(?:(?:K{_X})+|{_UNIT}+)"
_CONNECTORS = f"E[E{_X[1:-2]}]*"
_ALPHANUMERIC = f"(?:{_CONNECTORS})?{_BLOCK}(?:{_CONNECTORS}{_BLOCK})*(?:{_CONNECTORS})?"

# Emoji sequences (UTS 51): presentation selectors end what extends a pictograph, and joiners join pictographs.
_Y = "[XTZCGH]*"
_TONED = f"O{_Y}m{_Y}"
_TONE = f"Z?(?<=Z)m{_Y}"
_JOINED = f"(?:Z*(?<=Z)(?:{_TONED}|[POi]{_Y}F?)|{_TONE})"
_EMOJI = f"(?:Z*{_TONED}|m{_Y}|Z*[PO]{_Y}F?|Z+i{_Y}F?)(?:{_JOINED}+|G+H)?"
# A letter that is a pictograph too: only another pictograph makes the emoji longer than the word.
_LETTER_EMOJI = f"i{_Y}(?:(?:FZ+)?(?<=Z)i{_Y})*(?:(?:FZ+)?(?<=Z)(?:{_TONED}|[PO]{_Y}F?)|(?:FZ)?(?<=Z)m{_Y}){_JOINED}*"
_KEYCAP = f"k{_Y}F?C{_Y}"

_SOUTH_EAST_ASIAN = re.compile(f"[ST][S{_X[1:]}")
_WORD = re.compile(
    f"{_LETTER_EMOJI}|{_ALPHANUMERIC}|{_EMOJI}|{_KEYCAP}|{_SOUTH_EAST_ASIAN.pattern}|[IJ]{_X}|R{_X}R{_X}"
    # No words, but matched as a whole, so that a long run of them takes linear time.
    f"|(?P<none>E(?:[E{_X[1:]}E)?|Z+)"
)


def words(text: str) -> list[str]:
    """The words of `text` in order, case kept.

    >>> words("Wi-Fi 2.5 usb_c, bar.com!")
    ['Wi', 'Fi', '2.5', 'usb_c', 'bar.com']
    """
    return [text[start:end] for start, end in _spans(text)]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    classes = text.translate(_CLASSES)
    for match in _WORD.finditer(classes):
        start, end = match.span()
        if match.lastgroup is not None:
            yield from (marks.span() for marks in _SOUTH_EAST_ASIAN.finditer(classes, start, end))
        elif end - start > MAX_TOKEN // 2 and end > _limit(text, start):
            yield from _windowed(text, classes, start)
            return
        else:
            yield start, end


def _windowed(text: str, classes: str, position: int) -> Iterator[tuple[int, int]]:
    """The words from a position on, where Lucene sees no more than `MAX_TOKEN` code units at a time."""
    while position < len(text):
        begins = classes[position] not in "-XVFCGHLMBQD"
        match = _WORD.match(classes, position, _limit(text, position)) if begins else None
        if match and match.lastgroup is None:
            yield match.span()
            position = match.end()
        else:
            position += 1


def _limit(text: str, start: int) -> int:
    """End of the longest token that may begin at `start`."""
    end = min(start + MAX_TOKEN, len(text))
    units = end - start + sum(character > "\uffff" for character in text[start:end])
    while units > MAX_TOKEN:
        end -= 1
        units -= 1 + (text[end] > "\uffff")
    return end


@functools.lru_cache(maxsize=1 << 16)
def term(word: str) -> str | None:
    """The index term of one word, None for a stop word.

    >>> term("Dresses"), term("women's"), term("the")
    ('dress', 'women', None)
    """
    if len(word) >= 2 and word[-1] in "sS" and word[-2] in "'\u2019\uff07":
        word = word[:-2]
    # Lucene lowers character by character: no final sigma, no dotted i of two characters.
    word = word.lower() if word.isascii() else "".join(letter.lower()[:1] for letter in word)
    return None if word in STOP_WORDS else stem(word)


def analyze(text: str) -> list[str]:
    """The index terms of `text` in order.

    >>> analyze("Find me a women's red dress, size 2.5")
    ['find', 'me', 'women', 'red', 'dress', 'size', '2.5']
    """
    return [stemmed for word in words(text) if (stemmed := term(word)) is not None]

"""Text to index terms exactly as Lucene's English analysis does: words, possessives, lower case, stop words, Porter.

Sources: Unicode Standard Annex 29 (word boundaries) as Lucene 8's StandardTokenizer reads it, and the filter chain of
Anserini's default English analyzer. `analyze` is the whole chain, `words` its first link.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

from sad_env.search.porter import stem

MAX_TOKEN = 255
"""Lucene cuts longer words into pieces of this many characters."""

_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such
that the their then there these they this to was will with
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

# Word-break classes, one letter each: the text is mapped character by character to a string of these letters, and
# one regular expression over that string finds the words.
_MARKS = {
    "Q": "'",
    "D": '"',
    "L": ":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a",
    "M": ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b",
    "B": ".\u2018\u2019\u2024\ufe52\uff07\uff0e",
    "E": "_\u202f\u203f\u2040\u2054\ufe33\ufe34\ufe4d\ufe4e\ufe4f\uff3f",
    "-": "\u200b",
    "N": "\u066b",
    "X": "\uff9e\uff9f",
    "A": "\u05f3",
    "Z": "\u200d",
}
_RANGES = (
    ("W", "5D0-5EA 5EF-5F2 FB1D FB1F-FB28 FB2A-FB4F"),  # Hebrew letters
    ("K", "3031-3035 309B-309C 30A0-30FA 30FC-30FF 31F0-31FF 32D0-32FE 3300-3357 FF66-FF9D 1B000"),  # Katakana
    ("J", "3041-3096 309D-309F 1B001-1B11E 1F200"),  # Hiragana: each a word
    (
        "I",
        "2E80-2EF3 2F00-2FD5 3005 3007 3021-3029 3038-303B 3400-4DBF 4E00-9FFF F900-FAD9 20000-2FA1D 30000-33479",
    ),  # Han
    # Thai, Lao, Burmese, Khmer, Tai: a run is one word
    ("S", "E01-E3A E40-E4E E81-EDF 1000-103F 1050-109F 1780-17D3 17D7 17DC-17DD 1950-19DF 1A20-1AAD AA60-AADF"),
    ("A", "24B6-24E9 1F130-1F149 1F150-1F169 1F172-1F17D 1F180-1F189"),  # letters in circles and squares
    ("X", "1F3FB-1F3FF"),  # skin tones
    ("R", "1F1E6-1F1FF"),  # two of them are a flag
    # pictographs: each a word
    ("P", "A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 2388 23CF 23E9-23F3 23F8-23FA 24C2 25AA-25AB"),
    ("P", "25B6 25C0 25FB-25FE 2600-2605 2607-2612 2614-2685 2690-2705 2708-2712 2714 2716 271D 2721 2728 2733-2734"),
    ("P", "2744 2747 274C 274E 2753-2755 2757 2763-2767 2795-2797 27A1 27B0 27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50"),
    ("P", "2B55 3030 303D 3297 3299 1F000-1F0FF 1F10D-1F10F 1F12F 1F16C-1F171 1F17E-1F17F 1F18E 1F191-1F19A"),
    (
        "P",
        "1F1AD-1F1E5 1F201-1F20F 1F21A 1F22F 1F232-1F23A 1F23C-1F23F 1F249-1F3FA 1F400-1F53D 1F546-1F64F 1F680-1F6FF",
    ),
    ("P", "1F774-1F77F 1F7D5-1F7FF 1F80C-1F80F 1F848-1F84F 1F85A-1F85F 1F888-1F88F 1F8AE-1F8FF 1F900-1FFFD"),
)
_CATEGORIES = {"Lu": "A", "Ll": "A", "Lt": "A", "Lm": "A", "Lo": "A", "Nl": "A", "Nd": "N"} | dict.fromkeys(
    ("Mn", "Me", "Mc", "Cf"), "X"
)


def _intervals() -> list[tuple[int, int, str]]:
    found = []
    for letter, ranges in _RANGES:
        for part in ranges.split():
            low, _, high = part.partition("-")
            found.append((int(low, 16), int(high or low, 16), letter))
    return found


class _Classes(dict[int, str]):
    """Code point to class letter, worked out at the first meeting of each character."""

    def __init__(self) -> None:
        super().__init__({ord(mark): letter for letter, marks in _MARKS.items() for mark in marks})
        self._ranges = _intervals()

    def __missing__(self, code: int) -> str:
        for low, high, letter in self._ranges:
            # Marks inside a script's range extend the letter before them; South-East Asian vowels are of the run.
            if low <= code <= high and (letter in "SXP" or unicodedata.category(chr(code))[0] != "M"):
                break
        else:
            letter = _CATEGORIES.get(unicodedata.category(chr(code)), "-")
        self[code] = letter
        return letter


_CLASSES = _Classes()

# Any character takes the marks after it (_X); a letter or digit also one mid-word sign that its own kind follows.
_X = "[XZ]*"
_LETTER = f"(?:W{_X}(?:Q{_X}|D{_X}(?=W))|[AW]{_X}(?:[LBQ]{_X}(?=[AW]))?)"
_NUMBER = f"N{_X}(?:[MBQ]{_X}(?=N))?"
_BLOCK = f"(?:(?:K{_X})+|(?:{_LETTER}|{_NUMBER})+)"
_WORD = re.compile(
    f"(?:E[EXZ]*)?{_BLOCK}(?:E[EXZ]*{_BLOCK})*(?:E[EXZ]*)?"
    f"|S[SXZ]*|[IJ]{_X}|R{_X}R{_X}|P{_X}(?:(?<=Z)P{_X})*"
    # Signs alone are no word; they are matched so that a long run of them is passed over in one go.
    "|(?P<none>E[EXZ]*)"
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
        if match.lastgroup is None:
            start, end = match.span()
            while end - start > MAX_TOKEN:
                yield start, start + MAX_TOKEN
                start += MAX_TOKEN
            yield start, end


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
    return [found for word in words(text) if (found := term(word)) is not None]

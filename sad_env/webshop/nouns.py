"""Which words of a product name are nouns, as the original's tagger saw them, without a tagger.

The original compares product names by the words that spaCy's ``en_core_web_sm`` 3.6 tags as NOUN or PROPN. Here names
are cut into tokens by spaCy's published rules for English, restated for product names, and tagged by a small table:

- a token that holds a letter and does not begin with a digit is a noun, any other is not;
- ``nouns.tsv`` lists words for which this is the other way round, and neighbourhoods in which one word is.

The table was fitted to that model's answers on the 1,000 product names of the small official catalogue: for each word
the commoner answer, then the narrowest set of neighbourhoods that explains the rest. On those names it gives the
model's nouns to the word; on other names it is an approximation, whose weight in a reward is small: only whether the
share of common nouns is 0, below 0.1 or above 0.2 matters, and only for a product of another query and category.
"""

from __future__ import annotations

import functools
import re
from importlib import resources

_LETTERS = "A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff\u3040-\u30ff\u4e00-\u9fff"
_QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉⟦⟧"
_SIGNS = "[…,:;!?¿؟¡()\\[\\]{}<>_#*&。？！，、；：～·।،۔؛٪]"
_MONEY = "[$£€¥฿₽₩₪₫₹₺₿]"
_UNITS = (
    "km|km²|km³|m|m²|m³|dm|dm²|dm³|cm|cm²|cm³|mm|mm²|mm³|ha|µm|nm|yd|in|ft|kg|g|mg|µg|t|lb|oz|m/s|km/h|mph|hPa|Pa|mbar"
    "|mb|MB|kb|KB|gb|GB|tb|TB|T|G|M|K|%"
)
_ICONS = "[\u2190-\u27bf\u2b00-\u2bff\u00a6\u00a9\u00ae\u00b0\u2100-\u214f\ufffc-\ufffd\U0001f000-\U0001faff]"

_PREFIX = re.compile(rf"[§%=—–]|\+(?![0-9])|{_SIGNS}|\.\.+|[{_QUOTES}]|{_MONEY}|{_ICONS}")
_SUFFIX = re.compile(
    rf"(?:{_SIGNS}|(?<!\.)\.\.+|[{_QUOTES}]|{_ICONS}|['’][sS]|[—–]|(?<=[0-9])\+|(?<=°[FfCcKk])\.|(?<=[0-9]){_MONEY}"
    rf"|(?<=[0-9])(?:{_UNITS})|(?<=[0-9{_LETTERS.lower()}%²\-+{_QUOTES}])\.|(?<=[A-Z][A-Z])\.)$"
)
_INFIX = re.compile(
    rf"\.\.+|…|{_ICONS}|(?<=[0-9])[+\-*^](?=[0-9-])|(?<=[a-z{_QUOTES}])\.(?=[A-Z{_QUOTES}])"
    rf"|(?<=[{_LETTERS}]),(?=[{_LETTERS}])|(?<=[{_LETTERS}0-9])(?:--+|——|[-–—~])(?=[{_LETTERS}])"
    rf"|(?<=[{_LETTERS}0-9])[:<>=/](?=[{_LETTERS}])"
)
_ABBREVIATIONS = frozenset(("inc.", "co.", "dr.", "st.", "mr.", "ms.", "mrs.", "jr.", "vs."))
_LONGEST = 2_000
"""Characters of a name that are looked at; real names are shorter."""


def tokens(name: str) -> list[str]:
    """The lower-cased tokens of a product name.

    >>> tokens("Women's Wi-Fi Bag, 12oz (Red)")
    ['women', "'s", 'wi', '-', 'fi', 'bag', ',', '12', 'oz', '(', 'red', ')']
    """
    pieces: list[str] = []
    for word in name[:_LONGEST].split():
        pieces.extend(_split(word))
    joined: list[str] = []
    for token in pieces:
        if token == "." and joined and joined[-1].lower() + "." in _ABBREVIATIONS:
            joined[-1] += "."
        else:
            joined.append(token)
    return [token.lower() for token in joined]


def _split(word: str) -> list[str]:
    before, after = [], []
    while word:
        if match := _PREFIX.match(word):
            before.append(match.group())
            word = word[match.end() :]
        elif match := _SUFFIX.search(word):
            after.append(match.group())
            word = word[: match.start()]
        else:
            break
    middle, position = [], 0
    for match in _INFIX.finditer(word):
        middle += [word[position : match.start()], match.group()]
        position = match.end()
    middle.append(word[position:])
    return [*before, *(part for part in middle if part), *reversed(after)]


@functools.lru_cache(maxsize=1)
def _table() -> frozenset[tuple[str, str, str, str, str]]:
    """Words and neighbourhoods that are exceptions: two tokens before, the word, two after; "" is any."""
    text = resources.files("sad_env.webshop").joinpath("nouns.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#\t"))
    return frozenset((row[0], row[1], row[2], row[3], row[4]) for row in rows)


@functools.lru_cache(maxsize=4096)
def nouns(name: str) -> tuple[str, ...]:
    """The nouns of a product name, lower-cased, in order, repeats kept.

    >>> nouns("Floor Lamp with 4 Shades")
    ('floor', 'lamp', 'shades')
    """
    table = _table()
    padded = ["^", "^", *tokens(name), "$", "$"]
    tagged = []
    for index in range(2, len(padded) - 2):
        before_that, before, word, after, after_that = padded[index - 2 : index + 3]
        is_noun = not word[0].isdigit() and any(letter.isalpha() for letter in word)
        is_noun ^= ("", "", word, "", "") in table
        contexts = (
            ("", before, word, "", ""),
            ("", "", word, after, ""),
            ("", before, word, after, ""),
            (before_that, before, word, "", ""),
            ("", "", word, after, after_that),
            (before_that, before, word, after, after_that),
        )
        if is_noun != any(context in table for context in contexts):
            tagged.append(word)
    return tuple(tagged)

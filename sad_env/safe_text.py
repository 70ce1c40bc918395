"""Text that is safe on a terminal: that of models, data and files, with every control made visible."""

from __future__ import annotations

import re
from typing import IO

from rich.console import Console
from rich.text import Text

# C0 without \n and \t, DEL, C1, zero-width and bidirectional controls, line and paragraph separators,
# the byte-order mark, interlinear annotations, variation selectors, tags, the format controls of rare scripts and
# of music, and lone surrogates. U+200D (joiner) and U+FE0E, U+FE0F (text and emoji style) are kept: they only shape
# the characters next to them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def _glyph(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"<U+{code:04X}>"


def visible(text: str) -> str:
    r"""`text` with every control, bidirectional, invisible or surrogate character as a visible glyph.

    Newline and tab stay. The result can be encoded in UTF-8 and cannot move a terminal's cursor, change
    its title or reorder the text around it.

    >>> visible("\x1b[2Jhi\u202e")
    '␛[2Jhi<U+202E>'
    """
    return _UNSAFE.sub(_glyph, text)


def one_line(text: str, limit: int = 200) -> str:
    r"""`text` made visible, on one line, cut at `limit` characters with an ellipsis.

    >>> one_line("a\nb")
    'a b'
    """
    # Only what can still be seen after the cut is made visible: a hostile name may be megabytes long.
    line = " ".join(visible(text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def safe_text(text: str, style: str = "") -> Text:
    """`text` as a rich `Text` that is neither control sequence nor markup; the way of foreign text to a terminal."""
    return Text(visible(text), style=style)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has seen enough is no failure of the command; rich would end with exit code 1."""
        raise BrokenPipeError


def console(file: IO[str] | None = None, *, stderr: bool = False, width: int | None = None) -> Console:
    """A rich console with markup, emoji codes and highlighting off, so that `search[red shoes]` stays itself."""
    return _Console(file=file, stderr=stderr, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)

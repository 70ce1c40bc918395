"""Foreign text in tables of other programs: CSV that starts no formula, LaTeX and Markdown that start no markup."""

from __future__ import annotations

import re

from sad_env.safe_text import visible

Cell = str | float | int | None
"""What a table cell may hold; None is an empty cell."""

_MOST = 32_767
"""Characters of a spreadsheet's cell; longer text is cut."""

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20|%]|[\t\r\n]")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after a line break it would open an optional argument
    "]": "{]}",
    '"': r"\textquotedbl{}",
    "\u0060": r"\textasciigrave{}",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]|~!#])")


def number(value: float | int | None) -> str:
    """A figure for people: whole numbers whole, others with three digits after the point, None as a dash.

    >>> number(3), number(0.12345), number(None)
    ('3', '0.123', '–')
    """
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def csv_cell(value: Cell) -> str:
    """A cell that no spreadsheet takes for a formula: text that could start one gets an apostrophe before it.

    Numbers stay numbers, negative ones too; line breaks stay, quoted by the CSV writer.

    >>> csv_cell("=1+1"), csv_cell(-0.5), csv_cell("go to sink 1")
    ("'=1+1", '-0.5', 'go to sink 1')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    text = visible(value[:_MOST])
    text = f"'{text}" if _FORMULA.match(text) else text
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def latex_cell(value: Cell) -> str:
    r"""A cell with LaTeX's special characters written out, on one line.

    >>> print(latex_cell(r"50% \input{x}"))
    50\% \textbackslash{}input\{x\}
    """
    text = " ".join(visible(value).split()) if isinstance(value, str) else number(value)
    return "".join(_LATEX.get(character, character) for character in text).replace("–", "--")


def markdown_cell(value: Cell) -> str:
    r"""A cell of a Markdown table that is neither markup nor HTML nor the end of the cell.

    >>> print(markdown_cell("a|b <script> [x](y)"))
    a\|b &lt;script&gt; \[x\](y)
    """
    text = " ".join(visible(value).split()) if isinstance(value, str) else number(value)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)

"""What a MediaWiki answers to a search, read as ReAct's environment reads it."""

from __future__ import annotations

import warnings
from urllib.parse import quote_plus

from bs4 import BeautifulSoup

from sad_env.hotpotqa.pages import Page, Similar


def search_url(base: str, entity: str) -> str:
    """Address of a search: blanks become '+', all else is escaped.

    ReAct escapes nothing itself, so that its "AT&T" asks Wikipedia for "AT"; ours asks for what the agent wrote.

    >>> search_url("https://en.wikipedia.org/w/index.php", "Ed Wood")
    'https://en.wikipedia.org/w/index.php?search=Ed+Wood'
    """
    return f"{base}?search={quote_plus(entity, errors='replace')}"


def read_answer(html: str) -> Page | Similar:
    """The page or the result list that an answer holds.

    A page is the text of all `<p>`, then of all `<ul>`; paragraphs of two words or fewer fall away.
    """
    soup = BeautifulSoup(html, features="html.parser")
    headings = soup.find_all("div", {"class": "mw-search-result-heading"})
    if headings:
        return Similar(tuple(unescape(heading.get_text().strip())[0] for heading in headings))
    paragraphs = [element.get_text().strip() for element in [*soup.find_all("p"), *soup.find_all("ul")]]
    decoded = [unescape(paragraph) for paragraph in paragraphs if len(paragraph.split(" ")) > 2]
    text = "".join(paragraph + "\n" for paragraph, _ in decoded)
    return Page(_title(soup), text, damaged=sum(not whole for _, whole in decoded))


def unescape(text: str) -> tuple[str, bool]:
    r"""ReAct's `clean_str`: decode backslash escapes, then read the characters as UTF-8 bytes.

    Returns:
        The text and True; or, where that is impossible (a lone backslash, a character outside Latin-1 after
        unescaping), the text as it came and False.

    >>> unescape("caf\\xc3\\xa9")
    ('café', True)
    >>> unescape("C:\\")
    ('C:\\', False)
    """
    if "\\" not in text:
        # Without a backslash the round trip gives the same text back, unless the text holds a lone surrogate.
        return text, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return text.encode().decode("unicode-escape").encode("latin1").decode("utf-8"), True
    except UnicodeError:
        return text, False


def _title(soup: BeautifulSoup) -> str:
    heading = soup.find(id="firstHeading")
    if heading:
        return heading.get_text().strip()
    return soup.title.get_text().strip().removesuffix(" - Wikipedia") if soup.title else ""

"""Page sources without a network: a pool of articles in memory, searched by title and then by rank."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from sad_env.encyclopedia.articles import Article
from sad_env.encyclopedia.titles import base_name, folded, normalize_title
from sad_env.hotpotqa.pages import SHOWN_TITLES, Page, Similar
from sad_env.search import RankedIndex

_BRACKETED = re.compile(r"\[(.*)\]", re.DOTALL)
RANKED = 20
"""Titles of a ranking that are looked at; the best five are shown."""


def closest(query: str, ranked: Iterable[str]) -> Similar:
    """The best titles of a ranking, those of the very name that was asked for before all others."""
    name = normalize_title(query)
    order = sorted(ranked, key=lambda title: (normalize_title(title) != name, base_name(title) != name))
    return Similar(tuple(order[:SHOWN_TITLES]))


def titles_only(entity: str) -> str | None:
    """The name inside square brackets, which ask for titles and no page; None where there are none."""
    match = _BRACKETED.fullmatch(entity.strip())
    return match[1] if match else None


def ranked_text(title: str, text: str) -> str:
    """What the ranked search sees of an article: its text, and its title once more for weight."""
    return f"{title}\n{title}\n{text}"


class PoolSource:
    """Articles in memory as a page source: exact title, then normalised title, then the five best by rank.

    Redirects count as titles. Where two articles have one title the first is kept.

    Args:
        articles: the articles.
    """

    def __init__(self, articles: Iterable[Article]) -> None:
        self._articles: dict[str, Article] = {}
        self._titles: dict[str, str] = {}
        for article in articles:
            self._articles.setdefault(article.title, article)
        for title in self._articles:
            self._titles.setdefault(title, title)
        for article in self._articles.values():
            for alias in article.aliases:
                self._titles.setdefault(alias, article.title)

    def __len__(self) -> int:
        return len(self._articles)

    def find(self, entity: str) -> Page | Similar:
        """The page of this name, or the titles that come closest."""
        inner = titles_only(entity)
        if inner is None:
            title = self._titles.get(entity)
            if title is None and (names := self._normalized.get(normalize_title(entity))):
                title = names.get(folded(entity)) or next(iter(names.values()))
            if title is not None:
                return Page(title, self._articles[title].text)
        query = entity if inner is None else inner
        return closest(query, (title for title, _ in self._ranked.search(query, RANKED)))

    def close(self) -> None:
        """Nothing to free."""

    @cached_property
    def _normalized(self) -> dict[str, dict[str, str]]:
        """Titles by normalised name; where several share one, their names differ in punctuation or signs."""
        names: dict[str, dict[str, str]] = {}
        for name, title in self._titles.items():
            names.setdefault(normalize_title(name), {}).setdefault(folded(name), title)
        names.pop("", None)
        return names

    @cached_property
    def _ranked(self) -> RankedIndex:
        # Only a search that finds no page needs it, so it is built when the first one comes.
        return RankedIndex.of(
            (article.title, ranked_text(article.title, article.text)) for article in self._articles.values()
        )

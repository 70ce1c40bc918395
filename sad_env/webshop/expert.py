"""The expert: reads the pages, compares, checks and buys, and says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sad_env.expert import Expert, ThoughtAction
from sad_env.search import analyze
from sad_env.webshop.reading import Reading, Shown, keywords, read_instruction, read_page
from sad_env.webshop.reward import COLORS, SIMILAR, similarity
from sad_env.webshop.wordings import join, say, shorten

STEPS = 15
"""The benchmark's own step limit, which the shopper keeps in mind."""

ENOUGH = 0.95
"""Estimated reward with which the shopper is content when something could not be confirmed."""

_LATE = 5
"""After so many steps only the first tab of a product is read."""

_TABS = ("Features", "Description")


@dataclass
class _Candidate:
    """A product and what has been learnt of it."""

    shown: Shown
    query: str
    options: dict[str, list[str]] | None = None
    read: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return " ".join((self.shown.title, *self.read.values()))


class WebShopExpert(Expert):
    """Searches for what the instruction says, opens what fits by name and price, checks options and attributes.

    It sees observations of mode "text" or "text_rich" in either view, and the buttons of each page; nothing hidden.
    It buys the first product that fits in everything it can check, or the best it has seen when steps run short.

    Args:
        seed: seeds the choice of words.
    """

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Read the instruction."""
        self._wish = read_instruction("")
        self._page = Reading("other")
        self._steps = 0
        self._candidates: dict[str, _Candidate] = {}
        self._open: str | None = None
        self._chosen: dict[str, str] = {}
        self._query = ""
        self._tried: list[str] = []
        self._look(read_page(observation, info))

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """Follow what happened, whether by its own action or another's."""
        self._steps += 1
        page = read_page(observation, info)
        before = self._page
        argument = action.partition("[")[2].rstrip("]")
        if action.startswith("search[") and page.kind == "results":
            self._query = argument
            self._tried.append(argument.lower())
        if page.kind == "other":  # an answer in words: the page is still the one before
            if before.kind == "item" and observation.startswith("You have clicked"):
                self._choose(argument)
            return
        if before.kind == "results" and page.kind == "item":
            self._open = next((shown.asin for shown in before.products if shown.asin.lower() == argument.lower()), None)
            self._chosen = {}
        elif before.kind == "item" and page.kind == "item":
            self._choose(argument)
        if before.kind == "item" and page.kind == "tab" and self._open in self._candidates:
            tab = next((tab for tab in _TABS if tab.lower() == argument.lower()), "")
            if tab:
                self._candidates[self._open].read[tab] = page.text
        self._look(page)

    def decide(self) -> ThoughtAction:
        """The next sensible thing to do."""
        page = self._page
        if page.kind == "search":
            return self._search()
        if page.kind == "results":
            return self._results()
        if page.kind == "item" and self._open in self._candidates:
            return self._item(self._candidates[self._open])
        if page.kind == "tab":
            return self._leave_tab()
        return self._do("click[Back to Search]", "leave")

    # --- what is known ----------------------------------------------------------------------------------------

    def _look(self, page: Reading) -> None:
        self._page = page
        if page.instruction:
            self._wish = read_instruction(page.instruction)
        if page.kind == "results":
            self._open, self._chosen = None, {}
            for shown in page.products:
                self._candidates.setdefault(shown.asin, _Candidate(shown, self._query))
        elif page.kind == "search":
            self._open, self._chosen = None, {}
        elif page.kind == "item":
            if self._open is None:  # reached in a way that was not followed: known by its title
                self._open = page.title
                self._candidates.setdefault(page.title, _Candidate(Shown("", page.title, page.tag), self._query))
            self._candidates[self._open].options = page.options

    def _choose(self, value: str) -> None:
        for name, values in self._page.options.items():
            if value.lower() in (offered.lower() for offered in values):
                self._chosen[name] = value.lower()

    def _missing_attributes(self, candidate: _Candidate) -> list[str]:
        text = set(analyze(candidate.text))
        return [phrase for phrase in self._wish.attributes if not set(analyze(phrase)) <= text]

    def _choices(self, options: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str | None]]:
        """Each option wished for: name, value as wished, and the value on the page that answers it, if any."""
        for name, value in self._wish.options:
            here = options.get(name, ())
            everywhere = [offered for values in options.values() for offered in values]
            yield name, value, _closest(value, here) or _closest(value, everywhere)
        if not self._wish.options:
            for name, values in options.items():
                if named := _named(self._wish.text, values):
                    yield name, named, named

    def _estimate(self, candidate: _Candidate) -> float:
        """How good buying it would be, as far as is known: what is not known yet counts a little."""
        wish = self._wish
        kind = set(keywords(wish.kind))
        common = len(kind & set(analyze(candidate.text))) / max(1, len(kind))
        missing = len(self._missing_attributes(candidate))
        doubt = 0.6 if len(candidate.read) < len(_TABS) else 0.4
        score = len(wish.attributes) - missing * (1 - doubt)
        asked = len(wish.attributes) + len(wish.options) + 1
        if candidate.options is None:
            score += 0.5 * len(wish.options)
        else:
            score += sum(answer is not None for _, _, answer in self._choices(candidate.options))
        score += _affordable(candidate.shown, wish.limit)
        return min(1.0, score / asked) * (0.3 + 0.7 * common)

    def _best(self) -> _Candidate | None:
        seen = [candidate for candidate in self._candidates.values() if candidate.options is not None]
        return max(seen, key=self._estimate, default=None)

    def _must_settle(self) -> bool:
        """True when the steps that are left just suffice to go back to the best product and buy it."""
        best = self._best()
        if best is None or best.options is None:
            return False
        answers = sum(answer is not None for _, _, answer in self._choices(best.options))
        way = 2 if best.query == self._query else 4
        return STEPS - self._steps <= way + answers + 2 or (self._page.kind == "search" and not self._fresh_queries())

    # --- what to do -------------------------------------------------------------------------------------------

    def _do(self, action: str, purpose: str, **words: str) -> ThoughtAction:
        draw = self.words(f"{purpose} {self.seed} {self._wish.text} {self._steps}")
        return ThoughtAction(say(purpose, draw, **words), action)

    def _queries(self) -> list[str]:
        wish = self._wish
        values = " ".join(value for _, value in wish.options)
        attributes = " ".join(wish.attributes)
        variants = (
            f"{attributes} {wish.kind} {values}",
            f"{wish.kind} {values}",
            f"{wish.kind} {attributes}",
            wish.kind,
        )
        cleaned = (" ".join("".join(" " if sign in "[]/?#<>" else sign for sign in text).split()) for text in variants)
        return [text for text in dict.fromkeys(cleaned) if text]

    def _fresh_queries(self) -> list[str]:
        return [query for query in self._queries() if query.lower() not in self._tried]

    def _search(self) -> ThoughtAction:
        wish, best = self._wish, self._best()
        if best is not None and self._must_settle():
            return self._do(f"search[{best.query}]", "return", title=shorten(best.shown.title))
        query = next(iter(self._fresh_queries() or self._queries()), "gift")
        if self._tried:
            return self._do(f"search[{query}]", "again", kind=_brief(wish.kind))
        extras = f" with {join(wish.attributes[:2])}" if wish.attributes else ""
        extras += f", {join([f'{name} {shorten(value)}' for name, value in wish.options[:2]])}" if wish.options else ""
        limit = f" for at most ${wish.limit:.0f}" if wish.limit < float("inf") else ""
        return self._do(f"search[{query}]", "search", kind=_brief(wish.kind), extras=extras, limit=limit)

    def _results(self) -> ThoughtAction:
        best = self._best()
        if best is not None and self._must_settle():
            if any(shown.asin == best.shown.asin for shown in self._page.products):
                return self._do(f"click[{best.shown.asin}]", "return", title=shorten(best.shown.title))
            return self._do("click[Back to Search]", "leave")
        if shown := self._most_appealing():
            title = shorten(shown.title)
            return self._do(f"click[{shown.asin}]", "open", asin=shown.asin, title=title, tag=shown.tag)
        if self._page.has_next and self._page.products and self._steps < 6:
            return self._do("click[Next >]", "next")
        return self._do("click[Back to Search]", "leave")

    def _most_appealing(self) -> Shown | None:
        """The product of these results that promises most by its name and place, and has not been looked at."""
        best, most = None, 0.0
        for place, shown in enumerate(self._page.products):
            if self._candidates[shown.asin].options is None and shown.cheapest() <= self._wish.limit:
                appeal = self._appeal(shown) - 0.25 * place
                if best is None or appeal > most:
                    best, most = shown, appeal
        return best if most > -0.5 or self._steps > 4 else None

    def _appeal(self, shown: Shown) -> float:
        title = set(analyze(shown.title))
        kind = set(keywords(self._wish.kind))
        wanted = {word for phrase in self._wish.attributes for word in analyze(phrase)}
        appeal = 2 * len(kind & title) / max(1, len(kind)) + 0.5 * len(wanted & title) / max(1, len(wanted))
        for gender, other in (("men", "women"), ("women", "men")):
            if gender in kind and other in title and gender not in title:
                appeal -= 1.5
        return appeal

    def _item(self, candidate: _Candidate) -> ThoughtAction:
        choices = list(self._choices(self._page.options))
        lacking = [f"{name} {value}" for name, value, answer in choices if answer is None]
        missing = self._missing_attributes(candidate)
        settled = self._must_settle()
        content = not lacking and not missing and _affordable(candidate.shown, self._wish.limit) >= 0.5
        if settled and not content and candidate is not self._best():
            return self._do(
                "click[< Prev]", "reject", missing=join((lacking + missing)[:2]) or "all that was asked for"
            )
        unread = [tab for tab in _TABS if tab not in candidate.read]
        if not settled and not content:
            if lacking:
                return self._do("click[< Prev]", "reject", missing=join(lacking[:2]))
            if _affordable(candidate.shown, self._wish.limit) < 0.5:
                return self._do("click[< Prev]", "reject", missing="a price within the limit")
            if missing and unread and (unread[0] == _TABS[0] or self._steps < _LATE):
                return self._do(f"click[{unread[0]}]", "tab", missing=join(missing[:2]), tab=unread[0].lower())
            if missing and self._estimate(candidate) < ENOUGH:
                return self._do("click[< Prev]", "reject", missing=join(missing[:2]))
        for name, value, answer in choices:
            if answer is not None and answer not in self._chosen.values():
                return self._do(f"click[{answer}]", "option", name=name, value=value)
        if settled and (lacking or missing):
            return self._do("click[Buy Now]", "settle")
        return self._do("click[Buy Now]", "buy", summary=self._summary())

    def _summary(self) -> str:
        parts = [_brief(self._wish.kind), *self._wish.attributes[:2], *(value for _, value in self._wish.options[:2])]
        return join(parts)

    def _leave_tab(self) -> ThoughtAction:
        candidate = self._candidates.get(self._open or "")
        missing = self._missing_attributes(candidate) if candidate else list(self._wish.attributes)
        there = [phrase for phrase in self._wish.attributes if phrase not in missing]
        if missing or not there:
            return self._do("click[< Prev]", "back_doubt", missing=join(missing[:2]) or "that")
        return self._do("click[< Prev]", "back_ok", found=join(there[:2]))


def _brief(kind: str) -> str:
    return " ".join(kind.split()[:8])


def _affordable(shown: Shown, limit: float) -> float:
    """The share of the tag's price range that is within the limit: what is charged lies anywhere in it."""
    low, high = shown.cheapest(), shown.dearest()
    if low >= high:
        return float(low <= limit)
    return min(1.0, max(0.0, (limit - low) / (high - low)))


def _closest(value: str, offered: Sequence[str]) -> str | None:
    """The offered value that answers a wish: the same one, else a similar one, else one of the same colour."""
    for candidate in offered:
        if candidate.lower() == value.lower():
            return candidate
    for candidate in offered:
        if similarity(candidate, value) > SIMILAR:
            return candidate
    color = next((color for color in COLORS if color in value.lower()), None)
    return next((candidate for candidate in offered if color and color in candidate.lower()), None)


def _named(text: str, values: Sequence[str]) -> str | None:
    """The longest of `values` that an instruction names."""
    words = analyze(text)
    contained = [value for value in values if _contains(words, analyze(value))]
    return max(contained, key=len, default=None)


def _contains(words: Sequence[str], part: Sequence[str]) -> bool:
    return bool(part) and any(
        list(words[start : start + len(part)]) == list(part) for start in range(len(words) - len(part) + 1)
    )

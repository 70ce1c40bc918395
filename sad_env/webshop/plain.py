"""The shopper for models that begin from nothing: each thought says, step by step, what its decision is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sad_env.core import ThoughtAction
from sad_env.search import analyze
from sad_env.webshop.expert import WebShopExpert, affordable
from sad_env.webshop.reading import Shown, keywords

_READABLE = 60
"""Words of a title or tab that are read out; nobody reads out a real shop's long description."""

_OF_THE_KIND = 0.6
"""A title with more than this share of the words for the wanted kind names a product of that kind."""

_VERDICTS = {
    "search": "I search for them.",
    "again": "I search in other words.",
    "return": "I take the best one.",
    "leave": "I go back to search.",
    "open": "I open it.",
    "next": "I turn the page.",
    "reject": "I go back.",
    "tab": "I read on.",
    "option": "I select it.",
    "settle": "I buy it.",
    "buy": "I buy it.",
    "back_doubt": "I go back.",
    "back_ok": "I go back.",
}


class PlainWebShopExpert(WebShopExpert):
    """One wording for each situation, with decisions that are reached by copying.

    A small model copies well, and decides badly whether something stands in a text that it must look back at. So what
    is judged is read out before: titles of results until a product will do, the options of a product until the one
    that is asked for comes up, its title and what its tabs say, with what was asked for named where it stands.

        women's leggings. B5D9YTYL5H: Elora Ember Yoga Mat, other. BUFLNV1MOI: Fenuno Soft Leggings, 14.5 of 70.00
        within. I open it.
        teal: color [black][teal] yes. breathable mesh: no. I read on.

    It opens the first product that is of the kind and within the price, where `WebShopExpert` weighs titles.
    """

    plain = True

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Read the instruction."""
        self._last_opened = ""
        super().begin(observation, info)

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """Follow what happened, whoever acted."""
        super().observe(action, observation, info)
        self._last_opened = "" if action.startswith("search[") else self._open or self._last_opened

    def _do(self, action: str, purpose: str, **words: str) -> ThoughtAction:
        facts = {
            "search": self._wanted,
            "results": self._products,
            "item": self._product,
            "tab": self._tab,
        }
        told = facts.get(self._page.kind, lambda: iter(()))
        hurry = "Few steps are left. " if purpose in ("leave", "return", "settle") and self._must_settle() else ""
        return ThoughtAction(" ".join([*(f"{fact}." for fact in told()), f"{hurry}{_VERDICTS[purpose]}"]), action)

    def _choices(self, options: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str | None]]:
        """As the shopper's, but only the very value that is asked for answers a wish."""
        for name, value, answer in super()._choices(options):
            yield name, value, answer if answer and answer.lower() == value.lower() else None

    def _most_appealing(self) -> Shown | None:
        return next((shown for shown in self._ahead() if self._judge(shown)[0]), None)

    def _ahead(self) -> list[Shown]:
        """The results after the one that was opened last; all of a page from which none was opened."""
        products = self._page.products
        opened = [place for place, shown in enumerate(products) if shown.asin == self._last_opened]
        return products[opened[0] + 1 :] if opened else products

    def _judge(self, shown: Shown) -> tuple[bool, str]:
        """Whether a product of the results will do, and what is said of it."""
        if self._candidates[shown.asin].options is not None:
            return False, "seen"
        title = shown.title.split(",")[0]
        kind = set(keywords(self._wish.kind))
        if len(kind & set(analyze(shown.title))) <= _OF_THE_KIND * len(kind):
            return False, f"{title}, other"
        fits = shown.cheapest() <= self._wish.limit
        return fits, f"{title}, {shown.price}{self._limit()} {'within' if fits else 'over'}"

    def _limit(self) -> str:
        return f" of {self._wish.limit:.2f}" if self._wish.limit < float("inf") else ""

    def _wanted(self) -> Iterator[str]:
        wish = self._wish
        parts = (", ".join(wish.attributes), wish.kind, ", ".join(value for _, value in wish.options))
        yield f"I look for {'; '.join(part for part in parts if part)}"

    def _products(self) -> Iterator[str]:
        ahead = self._ahead()
        after = f" after {self._last_opened}" if len(ahead) < len(self._page.products) else ""
        yield f"{self._wish.kind}{after}"
        for shown in ahead:
            fits, verdict = self._judge(shown)
            yield f"{shown.asin}: {verdict}"
            if fits:
                return

    def _product(self) -> Iterator[str]:
        lacking = False
        for _, value, answer in self._choices(self._page.options):
            if answer and answer.lower() in self._chosen.values():
                yield f"{value}: chosen"
            else:
                yield f"{value}: {self._options_until(answer)}"
                lacking = lacking or answer is None
        candidate = self._candidates.get(self._open or "")
        if candidate is None or lacking:
            return
        if not candidate.read and not self._chosen:
            if candidate.shown.cheapest() < candidate.shown.dearest():
                fits = affordable(candidate.shown, self._wish.limit) >= 0.5
                yield f"{candidate.shown.tag}{self._limit()} {'within' if fits else 'over'}"
            if self._wish.attributes:
                yield self._read_out([candidate.shown.title])
        yield from self._attributes()

    def _options_until(self, answer: str | None) -> str:
        """The options of the page, as it shows them, up to this one; all of them for None."""
        read = []
        for name, values in self._page.options.items():
            upto = values[: values.index(answer) + 1] if answer in values else values
            read.append(f"{name} {''.join(f'[{value}]' for value in upto)}")
            if answer in values:
                return f"{' '.join(read)} yes"
        return " ".join([*read, "none"])

    def _tab(self) -> Iterator[str]:
        if self._wish.attributes:
            yield self._read_out(list(self._page.lines))
        yield from self._attributes()

    def _read_out(self, lines: list[str]) -> str:
        """A title or a tab, with each attribute that is asked for named where it stands."""
        if not lines or len(" ".join(lines).split()) > _READABLE:
            return "I look through it"
        read = []
        for part in (part for line in lines for part in line.rstrip(".").split(", ")):
            terms = set(analyze(part))
            named = [phrase for phrase in self._wish.attributes if set(analyze(phrase)) <= terms]
            read.append("".join((part, *(f" ({phrase})" for phrase in named))))
        return ", ".join(read)

    def _attributes(self) -> Iterator[str]:
        candidate = self._candidates.get(self._open or "")
        missing = self._missing_attributes(candidate) if candidate else self._wish.attributes
        for phrase in self._wish.attributes:
            yield f"{phrase}: {'no' if phrase in missing else 'yes'}"

"""The expert for models that are trained from scratch: each thought says step by step what its decision rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sad_env.expert import ThoughtAction
from sad_env.search import analyze
from sad_env.webshop.expert import WebShopExpert
from sad_env.webshop.reading import Shown, keywords

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
    """One wording for each situation, with all that is compared named before it is judged.

    A small model copies well and compares lists badly. So a thought about results names each product until one will do,
    and one about a product names each option and attribute that is asked for, in the order of the instruction. It also
    sees little at once: the list from which a product was opened is gone when its pages are read. So thoughts on those
    pages carry its number, and the list goes on behind the one that was opened last.

        women's leggings within 70.00. B5D9YTYL5H: seen. BUFLNV1MOI: 14.5 within. I open it.
        BUFLNV1MOI. teal: teal. xx-large: xx-large. side pockets: yes. breathable mesh: no. I read on.

    It opens the first product that is of the kind and within the price, where `WebShopExpert` weighs titles.
    """

    plain = True

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """See `Expert`."""
        self._last = ""
        super().begin(observation, info)

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """See `WebShopExpert`."""
        super().observe(action, observation, info)
        self._last = self._open or self._last

    def _do(self, action: str, purpose: str, **words: str) -> ThoughtAction:
        facts = {"search": self._wanted, "results": self._products, "item": self._product, "tab": self._attributes}
        listed = facts.get(self._page.kind, lambda: iter(()))
        hurry = "Few steps are left. " if purpose in ("leave", "return", "settle") and self._must_settle() else ""
        return ThoughtAction(" ".join([*(f"{fact}." for fact in listed()), f"{hurry}{_VERDICTS[purpose]}"]), action)

    def _most_appealing(self) -> Shown | None:
        return next((shown for shown in self._page.products if self._judge(shown)[0]), None)

    def _judge(self, shown: Shown) -> tuple[bool, str]:
        """Whether a product of the results will do, and what is said of it."""
        if self._candidates[shown.asin].options is not None:
            return False, "seen"
        kind = set(keywords(self._wish.kind))
        if len(kind & set(analyze(shown.title))) <= _OF_THE_KIND * len(kind):
            return False, "other"
        fits = shown.cheapest() <= self._wish.limit
        return fits, f"{shown.price} {'within' if fits else 'over'}"

    def _wanted(self) -> Iterator[str]:
        wish = self._wish
        parts = (", ".join(wish.attributes), wish.kind, ", ".join(value for _, value in wish.options))
        yield f"I look for {'; '.join(part for part in parts if part)}"

    def _products(self) -> Iterator[str]:
        limit = self._wish.limit
        yield f"{self._wish.kind} within {limit:.2f}" if limit < float("inf") else f"{self._wish.kind} at any price"
        for shown in self._page.products[self._going_on() :]:
            fits, verdict = self._judge(shown)
            yield f"{shown.asin}: {verdict}"
            if fits:
                return

    def _going_on(self) -> int:
        """The place of the product that was opened last, where none before it will do."""
        numbers = [shown.asin for shown in self._page.products]
        place = numbers.index(self._last) if self._last in numbers else 0
        return 0 if any(self._judge(shown)[0] for shown in self._page.products[:place]) else place

    def _number(self) -> Iterator[str]:
        if self._open and (asin := self._candidates[self._open].shown.asin):
            yield asin

    def _product(self) -> Iterator[str]:
        yield from self._number()
        for _, value, answer in self._choices(self._page.options):
            yield f"{value}: {'chosen' if answer in self._chosen.values() else answer or 'none'}"
        yield from self._verdicts()

    def _attributes(self) -> Iterator[str]:
        yield from self._number()
        yield from self._verdicts()

    def _verdicts(self) -> Iterator[str]:
        candidate = self._candidates.get(self._open or "")
        missing = self._missing_attributes(candidate) if candidate else self._wish.attributes
        for phrase in self._wish.attributes:
            yield f"{phrase}: {'no' if phrase in missing else 'yes'}"

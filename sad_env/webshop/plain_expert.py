"""The expert for models that are trained from scratch: each thought says step by step what its decision rests on."""

from __future__ import annotations

from collections.abc import Iterator

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
    and one about a product names each option and attribute that is asked for, in the order of the instruction.

        women's leggings within 70.00. B5D9YTYL5H: seen. BUFLNV1MOI: 14.5 within. I open it.
        teal: teal. xx-large: xx-large. side pockets: yes. breathable mesh: no. I read on.

    It opens the first product that is of the kind and within the price, where `WebShopExpert` weighs titles.
    """

    plain = True

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
        for shown in self._page.products:
            fits, verdict = self._judge(shown)
            yield f"{shown.asin}: {verdict}"
            if fits:
                return

    def _product(self) -> Iterator[str]:
        for _, value, answer in self._choices(self._page.options):
            yield f"{value}: {'chosen' if answer in self._chosen.values() else answer or 'none'}"
        yield from self._attributes()

    def _attributes(self) -> Iterator[str]:
        candidate = self._candidates.get(self._open or "")
        missing = self._missing_attributes(candidate) if candidate else self._wish.attributes
        for phrase in self._wish.attributes:
            yield f"{phrase}: {'no' if phrase in missing else 'yes'}"

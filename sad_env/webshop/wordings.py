"""How the expert shopper thinks aloud: many ways to say few things, chosen by seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

PHRASES: Mapping[str, Sequence[str]] = {
    "search": (
        "I need {kind}{extras}. Let me search for the main words first and see what the shop offers.",
        "The task is to buy {kind}{extras}. A search with those words should bring up good candidates.",
        "I am shopping for {kind}{extras}{limit}. I will start with a query that names the key features.",
        "First I look for {kind}{extras}. The more of the wish in the query, the better the ranking should be.",
        "What is wanted: {kind}{extras}{limit}. I'll put that into the search bar.",
    ),
    "again": (
        "Nothing convincing so far. I will try other words for {kind} and see whether something better turns up.",
        "Those results did not fit well, so I search again with a simpler query for {kind}.",
        "Let me rephrase the search; maybe fewer words bring {kind} that match.",
        "No luck yet with that query. Another wording might surface the right {kind}.",
    ),
    "open": (
        "{asin} looks close to what I want and its price of {tag} is within reach, so I open it.",
        "Among these, {title} fits best by its name. I want to see its options.",
        "{title} at {tag} seems promising. Let me look at it more closely.",
        "The entry {title} mentions what I need; I'll check the page.",
        "I would compare {title} first: the name matches and {tag} is acceptable.",
    ),
    "tab": (
        "The title alone does not tell whether it is {missing}. I check the {tab} page.",
        "I still have to confirm that it is {missing}, so I read the {tab} before I decide.",
        "Is it really {missing}? The {tab} tab should tell.",
        "Options look fine, but {missing} is not shown yet. Let me read the {tab}.",
    ),
    "back_ok": (
        "Good, that confirms {found}. I go back to the product to finish.",
        "The text mentions {found}, which is what I hoped for. Back to the item.",
        "I have read enough here: {found} is covered. Let me return to the product page.",
    ),
    "back_doubt": (
        "I did not see {missing} mentioned here. I go back to the product and think again.",
        "There is no word of {missing} on this page. Back to the item.",
        "This text says nothing about {missing}; let me return to the product page.",
    ),
    "reject": (
        "This one lacks {missing}, so I return to the results and look at another product.",
        "It does not offer {missing}. I'd rather compare it with the next candidate.",
        "Without {missing} it is not what was asked for. Back to the list.",
        "This is close, but {missing} is not there. Let me see what else was found.",
    ),
    "option": (
        "The instruction says {name} {value}, and it is offered here. I select it.",
        "I need {value} for {name}, so I click that option before buying.",
        "For {name} the right choice is {value}, since that is what was asked.",
        "I am choosing {value} as the {name}, just as the instruction asks.",
        "{value} is available under {name}; I pick it to meet the wish.",
    ),
    "buy": (
        "Everything matches what I was asked for: {summary}. I can buy it now.",
        "The product fits the wish ({summary}), so I place the order.",
        "I have checked what matters here, {summary}. Time to buy it.",
        "{summary}: that is exactly what was asked for. I buy it now.",
    ),
    "settle": (
        "I have looked around enough; this is the closest match I found, so I buy it.",
        "It is not perfect, but nothing better turned up. I'll take this one.",
        "Time to decide. Of all I have seen this comes nearest to the wish, so I buy it.",
    ),
    "return": (
        "Of the products I have seen, {title} came closest. I go back to it.",
        "Nothing beats {title} so far, so I return to that one and finish.",
        "Compared with the others, {title} was the best fit. Let me get back to it.",
    ),
    "next": (
        "None of these stands out to me. I look at the next page of results.",
        "The right product may be further down the list, so I turn the page.",
        "I have seen what this page of results offers; on to the next.",
    ),
    "leave": (
        "This list does not help me any more, so I go back to the search bar.",
        "I have seen enough of these results. Back to the search bar for another try.",
        "Nothing more to see here; it is better to start over with a different query.",
    ),
}


def say(purpose: str, draw: random.Random, **words: str) -> str:
    """A thought for `purpose`, chosen by `draw`, with `words` filled in.

    >>> say("next", random.Random(1)) in PHRASES["next"]
    True
    """
    phrase = draw.choice(PHRASES[purpose])
    text = phrase.format(**words)
    return text[:1].upper() + text[1:]


def shorten(text: str, words: int = 9) -> str:
    """The first words of `text`, without punctuation at the cut.

    >>> shorten("Belnest Fjord Sturdy Five Tier Bookcase, High Density, Stain Resistant, for Small Apartments")
    'Belnest Fjord Sturdy Five Tier Bookcase, High Density, Stain'
    """
    parts = text.split()
    return text if len(parts) <= words else " ".join(parts[:words]).rstrip(",;:-|(")


def join(parts: Sequence[str]) -> str:
    """Words as a list in a sentence.

    >>> join(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)

"""How the reading expert thinks aloud: several wordings of each kind of thought, 10 to 35 words long."""

from __future__ import annotations

import random

_THOUGHTS: dict[str, tuple[str, ...]] = {
    "search first": (
        "I need to find {need}. I will start by searching for {name}.",
        "To answer this, I should first find {need}, so I search for {name}.",
        "The question depends on {need}. The article on {name} should tell me.",
        "First I want to know {need}. Let me read the article on {name}.",
        "Nothing is known yet. I begin with {name}, because I need {need}.",
    ),
    "search": (
        "{news} Now I need {need}, so I search for {name}.",
        "{news} The next thing to find is {need}; I search for {name}.",
        "{news} What is still missing is {need}. I will read about {name}.",
        "{news} So I have to look at {name} next, to learn {need}.",
    ),
    "namesake first": (
        "There are several pages called {name}. The one I want is the {label}, so I open {title}.",
        "More than one page has the name {name}; the question is about the {label}, so I search {title}.",
        "The name {name} is not unique. From what I know it must be the {label}: {title}.",
    ),
    "lookup first": (
        "The first sentences do not mention {need}. I look for the word {keyword} further down on this page.",
        "This page goes on, and {need} has not come yet, so I look up {keyword}.",
        "I have not seen {need} so far. A lookup of {keyword} on this page should show it.",
    ),
    "return first": (
        "I still need {need}, but another page is open. I go back to {name} to look it up.",
        "The page of {name} was not read to its end. I open it again to find {need}.",
    ),
    "value": (
        "{news} That is what the question asks for, so the answer is {answer}.",
        "{news} This answers the question: {answer}. I can finish now.",
        "{news} Nothing more is needed. The answer is {answer}.",
    ),
    "contest": (
        "I know both sides: {first}, and {second}. Comparing the two, the answer is {answer}.",
        "On one side {first}; on the other {second}. So the answer must be {answer}.",
        "{First}, while {second}. That decides it in favour of {answer}.",
    ),
    "same": (
        "I know both sides: {first}, and {second}. So the answer is {answer}.",
        "{First}, and {second}. Comparing the two values, I answer {answer}.",
        "Both pages are read: {first}; {second}. Therefore the answer is {answer}.",
    ),
    "common": (
        "{First}, and {second}. What both have in common is {answer}.",
        "Both pages are read: {first}; {second}. Only {answer} fits both of them.",
        "Now I can compare: {first}, and {second}. The one in both is {answer}.",
    ),
    "guess": (
        "I could not find everything that I need, and there is no better way left. My best guess is {answer}.",
        "The pages that I read do not settle it. The most likely answer I can give is {answer}.",
    ),
}

_NEWS = (
    "{News}.",
    "The article says that {news}.",
    "I learn that {news}.",
    "So {news}.",
    "Good: {news}.",
)


def say(kind: str, draw: random.Random, *, news: list[str], **values: str) -> str:
    """A thought of this kind.

    Args:
        kind: search, namesake, lookup, return, value, contest, same, common or guess.
        draw: chooses the wording.
        news: statements that the last observation has added to what is known.
        values: what the wordings of this kind speak of.
    """
    if news and kind in ("search", "value"):
        statement = draw.choice(_NEWS).format(news=news[-1], News=_capital(news[-1]))
        return draw.choice(_THOUGHTS[kind]).format(news=statement, **values)
    wordings = _THOUGHTS.get(f"{kind} first") or _THOUGHTS[kind]
    if "first" in values:
        values["First"] = _capital(values["first"])
    return draw.choice(wordings).format(news="I have read what I need.", **values)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]

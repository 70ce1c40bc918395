"""How the reading expert thinks aloud: several wordings of each kind of thought, 10 to 35 words long."""

from __future__ import annotations

import random

_FIRST = {
    "search": (
        "I need to find {need}. I will start by searching for it.",
        "To answer this, I should first find {need}, so I open that article.",
        "The question depends on {need}. The article should tell me.",
        "First I want to know {need}. Let me search and read.",
        "Nothing is known yet. I begin with {name}, because I need the {what}.",
        "I do not know {need} yet, so that is the first thing to look for.",
        "Where to start? The question names {name}; reading about it should give me the {what}.",
        "The first step is {need}. I search for {name}.",
    ),
    "namesake": (
        "There are several pages called {name}. The one I want is the {label}, so I open {title}.",
        "More than one page has the name {name}; the question is about the {label}, so I search that one.",
        "The name {name} is not unique. From what I know it must be the {label}.",
        "Several titles match {name}. What fits here is the {label}, so I take {title}.",
    ),
    "lookup": (
        "The first sentences do not mention {need}. I look for the word {keyword} further down on this page.",
        "This page goes on, and {need} has not come yet, so I look up {keyword}.",
        "I have not seen {need} so far. A lookup of {keyword} on this page should show it.",
        "What I need, {need}, is not shown yet. I search this page for {keyword}.",
    ),
    "return": (
        "I still need {need}, but another page is open. I go back to that article.",
        "The page of {name} was not read to its end. I open it again to find the rest.",
    ),
    "contest": (
        "I know both sides: {first}, and {second}. Comparing the two, the answer is {answer}.",
        "On one side {first}; on the other {second}. So the answer must be {answer}.",
        "{First}, while {second}. That decides it in favour of {answer}.",
        "Now I can compare: {first}, and {second}. The answer is {answer}.",
    ),
    "same": (
        "I know both sides: {first}, and {second}. So the answer is {answer}.",
        "{First}, and {second}. Comparing the two values, I answer {answer}.",
        "Both pages are read: {first}; {second}. Therefore the answer is {answer}.",
        "Since {first}, and {second}, the answer to the question is {answer}.",
    ),
    "common": (
        "{First}, and {second}. What both have in common is {answer}.",
        "Both pages are read: {first}; {second}. Only {answer} fits both.",
        "Now I can compare: {first}, and {second}. The one in both is {answer}.",
        "{First}. Also, {second}. So {answer} is what the question asks for.",
    ),
    "guess": (
        "I could not find everything that I need, and there is no better way left. My best guess is {answer}.",
        "The pages that I read do not settle it. The most likely answer I can give is {answer}.",
    ),
}
"""Thoughts that repeat nothing of the last observation, or say themselves what is known."""

_AFTER = {
    "search": (
        "{news} Now I need {need}, so I search for it.",
        "{news} The next thing to find is {need}.",
        "{news} What is still missing is {need}. I will read about it.",
        "{news} So I look at {name} next, to learn the {what}.",
        "{news} That leads me to {name}, whose article should give the {what}.",
        "{news} With that I can go on to {need}.",
        "{news} I search for {name} now, since I want to know the {what}.",
        "{news} One step is done; {need} comes next.",
    ),
    "value": (
        "{news} That is what the question asks for, so the answer is {answer}.",
        "{news} This answers the question: {answer}. I can finish now.",
        "{news} Nothing more is needed. The answer is {answer}.",
        "{news} With that the question is answered: it is {answer}.",
        "{news} So I can give the answer, {answer}.",
    ),
}
"""Thoughts that first say what the last observation has told."""

_NEWS = (
    "{News}.",
    "The article says that {news}.",
    "I learn that {news}.",
    "So {news}.",
    "Good: {news}.",
    "I read that {news}.",
    "It turns out that {news}.",
)


def say(kind: str, draw: random.Random, *, news: list[str], **values: str) -> str:
    """A thought of this kind.

    Args:
        kind: search, namesake, lookup, return, value, contest, same, common or guess.
        draw: chooses the wording.
        news: statements that the last observation has added to what is known.
        values: what the wordings of this kind speak of.
    """
    if kind in _AFTER and (news or kind not in _FIRST):
        statement = "I have read what I need."
        if news:
            statement = draw.choice(_NEWS).format(news=news[-1], News=_capital(news[-1]))
        return draw.choice(_AFTER[kind]).format(news=statement, **values)
    if "first" in values:
        values["First"] = _capital(values["first"])
    return _capital(draw.choice(_FIRST[kind]).format(**values))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]

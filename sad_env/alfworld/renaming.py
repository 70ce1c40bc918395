"""Episodes with other names and numbers of things: a model has to read them and cannot recite them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

from sad_env.alfworld.households import households
from sad_env.alfworld.wordings import with_article
from sad_env.records import Span, Step, Trajectory

_NUMBERS = 30
"""Numbers that things of one type get: more than there are in any room."""
_ARTICLE = re.compile(r"\b(I look for |The list: |, )(an?) (\w+)")


def renamed(episode: Trajectory, draw: random.Random) -> Trajectory:
    """The same episode with the types of objects and of receptacles permuted in all its texts, and new numbers.

    Rooms are alike and their lists are sorted, so a model that plays in them soon knows what is where and what
    comes next in a list, and says that instead of reading it; here it is wrong. Ids of sampled tokens no longer fit
    the text and are dropped.

    Args:
        episode: a recorded episode of this world.
        draw: chooses names and numbers.
    """
    names: dict[str, str] = {}
    for types in _names():
        names |= zip(types, draw.sample(types, len(types)), strict=True)
    numbers: dict[str, dict[str, int]] = {}

    def other(match: re.Match[str]) -> str:
        type_, number = match["type"], match["number"]
        new = names[type_.lower()]
        new = new.capitalize() if type_[:1].isupper() else new
        if number is None:
            return new
        own = numbers.get(type_.lower())
        if own is None:
            drawn = draw.sample(range(1, _NUMBERS + 1), _NUMBERS)
            own = numbers[type_.lower()] = {str(old): new_number for old, new_number in enumerate(drawn, 1)}
        return f"{new} {own.get(number, number)}"

    def renamed_text(text: str) -> str:
        return _pattern().sub(other, text)

    def thought(text: str) -> str:
        return _ARTICLE.sub(lambda match: f"{match[1]}{with_article(match[3])}", renamed_text(text))

    steps = tuple(_step(step, renamed_text, thought) for step in episode.steps)
    return episode.model_copy(update={"observation": renamed_text(episode.observation), "steps": steps})


def _step(step: Step, renamed_text: Callable[[str], str], thought: Callable[[str], str]) -> Step:
    text, spans = "", []
    for span in step.spans:
        start = len(text)
        text += thought(step.completion[span.start : span.body])
        body = len(text)
        text += thought(step.completion[span.body : span.end])
        spans.append(Span(kind=span.kind, start=start, body=body, end=len(text)))
    admissible = None if step.admissible is None else tuple(renamed_text(action) for action in step.admissible)
    plain = step.without_ids()
    return Step(
        **{
            **{name: getattr(plain, name) for name in Step.model_fields},
            "completion": text,
            "spans": tuple(spans),
            "reasoning": thought(step.reasoning),
            "action": renamed_text(step.action),
            "observation": renamed_text(step.observation),
            "admissible": admissible,
        }
    )


@cache
def _names() -> tuple[list[str], list[str]]:
    """Types of objects and of receptacles, as the texts write them."""
    known = households()
    receptacles = {place.kind.lower() for plan in known.plans.values() for place in plan.places}
    objects = {name.lower() for plan in known.plans.values() for name in plan.objects}
    objects |= {name.lower() for inside in known.accepts.values() for name in inside}
    return sorted(objects - receptacles), sorted(receptacles)


@cache
def _pattern() -> re.Pattern[str]:
    longest_first = sorted((name for names in _names() for name in names), key=len, reverse=True)
    return re.compile(rf"\b(?P<type>{'|'.join(longest_first)})\b(?: (?P<number>\d+))?", re.IGNORECASE)

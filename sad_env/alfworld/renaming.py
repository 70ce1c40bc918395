"""An episode told of a household whose things have exchanged their names: it can be read, but not recalled."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

from sad_env.alfworld.households import households
from sad_env.alfworld.phrases import with_article
from sad_env.records import Span, Step, Trajectory

_RECEPTACLES_TOO = 0.5
"""How often receptacles exchange their names as well: with theirs, what is likely where is lost."""
_ARTICLE = re.compile(r"\b(I look for )(an?) (\w+)")


def renamed(episode: Trajectory, draw: random.Random) -> Trajectory:
    """The same episode with the types of objects, and in half of them those of receptacles, permuted in all its texts.

    A model that plays in familiar rooms soon knows what stands where and says that instead of reading it; here it is
    wrong. Ids of sampled tokens no longer fit the text and are dropped.

    Args:
        episode: a recorded episode of this world.
        draw: chooses the permutations.
    """
    objects, receptacles = _names()
    names = dict(zip(objects, draw.sample(objects, len(objects)), strict=True))
    if draw.random() < _RECEPTACLES_TOO:
        names |= zip(receptacles, draw.sample(receptacles, len(receptacles)), strict=True)

    def told(text: str) -> str:
        return _pattern().sub(lambda found: _like(found[0], names.get(found[0].lower(), found[0])), text)

    def thought(text: str) -> str:
        return _ARTICLE.sub(lambda found: f"{found[1]}{with_article(found[3])}", told(text))

    steps = tuple(_step(step, told, thought) for step in episode.steps)
    return episode.model_copy(update={"observation": told(episode.observation), "steps": steps})


def _step(step: Step, told: Callable[[str], str], thought: Callable[[str], str]) -> Step:
    text, spans = "", []
    for span in step.spans:
        start = len(text)
        text += thought(step.completion[span.start : span.body])
        body = len(text)
        text += thought(step.completion[span.body : span.end])
        spans.append(Span(kind=span.kind, start=start, body=body, end=len(text)))
    admissible = None if step.admissible is None else tuple(told(action) for action in step.admissible)
    return Step(
        **{
            **{name: getattr(step, name) for name in Step.model_fields},
            "completion": text,
            "spans": tuple(spans),
            "reasoning": thought(step.reasoning),
            "action": told(step.action),
            "observation": told(step.observation),
            "admissible": admissible,
            "token_ids": (),
            "token_labels": "",
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
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b", re.IGNORECASE)


def _like(old: str, new: str) -> str:
    return new.capitalize() if old[:1].isupper() else new

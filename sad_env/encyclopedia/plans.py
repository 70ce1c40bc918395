"""What a generated question asks: a plan of look-ups and how to combine them, and the grammar between both."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from sad_env.encyclopedia.reading import WITH_ARTICLE, plain
from sad_env.encyclopedia.relations import COMMON, CONTESTS, RELATIONS, SAME

Goal = Literal["value", "least", "most", "same", "common"]

LABELS = (
    "film director", "novelist", "actor", "singer", "painter", "engineer", "athlete", "architect", "novel", "film",
    "album", "painting",
)  # fmt: skip
"""Words that may come before a name in a question to say which of several namesakes is meant."""

_HINTED = re.compile(rf"[Tt]he ({'|'.join(LABELS)}) (.+)")
_FIELD = re.compile(r"\{([xab])\}")


class Mention(NamedTuple):
    """A name that a question gives, and the word that says what it names, if any."""

    name: str
    hint: str = ""


@dataclass(frozen=True)
class Path:
    """From a mention along relations, one article a relation."""

    start: Mention
    relations: tuple[str, ...]


@dataclass(frozen=True)
class QuestionPlan:
    """What a question asks.

    Attributes:
        goal: "value": the value at the end of the only path. "least" and "most": of two paths, the entity whose last
            value is smaller or greater. "same": yes when both paths end in the same value. "common": the value that
            both ends share.
        paths: one path, or two.
    """

    goal: Goal
    paths: tuple[Path, ...]


def phrase(plan: QuestionPlan, mentions: tuple[str, ...], draw: random.Random) -> str:
    """A question for the plan.

    Args:
        plan: what is asked.
        mentions: how each path's start is written in the question.
        draw: chooses the wording.
    """
    if plan.goal == "value":
        return _capital(_phrase_path(plan.paths[0], mentions[0], draw))
    last = tuple(path.relations[-1] for path in plan.paths)
    if plan.goal == "same":
        templates = SAME[last[0]]
    elif plan.goal == "common":
        templates = COMMON[last[0], last[1]]
    else:
        contest = next(contest for contest in CONTESTS if contest.relation == last[0])
        templates = contest.least if plan.goal == "least" else contest.most
    a, b = (
        _noun(path.relations[:-1], mention, draw) for path, mention in zip(plan.paths, mentions, strict=True)
    )  # fmt: skip
    return _capital(draw.choice(templates).format(a=a, b=b))


def parse_question(question: str) -> QuestionPlan | None:
    """The plan that a question asks for; None when it is no question of the generator."""
    for goal, relations, pattern in _pair_patterns():
        if match := pattern.fullmatch(question):
            ends = zip("ab", relations, strict=True)
            return QuestionPlan(goal, tuple(_read_noun(match[name], (relation,)) for name, relation in ends))
    for chain, pattern in _chain_patterns():
        if match := pattern.fullmatch(question):
            return QuestionPlan("value", (_read_noun(match["x"], chain),))
    return None


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _noun(relations: tuple[str, ...], mention: str, draw: random.Random) -> str:
    for name in relations:
        mention = draw.choice(RELATIONS[name].phrases).format(x=mention)
    return mention


def _phrase_path(path: Path, mention: str, draw: random.Random) -> str:
    last = RELATIONS[path.relations[-1]]
    frame = draw.random() if len(path.relations) > 1 else 1.0
    if frame < 0.2:
        return f"{_noun(path.relations[:-1], mention, draw)} {last.clause}?"
    if frame < 0.5:
        middle = RELATIONS[path.relations[-2]]
        subject = _noun(path.relations[:-2], mention, draw)
        return f"{middle.intro.format(x=subject)} {_pronoun(middle.result)} {last.clause}?"
    return draw.choice(last.questions).format(x=_noun(path.relations[:-1], mention, draw))


def _pronoun(kind: str) -> str:
    return "who" if kind == "person" else "that"


def _read_noun(text: str, relations: tuple[str, ...]) -> Path:
    """Take noun phrases off a text until a mention is left."""
    lowered = text[0].lower() + text[1:]
    for name, pattern in _noun_patterns():
        if match := pattern.fullmatch(lowered):
            return _read_noun(match["x"], (name, *relations))
    return Path(_read_mention(text, relations[0]), relations)


def _read_mention(text: str, relation: str) -> Mention:
    if match := _HINTED.fullmatch(text):
        return Mention(match[2], match[1])
    if all(kind in (*WITH_ARTICLE, "college") for kind in RELATIONS[relation].kinds):
        text = text.removeprefix("The ")
    return Mention(plain(text))


def _compile(template: str) -> re.Pattern[str]:
    pieces = _FIELD.split(template)
    parts = (f"(?P<{piece}>.+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
    return re.compile("".join(parts))


@lru_cache(maxsize=1)
def _pair_patterns() -> list[tuple[Goal, tuple[str, str], re.Pattern[str]]]:
    pairs: list[tuple[Goal, tuple[str, str], str]] = []
    for contest in CONTESTS:
        both = (contest.relation, contest.relation)
        pairs += [("least", both, template) for template in contest.least]
        pairs += [("most", both, template) for template in contest.most]
    pairs += [("same", (name, name), template) for name, templates in SAME.items() for template in templates]
    pairs += [("common", names, template) for names, templates in COMMON.items() for template in templates]
    return [(goal, names, _compile(template)) for goal, names, template in pairs]


@lru_cache(maxsize=1)
def _chain_patterns() -> list[tuple[tuple[str, ...], re.Pattern[str]]]:
    pairs: list[tuple[str, tuple[str, ...]]] = []
    for last in RELATIONS.values():
        pairs += [(template, (last.name,)) for template in last.questions]
        pairs += [(f"{{x}} {last.clause}?", (last.name,))] if last.clause else []
        for middle in RELATIONS.values():
            if middle.intro and last.clause and middle.result in last.kinds:
                start = _capital(middle.intro) if not middle.intro.startswith("{") else middle.intro
                pairs.append((f"{start} {_pronoun(middle.result)} {last.clause}?", (middle.name, last.name)))
    # The most specific template comes first, so that "{x} set?" is tried before "{x}?".
    return [(relations, _compile(template)) for template, relations in sorted(pairs, key=lambda pair: -len(pair[0]))]


@lru_cache(maxsize=1)
def _noun_patterns() -> list[tuple[str, re.Pattern[str]]]:
    pairs = [(template, relation.name) for relation in RELATIONS.values() for template in relation.phrases]
    return [(name, _compile(template)) for template, name in sorted(pairs, key=lambda pair: -len(pair[0]))]

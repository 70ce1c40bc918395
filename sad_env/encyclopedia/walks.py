"""How an expert follows a question: from fact to fact along its paths, and to an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sad_env.encyclopedia.plans import Mention, Path, QuestionPlan
from sad_env.encyclopedia.quiz import number_in
from sad_env.encyclopedia.reading import names_in, plain, spoken
from sad_env.encyclopedia.relations import ENTITIES, ENTITY, NAMESAKES, RELATIONS, YEAR, Relation
from sad_env.expert import ThoughtAction

Find = Callable[[Mention, Relation], tuple[Mapping[str, str], ThoughtAction | None]]
"""Gives what is known of a name, slot to value, and how to find the relation where it is not known; None: no way."""


@dataclass(frozen=True)
class Link:
    """A fact that was read on the way."""

    subject: str
    relation: Relation
    value: str

    @property
    def statement(self) -> str:
        """The fact as a clause."""
        return self.relation.statement.format(x=spoken(self.subject), v=self.value)


@dataclass(frozen=True)
class Walk:
    """How far a path is known.

    Attributes:
        links: the facts so far.
        complete: they reach the path's end.
        step: what to do next; None when there is nothing left to do.
    """

    links: tuple[Link, ...]
    complete: bool
    step: ThoughtAction | None


def walk(path: Path, find: Find) -> Walk:
    """Follow a path as far as it is known."""
    mention = path.start
    links: list[Link] = []
    for number, name in enumerate(path.relations):
        relation = RELATIONS[name]
        facts, step = find(mention, relation)
        if relation.slot not in facts:
            return Walk(tuple(links), False, step)
        value = facts[relation.slot]
        value = value[-4:] if relation.form == YEAR else value
        links.append(Link(mention.name, relation, value))
        if number + 1 < len(path.relations):
            mention = Mention(plain(value), NAMESAKES.get(name, ""))
    return Walk(tuple(links), True, None)


def answer_of(plan: QuestionPlan, walks: Sequence[Walk]) -> str:
    """The answer, once all paths are known to their ends."""
    ends = [one.links[-1] for one in walks]
    if plan.goal == "value":
        return plain(ends[0].value)
    if plan.goal == "same":
        return "yes" if ends[0].value == ends[1].value else "no"
    if plan.goal == "common":
        first, second = (names_in(end.value) for end in ends)
        shared = [name for name in first if name in second]
        return shared[0] if shared else first[0]
    numbers = [number_in(end.value) for end in ends]
    best = min(numbers) if plan.goal == "least" else max(numbers)
    return ends[numbers.index(best)].subject


def guess(plan: QuestionPlan, walks: Sequence[Walk]) -> str:
    """The best answer when not everything could be read."""
    if plan.goal == "same":
        return "no"
    if plan.goal in ("least", "most"):
        return plan.paths[0].start.name
    links = [link for one in walks for link in one.links if link.relation.form in (ENTITY, ENTITIES)]
    return names_in(links[-1].value)[0] if links else plan.paths[0].start.name

"""Questions over the generated encyclopedia: one, two and three hops, comparisons, yes-no, intersections."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sad_env.encyclopedia.fiction import Entity, Fiction
from sad_env.encyclopedia.plans import LABELS, Goal, Mention, Path, QuestionPlan, phrase
from sad_env.encyclopedia.questions import Question
from sad_env.encyclopedia.relations import COMMON, CONTESTS, ENTITIES, ENTITY, RELATIONS, SAME, YEAR, Relation
from sad_env.encyclopedia.writer import Written
from sad_env.errors import ConfigError

SHARES = {"bridge-2": 40, "bridge-3": 20, "comparison": 17, "yes-no": 11, "intersection": 12}
"""Kinds of questions, as `info["task_type"]` names them, and how often they come; "one-hop" is a further kind."""

GENERATION = "g2"
"""Stands in every question's id and is to change with what is generated: equal ids, and so equal panels, then mean
equal questions."""

_STARTS = ("novel", "film", "album", "painting", "company", "team", "building", "event", "person", "town", "college")
_START_WEIGHTS = (6, 8, 5, 5, 5, 5, 5, 4, 4, 2, 2)
_PATIENCE = 300
"""Draws before a kind of question is given up for the moment."""
_MISSES = 100
"""Kinds given up before the world counts as exhausted."""
_ALIAS = 0.3
"""How often a question calls an entity that has another name by that name."""


def value_of(entity: Entity, relation: Relation) -> Entity | str | None:
    """The single value that a relation gives, as an answer states it; None where there is none or several."""
    value = entity.facts.get(relation.slot)
    if isinstance(value, list):
        return value[0] if len(value) == 1 else None
    if isinstance(value, str) and relation.form == YEAR:
        return value[-4:]
    return value


def number_in(text: str) -> int:
    """The number in an amount, a year, or a date (its year).

    >>> number_in("12,480"), number_in("147 km"), number_in("3 May 1903")
    (12480, 147, 1903)
    """
    digits = text.rsplit(" ", 1)[-1] if text[-4:].isdigit() and " " in text else text.partition(" ")[0]
    return int(digits.replace(",", ""))


@dataclass(frozen=True)
class _Draft:
    """A question before it is worded: the goal, for each path its entities and relations, and the answer."""

    goal: Goal
    sides: list[tuple[list[Entity], tuple[str, ...]]]
    answer: Entity | str

    @property
    def articles(self) -> int:
        """Articles to read, one for each relation."""
        return sum(len(relations) for _, relations in self.sides)


class Quiz:
    """Draws questions on a world and its articles.

    Args:
        fiction: the world.
        written: its articles by title.
        seed: decides the questions.
        shares: kinds of questions, and how often each comes.
        articles: that a question needs at most.
    """

    def __init__(
        self,
        fiction: Fiction,
        written: Mapping[str, Written],
        seed: int,
        *,
        shares: Mapping[str, int] = SHARES,
        articles: int = 4,
    ) -> None:
        self._draw = random.Random(f"hotpotqa questions {seed}")
        self._entities = fiction.entities
        self._written = written
        self._having = self._index()
        self._yes = self._verdicts = 0
        self._shares = shares
        self._most = articles

    def draw(self, split: str, count: int) -> list[Question]:
        """`count` different questions."""
        makers: dict[str, Callable[[], _Draft | None]] = {
            "one-hop": lambda: self._bridge(1),
            "bridge-2": lambda: self._bridge(2),
            "bridge-3": lambda: self._bridge(3),
            "comparison": self._comparison,
            "yes-no": self._yes_no,
            "intersection": self._intersection,
        }
        questions: list[Question] = []
        seen: set[str] = set()
        misses = 0
        while len(questions) < count:
            kind = self._draw.choices(list(self._shares), list(self._shares.values()))[0]
            # A kind that this world has no more questions of gives way to another draw of the kind.
            for _ in range(_PATIENCE):
                draft = makers[kind]()
                if draft is None or draft.articles > self._most:
                    continue
                question = self._ask(f"{split}-{GENERATION}-{len(questions):06d}", kind, draft)
                if question.text not in seen and not _gives_itself_away(question):
                    seen.add(question.text)
                    questions.append(question)
                    break
            else:
                misses += 1
                if misses > _MISSES:
                    raise ConfigError(f"{count:,} questions asked of a world that has only {len(questions):,}")
        return questions

    def _index(self) -> dict[str, dict[Entity | str, list[Entity]]]:
        """By relation and value: the entities that have it."""
        index: dict[str, dict[Entity | str, list[Entity]]] = {name: defaultdict(list) for name in RELATIONS}
        for relation in RELATIONS.values():
            for kind in relation.kinds:
                for entity in self._entities[kind]:
                    value = entity.facts.get(relation.slot)
                    for part in value if isinstance(value, list) else [value] if value else []:
                        index[relation.name][part].append(entity)
        return index

    # --- drafts ---

    def _bridge(self, hops: int) -> _Draft | None:
        draw = self._draw
        entity = draw.choice(self._entities[draw.choices(_STARTS, _START_WEIGHTS)[0]])
        trail, relations = [entity], []
        for hop in range(hops):
            options = [
                relation
                for relation in RELATIONS.values()
                if entity.kind in relation.kinds
                and value_of(entity, relation)
                and relation.questions
                and (hop == hops - 1 or (relation.phrases and relation.form in (ENTITY, ENTITIES)))
            ]
            if not options:
                return None
            relation = draw.choice(options)
            relations.append(relation.name)
            value = value_of(entity, relation)
            if isinstance(value, Entity):
                if value in trail:
                    return None
                trail.append(value)
                entity = value
        answer = trail[-1] if len(trail) > hops else value
        assert answer is not None
        return _Draft("value", [(trail[:hops], tuple(relations))], answer)

    def _comparison(self) -> _Draft | None:
        draw = self._draw
        contest = draw.choice(CONTESTS)
        relation = RELATIONS[contest.relation]
        kind = draw.choice(contest.kinds)
        goal: Goal = draw.choice(("least", "most"))
        sides: list[tuple[list[Entity], tuple[str, ...]]] = []
        for _ in range(2):
            entity = draw.choice(self._entities[kind])
            side: tuple[list[Entity], tuple[str, ...]] = ([entity], (relation.name,))
            if kind == "person" and draw.random() < 0.4:
                # "Who was born first, the author of A or the director of B?"
                maker = RELATIONS[draw.choice(("author", "director", "painter", "artist"))]
                work = draw.choice(self._entities[maker.kinds[0]])
                person = work.facts[maker.slot]
                assert isinstance(person, Entity)
                side = ([work, person], (maker.name, relation.name))
            sides.append(side)
        ends = [trail[-1] for trail, _ in sides]
        values = [value_of(end, relation) for end in ends]
        if ends[0].name == ends[1].name or not all(isinstance(value, str) for value in values):
            return None
        numbers = [number_in(str(value)) for value in values]
        if numbers[0] == numbers[1] or any(" or " in trail[0].name for trail, _ in sides):
            return None
        best = numbers.index(min(numbers) if goal == "least" else max(numbers))
        return _Draft(goal, sides, ends[best])

    def _yes_no(self) -> _Draft | None:
        draw = self._draw
        name = draw.choice(sorted(SAME))
        relation = RELATIONS[name]
        first = draw.choice(self._entities[draw.choice(relation.kinds)])
        value = value_of(first, relation)
        if value is None:
            return None
        # Yes and no come equally often, though pairs with the same value are harder to find.
        same = 2 * self._yes <= self._verdicts
        others = self._having[name][value] if same else self._entities[first.kind]
        second = draw.choice(others)
        other = value_of(second, relation)
        if second is first or other is None or (other is value) != same or not _separable(first, second):
            return None
        self._verdicts += 1
        self._yes += same
        return _Draft("same", [([first], (name,)), ([second], (name,))], "yes" if same else "no")

    def _intersection(self) -> _Draft | None:
        draw = self._draw
        names = draw.choice(sorted(COMMON))
        value = draw.choice(list(self._having[names[0]]))
        left, right = self._having[names[0]][value], self._having[names[1]].get(value, [])
        if not left or not right:
            return None
        a, b = draw.choice(left), draw.choice(right)
        lists = [entity.facts[RELATIONS[name].slot] for entity, name in ((a, names[0]), (b, names[1]))]
        sets = [set(part) if isinstance(part, list) else {part} for part in lists]
        if a is b or len(sets[0] & sets[1]) != 1 or not _separable(a, b):
            return None
        return _Draft("common", [([a], (names[0],)), ([b], (names[1],))], value)

    # --- wording ---

    def _ask(self, name: str, kind: str, draft: _Draft) -> Question:
        mentions = tuple(self._mention(trail[0]) for trail, _ in draft.sides)
        paths = tuple(Path(Mention(trail[0].name), relations) for trail, relations in draft.sides)
        text = phrase(QuestionPlan(draft.goal, paths), mentions, self._draw)
        facts = [
            (entity.title, self._written[entity.title].stated[RELATIONS[relation].slot])
            for trail, relations in draft.sides
            for entity, relation in zip(trail, relations, strict=True)
        ]
        answer = draft.answer
        return Question(
            id=name,
            text=text,
            answer=answer.name if isinstance(answer, Entity) else answer,
            aliases=tuple(answer.aliases) if isinstance(answer, Entity) else (),
            kind=kind,
            facts=tuple(dict.fromkeys(facts)),
        )

    def _mention(self, entity: Entity) -> str:
        draw = self._draw
        labelled = entity.label in LABELS and (entity.title != entity.name or entity.kind != "person")
        if entity.title == entity.name:
            if entity.aliases and draw.random() < _ALIAS:
                name = draw.choice(entity.aliases)
                return f"the {entity.label} {name}" if labelled else name
            labelled = labelled and draw.random() < 0.6
        return f"the {entity.label} {entity.name}" if labelled else entity.mention


def _gives_itself_away(question: Question) -> bool:
    """True when a question that is no choice between two contains its answer."""
    return question.kind not in ("comparison", "yes-no") and question.answer in question.text


def _separable(first: Entity, second: Entity) -> bool:
    """True when "A and B" can be cut in two: neither name holds an "and", nor could an alias."""
    return not any(" and " in entity.name or " & " in entity.name for entity in (first, second))

"""Writes the articles of the generated encyclopedia."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from sad_env.encyclopedia.articles import AMBIGUOUS, Article
from sad_env.encyclopedia.fiction import NOW, Entity, Fiction, Value
from sad_env.encyclopedia.prose import FACTS, FILLERS, LEADS, PRONOUNS, WORDS

SLOT = re.compile(r"\{(\w+)\}")
"""A slot of a template."""

_LONG = 0.18
"""Share of the articles in which one fact comes too late to be shown, so that it has to be looked up."""

_OLD = 1935
"""Who was born before is written of in the past tense."""


@dataclass(frozen=True)
class Written:
    """A generated article, and which of its sentences states which slot."""

    article: Article
    stated: dict[str, int]


class Writer:
    """Writes the articles of a generated world.

    Args:
        fiction: the world.
        seed: decides the wording.
        full: every article has all of its kind's idle sentences, which makes it about as long as a passage of 100
            words; otherwise it is as short as the first paragraph of an article.
    """

    def __init__(self, fiction: Fiction, seed: int, *, full: bool = False) -> None:
        self._draw = random.Random(f"hotpotqa articles {seed}")
        self._people = fiction.entities["person"]
        self._towns = fiction.entities["town"]
        self._fiction = fiction
        self._full = full

    def write_all(self) -> dict[str, Written]:
        """All articles by title, disambiguation pages among them."""
        entities = [entity for those in self._fiction.entities.values() for entity in those]
        written = {entity.title: self._write(entity) for entity in entities}
        for name, namesakes in self._fiction.namesakes().items():
            titles = ", ".join(entity.title for entity in namesakes)
            written[name] = Written(Article(name, (f"{name} {AMBIGUOUS}", f" {titles}.")), {})
        return written

    def _write(self, entity: Entity) -> Written:
        draw = self._draw
        lead = draw.choice(LEADS[entity.kind])
        in_lead = set(SLOT.findall(lead))
        late = [
            draw.choice(templates)
            for slot, templates in FACTS[entity.kind].items()
            if slot in entity.facts and slot not in in_lead
        ]
        draw.shuffle(late)
        idle = FILLERS[entity.kind]
        fillers = draw.sample(idle, len(idle) if self._full else 4)
        if self._full:
            late += fillers
            draw.shuffle(late)
        elif late and draw.random() < _LONG:
            late[-1:-1] = fillers[: max(0, 5 - len(late))]
        else:
            for filler in fillers[: draw.choice((0, 0, 1, 1, 2))]:
                late.insert(draw.randrange(len(late) + 1), filler)
        sentences = [self._fill(lead, entity, first=True)]
        stated: dict[str, int] = {}
        for template in late:
            sentences.append(" " + self._fill(template, entity))
        for number, template in enumerate([lead, *late]):
            stated |= {slot: number for slot in SLOT.findall(template) if slot in entity.facts}
        return Written(Article(entity.title, tuple(sentences), tuple(entity.aliases)), stated)

    def _fill(self, template: str, entity: Entity, *, first: bool = False) -> str:
        pronoun = self._pronoun(entity)
        values = {
            "s": entity.mention if first else pronoun,
            "m": pronoun if pronoun in entity.name else pronoun.lower(),
            "is": "was" if entity.year < _OLD else "is",
        }

        def value(match: re.Match[str]) -> str:
            slot = match.group(1)
            return values[slot] if slot in values else self._value(slot, entity)

        text = SLOT.sub(value, template)
        return text[0].upper() + text[1:]

    def _pronoun(self, entity: Entity) -> str:
        if entity.kind == "person":
            return self._draw.choice(("She" if entity.woman else "He", entity.name.rsplit(" ", 1)[-1]))
        return self._draw.choice(PRONOUNS[entity.kind])

    def _value(self, slot: str, entity: Entity) -> str:
        draw = self._draw
        if slot in entity.facts:
            return spell(entity.facts[slot])
        if slot == "person":
            return draw.choice(self._people).name
        if slot == "town":
            return draw.choice(self._towns).name
        if slot == "number":
            return str(draw.randint(2, 30))
        if slot == "year":
            # Whatever happens to a person or a thing happens in its time.
            earliest = (entity.year or 1700) + (20 if entity.kind == "person" else 1)
            return str(min(NOW, draw.randint(earliest, earliest + 35)))
        return draw.choice(WORDS[slot])


def spell(value: Value) -> str:
    """A value as a sentence has it: lists as "A, B and C"."""
    if isinstance(value, str):
        return value
    if isinstance(value, Entity):
        return value.mention
    names = [entity.mention for entity in value]
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]

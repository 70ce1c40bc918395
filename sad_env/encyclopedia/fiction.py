"""The facts of the generated encyclopedia: entities, and relations and dates that agree with one another."""

from __future__ import annotations

import bisect
import random
from dataclasses import dataclass, field
from typing import Union

from sad_env.encyclopedia.names import Namer
from sad_env.encyclopedia.prose import WORDS

Value = Union[str, "Entity", list["Entity"]]

_SHARES = {
    "region": 0.02, "town": 0.12, "river": 0.04, "college": 0.03, "person": 0.34, "novel": 0.08, "film": 0.09,
    "album": 0.06, "painting": 0.04, "company": 0.06, "team": 0.04, "building": 0.05, "event": 0.03,
}  # fmt: skip
"""Parts of the articles by kind; the rest are disambiguation pages."""

_OCCUPATIONS = {
    "novelist": ("a novelist", "a novelist and poet"),
    "director": ("a film director", "a film director and screenwriter"),
    "actor": ("an actor", "an actor and comedian"),
    "singer": ("a singer", "a singer and songwriter"),
    "painter": ("a painter", "a painter and engraver"),
    "founder": ("an engineer", "an engineer and industrialist"),
    "athlete": ("an athlete", "an athlete and teacher"),
    "architect": ("an architect",),
}
"""Occupations by the role that a person plays in the relations."""

_LABELS = {role: role for role in _OCCUPATIONS} | {"director": "film director", "founder": "engineer"}
"""What tells namesakes apart, in brackets."""

_ROLES = ("novelist", "director", "actor", "actor", "actor", "singer", "painter", "founder", "founder", "athlete",
          "athlete", "architect")  # fmt: skip

_COMPANIES = ("{} & {}", "{} Brothers", "{} Works", "{} & Daughters", "{} Company", "{} and {}")
_CLUBS = ("Rovers", "United", "Athletic", "Wanderers", "City", "Rangers")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
NOW = 2017
"""No year is later."""
_NAMESAKES = 0.05
"""Part of the persons that share another person's name."""


@dataclass(eq=False)
class Entity:
    """One subject of the encyclopedia.

    Attributes:
        kind: person, town, novel, ...
        name: what texts call it.
        title: its article's title: the name, with a bracket where two share it.
        label: what the bracket says: the occupation of a person, the kind of a work.
        facts: slot of the article templates to value.
        aliases: other names, each a redirect to the article.
        article: "the " where texts put it before the name.
        year: of birth, founding, release, ...; 0 where there is none.
        woman: for pronouns.
    """

    kind: str
    name: str
    title: str
    label: str
    facts: dict[str, Value] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)
    article: str = ""
    year: int = 0
    woman: bool = False

    @property
    def mention(self) -> str:
        """The name inside a sentence."""
        return self.article + self.name


class Fiction:
    """A world of entities whose relations and dates agree.

    Args:
        seed: decides everything, together with the split.
        split: "train" or "test"; their entities have different names.
        articles: about how many articles it makes.

    Attributes:
        entities: by kind.
    """

    def __init__(self, seed: int, split: str, articles: int) -> None:
        self._draw = random.Random(f"hotpotqa {split} {seed} {articles}")
        self._namer = Namer(self._draw, split, families=max(800, articles // 5))
        self._counts = {kind: max(8, round(articles * share)) for kind, share in _SHARES.items()}
        self.entities: dict[str, list[Entity]] = {kind: [] for kind in _SHARES}
        self._roles: dict[str, list[Entity]] = {role: [] for role in _OCCUPATIONS}
        self._by_name: dict[str, list[Entity]] = {}
        self._places()
        self._people()
        self._institutions()
        self._works()
        self._lives()
        self._tell_namesakes_apart()

    # --- helpers ---

    def _new(self, kind: str, name: str, label: str = "", **rest: object) -> Entity:
        entity = Entity(kind, name, name, label or kind, **rest)  # type: ignore[arg-type]
        self.entities[kind].append(entity)
        self._by_name.setdefault(name, []).append(entity)
        return entity

    def _town(self) -> Entity:
        return self._draw.choice(self.entities["town"])

    def _year(self, born: int, youngest: int, oldest: int) -> int:
        """A year in which somebody born then is of this age; nothing is later than the encyclopedia itself."""
        return min(NOW, born + self._draw.randint(youngest, oldest))

    def _amount(self, low: int, high: int) -> int:
        """A number whose digits spread evenly over the orders of magnitude."""
        return int(low * (high / low) ** self._draw.random())

    def _born_between(self, role: str, first: int, last: int) -> Entity:
        """Somebody of this role who was born in these years, or as soon after as there is anybody."""
        people = self._roles[role]
        low = bisect.bisect_left(people, first, key=lambda person: person.year)
        high = bisect.bisect_right(people, last, key=lambda person: person.year)
        return people[self._draw.randrange(low, high)] if low < high else people[min(low, len(people) - 1)]

    # --- what exists ---

    def _places(self) -> None:
        draw, namer = self._draw, self._namer
        for _ in range(self._counts["region"]):
            area = f"{self._amount(900, 90_000):,} square kilometres"
            self._new("region", namer.region(), facts={"area": area})
        for _ in range(self._counts["river"]):
            facts: dict[str, Value] = {
                "source": draw.choice(self.entities["region"]),
                "length": f"{self._amount(20, 900)} km",
            }
            self._new("river", namer.river(), facts=facts, article="the ")
        regions = self.entities["region"]
        for number in range(self._counts["town"]):
            # The first towns are the capitals, so that every capital lies in its region.
            region = regions[number] if number < len(regions) else draw.choice(regions)
            facts = {"region": region, "population": f"{self._amount(900, 600_000):,}"}
            if draw.random() < 0.6:
                facts["river"] = draw.choice(self.entities["river"])
            town = self._new("town", namer.town(), facts=facts)
            region.facts.setdefault("capital", town)
        for _ in range(self._counts["college"]):
            town = self._town()
            name = namer.extended(draw.choice((town.name, namer.surname())), ("College",))
            self._new("college", name, facts={"place": town, "founded": str(draw.randint(1500, 1900))})

    def _people(self) -> None:
        draw, namer = self._draw, self._namer
        for number in range(self._counts["person"]):
            woman = draw.random() < 0.5
            role = _ROLES[number % len(_ROLES)]
            year = draw.randint(1790, 1985)
            other = draw.choice(self.entities["person"]) if number and draw.random() < _NAMESAKES else None
            if (
                other
                and not other.aliases
                and all(namesake.label != _LABELS[role] for namesake in self._by_name[other.name])
            ):
                name, woman = other.name, other.woman
            else:
                name = namer.person(woman)
            facts: dict[str, Value] = {
                "born": f"{draw.randint(1, 28)} {draw.choice(_MONTHS)} {year}",
                "birthplace": self._town(),
                "occupation": draw.choice(_OCCUPATIONS[role]),
            }
            person = self._new("person", name, _LABELS[role], facts=facts, year=year, woman=woman)
            if draw.random() < 0.15 and len(self._by_name[name]) == 1:
                given, surname = name.split(" ", 1)
                person.aliases.append(f"{given} {namer.given_name(woman)} {surname}")
            self._roles[role].append(person)
        for people in self._roles.values():
            people.sort(key=lambda person: person.year)

    def _institutions(self) -> None:
        draw, namer = self._draw, self._namer
        for _ in range(self._counts["company"]):
            first = draw.choice(self._roles["founder"])
            year = self._year(first.year, 22, 50)
            facts: dict[str, Value] = {"founded": str(year), "seat": self._town()}
            facts["product"] = draw.choice(WORDS["product"])
            partner = self._born_between("founder", first.year - 12, first.year + 12)
            facts["founders"] = [first, partner] if partner is not first and draw.random() < 0.6 else [first]
            name = namer.fresh(lambda: draw.choice(_COMPANIES).format(namer.surname(), namer.surname()))
            company = self._new("company", name, facts=facts, year=year)
            if " & " in name:
                company.aliases.append(name.replace(" & ", " and "))
        for _ in range(self._counts["team"]):
            town, year = self._town(), draw.randint(1860, 1990)
            facts = {"home": town, "founded": str(year), "sport": draw.choice(WORDS["sport"])}
            facts["coach"] = self._born_between("athlete", 1940, 1985)
            name = namer.extended(draw.choice((town.name, namer.surname())), _CLUBS)
            self._new("team", name, facts=facts, year=year)
        for number in range(self._counts["building"]):
            structure = "museum" if number % 3 == 0 else draw.choice(WORDS["structure"])
            town, architect = self._town(), draw.choice(self._roles["architect"])
            year = self._year(architect.year, 28, 58)
            facts = {"place": town, "architect": architect, "opened": str(year), "structure": structure}
            if structure not in ("museum", "library"):
                facts["height"] = f"{draw.randint(9, 140)} metres"
            name = namer.extended(draw.choice((town.name, namer.surname())), (structure.title(),))
            self._new("building", name, structure, facts=facts, article="the ", year=year)
        for _ in range(self._counts["event"]):
            town, winner = self._town(), draw.choice(self._roles["athlete"])
            contest, year = draw.choice(WORDS["contest"]), self._year(winner.year, 19, 32)
            facts = {"place": town, "winner": winner, "first_held": str(year), "contest": contest}
            name = namer.extended(draw.choice((town.name, namer.surname())), (contest.title(),))
            self._new("event", name, contest, facts=facts, article="the ", year=year)

    def _works(self) -> None:
        draw = self._draw
        for _ in range(self._counts["novel"]):
            author = draw.choice(self._roles["novelist"])
            year = self._year(author.year, 24, 62)
            facts: dict[str, Value] = {"author": author, "published": str(year), "setting": self._town()}
            self._add_company(facts, "publisher", "books", year)
            self._work("novel", year, facts)
        for _ in range(self._counts["film"]):
            self._film()
        for _ in range(self._counts["album"]):
            artist = self._born_between("singer", 1925, 1985)
            year = max(1950, self._year(artist.year, 20, 50))
            facts = {"artist": artist, "released": str(year)}
            self._add_company(facts, "label", "records", year)
            if draw.random() < 0.5:
                facts["recorded"] = self._town()
            self._work("album", year, facts)
        for _ in range(self._counts["painting"]):
            painter = draw.choice(self._roles["painter"])
            year = self._year(painter.year, 22, 60)
            facts = {"painter": painter, "painted": str(year)}
            museum = draw.choice(self.entities["building"])
            if museum.label == "museum":
                facts["museum"] = museum
            self._work("painting", year, facts)

    def _add_company(self, facts: dict[str, Value], slot: str, product: str, year: int) -> None:
        """A company that makes this and is old enough, where a few draws find one."""
        for company in self._draw.choices(self.entities["company"], k=12):
            if company.facts["product"] == product and company.year <= year:
                facts[slot] = company
                return

    def _film(self) -> None:
        draw = self._draw
        director = self._born_between("director", 1880, 1985)
        year = max(1912, self._year(director.year, 25, 60))
        facts: dict[str, Value] = {"director": director, "released": str(year)}
        stars = {self._born_between("actor", year - 60, year - 18) for _ in range(3)}
        facts["stars"] = sorted(stars, key=lambda star: (star.year, star.name))
        name = ""
        if draw.random() < 0.4:
            novel = draw.choice(self.entities["novel"])
            if novel.year < year:
                facts["based_on"] = novel
                name = novel.name if draw.random() < 0.5 else ""
        self._work("film", year, facts, name)

    def _work(self, kind: str, year: int, facts: dict[str, Value], name: str = "") -> None:
        # A few works share a title by chance, as works do; two of one kind and title would need a year to tell apart.
        draw = self._draw
        if not name:
            name = self._namer.work()
        if any(other.kind == kind for other in self._by_name.get(name, ())):
            name = self._namer.work()
        work = self._new(kind, name, facts=facts, year=year)
        if name.startswith("The ") and draw.random() < 0.3:
            work.aliases.append(name[4:])

    # --- what can be said once all exist ---

    def _lives(self) -> None:
        draw = self._draw
        people = sorted(self.entities["person"], key=lambda person: (person.year, person.name))
        for place, person in enumerate(people):
            if draw.random() < 0.35:
                person.facts["college"] = draw.choice(self.entities["college"])
            if person.label == "athlete":
                team = draw.choice(self.entities["team"])
                if team.year <= person.year + 18:
                    person.facts["team"] = team
            spouse = people[min(place + draw.randint(1, 12), len(people) - 1)]
            pair = (person, spouse)
            free = person is not spouse and all("spouse" not in partner.facts for partner in pair)
            if free and draw.random() < 0.25 and all(len(self._by_name[partner.name]) == 1 for partner in pair):
                wed = str(self._year(max(person.year, spouse.year), 20, 40))
                person.facts |= {"spouse": spouse, "wed": wed}
                spouse.facts |= {"spouse": person, "wed": wed}

    def _tell_namesakes_apart(self) -> None:
        for name, namesakes in self._by_name.items():
            if len(namesakes) > 1:
                for entity in namesakes:
                    entity.title = f"{name} ({entity.label})"
        redirects: set[str] = set()
        for entity in [entity for entities in self.entities.values() for entity in entities]:
            # A redirect gives way to an article of its name, and to a redirect that came before.
            entity.aliases = [
                alias for alias in entity.aliases if alias not in self._by_name and alias not in redirects
            ]
            redirects.update(entity.aliases)

    def namesakes(self) -> dict[str, list[Entity]]:
        """Names that several entities share."""
        return {name: those for name, those in self._by_name.items() if len(those) > 1}

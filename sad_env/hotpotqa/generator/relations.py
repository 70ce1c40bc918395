"""The relations of the generated encyclopedia, and how questions and thoughts speak of them."""

from __future__ import annotations

from dataclasses import dataclass

ENTITY = "entity"
ENTITIES = "entities"
YEAR = "year"
DATE = "date"
AMOUNT = "amount"


@dataclass(frozen=True)
class Relation:
    """A relation from an article's subject to a value that the article states.

    Templates hold ``{x}`` for the subject and ``{v}`` for the value.

    Attributes:
        name: its name.
        slot: the slot of the article templates that states it (`prose.py`).
        form: what the value is: entity, entities, year, date or amount.
        kinds: what its subject may be.
        result: the kind of entity that the value is; empty for other values.
        keyword: stands in every sentence that states it, so that a look-up finds it.
        phrases: noun phrases for the value.
        questions: questions for the value.
        intro: clause that says the subject has such a value, before "who" or "that" and `clause`.
        clause: verb phrase that asks for the value.
        told: a statement of subject and value.

    "The `name` of X" is English for every relation.
    """

    name: str
    slot: str
    form: str
    kinds: tuple[str, ...]
    result: str
    keyword: str
    phrases: tuple[str, ...]
    questions: tuple[str, ...]
    intro: str
    clause: str
    told: str


_ALL = (
    Relation(
        "birthplace", "birthplace", ENTITY, ("person",), "town", "was born",
        ("the birthplace of {x}", "the town where {x} was born"),
        ("In which town was {x} born?", "Where was {x} born?", "What is the birthplace of {x}?"),
        "{x} was born in a town", "was born in which town", "{x} was born in {v}",
    ),
    Relation(
        "birth year", "born", YEAR, ("person",), "", "born",
        (),
        ("In what year was {x} born?", "In which year was {x} born?"),
        "", "was born in what year", "{x} was born in {v}",
    ),
    Relation(
        "birth date", "born", DATE, ("person",), "", "born",
        (),
        ("On what date was {x} born?", "What is the date of birth of {x}?"),
        "", "was born on what date", "{x} was born on {v}",
    ),
    Relation(
        "college", "college", ENTITY, ("person",), "college", "studied",
        ("the college where {x} studied", "the place of study of {x}"),
        ("Where did {x} study?", "At which college did {x} study?"),
        "{x} studied at a college", "studied at which college", "{x} studied at {v}",
    ),
    Relation(
        "spouse", "spouse", ENTITY, ("person",), "person", "married",
        ("the spouse of {x}", "the person who married {x}"),
        ("Who is the spouse of {x}?", "Who married {x}?", "To whom was {x} married?"),
        "{x} married someone", "married whom", "{x} married {v}",
    ),
    Relation(
        "team", "team", ENTITY, ("person",), "team", "played for",
        ("the club that {x} played for", "the club of the player {x}"),
        ("Which club did {x} play for?", "For which club did {x} play?"),
        "{x} played for a club", "played for which club", "{x} played for {v}",
    ),
    Relation(
        "region", "region", ENTITY, ("town",), "region", "region",
        ("the region that contains {x}", "the region around {x}"),
        ("In which region is {x}?", "Which region does {x} belong to?", "Which region is {x} part of?"),
        "{x} belongs to a region", "belongs to which region", "{x} is in {v}",
    ),
    Relation(
        "river", "river", ENTITY, ("town",), "river", "river",
        ("the river that flows through {x}", "the river at {x}"),
        ("On which river does {x} lie?", "Which river flows through {x}?"),
        "{x} lies on a river", "lies on which river", "{x} lies on {v}",
    ),
    Relation(
        "population", "population", AMOUNT, ("town",), "", "population",
        (),
        ("What is the population of {x}?", "How many people live in {x}?", "How many inhabitants does {x} have?"),
        "", "has how many inhabitants", "{x} has a population of {v}",
    ),
    Relation(
        "capital", "capital", ENTITY, ("region",), "town", "capital",
        ("the capital of {x}",),
        ("What is the capital of {x}?", "Which town is the capital of {x}?"),
        "{x} has a capital", "has which capital", "the capital of {x} is {v}",
    ),
    Relation(
        "area", "area", AMOUNT, ("region",), "", "area",
        (),
        ("What is the area of {x}?", "How large is {x}?"),
        "", "has what area", "{x} has an area of {v}",
    ),
    Relation(
        "source", "source", ENTITY, ("river",), "region", "rises",
        ("the region where {x} rises", "the region of the source of {x}"),
        ("In which region does {x} rise?", "Where does {x} rise?"),
        "{x} rises in a region", "rises in which region", "{x} rises in {v}",
    ),
    Relation(
        "length", "length", AMOUNT, ("river",), "", "km",
        (),
        ("How long is {x}?", "What is the length of {x}?"),
        "", "has what length", "{x} is {v} long",
    ),
    Relation(
        "author", "author", ENTITY, ("novel",), "person", "novel",
        ("the author of {x}", "the writer of {x}", "the person who wrote {x}"),
        ("Who wrote {x}?", "Who is the author of {x}?"),
        "{x} was written by a novelist", "was written by whom", "{x} was written by {v}",
    ),
    Relation(
        "publication year", "published", YEAR, ("novel",), "", "publish",
        (),
        ("In what year was {x} published?", "When was {x} published?"),
        "", "was published in what year", "{x} was published in {v}",
    ),
    Relation(
        "publisher", "publisher", ENTITY, ("novel",), "company", "publish",
        ("the publisher of {x}", "the company that published {x}"),
        ("Which company published {x}?", "Who is the publisher of {x}?"),
        "{x} came from a publisher", "came from which publisher", "{x} was published by {v}",
    ),
    Relation(
        "setting", "setting", ENTITY, ("novel",), "town", "set in",
        ("the setting of {x}", "the town where {x} takes place"),
        ("In which town is {x} set?", "Where does {x} take place?"),
        "{x} is set in a town", "is set in which town", "{x} is set in {v}",
    ),
    Relation(
        "director", "director", ENTITY, ("film",), "person", "film",
        ("the director of {x}", "the person who directed {x}", "the maker of {x}"),
        ("Who directed {x}?", "Who is the director of {x}?"),
        "{x} was directed by someone", "was directed by whom", "{x} was directed by {v}",
    ),
    Relation(
        "release year", "released", YEAR, ("film", "album"), "", "released",
        (),
        ("In what year was {x} released?", "When was {x} released?"),
        "", "was released in what year", "{x} was released in {v}",
    ),
    Relation(
        "cast", "stars", ENTITIES, ("film",), "person", "star",
        (),
        (),
        "", "", "{x} stars {v}",
    ),
    Relation(
        "source novel", "based_on", ENTITY, ("film",), "novel", "based on",
        ("the novel behind {x}", "the novel on which {x} is based"),
        ("On which novel is {x} based?", "Which novel is {x} based on?"),
        "{x} is based on a novel", "is based on which novel", "{x} is based on {v}",
    ),
    Relation(
        "artist", "artist", ENTITY, ("album",), "person", "album",
        ("the singer of {x}", "the artist who made {x}", "the performer of {x}"),
        ("Who recorded {x}?", "Which singer made {x}?"),
        "{x} was made by a singer", "was made by whom", "{x} was made by {v}",
    ),
    Relation(
        "label", "label", ENTITY, ("album",), "company", "issued",
        ("the label of {x}", "the company that issued {x}"),
        ("Which company issued {x}?", "Which label issued {x}?"),
        "{x} was issued by a company", "was issued by which company", "{x} was issued by {v}",
    ),
    Relation(
        "recording place", "recorded", ENTITY, ("album",), "town", "recorded",
        ("the town where {x} was recorded",),
        ("In which town was {x} recorded?", "Where was {x} recorded?"),
        "{x} was recorded in a town", "was recorded in which town", "{x} was recorded in {v}",
    ),
    Relation(
        "painter", "painter", ENTITY, ("painting",), "person", "painting",
        ("the painter of {x}", "the artist who painted {x}"),
        ("Who painted {x}?", "Who is the painter of {x}?"),
        "{x} was painted by someone", "was painted by whom", "{x} was painted by {v}",
    ),
    Relation(
        "completion year", "painted", YEAR, ("painting",), "", "painting",
        (),
        ("In what year was {x} completed?", "When was {x} completed?"),
        "", "was completed in what year", "{x} was completed in {v}",
    ),
    Relation(
        "museum", "museum", ENTITY, ("painting",), "building", "hangs",
        ("the museum that shows {x}", "the museum where {x} hangs"),
        ("In which museum does {x} hang?", "Which museum shows {x}?"),
        "{x} hangs in a museum", "hangs in which museum", "{x} hangs in {v}",
    ),
    Relation(
        "founder", "founders", ENTITIES, ("company",), "person", "founded by",
        ("the founder of {x}", "the person who founded {x}"),
        ("Who founded {x}?", "Who is the founder of {x}?"),
        "{x} was founded by someone", "was founded by whom", "{x} was founded by {v}",
    ),
    Relation(
        "founding year", "founded", YEAR, ("company", "team", "college"), "", "founded",
        (),
        ("In what year was {x} founded?", "When was {x} founded?"),
        "", "was founded in what year", "{x} was founded in {v}",
    ),
    Relation(
        "headquarters", "seat", ENTITY, ("company",), "town", "headquarters",
        ("the town where {x} has its headquarters", "the headquarters town of {x}"),
        ("In which town does {x} have its headquarters?", "Where are the headquarters of {x}?"),
        "{x} has its headquarters in a town", "has its headquarters in which town", "{x} has its headquarters in {v}",
    ),
    Relation(
        "home town", "home", ENTITY, ("team",), "town", "club",
        ("the home town of {x}", "the town where {x} play their home games"),
        ("What is the home town of {x}?", "In which town do {x} play their home games?"),
        "{x} play in a home town", "plays in which home town", "the home town of {x} is {v}",
    ),
    Relation(
        "coach", "coach", ENTITY, ("team",), "person", "coach",
        ("the coach of {x}", "the person who coaches {x}"),
        ("Who coaches {x}?", "Who is the coach of {x}?"),
        "{x} have a coach", "has which coach", "{x} is coached by {v}",
    ),
    Relation(
        "location", "place", ENTITY, ("building", "event", "college"), "town", "town",
        ("the town of {x}", "the location of {x}"),
        ("In which town is {x}?", "Where is {x}?", "What is the location of {x}?"),
        "{x} is in a town", "is in which town", "{x} is in {v}",
    ),
    Relation(
        "architect", "architect", ENTITY, ("building",), "person", "designed",
        ("the architect of {x}", "the person who designed {x}"),
        ("Who designed {x}?", "Who is the architect of {x}?"),
        "{x} was designed by an architect", "was designed by whom", "{x} was designed by {v}",
    ),
    Relation(
        "opening year", "opened", YEAR, ("building",), "", "opened",
        (),
        ("In what year was {x} opened?", "When was {x} opened?"),
        "", "was opened in what year", "{x} was opened in {v}",
    ),
    Relation(
        "height", "height", AMOUNT, ("building",), "", "tall",
        (),
        ("How tall is {x}?", "What is the height of {x}?"),
        "", "is how tall", "{x} is {v} tall",
    ),
    Relation(
        "first edition", "first_held", YEAR, ("event",), "", "first held",
        (),
        ("In what year was {x} first held?", "When was {x} first held?"),
        "", "was first held in what year", "{x} was first held in {v}",
    ),
    Relation(
        "winner", "winner", ENTITY, ("event",), "person", "won by",
        ("the first winner of {x}", "the person who won the first edition of {x}"),
        ("Who won the first edition of {x}?", "Who was the first winner of {x}?"),
        "{x} was first won by someone", "was first won by whom", "the first edition of {x} was won by {v}",
    ),
)  # fmt: skip

NAMESAKES = {
    "director": "film director", "author": "novelist", "painter": "painter", "artist": "singer", "founder": "engineer",
    "architect": "architect", "coach": "athlete", "winner": "athlete", "cast": "actor", "source novel": "novel",
}  # fmt: skip
"""By relation: what is known of its value before its article is read, which tells it from namesakes."""

RELATIONS = {relation.name: relation for relation in _ALL}
"""All relations by name."""


@dataclass(frozen=True)
class Contest:
    """A comparison of two entities by one relation.

    Attributes:
        relation: what is compared.
        kinds: the kinds that can be compared.
        least: questions for the smaller (earlier) one; ``{a}`` and ``{b}`` are the two.
        most: questions for the greater (later) one.
        verdict: what decides, for thoughts: (for the smaller, for the greater).
    """

    relation: str
    kinds: tuple[str, ...]
    least: tuple[str, ...]
    most: tuple[str, ...]
    verdict: tuple[str, str]


CONTESTS = (
    Contest(
        "birth year", ("person",),
        ("Who was born first, {a} or {b}?", "Who was born earlier, {a} or {b}?", "Who is older, {a} or {b}?"),
        ("Who was born later, {a} or {b}?", "Who is younger, {a} or {b}?"),
        ("was born earlier", "was born later"),
    ),
    Contest(
        "population", ("town",),
        ("Which town has fewer inhabitants, {a} or {b}?", "Which is the smaller town, {a} or {b}?"),
        ("Which town has more inhabitants, {a} or {b}?", "Which is the larger town, {a} or {b}?"),
        ("has fewer inhabitants", "has more inhabitants"),
    ),
    Contest(
        "length", ("river",),
        ("Which river is shorter, {a} or {b}?",), ("Which river is longer, {a} or {b}?",),
        ("is shorter", "is longer"),
    ),
    Contest(
        "founding year", ("company", "team", "college"),
        ("Which was founded first, {a} or {b}?", "Which is older, {a} or {b}?"),
        ("Which was founded later, {a} or {b}?", "Which was founded more recently, {a} or {b}?"),
        ("was founded earlier", "was founded later"),
    ),
    Contest(
        "opening year", ("building",),
        ("Which opened first, {a} or {b}?",), ("Which opened later, {a} or {b}?",),
        ("opened earlier", "opened later"),
    ),
    Contest(
        "height", ("building",),
        ("Which is less tall, {a} or {b}?",), ("Which is taller, {a} or {b}?",),
        ("is less tall", "is taller"),
    ),
    Contest(
        "release year", ("film", "album"),
        ("Which came out first, {a} or {b}?", "Which was released earlier, {a} or {b}?"),
        ("Which came out later, {a} or {b}?", "Which was released later, {a} or {b}?"),
        ("was released earlier", "was released later"),
    ),
    Contest(
        "publication year", ("novel",),
        ("Which was published first, {a} or {b}?",), ("Which was published later, {a} or {b}?",),
        ("was published earlier", "was published later"),
    ),
)  # fmt: skip
"""What comparison questions compare."""

SAME = {
    "birthplace": ("Were {a} and {b} born in the same town?", "Do {a} and {b} come from the same birthplace?"),
    "college": ("Did {a} and {b} study at the same college?",),
    "region": ("Are {a} and {b} in the same region?", "Do {a} and {b} belong to the same region?"),
    "river": ("Do {a} and {b} lie on the same river?",),
    "director": ("Were {a} and {b} directed by the same person?", "Do {a} and {b} share a director?"),
    "author": ("Were {a} and {b} written by the same person?", "Do {a} and {b} share an author?"),
    "headquarters": ("Do {a} and {b} have their headquarters in the same town?",),
    "location": ("Are {a} and {b} in the same town?", "Can {a} and {b} be visited in the same town?"),
    "architect": ("Were {a} and {b} designed by the same architect?",),
    "painter": ("Were {a} and {b} painted by the same artist?",),
}
"""Yes-no questions: whether a relation gives the same value for both."""

COMMON = {
    ("cast", "cast"): ("Which actor stars in both {a} and {b}?", "Who appears in the cast of {a} and of {b}?"),
    ("founder", "founder"): ("Who founded both {a} and {b}?", "Which person was a founder of {a} and also of {b}?"),
    ("birthplace", "home town"): ("Which town is both the birthplace of {a} and the home of {b}?",),
    ("birthplace", "headquarters"): ("Which town saw the birth of {a} and is the seat of {b}?",),
    ("setting", "birthplace"): ("Which town is the setting of {a} and also the birthplace of {b}?",),
    ("author", "spouse"): ("Who wrote {a} and was married to {b}?",),
    ("director", "spouse"): ("Who directed {a} and was married to {b}?",),
}
"""Intersection questions: the value that two relations share."""

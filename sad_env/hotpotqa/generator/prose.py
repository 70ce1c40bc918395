"""How the generated encyclopedia is written: sentences with slots, which the expert reads back with the same grammar.

Slots: ``{s}`` is the subject (its name, or a pronoun after the first sentence), ``{m}`` the same inside a sentence,
``{is}`` "is" or "was"; any other slot is a fact. In filler sentences ``{year}``, ``{number}``, ``{person}``, ``{town}``
and ``{word}`` are decoration that no question asks for.
"""

from __future__ import annotations

LEADS: dict[str, tuple[str, ...]] = {
    "person": (
        "{s} (born {born} in {birthplace}) {is} {occupation}.",
        "{s} {is} {occupation} who was born in {birthplace} on {born}.",
        "Born in {birthplace} on {born}, {s} {is} {occupation}.",
        "{s} (born {born}) {is} {occupation}.",
    ),
    "town": (
        "{s} is a town in {region}.",
        "{s} is a market town in the region of {region}.",
        "{s} is a small town in the region of {region}, known for its {trade}.",
        "{s}, in the region of {region}, is a town that lives from {trade}.",
    ),
    "region": (
        "{s} is a region in the {compass} of the country.",
        "{s} is a hilly region of the {compass}.",
        "{s} is a region known for its {trade}.",
    ),
    "river": (
        "{s} is a river that rises in {source}.",
        "{s} rises in the hills of {source}.",
        "{s} is a slow river that rises in the forests of {source}.",
    ),
    "college": (
        "{s} is a college in {place}.",
        "{s} is a college of {subject} in the town of {place}.",
    ),
    "novel": (
        "{s} is a novel by {author}, published in {published}.",
        "{s} is a {published} novel by {author}.",
        "{s} is a novel that was written by {author} and published in {published}.",
        "{s} is a novel in {number} parts by {author}, published in {published}.",
    ),
    "film": (
        "{s} is a {released} film directed by {director}.",
        "{s} is a film by {director}, released in {released}.",
        "{s} is a {genre} film that was directed by {director} and released in {released}.",
    ),
    "album": (
        "{s} is an album by {artist}, released in {released}.",
        "{s} is a {released} album by the singer {artist}.",
        "{s} is a live album by {artist}, released in {released}.",
    ),
    "painting": (
        "{s} is a painting by {painter}, completed in {painted}.",
        "{s} is a {painted} painting by {painter}.",
        "{s} is a large painting that {painter} completed in {painted}.",
    ),
    "company": (
        "{s} is a maker of {product}, founded in {founded}.",
        "{s} is a company that makes {product}; it was founded in {founded}.",
        "{s}, founded in {founded}, is a company that makes {product}.",
    ),
    "team": (
        "{s} is a {sport} club from {home}.",
        "{s} is a {sport} club based in the town of {home}.",
        "{s} is a {sport} club that plays its home games in {home}.",
    ),
    "building": (
        "{s} is a {structure} in {place}.",
        "{s} is a {structure} in the town of {place}.",
        "{s} is a well-known {structure} in {place}.",
    ),
    "event": (
        "{s} is a {contest} held every year in {place}.",
        "{s} is a yearly {contest} in the town of {place}.",
        "{s} is a {contest} that takes place in {place} each {season}.",
    ),
}
"""First sentences by kind of article; one is drawn."""

FACTS: dict[str, dict[str, tuple[str, ...]]] = {
    "person": {
        "birthplace": (
            "{s} was born in {birthplace}.",
            "{s} was born and raised in {birthplace}.",
            "{s} was born in the town of {birthplace} and left it at the age of {number}.",
        ),
        "college": (
            "{s} studied at {college}.",
            "{s} studied for {number} years at {college}.",
            "Before that, {m} had studied {subject} at {college}.",
        ),
        "spouse": (
            "{s} married {spouse} in {wed}.",
            "In {wed} {m} married {spouse}.",
            "{s} was married to {spouse}.",
        ),
        "team": (
            "{s} played for {team}.",
            "{s} played for {team} over {number} seasons.",
            "From {year} on {m} played for {team}.",
        ),
    },
    "town": {
        "river": (
            "{s} lies on {river}.",
            "{s} stands on the banks of {river}.",
            "{s} grew up around a ford of {river}.",
        ),
        "population": (
            "{s} has a population of {population}.",
            "At the last census it had a population of {population}.",
            "Its population is {population}.",
        ),
    },
    "region": {
        "capital": (
            "Its capital is {capital}.",
            "The capital of the region is {capital}.",
            "{capital} has been its capital since {year}.",
        ),
        "area": (
            "It covers an area of {area}.",
            "Its area is {area}.",
        ),
    },
    "river": {
        "length": (
            "It is {length} long.",
            "From its source to the sea it is {length} long.",
        ),
    },
    "college": {
        "founded": (
            "It was founded in {founded}.",
            "The college was founded in {founded} by a local guild.",
        ),
    },
    "novel": {
        "setting": (
            "It is set in {setting}.",
            "The story is set in the town of {setting}.",
            "The book is set in {setting} over one {season}.",
        ),
        "publisher": (
            "The book was published by {publisher}.",
            "It was first published by {publisher}, in {number}00 copies.",
            "{publisher} was its first publisher.",
        ),
    },
    "film": {
        "stars": (
            "It stars {stars}.",
            "The film stars {stars}.",
            "The picture stars {stars} in the main parts.",
        ),
        "based_on": (
            "It is based on the novel {based_on}.",
            "The screenplay is based on the novel {based_on}.",
        ),
    },
    "album": {
        "label": (
            "It was issued by {label}.",
            "The record was issued by {label} in a plain sleeve.",
        ),
        "recorded": (
            "It was recorded in {recorded}.",
            "All songs were recorded in {recorded} within {number} days.",
        ),
    },
    "painting": {
        "museum": (
            "It hangs in {museum}.",
            "The picture hangs in {museum} today.",
        ),
    },
    "company": {
        "founders": (
            "It was founded by {founders}.",
            "The firm was founded by {founders} with borrowed money.",
        ),
        "seat": (
            "Its headquarters are in {seat}.",
            "The company has its headquarters in {seat}.",
            "{s} moved its headquarters to {seat} in {year}.",
        ),
    },
    "team": {
        "founded": (
            "The club was founded in {founded}.",
            "It was founded in {founded} by workers of a local mill.",
        ),
        "coach": (
            "Its coach is {coach}.",
            "The club is coached by {coach}.",
            "The present coach is {coach}.",
        ),
    },
    "building": {
        "architect": (
            "It was designed by {architect}.",
            "The {structure} was designed by the architect {architect}.",
        ),
        "opened": (
            "It opened in {opened}.",
            "It was opened in {opened} after {number} years of work.",
        ),
        "height": (
            "It is {height} tall.",
            "At its highest point it is {height} tall.",
        ),
    },
    "event": {
        "first_held": (
            "It was first held in {first_held}.",
            "The {contest} was first held in {first_held}.",
        ),
        "winner": (
            "The first edition was won by {winner}.",
            "Its first edition was won by {winner}.",
        ),
    },
}
"""Further facts by kind of article; one sentence is drawn for each fact that the lead does not state."""

FILLERS: dict[str, tuple[str, ...]] = {
    "person": (
        "{s} kept bees and rarely gave interviews.",
        "{s} wrote {number} long letters to {person}.",
        "{s} spoke {number} languages.",
        "{s} lived for some years in {town}.",
        "A street in {town} bears the same name.",
        "{s} was a friend of {person}.",
        "Critics praised the early work more than the late.",
        "{s} received a {word} medal in {year}.",
        "{s} turned down an offer from {town} in {year}.",
    ),
    "town": (
        "A {word} fair is held there every {season}.",
        "The old {word} hall burned down in {year}.",
        "{s} has {number} schools and a small theatre.",
        "The railway reached it in {year}.",
        "It is twinned with {town}.",
        "{person} spent several summers there.",
        "Its streets were paved in {year}.",
    ),
    "region": (
        "Most of the land is used for {trade}.",
        "It has {number} districts.",
        "The {word} hills lie along its border.",
        "Its flag shows a {word} bird on a green field.",
        "{person} mapped it in {year}.",
    ),
    "river": (
        "Its water is known for its {word} colour.",
        "It passes {town} on its way.",
        "There are {number} bridges over it.",
        "A flood in {year} changed its course.",
        "Barges carried {trade} goods on it until {year}.",
    ),
    "college": (
        "Its library holds {number} thousand books.",
        "The {word} gate is its oldest part.",
        "{person} once gave a lecture there.",
        "About {number}00 students attend it.",
        "A new wing was added in {year}.",
    ),
    "novel": (
        "It has {number} chapters.",
        "The {word} cover became famous.",
        "A stage version was shown in {town} in {year}.",
        "{person} called it a quiet masterpiece.",
        "The manuscript was lost for {number} years.",
        "It won a {word} prize in {year}.",
    ),
    "film": (
        "It was shot within {number} weeks.",
        "The part of the {word} stranger was first offered to {person}.",
        "Some scenes were shot in {town}.",
        "It won {number} prizes.",
        "The only known copy was found in {year}.",
        "Reviewers praised its {word} ending.",
    ),
    "album": (
        "It has {number} songs.",
        "The cover shows a {word} door.",
        "{person} plays the piano on one song.",
        "It stayed in the charts for {number} weeks.",
        "A concert in {town} followed in {year}.",
    ),
    "painting": (
        "It shows a {word} garden in the rain.",
        "The canvas is {number} feet wide.",
        "{person} owned it until {year}.",
        "It was stolen in {year} and found again.",
        "A sketch for it is kept in {town}.",
    ),
    "company": (
        "It employs about {number}00 people.",
        "Its sign is a {word} anchor.",
        "{person} once worked there as a clerk.",
        "A strike closed the works in {year}.",
        "It has a branch in {town}.",
        "Its {word} catalogue is collected today.",
    ),
    "team": (
        "Its colours are {word} and white.",
        "It won the national cup in {year}.",
        "Its ground holds {number} thousand people.",
        "{person} is its most famous supporter.",
        "Its oldest rival comes from {town}.",
    ),
    "building": (
        "Its {word} roof can be seen from afar.",
        "It was repaired in {year}.",
        "About {number} thousand people visit it each year.",
        "{person} paid for the clock.",
        "A copy of it stands in {town}.",
    ),
    "event": (
        "About {number} thousand people come to watch it.",
        "The prize is a {word} cup.",
        "It was not held in {year}.",
        "{person} opened it in {year}.",
        "A similar one takes place in {town}.",
    ),
}
"""Sentences that state nothing a question asks for."""

PRONOUNS: dict[str, tuple[str, ...]] = {
    "town": ("It", "The town"),
    "region": ("It", "The region"),
    "river": ("It", "The river"),
    "college": ("It", "The college"),
    "novel": ("It", "The novel"),
    "film": ("It", "The film"),
    "album": ("It", "The album"),
    "painting": ("It", "The painting"),
    "company": ("It", "The company"),
    "team": ("It", "The club"),
    "building": ("It", "The building"),
    "event": ("It", "The event"),
}
"""What may stand for the subject after the first sentence; a person is he, she or the surname."""

WORDS: dict[str, tuple[str, ...]] = {
    "trade": ("glassmaking", "weaving", "cheese", "slate", "orchards", "pottery", "wool", "salt", "honey"),
    "compass": ("north", "south", "east", "west", "north-east", "south-west"),
    "subject": ("law", "medicine", "music", "engineering", "history", "botany", "chemistry"),
    "genre": ("crime", "comedy", "silent", "war", "family", "mystery"),
    "product": ("clocks", "bicycles", "pianos", "glass", "paper", "boots", "lamps", "tractors", "books", "records"),
    "sport": ("football", "rugby", "hockey", "cricket", "rowing"),
    "structure": ("bridge", "theatre", "lighthouse", "library", "town hall", "railway station"),
    "contest": ("regatta", "chess tournament", "marathon", "cycle race", "song contest"),
    "season": ("spring", "summer", "autumn", "winter"),
    "word": ("silver", "crooked", "hollow", "scarlet", "quiet", "copper", "painted", "narrow", "golden", "bright"),
}  # fmt: skip
"""Decoration."""

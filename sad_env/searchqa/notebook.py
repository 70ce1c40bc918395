"""What the expert has read in an episode: facts by title, and the queries that were asked."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sad_env.encyclopedia.plans import Mention
from sad_env.encyclopedia.reading import read_sentence, split_observation
from sad_env.encyclopedia.relations import Relation
from sad_env.encyclopedia.titles import base_name, bracket, normalize_title
from sad_env.searchqa.actions import parse_action

_PASSAGE = re.compile(r'Doc \d+\(Title: "?(.*?)"?\) (.*)')


class Notebook:
    """Reads every observation of an episode, also after actions of others.

    Attributes:
        queries: that were asked, as they were written.
    """

    def __init__(self) -> None:
        self.queries: set[str] = set()
        self._facts: dict[str, dict[str, str]] = {}

    def observe(self, action: str, observation: str) -> None:
        """Take in what came back for an action."""
        verb, query = parse_action(action)
        if verb != "search":
            return
        self.queries.add(query)
        for line in observation.split("\n"):
            if match := _PASSAGE.fullmatch(line):
                facts = self._facts.setdefault(match[1], {})
                for sentence in split_observation(match[2]):
                    facts |= read_sentence(sentence)

    def known(self, mention: Mention, relation: Relation) -> Mapping[str, str]:
        """The facts of whatever a mention names that has this relation; empty where nothing of the kind was read.

        The very name comes before another form of it: passages say "The Salt Road" of "Salt Road", and leave out middle
        names. Of namesakes the one is meant that the mention's hint, or the relation, fits.
        """
        name = normalize_title(mention.name)
        labels = (mention.hint,) if mention.hint else relation.kinds
        found: list[tuple[int, Mapping[str, str]]] = []
        for title, facts in self._facts.items():
            other = base_name(title)
            if relation.slot in facts and (other == name or _is_form_of(other, name)):
                label = bracket(title)
                found.append((2 * (other != name) + bool(label and label not in labels), facts))
        return min(found, key=lambda pair: pair[0])[1] if found else {}


def _is_form_of(title: str, name: str) -> bool:
    words, named = (set(text.split()) - {"the", "and"} for text in (title, name))
    return words == named or (len(words) > 1 and words < named)

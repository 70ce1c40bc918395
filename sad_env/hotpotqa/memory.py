"""What the expert has read in an episode: pages and their facts, lists of similar titles, the page that is open."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from sad_env.encyclopedia.reading import read_sentence, split_observation
from sad_env.encyclopedia.titles import normalize_title
from sad_env.hotpotqa.actions import parse_action
from sad_env.hotpotqa.engine import SHOWN_SENTENCES

_NOT_FOUND = re.compile(r"Could not find .*\. Similar: (\[.*\])\.", re.DOTALL)
_RESULT = re.compile(r"\(Result \d+ / \d+\) (.*)", re.DOTALL)
NO_MORE = "No more results."


@dataclass
class Notes:
    """What is known of one page.

    Attributes:
        name: the name under which it was found.
        facts: slot to value, as read.
        longer: the page may hold more than was shown.
        exhausted: keywords of which no further sentence is left.
    """

    name: str
    facts: dict[str, str] = field(default_factory=dict)
    longer: bool = False
    exhausted: set[str] = field(default_factory=set)


class ReadingMemory:
    """Reads every observation of an episode, also after actions of others.

    Attributes:
        pages: notes by normalised name.
        similar: titles offered for a normalised name that has no page of its own.
        open: the page that a look-up would search.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Notes] = {}
        self.similar: dict[str, list[str]] = {}
        self.open: Notes | None = None

    def observe(self, action: str, observation: str) -> None:
        """Take in what came back for an action."""
        verb, argument = parse_action(action)
        if verb == "search":
            self._searched(argument, observation)
        elif verb == "lookup" and self.open is not None:
            if match := _RESULT.fullmatch(observation.strip()):
                self.open.facts |= read_sentence(match[1].rstrip(".") + ".")
            elif observation.strip() == NO_MORE:
                self.open.exhausted.add(argument)

    def _searched(self, name: str, observation: str) -> None:
        key = normalize_title(name)
        if match := _NOT_FOUND.fullmatch(observation.strip()):
            self.similar[key] = titles_in(match[1])
            return
        notes = self.pages.setdefault(key, Notes(name))
        sentences = split_observation(observation)
        for sentence in sentences:
            notes.facts |= read_sentence(sentence)
        notes.longer = len(sentences) >= SHOWN_SENTENCES and not observation.rstrip().endswith("..")
        # Opening a page again restarts its look-ups; the facts they gave are kept.
        self.open = notes


def titles_in(text: str) -> list[str]:
    """The titles of a "Similar:" list; none when it is no list of strings."""
    try:
        titles = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [title for title in titles if isinstance(title, str)] if isinstance(titles, list) else []

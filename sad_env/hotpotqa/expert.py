"""The expert of HotPotQA, which answers generated questions by reading the generated encyclopedia."""

from __future__ import annotations

from collections.abc import Mapping

from sad_env.encyclopedia.expert import EncyclopediaExpert
from sad_env.encyclopedia.plans import Mention
from sad_env.encyclopedia.reading import spoken
from sad_env.encyclopedia.relations import Relation
from sad_env.encyclopedia.titles import base_name, bracket, normalize_title
from sad_env.expert import ThoughtAction
from sad_env.hotpotqa.memory import Notes, ReadingMemory
from sad_env.hotpotqa.wordings import READING

_TRIES = 2
"""Titles of a "Similar:" list that are tried for one name."""


class HotPotQAExpert(EncyclopediaExpert):
    """Reads the question, then article by article, and answers with what it has read.

    It knows the language of the generated encyclopedia and none of its facts: it parses the question into the look-ups
    it asks for, searches the first name, reads the fact off the observation, searches the name it found, looks up what
    the first sentences do not say, and tells namesakes apart by what it already knows of them. On its last turn it
    gives its best guess.

    Args:
        seed: seeds the wording of thoughts, and which of two entities is read first.
    """

    wordings = READING
    answering = "finish"
    turns = 7
    elsewhere = "on real data take expert-gold-titles"
    _memory: ReadingMemory

    def new_memory(self) -> ReadingMemory:
        """See `EncyclopediaExpert`."""
        return ReadingMemory()

    def find(self, mention: Mention, relation: Relation) -> tuple[Mapping[str, str], ThoughtAction | None]:
        """See `EncyclopediaExpert`."""
        notes, step = self._page_of(mention, relation)
        if notes is None:
            return {}, step
        if step is None and relation.slot not in notes.facts:
            step = self._look_up(notes, mention, relation)
        return notes.facts, step

    def _page_of(self, mention: Mention, relation: Relation) -> tuple[Notes | None, ThoughtAction | None]:
        """The page of a name, or the search that may find it; neither when all searches were in vain."""
        memory, key = self._memory, normalize_title(mention.name)
        if key in memory.pages:
            return memory.pages[key], None
        labels = (mention.hint,) if mention.hint else relation.kinds
        for notes in memory.pages.values():
            if base_name(notes.name) == key and bracket(notes.name) in labels:
                return notes, None
        need = f"the {relation.name} of {spoken(mention.name)}"
        if key not in memory.similar:
            thought = self.say("search", need=need, what=relation.name, name=spoken(mention.name))
            return None, ThoughtAction(thought, f"search[{mention.name}]")
        titles = memory.similar[key]
        titles = sorted(titles, key=lambda title: (base_name(title) != key, bracket(title) not in labels))[:_TRIES]
        for title in titles:
            if normalize_title(title) not in memory.pages | memory.similar:
                thought = self.say("namesake", name=mention.name, label=bracket(title) or "closest title", title=title)
                return None, ThoughtAction(thought, f"search[{title}]")
        pages = [memory.pages[normalize_title(title)] for title in titles if normalize_title(title) in memory.pages]
        return (pages[0] if pages else None), None

    def _look_up(self, notes: Notes, mention: Mention, relation: Relation) -> ThoughtAction | None:
        """The look-up for a fact that the shown sentences do not state; None when it cannot be there."""
        if not notes.longer or relation.keyword in notes.exhausted:
            return None
        need = f"the {relation.name} of {spoken(mention.name)}"
        if notes is not self._memory.open:
            thought = self.say("return", need=need, name=spoken(notes.name))
            return ThoughtAction(thought, f"search[{notes.name}]")
        return ThoughtAction(self.say("lookup", need=need, keyword=relation.keyword), f"lookup[{relation.keyword}]")

"""The expert of Search-QA, which answers generated questions by searching the generated passages."""

from __future__ import annotations

from collections.abc import Mapping

from sad_env.encyclopedia.expert import EncyclopediaExpert
from sad_env.encyclopedia.plans import Mention
from sad_env.encyclopedia.reading import spoken
from sad_env.encyclopedia.relations import Relation
from sad_env.encyclopedia.wordings import Wordings
from sad_env.expert import ThoughtAction
from sad_env.searchqa.notebook import Notebook
from sad_env.tables import read_table


class SearchQAExpert(EncyclopediaExpert):
    """Reads the question, searches for one fact after another, and answers with what it has read.

    It knows the language of the generated encyclopedia and none of its facts: it parses the question into the facts
    that it asks for, searches for the first one by its name and a word that its sentence must hold, reads all passages
    that come, goes on with the name it has found, and asks in other words when a search was in vain. On its last turn
    it gives its best guess.

    Args:
        seed: seeds the wording of thoughts, and which of two entities is searched first.
    """

    wordings = Wordings(read_table("sad_env.searchqa", "wordings.toml"))
    answering = "answer"
    turns = 4
    elsewhere = "on other ones play a model"
    _memory: Notebook

    def new_memory(self) -> Notebook:
        """See `EncyclopediaExpert`."""
        return Notebook()

    def find(self, mention: Mention, relation: Relation) -> tuple[Mapping[str, str], ThoughtAction | None]:
        """See `EncyclopediaExpert`."""
        facts = self._memory.known(mention, relation)
        if relation.slot in facts:
            return facts, None
        name = spoken(mention.name)
        values = {"need": f"the {relation.name} of {name}", "what": relation.name, "name": name}
        hint = f"{mention.hint} " if mention.hint else ""
        queries = (f"{hint}{mention.name} {relation.keyword}", mention.name, values["need"])
        for number, query in enumerate(queries):
            if query not in self._memory.queries:
                return {}, ThoughtAction(self.say("again" if number else "search", **values), f"search[{query}]")
        return {}, None

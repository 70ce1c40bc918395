"""The expert of Search-QA, which answers generated questions by searching the generated passages."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sad_env.encyclopedia.plans import Mention, parse_question
from sad_env.encyclopedia.questions import QUESTION
from sad_env.encyclopedia.reading import spoken
from sad_env.encyclopedia.relations import Relation
from sad_env.encyclopedia.walks import Link, Walk, answer_of, guess, walk
from sad_env.encyclopedia.wordings import ENDS, Wordings
from sad_env.errors import ConfigError
from sad_env.expert import Expert, ThoughtAction
from sad_env.searchqa.notebook import Notebook
from sad_env.tables import read_table

_WORDINGS = Wordings(read_table("sad_env.searchqa", "wordings.toml"))


class SearchQAExpert(Expert):
    """Reads the question, searches for one fact after another, and answers with what it has read.

    It knows the language of the generated encyclopedia and none of its facts: it parses the question into the facts
    that it asks for, searches for the first one by its name and a word that its sentence must hold, reads all passages
    that come, goes on with the name it has found, and asks in other words when a search was in vain. On its last turn
    it gives its best guess.

    Args:
        seed: seeds the wording of thoughts, and which of two entities is searched first.
    """

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Read the question.

        Raises:
            ConfigError: the question is none of the generator's.
        """
        question = observation.removeprefix(QUESTION)
        plan = parse_question(question)
        if plan is None:
            raise ConfigError("this expert reads generated questions only: on other ones play a model")
        self._plan = plan
        self._notebook = Notebook()
        self._turns_left = int(info.get("turns_left", 4))
        self._draw_seed = f"{self.seed} {question}"
        self._order = list(range(len(plan.paths)))
        random.Random(self._draw_seed).shuffle(self._order)
        self._known: frozenset[Link] = frozenset()
        self._news: tuple[Link, ...] = ()

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """Read what came back, and note which facts are new."""
        self._turns_left = int(info.get("turns_left", self._turns_left - 1))
        self._notebook.observe(action, observation)
        links = [link for one in self._walks() for link in one.links]
        self._news = tuple(link for link in links if link not in self._known)
        self._known = frozenset(links)

    def decide(self) -> ThoughtAction:
        """The next search that the question needs, or the answer."""
        walks = self._walks()
        if self._turns_left > 1:
            for index in self._order:
                if step := walks[index].step:
                    return step
        if not all(one.complete for one in walks):
            answer = guess(self._plan, walks)
            return ThoughtAction(self._say("guess", answer=answer), f"answer[{answer}]")
        answer = answer_of(self._plan, walks)
        ends = [one.links[-1].statement for one in walks]
        thought = self._say(ENDS[self._plan.goal], first=ends[0], second=ends[-1], answer=answer)
        return ThoughtAction(thought, f"answer[{answer}]")

    def _walks(self) -> list[Walk]:
        return [walk(path, self._find) for path in self._plan.paths]

    def _find(self, mention: Mention, relation: Relation) -> tuple[Mapping[str, str], ThoughtAction | None]:
        facts = self._notebook.known(mention, relation)
        if relation.slot in facts:
            return facts, None
        name = spoken(mention.name)
        values = {"need": f"the {relation.name} of {name}", "what": relation.name, "name": name}
        hint = f"{mention.hint} " if mention.hint else ""
        queries = (f"{hint}{mention.name} {relation.keyword}", mention.name, values["need"])
        for number, query in enumerate(queries):
            if query not in self._notebook.queries:
                return {}, ThoughtAction(self._say("again" if number else "search", **values), f"search[{query}]")
        return {}, None

    def _say(self, kind: str, **values: str) -> str:
        draw = self.words(f"{self._draw_seed} {kind} {sorted(values.items())}")
        return _WORDINGS.say(kind, draw, news=[link.statement for link in self._news], **values)

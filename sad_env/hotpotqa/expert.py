"""The expert of HotPotQA, which answers generated questions by reading the generated encyclopedia."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sad_env.encyclopedia.plans import Mention, QuestionPlan, parse_question
from sad_env.encyclopedia.questions import QUESTION
from sad_env.encyclopedia.reading import spoken
from sad_env.encyclopedia.relations import Relation
from sad_env.encyclopedia.titles import base_name, bracket, normalize_title
from sad_env.encyclopedia.walks import Link, Walk, answer_of, guess, walk
from sad_env.encyclopedia.wordings import ENDS
from sad_env.errors import ConfigError
from sad_env.expert import Expert, ThoughtAction
from sad_env.hotpotqa.memory import Notes, ReadingMemory
from sad_env.hotpotqa.wordings import READING

_TRIES = 2
"""Titles of a "Similar:" list that are tried for one name."""


class HotPotQAExpert(Expert):
    """Reads the question, then article by article, and answers with what it has read.

    It knows the language of the generated encyclopedia and none of its facts: it parses the question into the look-ups
    it asks for, searches the first name, reads the fact off the observation, searches the name it found, looks up what
    the first sentences do not say, and tells namesakes apart by what it already knows of them. On its last turn it
    gives its best guess.

    Args:
        seed: seeds the wording of thoughts, and which of two entities is read first.
    """

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Read the question.

        Raises:
            ConfigError: the question is none of the generator's.
        """
        question = observation.removeprefix(QUESTION)
        plan = parse_question(question)
        if plan is None:
            raise ConfigError("this expert reads generated questions only: on real data take expert-gold-titles")
        self._plan: QuestionPlan = plan
        self._memory = ReadingMemory()
        self._turns_left = int(info.get("turns_left", 7))
        self._draw_seed = f"{self.seed} {question}"
        self._order = list(range(len(plan.paths)))
        random.Random(self._draw_seed).shuffle(self._order)
        self._known: frozenset[Link] = frozenset()
        self._news: tuple[Link, ...] = ()

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """Read what came back, and note which facts are new."""
        self._turns_left = int(info.get("turns_left", self._turns_left - 1))
        self._memory.observe(action, observation)
        links = [link for one in self._walks() for link in one.links]
        self._news = tuple(link for link in links if link not in self._known)
        self._known = frozenset(links)

    def decide(self) -> ThoughtAction:
        """The next look-up that the question needs, or the answer."""
        walks = self._walks()
        if self._turns_left > 1:
            for index in self._order:
                if step := walks[index].step:
                    return step
        return self._finish(walks)

    # --- walking ---

    def _say(self, kind: str, **values: str) -> str:
        draw = self.words(f"{self._draw_seed} {kind} {sorted(values.items())}")
        return READING.say(kind, draw, news=[link.statement for link in self._news], **values)

    def _walks(self) -> list[Walk]:
        return [walk(path, self._find) for path in self._plan.paths]

    def _find(self, mention: Mention, relation: Relation) -> tuple[Mapping[str, str], ThoughtAction | None]:
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
            thought = self._say("search", need=need, what=relation.name, name=spoken(mention.name))
            return None, ThoughtAction(thought, f"search[{mention.name}]")
        titles = memory.similar[key]
        titles = sorted(titles, key=lambda title: (base_name(title) != key, bracket(title) not in labels))[:_TRIES]
        for title in titles:
            if normalize_title(title) not in memory.pages | memory.similar:
                thought = self._say("namesake", name=mention.name, label=bracket(title) or "closest title", title=title)
                return None, ThoughtAction(thought, f"search[{title}]")
        pages = [memory.pages[normalize_title(title)] for title in titles if normalize_title(title) in memory.pages]
        return (pages[0] if pages else None), None

    def _look_up(self, notes: Notes, mention: Mention, relation: Relation) -> ThoughtAction | None:
        """The look-up for a fact that the shown sentences do not state; None when it cannot be there."""
        if not notes.longer or relation.keyword in notes.exhausted:
            return None
        need = f"the {relation.name} of {spoken(mention.name)}"
        if notes is not self._memory.open:
            thought = self._say("return", need=need, name=spoken(notes.name))
            return ThoughtAction(thought, f"search[{notes.name}]")
        return ThoughtAction(self._say("lookup", need=need, keyword=relation.keyword), f"lookup[{relation.keyword}]")

    # --- answering ---

    def _finish(self, walks: list[Walk]) -> ThoughtAction:
        if not all(one.complete for one in walks):
            answer = guess(self._plan, walks)
            return ThoughtAction(self._say("guess", answer=answer), f"finish[{answer}]")
        answer = answer_of(self._plan, walks)
        ends = [one.links[-1].statement for one in walks]
        thought = self._say(ENDS[self._plan.goal], first=ends[0], second=ends[-1], answer=answer)
        return ThoughtAction(thought, f"finish[{answer}]")

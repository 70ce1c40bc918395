"""What the experts of the worlds that read the generated encyclopedia have in common: how a question is walked."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from sad_env.encyclopedia.plans import Mention, parse_question
from sad_env.encyclopedia.questions import QUESTION
from sad_env.encyclopedia.relations import Relation
from sad_env.encyclopedia.walks import Link, Walk, answer_of, guess, walk
from sad_env.encyclopedia.wordings import ENDS, Wordings
from sad_env.errors import ConfigError
from sad_env.expert import Expert, ThoughtAction


class Memory(Protocol):
    """What an expert has read in an episode."""

    def observe(self, action: str, observation: str) -> None:
        """Read what came back."""
        ...


class EncyclopediaExpert(Expert):
    """Parses a question into facts, finds one after another, and answers; on its last turn by its best guess.

    It knows the language of the generated encyclopedia and none of its facts. A world's own expert says how a fact is
    found.

    Args:
        seed: seeds the wording of thoughts, and which of two entities is read first.
    """

    wordings: ClassVar[Wordings]
    """Of its thoughts."""
    answering: ClassVar[str]
    """The action that answers, as ``answering[...]``."""
    turns: ClassVar[int]
    """Of an episode, where the world does not say."""
    elsewhere: ClassVar[str]
    """What to play on questions that are not generated; for the message."""

    @abstractmethod
    def new_memory(self) -> Memory:
        """An empty memory, for an episode that begins."""

    @abstractmethod
    def find(self, mention: Mention, relation: Relation) -> tuple[Mapping[str, str], ThoughtAction | None]:
        """The known facts about a name, and the step that may find the wanted one; no step where all was in vain."""

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Read the question.

        Raises:
            ConfigError: the question is none of the generator's.
        """
        question = observation.removeprefix(QUESTION)
        plan = parse_question(question)
        if plan is None:
            raise ConfigError(f"this expert reads generated questions only: {self.elsewhere}")
        self._plan = plan
        self._memory = self.new_memory()
        self._turns_left = int(info.get("turns_left", self.turns))
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
        """The next step that the question needs, or the answer."""
        walks = self._walks()
        if self._turns_left > 1:
            for index in self._order:
                if step := walks[index].step:
                    return step
        if not all(one.complete for one in walks):
            answer = guess(self._plan, walks)
            return ThoughtAction(self.say("guess", answer=answer), f"{self.answering}[{answer}]")
        answer = answer_of(self._plan, walks)
        thought = self.conclude([one.links[-1] for one in walks], answer)
        return ThoughtAction(thought, f"{self.answering}[{answer}]")

    def conclude(self, ends: Sequence[Link], answer: str) -> str:
        """The thought that answers, from the last fact of each path, in the order of the question."""
        goal = self._plan.goal
        return self.say(ENDS[goal], first=ends[0].statement, second=ends[-1].statement, answer=answer)

    def say(self, kind: str, **values: str) -> str:
        """A thought of one kind, with the facts that are new."""
        draw = self.words(f"{self._draw_seed} {kind} {sorted(values.items())}")
        return self.wordings.say(kind, draw, news=[self.tell(link) for link in self._news], **values)

    def tell(self, link: Link) -> str:
        """A new fact as a clause."""
        return link.statement

    def _walks(self) -> list[Walk]:
        return [walk(path, self.find) for path in self._plan.paths]

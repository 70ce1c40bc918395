"""ReAct's HotPotQA environment, rule by rule: a pure state machine over a page source (ysymyth/ReAct, wikienv.py)."""

from __future__ import annotations

from typing import NamedTuple

from sad_env.answers import exact_match
from sad_env.encyclopedia.articles import AMBIGUOUS
from sad_env.encyclopedia.questions import QUESTION
from sad_env.hotpotqa.actions import parse_action
from sad_env.hotpotqa.pages import SHOWN_TITLES, Page, PageSource, sentences

SHOWN_SENTENCES = 5
_DEEPEST_SEARCH = 3


class Answered(NamedTuple):
    """What the engine says to one action."""

    observation: str
    reward: int
    done: bool
    valid: bool


class ReActEngine:
    """One episode of one question, with the observations of ReAct's environment and wrapper to the letter.

    It knows no turn limit; a step after `finish` is answered as the original answers it: with the same end again.

    Args:
        source: where pages come from.
        question: the question's text.
        answers: the gold answer, and other names of it where the data knows any.

    Attributes:
        answer: what the agent finished with; None before.
        read: titles of the pages that were opened, in order.
        page: the page that is open.
        damaged: paragraphs that could not be decoded, over all pages opened.
    """

    def __init__(self, source: PageSource, question: str, answers: tuple[str, ...]) -> None:
        self._source = source
        self._question = question
        self._answers = answers
        self.answer: str | None = None
        self.read: list[str] = []
        self.page: Page | None = None
        self.damaged = 0
        self._keyword: str | None = None
        self._hits: list[str] = []
        self._next_hit = 0

    def begin(self) -> str:
        """The first observation."""
        return QUESTION + self._question

    def step(self, text: str) -> Answered:
        """Take one action, whatever it is.

        Raises:
            InfrastructureError: the page source does not answer; nothing has changed and the step may be repeated.
        """
        if self.answer is not None:
            return self._end()
        verb, argument = parse_action(text)
        if verb == "search":
            return Answered(self._search(argument), 0, False, True)
        if verb == "lookup":
            return Answered(self._look_up(argument), 0, False, True)
        if verb == "finish":
            self.answer = argument
            return self._end()
        if verb == "think":
            return Answered("Nice thought.", 0, False, True)
        return Answered(f"Invalid action: {argument}", 0, False, False)

    def _end(self) -> Answered:
        reward = int(exact_match(self.answer or "", self._answers))
        return Answered(f"Episode finished, reward = {reward}\n", reward, True, True)

    def _search(self, entity: str, depth: int = 1) -> str:
        page = self._source.find(entity)
        if not isinstance(page, Page):
            return f"Could not find {entity}. Similar: {list(page.titles[:SHOWN_TITLES])}."
        # The original would ask for ever when a source answers "[[name]]" with a disambiguation page again.
        if AMBIGUOUS in page.text and depth < _DEEPEST_SEARCH:
            return self._search(f"[{entity}]", depth + 1)
        self.page = page
        self.read.append(page.title)
        self.damaged += page.damaged
        self._keyword = None
        return " ".join(sentences(page.text)[:SHOWN_SENTENCES])

    def _look_up(self, keyword: str) -> str:
        if self._keyword != keyword:
            all_sentences = sentences(self.page.text) if self.page else []
            self._hits = [sentence for sentence in all_sentences if keyword.lower() in sentence.lower()]
            self._keyword, self._next_hit = keyword, 0
        if self._next_hit >= len(self._hits):
            return "No more results.\n"
        self._next_hit += 1
        return f"(Result {self._next_hit} / {len(self._hits)}) {self._hits[self._next_hit - 1]}"

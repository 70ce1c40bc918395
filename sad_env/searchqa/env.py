"""Search-QA as a Gymnasium text environment: Search-R1's actions, turn limit and reward, over any retriever."""

from __future__ import annotations

import os
from pathlib import Path

from sad_env.answers import best_f1, exact_match, normalize_answer
from sad_env.core import TextEnv, Turn
from sad_env.encyclopedia.questions import QUESTION, Question
from sad_env.errors import ConfigError
from sad_env.searchqa.actions import parse_action
from sad_env.searchqa.passages import Retriever, StoredRetriever, shown
from sad_env.searchqa.served import ServedRetriever
from sad_env.searchqa.tasks import open_questions

LONGEST_QUERY = 1000
"""Characters of a query that are looked at; no sensible one is longer, and time grows with its words."""

_INVALID = (
    "Invalid action. search[query] or <search>query</search> searches, answer[text] or <answer>text</answer> ends."
)


class SearchQAEnv(TextEnv):
    """Answer a question by searching passages, as Search-R1 and its followers play it.

    Actions are free text: ``search[query]`` or ``<search>query</search>`` brings the best passages,
    ``answer[text]`` or ``<answer>text</answer>`` ends the episode; anything else is answered with what there is to do.

    Reward, score and success are exact match with any of the gold answers after normalisation. `info` has

    - ``em`` and ``f1`` (float): of the answer, 0 before there is one;
    - ``answer_shown`` (bool): whether a gold answer stood in a passage that was shown, which tells faults of retrieval
      from those of reading;
    - ``turns_left`` (int), ``forced_finish`` (bool);
    - ``task_type`` (str): the data set of the question, or the family of a generated one, by which results are listed.

    Turns: each step is one, invalid ones too. The last turn ends the episode without success when it is no answer
    (``info["forced_finish"]``).

    Args:
        data: "generated", "official", a folder of question files, or one such file.
        split: generated: "train", "test" (the default). Folders: "train", "dev", "test" (the default where it is
            there; a data set without test file gives its dev file). A file has one split, named after it.
        retriever: "bm25" over the passages that come with the questions or `corpus`; the address of a server that
            speaks Search-R1's protocol, e.g. "http://localhost:8000/retrieve"; or any object that is a `Retriever`.
        corpus: folder of a collection that `sad-data build searchqa` made; by default `corpus` in the questions'
            folder, or in that of the official passages.
        passages: that a search brings.
        turns: of an episode.
        render_mode: as in `TextEnv`.

    Raises:
        ConfigError: settings that contradict one another.
        DataError: questions or passages are not there or not in their schema.
    """

    world = "searchqa"

    def __init__(
        self,
        *,
        data: str | os.PathLike[str] = "generated",
        split: str | None = None,
        retriever: str | Retriever = "bm25",
        corpus: str | os.PathLike[str] | None = None,
        passages: int = 3,
        turns: int = 4,
        render_mode: str | None = None,
    ) -> None:
        if turns < 1 or passages < 1:
            raise ConfigError(f"an episode needs a turn and a search a passage, not {min(turns, passages)}")
        if corpus is not None and retriever != "bm25":
            raise ConfigError("corpus is for retriever='bm25': another retriever has passages of its own, leave it out")
        self._set = open_questions(os.fspath(data), split)
        super().__init__(panel=self._set.panel, render_mode=render_mode)
        self.turns = turns
        self.passages = passages
        self._owned = self._open(retriever, corpus)
        if self._owned is not None:  # an empty collection is one, too
            self._retriever = self._owned
        else:
            self._retriever = self._set.retriever if isinstance(retriever, str) else retriever
        self._question: Question
        self._answer: str | None = None
        self._answer_shown = False
        self._turns_left = turns

    @staticmethod
    def _open(retriever: str | Retriever, corpus: str | os.PathLike[str] | None) -> Retriever | None:
        """The retriever that this copy of the world opens for itself, if it does."""
        if corpus is not None:
            return StoredRetriever(Path(corpus))
        if isinstance(retriever, str) and retriever != "bm25":
            if "://" not in retriever:
                raise ConfigError(f"retriever is 'bm25' or a server's address, not {retriever[:60]!r}")
            return ServedRetriever(retriever)
        return None

    def oracle(self) -> list[str] | None:
        """Search the supporting articles where they are known, then answer."""
        if self._task_id is None:
            return None
        titles = self._question.titles[: self.turns - 1]
        return [*(f"search[{title}]" for title in titles), f"answer[{self._question.answer}]"]

    def close(self) -> None:
        """Close the retriever if this world opened it: what comes with questions is shared."""
        if self._owned is not None:
            self._owned.close()

    def _begin(self, task_id: str) -> Turn:
        self._question = self._set.questions[task_id]
        self._answer, self._answer_shown = None, False
        self._turns_left = self.turns
        return self._turn(QUESTION + self._question.text)

    def _act(self, action: str) -> Turn:
        verb, argument = parse_action(action)
        # A retriever that does not answer raises before anything has changed.
        text = self._search(argument) if verb == "search" else _INVALID
        self._turns_left -= 1
        if verb == "answer":
            self._answer = argument
            return self._turn("The question is answered.", over=True)
        return self._turn(text, valid=verb is not None, over=not self._turns_left)

    def _search(self, query: str) -> str:
        contents = self._retriever.search(query[:LONGEST_QUERY], self.passages)
        text = shown(contents)
        words = f" {normalize_answer(text)} "
        answers = filter(None, map(normalize_answer, self._question.answers))
        self._answer_shown |= any(f" {answer} " in words for answer in answers)
        return text or "No passage was found."

    def _turn(self, text: str, *, valid: bool = True, over: bool = False) -> Turn:
        answer, answers = self._answer, self._question.answers
        reward = float(answer is not None and exact_match(answer, answers))
        return Turn(
            text,
            reward=reward,
            terminated=over,
            success=reward == 1.0,
            score=reward,
            valid_action=valid,
            info={
                "task_type": self._question.kind,
                "em": reward,
                "f1": 0.0 if answer is None else best_f1(answer, answers),
                "answer_shown": self._answer_shown,
                "turns_left": self._turns_left,
                "forced_finish": over and answer is None,
            },
        )

"""HotPotQA as a Gymnasium text environment: ReAct's rules, turn limit and reward, over any page source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, get_args

from sad_env.answers import best_f1
from sad_env.core import TextEnv, Turn
from sad_env.data import pack_folder
from sad_env.encyclopedia.questions import Question
from sad_env.encyclopedia.titles import folded
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.hotpotqa.corpus import PoolSource
from sad_env.hotpotqa.engine import Answered, ReActEngine
from sad_env.hotpotqa.fullwiki import StoredSource
from sad_env.hotpotqa.live import WIKIPEDIA, LiveSource
from sad_env.hotpotqa.pages import PageSource
from sad_env.hotpotqa.tasks import open_tasks

SourceName = Literal["pool", "distractor", "fullwiki", "live"]


class HotPotQAEnv(TextEnv):
    r"""Answer a question by reading an encyclopedia, as ReAct plays it.

    Actions are free text: ``search[entity]``, ``lookup[keyword]``, ``finish[answer]``, ``think[anything]``; what may
    be forgiven in writing them is `canonical_action`'s business. Observations are those of ReAct's environment to the
    letter, less the two characters backslash and n, which ReAct's loop takes out as well.

    Reward, score and success are exact match with the gold answer after the official normalisation. `info` has

    - ``em`` and ``f1`` (float): of the answer, 0 before there is one;
    - ``title_recall`` (float): the part of the supporting articles that was opened so far;
    - ``turns_left`` (int), ``forced_finish`` (bool), ``task_type`` (str, the question's kind);
    - ``damaged`` (int): paragraphs that could not be decoded, where ReAct's own environment crashes;
    - ``page_date`` (str): the date of the open page, with the live source only.

    Turns: each step is one, invalid ones too. When the last turn is over without an answer the world gives the empty
    one, as ReAct's loop does with ``finish[]``: the step ends the episode with its own observation, the reward of the
    empty answer, and ``info["forced_finish"]``.

    Args:
        data: "generated", "official", a folder with files under their official names or in the form that
            `sad-data build` makes of them (for the large ones: workers then share one copy), or one such file.
        split: generated: "train", "test" (the default), "unseen-entities". Official: "dev" (default), "train",
            "dev-fullwiki", "react-500"; "paper-train", "paper-eval", "paper-test" (parts of "train");
            "unseen-entities" (of "dev"). A file has one split: that of its name in a folder, or one named after it.
        source: "pool": the articles of all questions (the default); "distractor": a question's own ten; "fullwiki":
            the abstracts of 2017, from the index that `sad-data build hotpotqa` makes; "live": a MediaWiki; or any
            object that is a `PageSource`.
        corpus: folder of the built corpus that "fullwiki" reads; by default `corpus` in the folder of that pack.
        wiki: address of index.php of the wiki that "live" asks.
        turns: turns of an episode.
        reveal: adds the gold ``answer`` and ``supporting_titles`` to `info`, for teachers; no agent may see them.
        render_mode: as in `TextEnv`.
    """

    world = "hotpotqa"

    def __init__(
        self,
        *,
        data: str | os.PathLike[str] = "generated",
        split: str | None = None,
        source: SourceName | PageSource = "pool",
        corpus: str | os.PathLike[str] | None = None,
        wiki: str = WIKIPEDIA,
        turns: int = 7,
        reveal: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if turns < 1:
            raise ConfigError(f"an episode needs at least one turn, not {turns}")
        if isinstance(source, str) and source not in get_args(SourceName):
            raise UnknownNameError("page source of hotpotqa", source, get_args(SourceName))
        self._tasks = open_tasks(os.fspath(data), split)
        super().__init__(panel=self._tasks.panel, render_mode=render_mode)
        self.turns = turns
        self._reveal = reveal
        self._owned = self._open_source(source, corpus, wiki)
        self._source = self._shared_source(source) if self._owned is None else self._owned
        self._question: Question
        self._engine: ReActEngine
        self._turns_left = turns

    def oracle(self) -> list[str] | None:
        """Search the supporting articles, then answer."""
        if self._task_id is None:
            return None
        question = self._question
        return [*(f"search[{title}]" for title in question.titles), f"finish[{question.answer}]"]

    def privileged(self) -> str:
        """The gold answer, and the articles that it can be read in."""
        if self._task_id is None:
            return ""
        question = self._question
        return f"The answer is {question.answer} (articles: {'; '.join(question.titles)})"

    def close(self) -> None:
        """Close the page source if this world opened it; a pool is shared, and a source that was given is not ours."""
        if self._owned is not None:
            self._owned.close()

    def _open_source(
        self, source: SourceName | PageSource, corpus: str | os.PathLike[str] | None, wiki: str
    ) -> PageSource | None:
        """The source that this copy of the world opens for itself, if it does."""
        if source == "live":
            return LiveSource(wiki)
        if source == "fullwiki":
            return StoredSource(Path(corpus) if corpus else pack_folder(self.world, "fullwiki") / "corpus")
        return None

    def _shared_source(self, source: SourceName | PageSource) -> PageSource | None:
        """The source that was there before; None when each question has its own."""
        if not isinstance(source, str):
            return source
        return self._tasks.pool if source == "pool" else None

    def _begin(self, task_id: str) -> Turn:
        question = self._tasks.questions[task_id]
        source = self._source or PoolSource(self._tasks.context(question))
        self._question = question
        self._engine = ReActEngine(source, question.text, question.answers)
        self._turns_left = self.turns
        return self._turn(Answered(self._engine.begin(), 0, False, True))

    def _act(self, action: str) -> Turn:
        # The engine raises before anything has changed when the page source does not answer.
        answered = self._engine.step(action)
        self._turns_left -= 1
        answered = answered._replace(observation=answered.observation.replace("\\n", ""))
        if answered.done or self._turns_left:
            return self._turn(answered)
        end = self._engine.step("finish[]")
        return self._turn(answered._replace(reward=end.reward, done=True), forced=True)

    def _turn(self, answered: Answered, *, forced: bool = False) -> Turn:
        answer = self._engine.answer
        return Turn(
            answered.observation,
            reward=float(answered.reward),
            terminated=answered.done,
            success=answered.done and answered.reward == 1,
            score=float(answered.reward),
            valid_action=answered.valid,
            info={
                "task_type": self._question.kind,
                "em": float(answered.reward),
                "f1": 0.0 if answer is None else best_f1(answer, self._question.answers),
                "title_recall": self._title_recall(),
                "turns_left": self._turns_left,
                "forced_finish": forced,
                "damaged": self._engine.damaged,
                **self._extra_info(),
            },
        )

    def _extra_info(self) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if self._engine.page is not None and self._engine.page.date:
            extra["page_date"] = self._engine.page.date
        if self._reveal:
            extra |= {"answer": self._question.answer, "supporting_titles": list(self._question.titles)}
        return extra

    def _title_recall(self) -> float:
        read = {folded(title) for title in self._engine.read}
        gold = {folded(title) for title in self._question.titles}
        return len(read & gold) / len(gold) if gold else 0.0

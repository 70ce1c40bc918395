"""An expert for real data that knows the gold supporting titles, and gives an answer only after reading it."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from sad_env.answers import normalize_answer
from sad_env.encyclopedia.questions import QUESTION
from sad_env.encyclopedia.titles import normalize_title
from sad_env.errors import ConfigError
from sad_env.expert import Expert, ThoughtAction
from sad_env.hotpotqa.actions import parse_action
from sad_env.hotpotqa.memory import NO_MORE
from sad_env.hotpotqa.wordings import GOLD

_SENTENCE_END = re.compile(r"(?<=\w{3})\.+(?: |$)")
"""A full stop that follows no abbreviation of one or two letters."""
_WORD = re.compile(r"\w+")
_VERDICTS = ("yes", "no")

_QUOTED = 16
"""Words of a page that a thought repeats."""


class GoldTitlesExpert(Expert):
    """Searches the gold supporting articles one by one, and finishes once it has read the gold answer.

    It knows which titles to search and recognises the answer when it reads it, so its trajectories show how a question
    is answered by reading. It never gives an answer that it has not read ("yes" and "no": before it has read all
    supporting articles). It makes trajectories on real data; it is no measure of skill.

    Args:
        seed: seeds the wording of thoughts.
    """

    def begin(self, observation: str, info: Mapping[str, Any]) -> None:
        """Note the question, the gold titles and the gold answer.

        Raises:
            ConfigError: the world does not reveal gold titles.
        """
        if "supporting_titles" not in info or "answer" not in info:
            raise ConfigError("expert-gold-titles needs the gold titles: make the world with reveal=True")
        self._question = observation.removeprefix(QUESTION)
        self._answer = str(info["answer"])
        self._titles = [str(title) for title in info["supporting_titles"]]
        self._tried: set[str] = set()
        self._read: set[str] = set()
        self._seen: list[str] = []
        self._last = ""
        self._open = False
        self._exhausted: set[str] = set()
        self._turns_left = int(info.get("turns_left", 7))

    def observe(self, action: str, observation: str, info: Mapping[str, Any]) -> None:
        """Read what came back."""
        verb, argument = parse_action(action)
        self._turns_left = int(info.get("turns_left", self._turns_left - 1))
        if verb == "search":
            self._tried.add(normalize_title(argument))
            if not observation.startswith("Could not find "):
                self._seen.append(observation)
                self._read.add(normalize_title(argument))
                self._last, self._open, self._exhausted = observation, True, set()
        elif verb == "lookup":
            if observation.strip() == NO_MORE:
                self._exhausted.add(argument)
            else:
                self._seen.append(observation)
                self._last = observation

    def decide(self) -> ThoughtAction:
        """The next gold title, a look-up on the way to the answer, or the answer."""
        answered = self._has_read_answer()
        left = [title for title in self._titles if normalize_title(title) not in self._tried]
        if self._turns_left > 1:
            if left and not (answered and self._turns_left == 2):
                kind = "search next" if self._last else "search first"
                return ThoughtAction(self._say(kind, title=left[0]), f"search[{left[0]}]")
            keyword = "" if answered or not self._open else self._keyword()
            if keyword:
                return ThoughtAction(self._say("lookup", keyword=keyword), f"lookup[{keyword}]")
        if not answered:
            return ThoughtAction(self._say("give up"), "finish[unknown]")
        return ThoughtAction(self._say("finish", answer=self._answer), f"finish[{self._answer}]")

    def _has_read_answer(self) -> bool:
        if normalize_answer(self._answer) in _VERDICTS:
            return all(normalize_title(title) in self._read for title in self._titles)
        if normalize_title(self._answer) in self._read:
            return True
        answer = f" {normalize_answer(self._answer)} "
        return any(answer in f" {normalize_answer(text)} " for text in self._seen)

    def _keyword(self) -> str:
        """The longest word of the question whose look-ups on this page are not exhausted."""
        words = sorted(set(_WORD.findall(self._question)), key=lambda word: (-len(word), word))
        return next((word for word in words if len(word) > 3 and word not in self._exhausted), "")

    def _say(self, kind: str, **values: str) -> str:
        draw = random.Random(f"{self.seed} {self._question} {self._turns_left} {sorted(values.items())}")
        return draw.choice(GOLD[kind]).format(quote=self._quote(), **values)

    def _quote(self) -> str:
        """The sentence of the last page that has most words of the question and the answer, cut to size."""
        wanted = set(normalize_answer(f"{self._question} {self._answer}").split())
        sentences = [piece.strip(" .") for piece in _SENTENCE_END.split(self._last) if piece.strip(" .")]
        if not sentences:
            return "the page is empty"
        best = max(sentences, key=lambda sentence: len(wanted & set(normalize_answer(sentence).split())))
        words = best.split()
        # A long sentence is cut so that an answer in it is kept.
        before = best.lower().partition(self._answer.lower())[0] if self._answer.lower() in best.lower() else ""
        start = max(0, min(len(before.split()) - _QUOTED // 2, len(words) - _QUOTED))
        end = start + _QUOTED
        return ("… " if start else "") + " ".join(words[start:end]) + (" …" if len(words) > end else ".")

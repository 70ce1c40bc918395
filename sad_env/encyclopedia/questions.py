"""A question with its answers, and how questions are named as tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sad_env.encyclopedia.articles import Article

QUESTION = "Question: "
"""What comes before the question in the first observation."""


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: names the task.
        text: the question.
        answer: the gold answer.
        aliases: other names of the answer that count as right; HotPotQA's files have none.
        kind: by which results are listed: the family of a generated question, HotPotQA's type, Search-QA's data set.
        facts: supporting facts, (title, number of the sentence); empty where they are not known.
        context: the question's own paragraphs; empty where it has none.
        level: easy, medium or hard; empty where it is not known.
    """

    id: str
    text: str
    answer: str
    aliases: tuple[str, ...]
    kind: str
    facts: tuple[tuple[str, int], ...]
    context: tuple[Article, ...] = ()
    level: str = ""

    @property
    def answers(self) -> tuple[str, ...]:
        """All names of the answer."""
        return (self.answer, *self.aliases)

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles of the supporting articles, each once, in the order of the facts."""
        return tuple(dict.fromkeys(title for title, _ in self.facts))


def task_names(ids: Iterable[str]) -> list[str]:
    """The ids themselves when all are there and different, positions otherwise."""
    names = list(ids)
    if all(names) and len(set(names)) == len(names):
        return names
    return [f"{number:06d}" for number in range(len(names))]

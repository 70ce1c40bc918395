"""Other words for the same task: how far an agent's success depends on the wording of its instruction.

The paper's robustness test rewords instructions and says no more than that; these are our definitions. Only the
instruction is touched, never what the world answers, and the task stays the same: a reader would do the same thing.

    rephrase     the instruction is introduced in other words ("What you have to do: ...")
    typos        in a fifth of its words of five letters or more, and in one at least, two inner letters change places
    reorder      the instruction comes before the rest of the first observation, or, where it is all there is, its
                 clauses change their order
    distractor   a true but idle sentence comes before the instruction
"""

from __future__ import annotations

import dataclasses
import functools
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sad_agents import catalogue
from sad_agents.agent import Agent, Decision, EpisodeStart, concurrent, writes
from sad_agents.prompts import Prompt, load_prompt
from sad_env.errors import UnknownNameError
from sad_env.records import FormName

KINDS = ("rephrase", "typos", "reorder", "distractor")

_INTRODUCTIONS = (
    "What you have to do: ",
    "Here is what is wanted of you: ",
    "Please see to the following. ",
    "This is the job: ",
)
_DISTRACTORS = (
    "It is a quiet afternoon.",
    "The clock on the wall shows ten past four.",
    "Someone is mowing a lawn in the distance.",
    "Yesterday it rained.",
)
_LONG_WORD = re.compile(r"[A-Za-z]{5,}")
_CLAUSE = re.compile(r",\s+|\s+and\s+")
_TYPO_SHARE = 5


@functools.cache
def _task_pattern(world: str) -> re.Pattern[str]:
    return re.compile(load_prompt(world).task_pattern)


def perturb(text: str, kind: str, *, world: str, seed: int) -> str:
    """The first observation of a task with its instruction in other words.

    Args:
        text: the first observation.
        kind: one of `KINDS`.
        world: its prompt file says where in the text the instruction is; without one the whole text is taken.
        seed: of the draws; the same seed gives the same words.

    Raises:
        UnknownNameError: no such kind.

    >>> perturb("You are in a corridor. Bring the lamp.", "reorder", world="toy", seed=0)
    'Bring the lamp. You are in a corridor.'
    """
    if kind not in KINDS:
        raise UnknownNameError("perturbation", kind, (*KINDS, "none"))
    match = _task_pattern(world).search(text) or re.search(Prompt.task_pattern, text)
    if match is None:
        return text
    draw = random.Random(f"{kind} {seed} {text}")
    before, intro, body, after = text[: match.start()], match["intro"], match["body"], text[match.end() :]
    if kind == "rephrase":
        return f"{before}{draw.choice(_INTRODUCTIONS)}{body}{after}"
    if kind == "distractor":
        return f"{before}{draw.choice(_DISTRACTORS)} {intro}{body}{after}"
    if kind == "typos":
        return f"{before}{intro}{_with_typos(body, draw)}{after}"
    rest = (before + after).strip()
    glue = "\n" if "\n" in text else " "
    if rest:
        return f"{intro}{body}{glue}{rest}"
    return f"{before}{intro}{_reordered(body)}{after}"


def _with_typos(body: str, draw: random.Random) -> str:
    words = [match for match in _LONG_WORD.finditer(body) if len(set(match.group()[1:-1])) > 1]
    if not words:
        return body
    letters = list(body)
    for word in draw.sample(words, max(1, len(words) // _TYPO_SHARE)):
        places = [at for at in range(word.start() + 1, word.end() - 2) if body[at] != body[at + 1]]
        at = draw.choice(places)
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def _reordered(body: str) -> str:
    end = body[-1] if body[-1:] in ".?!" else ""
    clauses = [clause for clause in _CLAUSE.split(body.removesuffix(end)) if clause]
    return ", ".join(reversed(clauses)) + end


class PerturbedAgent:
    """An agent that reads its task in other words.

    Trajectories keep the world's own words, so that they can be replayed; what the agent read instead follows from
    the episode's seed by `perturb`.

    Args:
        agent: who acts.
        kind: one of `KINDS`.
    """

    def __init__(self, agent: Agent, kind: str) -> None:
        if kind not in KINDS:
            raise UnknownNameError("perturbation", kind, (*KINDS, "none"))
        self._agent = agent
        self._kind = kind
        self.name = f"{agent.name}+{kind}"
        self.provenance = catalogue.provenance(agent)

    @property
    def form(self) -> FormName:
        """The wrapped agent's."""
        return writes(self._agent)[0]

    @property
    def concurrent(self) -> bool:
        """The wrapped agent's."""
        return concurrent(self._agent)

    @property
    def chat(self) -> bool:
        """The wrapped agent's."""
        return writes(self._agent)[1]

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Begin with the reworded instruction."""
        words = perturb(start.observation, self._kind, world=start.world, seed=start.seed)
        return self._agent.begin(episode, dataclasses.replace(start, observation=words))

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """As the agent does."""
        return self._agent.act(episodes)

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Pass on what came back."""
        self._agent.observe(episode, decision, observation, info)

    def end(self, episode: int) -> None:
        """Pass it on."""
        self._agent.end(episode)

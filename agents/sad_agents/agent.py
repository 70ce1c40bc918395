"""The contract of an agent: it serves many live episodes at once and never raises for what a model wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sad_agents.windowing import COMPLETION_TOKENS
from sad_env.records import FormName, Span, Status, TopLogprobs
from sad_env.transcript import FORMS, LINES, compose


@dataclass(frozen=True)
class EpisodeStart:
    """What an agent knows when an episode begins.

    Attributes:
        world: the world's short name.
        task_id: for agents that look things up (a recorded run, a scripted answer); a policy has no use for it.
        observation: the first observation.
        info: the world's info without its verdict (`success` and `score` are removed).
        seed: seeds every draw of the agent in this episode.
        world_seed: the seed that the world was reset with.
    """

    world: str
    task_id: str
    observation: str
    info: Mapping[str, Any]
    seed: int = 0
    world_seed: int = 0


@dataclass(frozen=True)
class Decision:
    """One completion and what it says.

    Attributes:
        completion: the text, to the character, final newline included.
        spans: they tile `completion`.
        reasoning: bodies of the reasoning spans.
        action: what goes to the world; empty when `complaint` is not.
        complaint: why there is no action, in words the agent can use; it becomes the observation.
        token_ids: ids as sampled; empty when no model sampled them.
        token_labels: one letter of `SpanKind` for each id.
        logprobs: see `Step.logprobs`.
        top_logprobs: see `Step.top_logprobs`.
        generated_tokens: tokens produced for this step, discarded ones included.
        seconds: the agent's wall time for this step.
        stop: an ending the agent itself declares: BUDGET (its context is full) or AGENT_ERROR.
        error: one line for `stop`.
        author: who wrote it, where that was not the agent itself: see `Step.author`.
    """

    completion: str
    spans: tuple[Span, ...]
    reasoning: str
    action: str
    complaint: str = ""
    token_ids: tuple[int, ...] = ()
    token_labels: str = ""
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[TopLogprobs, ...] | None = None
    generated_tokens: int = 0
    seconds: float = 0.0
    stop: Status | None = None
    error: str = ""
    author: str = ""

    @classmethod
    def of(cls, reasoning: str, action: str) -> Decision:
        """The decision of an agent that writes no tokens: an expert, a person, a script."""
        rendering = compose(reasoning, action)
        return cls(rendering.text, rendering.spans, reasoning, action)

    @classmethod
    def stopped(cls, status: Status, error: str, *, generated_tokens: int = 0) -> Decision:
        """The decision that plays nothing and ends the episode with this status, for this one line of reason."""
        return cls("", (), "", "", generated_tokens=generated_tokens, stop=status, error=error)


class Agent(Protocol):
    """A policy. Episodes are named by an integer that is unique among the live ones.

    The calls of one episode are `begin`, then `act` and `observe` in turn, then `end`; calls of several episodes
    interleave. `act` serves all given episodes in one call, so that a model runs one batch.

    What `begin`, `act` or `observe` raises ends the episode as AGENT_ERROR, and the others go on; so does a prompt or
    decision of another type, or one that breaks what `Decision` says. `ConfigError`, `UnknownNameError`,
    `CheckpointError` and `DataError` say that the agent was set up wrongly: they end the whole rollout.
    """

    name: str

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Begin an episode; returns the prompt that comes before its first observation (often empty)."""
        ...

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """One decision for each of these episodes, in their order.

        Raises:
            InfrastructureError: the model could not be reached; no episode has changed, the call may be repeated.
        """
        ...

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """This decision was played and this came back."""
        ...

    def end(self, episode: int) -> None:
        """The episode is over; its memory may go. Unknown episodes are ignored."""
        ...


class DecisionFlow(Protocol):
    """Decisions of which new ones may be asked for before others are made, so that a model's passes stay full.

    An agent whose model can do this has a method `flow` that gives one, or None.
    """

    def ask(self, episodes: Sequence[int]) -> None:
        """Begin a decision for each of these episodes."""
        ...

    def answers(self) -> list[tuple[int, Decision]]:
        """Go on until some are made: episode and decision; none where nothing is asked."""
        ...


def flow_of(agent: object) -> DecisionFlow | None:
    """A flow of an agent that has one."""
    flow = getattr(agent, "flow", None)
    return flow() if callable(flow) else None


def writes(agent: Agent) -> tuple[FormName, bool]:
    """How an agent writes: its form's name, and whether in turns of a chat. Without such attributes: the default form.

    >>> writes(object())  # type: ignore[arg-type]
    ('lines', False)
    """
    form = FORMS.get(str(getattr(agent, "form", "lines")), LINES)
    return form.name, getattr(agent, "chat", False) is True


def concurrent(agent: object) -> bool:
    """Whether an agent, or a model, takes calls for different episodes from several threads at once, and gains by it.

    Those that wait for a server do; without an attribute `concurrent` one is called from one thread, with all
    episodes that are ready.
    """
    return getattr(agent, "concurrent", False) is True


@dataclass(frozen=True)
class Sampling:
    """How a model samples.

    Attributes:
        temperature: 0 is greedy decoding.
        top_p: nucleus.
        max_tokens: tokens of one completion at most; a student's window may leave room for fewer.
        seed: first part of every draw's seed; the episode's seed is the second.
        logprobs: tell the log-probability of each sampled id.
        top_logprobs: tell so many likeliest ids at each place, with their log-probabilities; 0 tells none.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = COMPLETION_TOKENS
    seed: int = 0
    logprobs: bool = False
    top_logprobs: int = 0


GREEDY = Sampling()
"""The most likely token each time."""

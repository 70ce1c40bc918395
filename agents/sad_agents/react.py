"""The ReAct agent: a model that reasons and acts in turn, in the model's form of a transcript."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sad_agents.agent import GREEDY, Decision, DecisionFlow, EpisodeStart, Sampling, concurrent
from sad_agents.model import Completion, Model, Piece, Request
from sad_agents.outcomes import TriedActions
from sad_agents.prompts import Prompt
from sad_agents.recorded_ids import with_own_ids
from sad_env.errors import ConfigError
from sad_env.records import FormName, Span, SpanKind, Status, Trajectory
from sad_env.transcript import LINES, Form, form_of
from sad_env.transcript.think import THINK_FORM

_OUTGROWN = "the episode outgrew the model's context"


@dataclass
class _Memory:
    """One episode: what the model has been shown."""

    start: EpisodeStart
    head: tuple[Piece, ...]
    pieces: list[tuple[Piece, Piece]] = field(default_factory=list)
    """Completion and observation of each step."""
    lengths: list[int] = field(default_factory=list)
    first: int = 0
    """The oldest step that is still shown."""
    played: list[str] = field(default_factory=list)
    """Actions that the world was given."""
    admissible: tuple[str, ...] = ()
    """Actions that the world would accept next; none where it does not list them."""


class ReActAgent:
    """Thinks and acts in turn, one completion a step.

    An episode that outgrows the model's window keeps its header and its newest steps; with `window=False` it ends as
    BUDGET instead. A completion without an action is a complaint, not an error.

    Args:
        model: writes the completions.
        prompt: comes before the first observation.
        shots: exemplars of the prompt that are shown.
        sampling: temperature and so on; its seed and the episode's decide all draws.
        canonical: rewrites an action as its world spells it, e.g. ``Answer[x]`` as ``Finish[x]``.
        votes: completions sampled for each step; the action that most of them agree on is taken (self-consistency).
        first_thought: a line that the first step's reasoning must begin with, e.g. a teacher's thought on the same
            task ("first-thought prefix"); empty for none.
        window: False ends an episode that outgrows the model's window.
        tried: votes are on what actions do instead of on actions; those that the world can do nothing with have none.
        told: what the prompt ends with in an episode, where it is another in each.

    Raises:
        ConfigError: settings that contradict one another.
    """

    def __init__(
        self,
        model: Model,
        prompt: Prompt,
        *,
        shots: int = 0,
        sampling: Sampling = GREEDY,
        canonical: Callable[[str], str] | None = None,
        votes: int = 1,
        first_thought: Callable[[EpisodeStart], str] | None = None,
        window: bool = True,
        tried: TriedActions | None = None,
        told: Callable[[EpisodeStart], str] | None = None,
        name: str = "",
    ) -> None:
        if votes < 1 or (votes > 1 and sampling.temperature == 0):
            raise ConfigError(f"{votes} votes at temperature {sampling.temperature:g}: greedy samples are all the same")
        if model.windowing is not None and sampling.max_tokens > model.windowing.room:
            raise ConfigError(
                f"completions of {sampling.max_tokens} tokens; the model's window keeps {model.windowing.room} free"
            )
        self.model = model
        self.name = name or model.name
        self.provenance: dict[str, str] = {
            "prompt_sha256": prompt.sha256,
            "shots": str(shots),
            "temperature": f"{sampling.temperature:g}",
            "votes": str(votes),
            **({} if model.form is LINES else {"form": model.form.name}),
            **({"chat": "on"} if model.chat else {}),
            **({} if tried is None else {"votes on": "results"}),
            **({"logprobs": "on"} if sampling.logprobs else {}),
            **({"top_logprobs": str(sampling.top_logprobs)} if sampling.top_logprobs else {}),
        }
        """What a manifest says of the agent; those who make it may add to it."""
        self._text = prompt.text(shots, model.form)
        self._sampling = sampling
        self._canonical = canonical
        self._votes = votes
        self._first_thought = first_thought
        self._window = window
        self._tried = tried
        self._told = told
        self._memories: dict[int, _Memory] = {}

    @property
    def form(self) -> FormName:
        """The name of the form that its completions are in."""
        return self.model.form.name

    @property
    def concurrent(self) -> bool:
        """Whether its model is."""
        return concurrent(self.model)

    @property
    def chat(self) -> bool:
        """Whether its model reads and writes turns of a chat."""
        return self.model.chat

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Lay out the task header."""
        text = self._text if self._told is None else self._text + self._told(start)
        head = head_pieces(self.model.form, text, start.observation)
        self._memories[episode] = _Memory(start, head, admissible=_admissible(start.info))
        return text

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """One decision an episode, from one batch of the model."""
        began = time.perf_counter()
        full = {episode for episode in episodes if self._outgrown(self._memories[episode])}
        asked = [episode for episode in episodes if episode not in full]
        requests = [request for episode in asked for request in self._requests(episode)]
        completions = self.model.complete(requests, self._sampling) if requests else []
        seconds = (time.perf_counter() - began) / max(1, len(asked))
        ballots = {
            episode: completions[index * self._votes : (index + 1) * self._votes] for index, episode in enumerate(asked)
        }
        return [
            Decision.stopped(Status.BUDGET, _OUTGROWN)
            if episode in full
            else self._elect(self._memories[episode], ballots[episode], seconds)
            for episode in episodes
        ]

    def flow(self) -> DecisionFlow | None:
        """See `DecisionFlow`: for single votes, from a model that has a flow of completions."""
        flow = getattr(self.model, "flow", None)
        completions = flow(self._sampling) if flow is not None and self._votes == 1 else None
        return None if completions is None else _Flow(self, completions)

    def asked(self, episode: int) -> Request | Decision:
        """What the model is to write in an episode of single votes, or the decision that ends it."""
        if self._outgrown(self._memories[episode]):
            return Decision.stopped(Status.BUDGET, _OUTGROWN)
        return self._requests(episode)[0]

    def decided(self, episode: int, completion: Completion, seconds: float) -> Decision:
        """What a completion decides."""
        return self._elect(self._memories[episode], [completion], seconds)

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Add the step to the history."""
        memory = self._memories[episode]
        memory.admissible = _admissible(info)
        step = step_pieces(self.model.form, decision.completion, decision.token_ids, observation)
        memory.pieces.append(step)
        if decision.action:
            memory.played.append(decision.action)
        if self.model.windowing is not None:
            memory.lengths.append(sum(self.model.measure(piece) for piece in step))

    def end(self, episode: int) -> None:
        """Forget the episode."""
        if self._memories.pop(episode, None) is not None:
            for vote in range(self._votes):
                self.model.forget(f"{episode}.{vote}")

    def _outgrown(self, memory: _Memory) -> bool:
        """Move the window on; True when the episode may not be windowed and does not fit."""
        windowing = self.model.windowing
        if windowing is None:
            return False
        header = sum(self.model.measure(piece) for piece in memory.head)
        memory.first = windowing.first_step(header, memory.lengths, memory.first)
        fits = header + sum(memory.lengths) + windowing.room <= windowing.budget
        return not self._window and not fits

    def _requests(self, episode: int) -> list[Request]:
        memory = self._memories[episode]
        step = len(memory.pieces)
        tail = [piece for pair in memory.pieces[memory.first :] for piece in pair]
        forced = ""
        if step == 0 and self._first_thought is not None:
            forced = _forced(self._first_thought(memory.start), self.model.form)
        return [
            Request(
                f"{episode}.{vote}",
                memory.head,
                tail,
                f"{memory.start.seed}/{step}/{vote}",
                step,
                forced,
                memory.admissible,
            )
            for vote in range(self._votes)
        ]

    def _elect(self, memory: _Memory, completions: Sequence[Completion], seconds: float) -> Decision:
        """The decision of most; the earliest among equals. Completions without an action have no vote."""
        generated = sum(completion.generated for completion in completions)
        decisions = [self._decision(completion, generated, seconds) for completion in completions]
        valid = [decision for decision in decisions if decision.action and decision.stop is None]
        if not valid:
            return decisions[0]
        actions = dict.fromkeys(decision.action for decision in valid)
        votes: Mapping[str, object] = dict.fromkeys(actions) if len(actions) == 1 else self._ballot(memory, actions)
        counted = [decision for decision in valid if decision.action in votes] or valid
        count = Counter(votes.get(decision.action) for decision in counted)
        return max(counted, key=lambda decision: count[votes.get(decision.action)])

    def _ballot(self, memory: _Memory, actions: Iterable[str]) -> Mapping[str, object]:
        """What each action is a vote for: itself, or what it does, without those that do nothing valid."""
        if self._tried is None:
            return {action: action for action in actions}
        results = {action: self._tried.result(memory.start, memory.played, action) for action in actions}
        return {action: result for action, result in results.items() if result.valid}

    def _decision(self, completion: Completion, generated: int, seconds: float) -> Decision:
        if completion.stop is not None:
            return Decision.stopped(completion.stop, completion.error, generated_tokens=generated)
        reasoning, action, spans, complaint = self.model.form.parse(completion.text)
        if completion.unusable:
            action = ""
        if action and self._canonical is not None:
            action = self._canonical(action)
        if not action:
            complaint = completion.complaint or complaint
        return Decision(
            completion.text,
            spans,
            reasoning,
            action,
            complaint,
            token_ids=completion.ids,
            token_labels=label(completion.ends, spans),
            logprobs=completion.logprobs,
            top_logprobs=completion.top_logprobs,
            generated_tokens=generated,
            seconds=seconds,
        )


class _Flow:
    """Decisions from a flow of completions; the time of a pass is shared by those that are in it.

    Args:
        agent: whose.
        completions: a `sad_agents.sampling.local_model.CompletionFlow`.
    """

    def __init__(self, agent: ReActAgent, completions: Any) -> None:
        self._agent, self._completions = agent, completions
        self._seconds: dict[int, float] = {}
        """So far, of each episode that the model writes for."""
        self._made: list[tuple[int, Decision]] = []

    def ask(self, episodes: Sequence[int]) -> None:
        """See `DecisionFlow`."""
        began = time.perf_counter()
        asked = [(episode, self._agent.asked(episode)) for episode in episodes]
        self._made += [(episode, one) for episode, one in asked if isinstance(one, Decision)]
        requests = {episode: one for episode, one in asked if isinstance(one, Request)}
        if requests:
            self._completions.ask(list(requests.values()))
            self._seconds |= dict.fromkeys(requests, (time.perf_counter() - began) / len(requests))

    def answers(self) -> list[tuple[int, Decision]]:
        """See `DecisionFlow`."""
        made, self._made = self._made, []
        if made:
            return made
        began = time.perf_counter()
        written = self._completions.answers()
        share = (time.perf_counter() - began) / max(1, len(self._seconds))
        self._seconds = {episode: seconds + share for episode, seconds in self._seconds.items()}
        episodes = [int(request.key.partition(".")[0]) for request, _ in written]
        return [
            (episode, self._agent.decided(episode, completion, self._seconds.pop(episode)))
            for episode, (_, completion) in zip(episodes, written, strict=True)
        ]


def label(ends: Sequence[int], spans: Sequence[Span]) -> str:
    """One letter a token: the kind of the span that holds its last character; N where nothing was sampled.

    Args:
        ends: where each token's text ends; 0 for a token that was not sampled.
        spans: they tile the text.
    """
    letters, index = [], 0
    for end in ends:
        if end == 0:
            letters.append(SpanKind.NONE.value)
            continue
        while index < len(spans) - 1 and end > spans[index].end:
            index += 1
        letters.append(spans[index].kind.value)
    return "".join(letters)


def head_pieces(form: Form, prompt: str, observation: str) -> tuple[Piece, Piece]:
    """The task header as a model is shown it."""
    return Piece(prompt, role="system"), Piece(form.observation(observation), role="user")


def step_pieces(form: Form, completion: str, ids: tuple[int, ...], observation: str) -> tuple[Piece, Piece]:
    """A completion and what came back as a model is shown them."""
    return Piece(completion, ids, "assistant"), Piece(form.observation(observation), role="user")


def _admissible(info: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(info.get("admissible_actions") or ())


def up_to_action(model: Model, reasoning: str) -> str:
    """What a completion begins with that holds this reasoning, up to where its action begins; "" for no reasoning.

    A chat template that opens thoughts (``<think>``) has them closed before the action, whatever the model's form.
    """
    glue = getattr(model, "glue", None)
    opened = glue is not None and bool(glue.begun)
    form = THINK_FORM if opened else model.form
    thought = form.thought(reasoning, header=not opened) if reasoning or opened else ""
    return thought + model.form.headers[SpanKind.ACT].rstrip()


def recorded_request(trajectory: Trajectory, number: int, model: Model) -> Request:
    """What a model was shown before a step of a recorded episode, windowed as an agent would see it.

    Args:
        trajectory: the episode.
        number: of the step, from 0.
        model: whose window decides how much of the history it sees.
    """
    form = form_of(trajectory.form)
    head = head_pieces(form, trajectory.prompt, trajectory.observation)
    tokenizer = getattr(model, "tokenizer", None)
    steps = [with_own_ids(step, tokenizer) for step in trajectory.steps[:number]]
    pairs = [step_pieces(form, step.completion, step.token_ids, step.observation) for step in steps]
    first = 0
    if model.windowing is not None:
        header = sum(model.measure(piece) for piece in head)
        lengths: list[int] = []
        for pair in pairs:
            first = model.windowing.first_step(header, lengths, first)
            lengths.append(sum(model.measure(piece) for piece in pair))
        first = model.windowing.first_step(header, lengths, first)
    tail = [piece for pair in pairs[first:] for piece in pair]
    return Request(f"probe {trajectory.task_id} {number}", head, tail, "0", number)


def _forced(thought: str, form: Form) -> str:
    thought = " ".join(thought.split())
    return form.begun_thought(thought) if thought else ""

"""A local student with an action head: it writes its reasoning, and the head chooses the action."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sad_agents.agent import Sampling
from sad_agents.model import Request
from sad_agents.sampling.action_head import ActionHead, decides, input_embedding
from sad_agents.sampling.action_trie import spelled
from sad_agents.sampling.choice import choose
from sad_agents.sampling.continuation import Sample, SampleRequest
from sad_agents.sampling.continuing import further, joined
from sad_agents.sampling.local_model import LocalModel, ids_with
from sad_env.errors import ConfigError
from sad_env.records import SpanKind


class HeadedModel(LocalModel):
    """See the module.

    A completion is sampled up to "Action:". There the head reads the state, and the action is taken that it scores
    highest, or that is drawn from the softmax of its scores at the sampling's temperature and nucleus; its ids are
    those of the action as it is spelled. Of their log-probabilities the first is that of the choice, the others are 0.
    Where the head decides nothing, the language head goes on among the admissible actions.

    Args:
        head: chooses.
        model: writes.
        tokenizer: its tokenizer.
        options: see `LocalModel`; actions are always among the admissible ones.

    Raises:
        ConfigError: see `LocalModel`.
    """

    def __init__(
        self, head: ActionHead, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **options: Any
    ) -> None:
        self.head = head
        super().__init__(model, tokenizer, **{**options, "constrained": True})
        self._header = self.form.headers[SpanKind.ACT].rstrip()

    def stop_ids(self) -> frozenset[int]:
        """Ids after which a completion may be whole, or the head's turn has come."""
        return super().stop_ids() | ids_with(self.tokenizer, self.form.headers[SpanKind.ACT].rstrip()[-1])

    def is_whole(self, ids: list[int]) -> bool:
        """Whether these ids are a whole completion, or end where an action begins."""
        return super().is_whole(ids) or self._decode(ids).rpartition("\n")[2] == self._header

    def chances(self, request: Request, actions: Sequence[str]) -> list[float] | None:
        """The head's log-probability of each action; None where it decides nothing.

        Args:
            request: ends where the action begins.
            actions: the admissible ones.
        """
        context, _ = self.ids_with(request, "")
        wanted = SampleRequest(request.key, context)
        scores = self._scores([wanted], [actions])[0]
        self.forget(request.key)
        return None if scores is None else scores.double().log_softmax(0).tolist()

    def samples(self, requests: Sequence[Request], wanted: Sequence[SampleRequest], sampling: Sampling) -> list[Sample]:
        """See `TokenModel`.

        Raises:
            ConfigError: a world that lists no admissible actions.
        """
        if any(request.step == 0 and not request.admissible for request in requests):
            raise ConfigError(
                f"{self.name} chooses by its action head among the actions that a world lists, and this one lists none:"
                " train without --act-loss linear_head or pointer_head for it"
            )
        begun = [list(one.ids[len(one.ids) - one.begun :]) for one in wanted]
        turns = [self._is_turn(ids) for ids in begun]
        writing = [one for one, turn in zip(wanted, turns, strict=True) if not turn]
        sampled = iter(self.sampler.sample(writing, sampling) if writing else ())
        samples = [
            Sample([], 0, logprobs=[] if sampling.logprobs else None) if turn else next(sampled) for turn in turns
        ]
        waiting = [
            number for number, one in enumerate(samples) if not one.broken and self._is_turn(begun[number] + one.ids)
        ]
        reached = [further(wanted[number], samples[number].ids) for number in waiting]
        scores = self._scores(reached, [requests[number].admissible for number in waiting])
        left = []
        for number, found in zip(waiting, scores, strict=True):
            if found is None:
                left.append(number)
            else:
                samples[number] = self._chosen(requests[number], samples[number], found, sampling)
        by_used: dict[int, list[int]] = {}
        for number in left:
            by_used.setdefault(samples[number].generated, []).append(number)
        for used, mine in by_used.items():
            if used >= sampling.max_tokens:
                continue
            rest = replace(sampling, max_tokens=sampling.max_tokens - used)
            again = self.sampler.sample([further(wanted[number], samples[number].ids) for number in mine], rest)
            for number, more in zip(mine, again, strict=True):
                samples[number] = joined(samples[number], more)
        return samples

    def flow(self, sampling: Sampling) -> None:
        """None: a completion is made in two parts, with the head's choice between them."""

    def _is_turn(self, ids: list[int]) -> bool:
        return not super().is_whole(ids) and self._decode(ids).rpartition("\n")[2] == self._header

    def _paths(self, actions: Sequence[str]) -> list[tuple[int, ...]]:
        return [self._encode(spelled(action)) for action in actions]

    @torch.inference_mode()
    def _scores(
        self, reached: Sequence[SampleRequest], admissible: Sequence[Sequence[str]]
    ) -> list[torch.Tensor | None]:
        """The head's scores of each request's admissible actions; None where it decides nothing."""
        asked = [number for number, actions in enumerate(admissible) if decides(actions)]
        found: list[torch.Tensor | None] = [None] * len(reached)
        if not asked:
            return found
        embedding = input_embedding(self.sampler.model)
        for number, state in zip(asked, self.sampler.states([reached[one] for one in asked]), strict=True):
            actions = admissible[number]
            scores = self.head.scores(state, actions, self._paths(actions), embedding)
            if (scores > -torch.inf).any():
                found[number] = scores
        return found

    def _chosen(self, request: Request, sample: Sample, scores: torch.Tensor, sampling: Sampling) -> Sample:
        number = random.Random(f"{sampling.seed}/{request.seed}/action").random()
        choice = choose(scores[None], sampling, [number])
        if choice.ids[0] < 0:
            return replace(sample, broken=True)
        path = list(self._paths([request.admissible[choice.ids[0]]])[0])
        told = None if choice.logprobs is None else [*choice.logprobs, *[0.0] * (len(path) - 1)]
        return joined(sample, Sample(path, len(path), logprobs=told))

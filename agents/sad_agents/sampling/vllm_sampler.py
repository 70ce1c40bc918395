"""A sampler whose model is served by vLLM: ids in, ids out, the same endings as in this process."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from sad_agents.agent import Sampling
from sad_agents.sampling.continuation import Sample, SampleRequest
from sad_agents.vllm_server import Continued, VllmServer
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import TopLogprobs


class VllmSampler:
    """Continues ids on a server.

    An action is over where a form says so, which no stop string can tell: the server ends at each id of `stop_ids`
    and is asked to go on while the completion is not whole. Its prefix cache makes that cheap, and no id is sampled
    that would be thrown away.

    Args:
        server: serves the model.
        stop: gets the ids of a completion so far after an id of `stop_ids`; True ends it.
        stop_ids: ids after which `stop` is asked.
        end_ids: ids that end a completion and are not part of it.
        turning_ids: ids after which a request may allow other ids than before; where it limits them at all, the server
            ends there, too.
    """

    def __init__(
        self,
        server: VllmServer,
        *,
        stop: Callable[[list[int]], bool],
        stop_ids: frozenset[int],
        end_ids: frozenset[int],
        turning_ids: frozenset[int] = frozenset(),
    ) -> None:
        self.server = server
        self.model = ""
        """Name of an adapter that is asked in the place of the served model; empty for none."""
        self._stop = stop
        self._stop_ids = stop_ids
        self._end_ids = end_ids
        self._turning_ids = turning_ids

    def clear(self) -> None:
        """Nothing is cached here; `VllmServer.reload` empties the server's cache."""

    def forget(self, key: Hashable) -> None:
        """Nothing is kept here."""

    def sample(self, requests: Sequence[SampleRequest], sampling: Sampling) -> list[Sample]:
        """Continue each request until `stop`, an end id, or `sampling.max_tokens`; one that fails says why.

        Where a request allows a few ids alone, the server is asked for one of them, and not at all where there is one.

        Raises:
            ConfigError: log-probabilities are asked for that the server does not tell.
        """
        told = sampling.logprobs or sampling.top_logprobs > 0
        if told and any(one.allowed for one in requests):
            raise ConfigError("vLLM tells no log-probabilities among the admissible actions: leave out one of them")
        if sampling.logprobs and (sampling.temperature not in (0, 1) or sampling.top_p < 1):
            raise ConfigError(
                "vLLM tells log-probabilities before temperature and nucleus: record them at a temperature of 1 (or 0)"
                " and a nucleus of 1"
            )
        return list(self.server.threads.map(lambda one: self._sample(one, sampling), requests))

    def _sample(self, request: SampleRequest, sampling: Sampling) -> Sample:
        begun = list(request.ids[len(request.ids) - request.begun :])
        ids: list[int] = []
        logprobs: list[float] = []
        top: list[TopLogprobs] = []
        generated = 0
        try:
            while generated < sampling.max_tokens:
                more, end, told, likeliest = self._more(request, begun, ids, sampling, sampling.max_tokens - generated)
                generated += len(more)
                ids += more
                logprobs += told
                top += likeliest
                if end == "end" or ids[-1] in self._end_ids:
                    del ids[-1], logprobs[-1:], top[-1:]
                    break
                if ids[-1] in self._stop_ids and self._stop(begun + ids):
                    break
        except InfrastructureError as error:
            return Sample(ids, generated, missing=str(error))
        return Sample(
            ids,
            generated,
            logprobs=logprobs if sampling.logprobs else None,
            top_logprobs=top if sampling.top_logprobs else None,
        )

    def _more(
        self, request: SampleRequest, begun: list[int], ids: list[int], sampling: Sampling, most: int
    ) -> Continued:
        allowed = request.allowed([*begun, *ids]) if request.allowed else None
        if allowed is not None and len(allowed) == 1:
            return Continued(list(allowed), "stop", [0.0], [])
        ending = self._stop_ids | self._end_ids
        if request.allowed is not None:
            ending |= self._turning_ids
        most = most if allowed is None else 1
        return self.server.continue_ids([*request.ids, *ids], sampling, most, ending, self.model, allowed)

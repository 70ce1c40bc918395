"""A sampler whose model is served by vLLM: ids in, ids out, the same endings as in this process."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from sad_agents.agent import Sampling
from sad_agents.sampling.continuation import Sample, SampleRequest
from sad_agents.vllm_server import VllmServer
from sad_env.errors import ConfigError, InfrastructureError


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
    """

    def __init__(
        self,
        server: VllmServer,
        *,
        stop: Callable[[list[int]], bool],
        stop_ids: frozenset[int],
        end_ids: frozenset[int],
    ) -> None:
        self.server = server
        self.model = ""
        """Name of an adapter that is asked in the place of the served model; empty for none."""
        self._stop = stop
        self._stop_ids = stop_ids
        self._end_ids = end_ids

    def clear(self) -> None:
        """Nothing is cached here; `VllmServer.reload` empties the server's cache."""

    def forget(self, key: Hashable) -> None:
        """Nothing is kept here."""

    def sample(
        self, requests: Sequence[SampleRequest], sampling: Sampling, fields: Sequence[Mapping[str, Any]] = ()
    ) -> list[Sample]:
        """Continue each request until `stop`, an end id, or `sampling.max_tokens`; one that fails says why.

        Args:
            requests: what to continue.
            sampling: temperature and so on.
            fields: further ones for the server, of each request.

        Raises:
            ConfigError: log-probabilities are asked for that the server does not tell.
        """
        if sampling.logprobs and (sampling.temperature not in (0, 1) or sampling.top_p < 1):
            raise ConfigError(
                "vLLM tells log-probabilities before temperature and nucleus: record them at a temperature of 1 (or 0)"
                " and a nucleus of 1"
            )
        asked = zip(requests, fields or [{}] * len(requests), strict=True)
        return list(self.server.threads.map(lambda one: self._sample(one[0], sampling, one[1]), asked))

    def _sample(self, request: SampleRequest, sampling: Sampling, fields: Mapping[str, Any]) -> Sample:
        begun = list(request.ids[len(request.ids) - request.begun :])
        # vLLM takes ids that end an answer out of the text that a constraint is of: it ends the answer itself.
        ending = frozenset[int]() if fields else self._stop_ids | self._end_ids
        ids: list[int] = []
        logprobs: list[float] = []
        generated = 0
        try:
            while generated < sampling.max_tokens:
                more, end, told = self.server.continue_ids(
                    [*request.ids, *ids],
                    sampling,
                    sampling.max_tokens - generated,
                    ending,
                    self.model,
                    fields,
                )
                generated += len(more)
                ids += more
                logprobs += told
                if end == "end" or ids[-1] in self._end_ids:
                    del ids[-1], logprobs[-1:]
                    break
                if ids[-1] in self._stop_ids and self._stop(begun + ids):
                    break
        except InfrastructureError as error:
            return Sample(ids, generated, missing=str(error))
        return Sample(ids, generated, logprobs=logprobs if sampling.logprobs else None)

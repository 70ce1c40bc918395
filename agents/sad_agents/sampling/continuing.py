"""Completions that are sampled in parts: what is asked next, and the parts as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sad_agents.sampling.continuation import Sample, SampleRequest


def further(request: SampleRequest, ids: Sequence[int]) -> SampleRequest:
    """The request that goes on after these ids of its completion, with draws of its own."""
    seed = f"{request.seed}/action"
    return replace(request, ids=[*request.ids, *ids], begun=request.begun + len(ids), seed=seed)


def joined(first: Sample, rest: Sample) -> Sample:
    """Two parts of one completion."""
    logprobs = None if first.logprobs is None or rest.logprobs is None else first.logprobs + rest.logprobs
    top = None if first.top_logprobs is None or rest.top_logprobs is None else first.top_logprobs + rest.top_logprobs
    return Sample(first.ids + rest.ids, first.generated + rest.generated, rest.broken, logprobs, top, rest.missing)

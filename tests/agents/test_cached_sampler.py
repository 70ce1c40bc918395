from __future__ import annotations

import math
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sad_agents.agent import GREEDY, Sampling
from sad_agents.sampling.cached_sampler import CachedSampler
from sad_agents.sampling.choice import choose, likeliest
from sad_agents.sampling.continuation import SampleRequest
from sad_agents.sampling.prefixes import common_prefix
from transformers import PreTrainedModel

sys.path.insert(0, str(Path(__file__).parent))
from tiny import KINDS, tiny_config, tiny_model

END = 5
VOCABULARY = 101


def stops(ids: Sequence[int]) -> bool:
    return ids[-1] % 7 == 3


def sampler(model: PreTrainedModel) -> CachedSampler:
    return CachedSampler(model, stop=stops, stop_ids=frozenset(range(VOCABULARY)), end_ids=frozenset({END}))


def uncached(model: PreTrainedModel, ids: Sequence[int], count: int) -> list[int]:
    """Greedy decoding with the whole prefix fed each time."""
    sampled: list[int] = []
    for _ in range(count):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*ids, *sampled]])).logits  # type: ignore[operator]
        token = int(logits[0, -1].argmax())
        if token == END:
            break
        sampled.append(token)
        if stops(sampled):
            break
    return sampled


def some_ids(draw: random.Random, count: int) -> list[int]:
    return [draw.randrange(VOCABULARY) for _ in range(count)]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_equals_uncached_decoding_turn_after_turn(kind: str, attention: str) -> None:
    model = tiny_model(kind, VOCABULARY, attention=attention)
    cached, draw = sampler(model), random.Random(1)
    history = {key: some_ids(draw, draw.randrange(2, 60)) for key in range(6)}
    for _ in range(4):
        keys = draw.sample(range(6), draw.randrange(2, 7))
        samples = cached.sample([SampleRequest(key, history[key]) for key in keys], Sampling(max_tokens=10))
        for key, sample in zip(keys, samples, strict=True):
            assert sample.ids == uncached(model, history[key], 10)
            history[key] += sample.ids + some_ids(draw, draw.randrange(1, 15))


def test_a_changed_prefix_is_fed_again() -> None:
    model = tiny_model("llama", VOCABULARY)
    cached, draw = sampler(model), random.Random(2)
    ids = some_ids(draw, 50)
    cached.sample([SampleRequest("a", ids)], GREEDY)
    windowed = ids[:10] + ids[30:] + some_ids(draw, 5)
    (sample,) = cached.sample([SampleRequest("a", windowed)], Sampling(max_tokens=10))
    assert sample.ids == uncached(model, windowed, 10)


def test_rows_are_reused_and_prefixes_shared_without_a_trace() -> None:
    model = tiny_model("qwen2", VOCABULARY)
    cached, draw = sampler(model), random.Random(3)
    prompt = some_ids(draw, 70)
    for generation in range(3):
        requests = [SampleRequest((generation, n), prompt + some_ids(draw, n)) for n in range(1, 6)]
        samples = cached.sample(requests, Sampling(max_tokens=8))
        assert [sample.ids for sample in samples] == [uncached(model, request.ids, 8) for request in requests]
        for request in requests:
            cached.forget(request.key)
    assert len(cached._rows) == 5


def test_new_weights_need_clear() -> None:
    model = tiny_model("gpt2", VOCABULARY)
    cached, ids = sampler(model), some_ids(random.Random(4), 30)
    cached.sample([SampleRequest("a", ids)], GREEDY)
    model.load_state_dict(tiny_model("gpt2", VOCABULARY, seed=9).state_dict())
    cached.clear()
    (sample,) = cached.sample([SampleRequest("a", ids)], Sampling(max_tokens=10))
    assert sample.ids == uncached(model, ids, 10)


def test_long_prompts_go_in_blocks() -> None:
    model = tiny_model("llama", VOCABULARY, positions=2048)
    cached, draw = sampler(model), random.Random(5)
    requests = [SampleRequest(n, some_ids(draw, length)) for n, length in enumerate((1300, 1, 2, 700, 513, 512, 514))]
    samples = cached.sample(requests, Sampling(max_tokens=5))
    assert [sample.ids for sample in samples] == [uncached(model, request.ids, 5) for request in requests]


def test_draws_do_not_depend_on_the_batch() -> None:
    model = tiny_model("llama", VOCABULARY)
    draw = random.Random(6)
    requests = [SampleRequest(n, some_ids(draw, 20 + n), seed=f"seed {n}") for n in range(6)]
    sampling = Sampling(temperature=1.0, top_p=0.9, max_tokens=12, seed=4)
    together = sampler(model).sample(requests, sampling)
    alone = [sampler(model).sample([request], sampling)[0] for request in requests]
    assert together == alone
    assert together != sampler(model).sample(requests, Sampling(temperature=1.0, top_p=0.9, max_tokens=12, seed=5))


@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_what_was_written_before_is_guessed_and_saves_passes_but_changes_nothing(temperature: float) -> None:
    model = tiny_model("qwen2", VOCABULARY)
    passes: list[int] = []
    model.register_forward_hook(lambda module, args, kwargs, out: passes.append(1), with_kwargs=True)
    cached, draw = CachedSampler(model, stop=stops, stop_ids=frozenset(), end_ids=frozenset()), random.Random(8)
    sampling = Sampling(temperature=temperature, max_tokens=24)
    histories = [some_ids(draw, draw.randrange(5, 40)) for _ in range(5)]
    rounds = []
    for generation in range(4):
        requests = [SampleRequest((generation, n), ids, seed=str(n)) for n, ids in enumerate(histories)]
        passes.clear()
        rounds.append(([sample.ids for sample in cached.sample(requests, sampling)], len(passes)))
    assert all(ids == rounds[0][0] for ids, _ in rounds)
    assert all(len(ids) == 24 for ids in rounds[0][0])
    assert rounds[-1][1] < 0.5 * rounds[0][1]


def test_training_mode_is_left_as_it_was() -> None:
    model = tiny_model("gpt2", VOCABULARY)
    model.train()
    sampler(model).sample([SampleRequest("a", [1, 2])], GREEDY)
    assert model.training


def test_a_model_in_half_precision_keeps_its_states_in_it() -> None:
    model = tiny_model("qwen2", VOCABULARY).to(torch.bfloat16)
    cached = CachedSampler(model, stop=stops, stop_ids=frozenset(), end_ids=frozenset())
    draw = random.Random(9)
    samples = cached.sample([SampleRequest(n, some_ids(draw, 5 + n)) for n in range(4)], Sampling(max_tokens=8))
    assert [len(sample.ids) for sample in samples] == [8] * 4
    assert {states.dtype for states in cached._cache._tensors()} == {torch.bfloat16}


def test_heads_that_share_keys_are_stored_once() -> None:
    cached = sampler(tiny_model("llama", VOCABULARY))
    cached.sample([SampleRequest("a", [1, 2, 3])], Sampling(max_tokens=2))
    assert {states.shape[1] for states in cached._cache._tensors()} == {2}  # of four heads


def test_nan_logits_break_their_row_alone() -> None:
    logits = torch.zeros(3, 5)
    logits[:, 2] = 1
    logits[1, 0] = torch.nan
    assert choose(logits, GREEDY, [0.5] * 3).ids == [2, -1, 2]
    chosen = choose(logits, Sampling(temperature=1.0), [0.5] * 3).ids
    assert chosen[1] == -1
    assert min(chosen[0], chosen[2]) >= 0
    assert choose(torch.full((1, 3), -torch.inf), GREEDY, [0.5]).ids == [-1]


def test_a_broken_model_ends_at_once() -> None:
    model = tiny_model("gpt2", VOCABULARY)
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(torch.nan)  # type: ignore[union-attr]
    (sample,) = sampler(model).sample([SampleRequest("a", [1, 2])], GREEDY)
    assert sample.broken
    assert sample.ids == []


def test_frequencies_follow_the_distribution_and_the_nucleus() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).repeat(8_000, 1)
    draw = random.Random(0)
    draws = [draw.random() for _ in range(8_000)]
    counts = torch.bincount(torch.tensor(choose(logits, Sampling(temperature=1.0), draws).ids), minlength=4) / 8_000
    assert torch.allclose(counts, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.025)
    nucleus = choose(logits, Sampling(temperature=1.0, top_p=0.7), draws).ids
    assert set(nucleus) == {0, 1}
    assert abs(nucleus.count(0) / 8_000 - 0.625) < 0.025


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (0.7, 1.0), (1.3, 0.8)])
def test_log_probabilities_are_of_what_was_drawn_from(temperature: float, top_p: float) -> None:
    model = tiny_model("llama", VOCABULARY)
    cached, draw = sampler(model), random.Random(11)
    sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=12, seed=2, logprobs=True)
    requests = [SampleRequest(n, some_ids(draw, 9 + n), seed=str(n)) for n in range(4)]
    samples = cached.sample(requests, sampling)
    silent = sampler(model).sample(requests, replace(sampling, logprobs=False))
    assert [(sample.ids, None) for sample in samples] == [(sample.ids, sample.logprobs) for sample in silent]
    for request, sample in zip(requests, samples, strict=True):
        with torch.inference_mode():
            ids = torch.tensor([[*request.ids, *sample.ids]])
            logits = model(input_ids=ids).logits[0, len(request.ids) - 1 : -1].double()  # type: ignore[operator]
        expected = []
        for row, token in zip((logits / (temperature or 1)).softmax(-1), sample.ids, strict=True):
            kept, mass = row.sort(descending=True).values.tolist(), 0.0
            for probability in kept:
                if mass >= top_p:
                    break
                mass += probability
            expected.append(math.log(float(row[token]) / mass))
        assert sample.logprobs == pytest.approx(expected, abs=1e-4)


def test_the_likeliest_ids_are_told_until_hardly_any_mass_is_left() -> None:
    logits = torch.tensor([[0.7, 0.25, 0.05 - 5e-5, 5e-5], [0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]]).log()
    for count, widths in ((4, [3, 4, 1]), (2, [2, 2, 1])):
        told = likeliest(logits, count)
        assert [len(row) for row in told] == widths
        assert [one for one, _ in told[0]] == [0, 1, 2][:count]
        assert [p for _, p in told[0]] == pytest.approx(
            [math.log(p) for p in (0.7, 0.25, 0.05 - 5e-5)][:count], abs=1e-5
        )


def test_the_likeliest_ids_are_of_the_model_and_not_of_what_is_allowed() -> None:
    model = tiny_model("llama", VOCABULARY)
    ids = some_ids(random.Random(3), 9)
    request = SampleRequest("one", ids, begun=0, allowed=lambda written: [77])
    (sample,) = sampler(model).sample([request], Sampling(max_tokens=3, top_logprobs=4))
    assert sample.ids == [77, 77, 77]
    assert sample.top_logprobs is not None
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*ids, *sample.ids]])).logits[0, len(ids) - 1 : -1]  # type: ignore[operator]
    for told, values, best in zip(sample.top_logprobs, *logits.log_softmax(-1).topk(4), strict=True):
        assert [one for one, _ in told] == best.tolist()[: len(told)]
        assert [p for _, p in told] == pytest.approx(values.tolist()[: len(told)], abs=1e-4)


def test_common_prefix_at_every_length() -> None:
    for length in range(12):
        for shared in range(length + 1):
            one = list(range(length))
            other = one[:shared] + [-1] * (length - shared)
            assert common_prefix(one, other) == shared


def test_configs_are_the_kinds_they_say() -> None:
    assert [tiny_config(kind, 10).model_type for kind in KINDS] == list(KINDS)

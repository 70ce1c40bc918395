from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from sad_agents.agent import GREEDY, Sampling
from sad_agents.model import Piece, Request
from sad_agents.prompts import Prompt, load_prompt
from sad_agents.react import ReActAgent, label
from sad_agents.rollout.rollout import Job, Limits, WorldRecipe, rollout
from sad_agents.sampling.local_model import LocalModel, decode, encode, ends_in
from sad_agents.windowing import Windowing

from sad_env.errors import ConfigError
from sad_env.records import Status, Trajectory
from sad_env.toy import toy_panel
from sad_env.transcript import LINES, segment

sys.path.insert(0, str(Path(__file__).parent))
from tiny import byte_fallback_tokenizer, tiny_model, tiny_tokenizer

TASKS = toy_panel("test").task_ids
TOKENIZER = tiny_tokenizer()


def agent(model: LocalModel, *, temperature: float = 1.0, votes: int = 1, **options: object) -> ReActAgent:
    sampling = Sampling(temperature=temperature, max_tokens=24)
    return ReActAgent(model, Prompt("Find it."), sampling=sampling, votes=votes, **options)  # type: ignore[arg-type]


def local(kind: str = "llama", positions: int = 256, **options: object) -> LocalModel:
    model = tiny_model(kind, len(TOKENIZER), positions=positions)
    return LocalModel(model, TOKENIZER, **options)  # type: ignore[arg-type]


def test_ids_are_kept_as_sampled_and_spell_the_completion() -> None:
    jobs, limits = [Job(task) for task in TASKS[:4]], Limits(max_steps=6)
    finished = list(rollout(agent(local()), jobs, WorldRecipe("toy"), live=3, limits=limits))
    steps = [step for one in finished for step in one.trajectory.steps]
    assert len(steps) == 24
    for step in steps:
        assert decode(TOKENIZER, step.token_ids) == step.completion
        assert step.completion.endswith("\n")
        # All but a newline that was forced are sampled, and counted.
        assert 0 <= step.generated_tokens - len(step.token_labels.rstrip("N")) <= 1


def test_recorded_log_probabilities_are_the_models_own_of_what_it_sampled() -> None:
    model = local(positions=1024)
    sampling = Sampling(temperature=0.8, max_tokens=24, logprobs=True)
    player = ReActAgent(model, Prompt("Find it."), sampling=sampling, first_thought=lambda start: "I look")
    (one,) = rollout(player, [Job(TASKS[0])], WorldRecipe("toy"), limits=Limits(max_steps=3))
    trajectory = one.trajectory
    assert Trajectory.from_json(trajectory.to_json()) == trajectory
    context = [*encode(TOKENIZER, trajectory.prompt), *encode(TOKENIZER, LINES.observation(trajectory.observation))]
    for step in trajectory.steps:
        assert step.logprobs is not None
        assert len(step.logprobs) == len(step.token_ids)
        with torch.inference_mode():
            ids = torch.tensor([[*context, *step.token_ids]])
            logits = model.sampler.model(input_ids=ids).logits[0, len(context) - 1 : -1].double()  # type: ignore[operator]
        own = (logits / 0.8).log_softmax(-1).gather(-1, ids[0, len(context) :, None])[:, 0].tolist()
        for told, expected, letter in zip(step.logprobs, own, step.token_labels, strict=True):
            assert told == (0 if letter == "N" else pytest.approx(expected, abs=1e-4))
        context += [*step.token_ids, *encode(TOKENIZER, LINES.observation(step.observation))]
    assert trajectory.steps[0].token_labels.startswith("NN")


def test_files_without_log_probabilities_do_not_name_them() -> None:
    (one,) = rollout(agent(local()), [Job(TASKS[0])], WorldRecipe("toy"), limits=Limits(max_steps=2))
    assert one.trajectory.steps[0].logprobs is None
    assert "logprobs" not in one.trajectory.to_json()


def test_greedy_twice_gives_identical_episodes_that_outgrow_the_window() -> None:
    jobs = [Job(task) for task in TASKS[:3]]
    runs = []
    for live in (3, 2):
        model = local(positions=192, windowing=Windowing(budget=192, room=24))
        limits = Limits(max_steps=7)
        finished = rollout(agent(model, temperature=0.0), jobs, WorldRecipe("toy"), live=live, limits=limits)
        runs.append({one.job.task_id: [step.token_ids for step in one.trajectory.steps] for one in finished})
    assert runs[0] == runs[1]
    assert all(sum(map(len, steps)) > 100 for steps in runs[0].values())


def test_episodes_that_join_a_batch_are_those_that_wait_for_one_another() -> None:
    jobs, limits = [Job(task) for task in TASKS[:6]], Limits(max_steps=5)
    runs, passes = [], []
    for together in (True, False):
        model = local(positions=256, windowing=Windowing(budget=256, room=24))
        # Completions of all lengths, so that some wait for others or do not.
        model.sampler._stop, model.sampler._stop_ids = lambda ids: ids[-1] % 7 == 3, frozenset(range(len(TOKENIZER)))
        own = agent(model)
        if together:
            own.flow = lambda: None  # type: ignore[method-assign]
        counted, forward = [0], model.sampler._cache.forward

        def count(feeds, counted=counted, forward=forward):  # type: ignore[no-untyped-def]
            counted[0] += 1
            return forward(feeds)

        model.sampler._cache.forward = count  # type: ignore[method-assign]
        finished = rollout(own, jobs, WorldRecipe("toy"), live=4, limits=limits)
        runs.append({one.job.task_id: [step.token_ids for step in one.trajectory.steps] for one in finished})
        passes.append(counted[0])
    assert runs[0] == runs[1]
    assert len(runs[0]) == 6
    assert passes[1] < passes[0]


def test_all_live_episodes_are_in_each_pass_of_a_flow() -> None:
    """Whoever was answered by its world, or began, joins before the others' decisions go on."""
    model, seen = local(), list[int]()
    jobs, limits = [Job(task) for task in TASKS[:6]], Limits(max_steps=3)
    advance = model.sampler.advance

    def count(working, sampling, *further):  # type: ignore[no-untyped-def]
        seen.append(len(working))
        advance(working, sampling, *further)

    model.sampler.advance = count  # type: ignore[method-assign]
    left = 6
    for _ in rollout(agent(model), jobs, WorldRecipe("toy"), live=3, limits=limits):
        left -= 1
        if left >= 3:
            assert set(seen) == {3}
    assert left == 0


def test_where_a_flow_fails_each_episode_acts_by_itself() -> None:
    model = local()
    own, advance = agent(model), model.sampler.advance

    def fails_with_one(working, sampling, *further):  # type: ignore[no-untyped-def]
        if any(job.request.key == "2.0" for job in working):
            raise RuntimeError("this one")
        advance(working, sampling, *further)

    model.sampler.advance = fails_with_one  # type: ignore[method-assign]
    jobs = [Job(task) for task in TASKS[:3]]
    finished = list(rollout(own, jobs, WorldRecipe("toy"), live=3, limits=Limits(max_steps=2)))
    errors = {one.job.task_id: one.trajectory.error for one in finished}
    assert errors[TASKS[1]] == "RuntimeError: this one"
    assert [errors[task] for task in (TASKS[0], TASKS[2])] == ["", ""]


def test_what_the_model_sees_is_header_and_newest_history() -> None:
    model = local(windowing=Windowing(budget=220, room=24))
    seen: list[list[int]] = []
    plain = model.sampler.begin

    def watched(requests, sampling):  # type: ignore[no-untyped-def]
        seen.extend(list(request.ids) for request in requests)
        return plain(requests, sampling)

    model.sampler.begin = watched  # type: ignore[method-assign]
    (one,) = rollout(agent(model), [Job(TASKS[0])], WorldRecipe("toy"), limits=Limits(max_steps=8))
    header = decode(TOKENIZER, seen[0])
    assert header == f"Find it.\n\nObservation: {one.trajectory.observation}\n"
    history = ""
    for ids, step in zip(seen, one.trajectory.steps, strict=True):
        text = decode(TOKENIZER, ids)
        assert len(ids) + 24 <= 220
        assert text.startswith(header)
        assert history.endswith(text[len(header) :])
        history += f"{step.completion}Observation: {step.observation}\n"
    assert any(len(decode(TOKENIZER, ids)) < len(header + history) / 2 for ids in seen)


def test_without_a_window_a_full_context_ends_the_episode() -> None:
    model = local(windowing=Windowing(budget=128, room=24))
    (one,) = rollout(agent(model, window=False), [Job(TASKS[0])], WorldRecipe("toy"))
    assert one.trajectory.status is Status.BUDGET
    assert 0 < len(one.trajectory.steps) < 20


def test_nan_weights_are_an_agent_error() -> None:
    model = tiny_model("gpt2", len(TOKENIZER))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    (one,) = rollout(agent(LocalModel(model, TOKENIZER)), [Job(TASKS[0])], WorldRecipe("toy"))
    assert one.trajectory.status is Status.AGENT_ERROR
    assert "NaN" in one.trajectory.error


def test_a_forced_first_thought_is_labelled_n_and_stands_in_the_completion() -> None:
    thoughtful = agent(local(), first_thought=lambda start: "I go\nto the attic.")
    (one,) = rollout(thoughtful, [Job(TASKS[0])], WorldRecipe("toy"), limits=Limits(max_steps=2))
    first, second = one.trajectory.steps
    assert first.completion.startswith("Reasoning: I go to the attic.\n")
    forced = len(TOKENIZER("Reasoning: I go to the attic.\n")["input_ids"])
    assert first.token_labels[:forced] == "N" * forced
    assert set(first.token_labels[forced:].rstrip("N")) <= set("RA")
    assert not second.completion.startswith("Reasoning: I go")


def test_votes_pick_the_action_of_most_and_count_all_tokens() -> None:
    one_vote, five = local(), local()
    jobs, limits = [Job(TASKS[0])], Limits(max_steps=3)
    (single,) = rollout(agent(one_vote), jobs, WorldRecipe("toy"), limits=limits)
    (voted,) = rollout(agent(five, votes=5), jobs, WorldRecipe("toy"), limits=limits)
    spent = [sum(s.generated_tokens for s in one.trajectory.steps) for one in (single, voted)]
    assert spent[1] > 3 * spent[0]
    with pytest.raises(ConfigError, match="greedy samples are all the same"):
        ReActAgent(one_vote, load_prompt("toy"), sampling=GREEDY, votes=3)


def test_a_window_larger_than_the_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="256 positions"):
        local(windowing=Windowing(budget=512))


@pytest.mark.parametrize("text", ["Action: look\n", "Reasoning: a caf\u00e9\u2014no.\nAction: look\n", "\u00e9"])
def test_ends_are_those_of_growing_prefixes_and_none_lies_behind_a_later_one(text: str) -> None:
    model = local()
    ids = list(model._encode(text))
    for length in range(len(ids) + 1):
        some = ids[:length]
        growing = [len(decode(TOKENIZER, some[:count])) for count in range(1, length + 1)]
        assert ends_in(TOKENIZER, some, decode(TOKENIZER, some), model._piece) == [
            min(growing[at:]) for at in range(length)
        ]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        # One id a letter, four bytes an emoji, one byte a newline.
        ("Reasoning: ok \U0001f600\nAction: look\n", "R" * 19 + "A" * 13),
        ("Reasoning: \U0001f600\U0001f600\nAction: \U0001f600\n", "R" * 20 + "A" * 13),
        ("Action: \U0001f600\n", "A" * 13),
    ],
)
def test_a_character_of_many_bytes_at_the_end_of_a_line_belongs_to_the_line(text: str, labels: str) -> None:
    tokenizer = byte_fallback_tokenizer("Reasoning: Action: look")
    model = LocalModel(tiny_model("llama", len(tokenizer)), tokenizer)
    ids = list(model._encode(text))
    assert decode(tokenizer, ids) == text
    assert label(ends_in(tokenizer, ids, text, model._piece), segment(text)) == labels


def test_special_tokens_in_foreign_text_are_plain_text() -> None:
    model = local()
    assert 0 not in model._encode("the end: <end> of it")
    assert decode(TOKENIZER, model._encode("<end>")) == "<end>"
    assert model.measure(Piece("", (1, 2, 3))) == 3


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.0), Sampling(temperature=1.5, top_p=0.9)], ids=str)
def test_rows_that_pad_a_head_are_never_sampled(sampling: Sampling) -> None:
    """They used to be: their decoded text is empty, and the episode went on with ids that mean nothing."""
    plain, padded = (tiny_model("llama", len(TOKENIZER) + extra, positions=256) for extra in (0, 60))
    weights = padded.state_dict()
    for name, tensor in plain.state_dict().items():
        weights[name] = (
            torch.cat([tensor, 9 * weights[name][len(tensor) :]]) if len(tensor) < len(weights[name]) else tensor
        )
    padded.load_state_dict(weights)
    loud = padded(input_ids=torch.arange(40)[None]).logits[0].argmax(-1)
    assert (loud >= len(TOKENIZER)).float().mean() > 0.3
    requests = [Request(f"{n}", (Piece(f"Observation: {n}\n"),), (), str(n)) for n in range(8)]
    found, expected = (LocalModel(one, TOKENIZER).complete(requests, sampling) for one in (padded, plain))
    assert [one.ids for one in found] == [one.ids for one in expected]
    assert max(id_ for one in found for id_ in one.ids) < len(TOKENIZER)

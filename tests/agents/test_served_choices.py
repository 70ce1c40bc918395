"""Served models whose actions are among the admissible ones: the thought is free, the action is asked for again."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sad_agents import openai_model
from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import resolve
from sad_agents.checkpoints import load_student, save_student
from sad_agents.model import Completion, Piece, Request
from sad_agents.openai_answers import completion_of
from sad_agents.openai_model import OpenAIModel
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.action_head import LinearHead
from sad_agents.sampling.action_trie import Trie
from sad_agents.served_choices import expression, grammar, kept_to

from sad_env.errors import ConfigError
from sad_env.http import Patience
from sad_env.records import Status, Trajectory
from sad_env.transcript import form_of

sys.path.insert(0, str(Path(__file__).parent))
from real_vllm import real_vllm
from served import Answer, ModelServer, says
from served import serving as serving_answers
from vllm_stub import VllmStub, serving

HASTE = Patience(seconds=0, attempts=1, connect=2, answer=30)
HEAD = (Piece("Say what you do.\n", role="system"), Piece("Observation: You are in a hall.\n", role="user"))
ACTIONS = ("go to shelf 1", "go to shelf 10", "take (a) pen", "look")
REQUEST = Request("1.0", HEAD, (), "7", admissible=ACTIONS)
OFFERS = (
    ("Action:", ACTIONS),
    ("Action: go to shelf", ACTIONS),
    ("Action", ("look", "inventory")),
    ("", ACTIONS),
    ("Action:", ("go to shelf 10",)),
    ("Action: search[a red ring]", ("search[<query>]", "click[back to search]")),
)
"""How actions begin, and which ones are admissible."""


def episodes(spec: str, count: int, max_steps: int | None = None, **options: Any) -> list[Trajectory]:
    """Episodes of ALFWorld at a temperature at which the shipped student often leaves the admissible actions."""
    sampling = Sampling(temperature=1.6, max_tokens=96)
    found = resolve(spec, "alfworld", AgentOptions(sampling=sampling, **options))
    assert isinstance(found, ReActAgent)
    recipe = WorldRecipe.of("alfworld", "generated", "valid_unseen")
    jobs = [Job(task) for task in recipe.panel().head(count).task_ids]
    return [one.trajectory for one in rollout(found, jobs, recipe, live=8, limits=Limits(max_steps=max_steps))]


def strayed(played: list[Trajectory]) -> tuple[int, int]:
    """Steps whose action is not among the admissible ones, and all steps that have an action."""
    acted = [step for one in played for step in one.steps if step.action]
    return sum(step.action not in (step.admissible or ()) for step in acted), len(acted)


def check_exact(played: list[Trajectory], folder: Path) -> None:
    """The ids of each completion are its text, and those labelled A are its action with the header."""
    tokenizer = load_student(folder).tokenizer
    for step in (step for one in played for step in one.steps if step.action):
        assert tokenizer.decode(list(step.token_ids)) == step.completion
        acted = [id_ for id_, label in zip(step.token_ids, step.token_labels, strict=True) if label == "A"]
        assert tokenizer.decode(acted) == f"Action: {step.action}\n"


def test_by_ids_no_action_leaves_the_admissible_ones(stub: VllmStub, folder: Path) -> None:
    played = episodes(f"vllm:{stub.url}", 3, 2, constrained="on")
    kept, acted = strayed(played)
    assert (kept, acted > 2) == (0, True)
    check_exact(played, folder)
    assert not off_trie(played, load_student(folder).tokenizer)
    among = [body for _, body in stub.seen if "allowed_token_ids" in body]
    assert among
    assert all(body["max_tokens"] == 1 and len(body["allowed_token_ids"]) > 1 for body in among)


def test_by_ids_the_likeliest_admissible_action_is_that_of_this_process(stub: VllmStub, folder: Path) -> None:
    greedy = Sampling(temperature=0, max_tokens=96)
    asked = [
        replace(REQUEST, key=str(number), forced=f"Reasoning: I look for a pen.\n{begun}", admissible=actions)
        for number, (begun, actions) in enumerate(OFFERS)
    ]
    found = []
    for spec in (str(folder), f"vllm:{stub.url}"):
        agent = resolve(spec, "alfworld", AgentOptions(constrained="on", sampling=greedy))
        assert isinstance(agent, ReActAgent)
        assert agent.provenance["decoding"] == "constrained"
        found.append(agent.model.complete(asked, greedy))
    assert found[0] == found[1]
    for (_, actions), completion in zip(OFFERS, found[0], strict=True):
        assert kept_to(form_of("lines").parse(completion.text).action, actions)


def test_a_server_that_passes_over_allowed_ids_owes_the_episode(folder: Path) -> None:
    with serving(folder, allowing=False) as stub:
        agent = resolve(f"vllm:{stub.url}", "alfworld", AgentOptions(constrained="on"))
        assert isinstance(agent, ReActAgent)
        request = replace(REQUEST, forced="Reasoning: I see.\nAction:", admissible=("xyzzy", "plugh"))
        (found,) = agent.model.complete([request], Sampling(max_tokens=40))
        assert found.stop is Status.INFRA_ERROR
        assert "does not keep to the ids that it is given" in found.error


def test_log_probabilities_among_a_few_actions_are_refused(stub: VllmStub) -> None:
    agent = resolve(f"vllm:{stub.url}", "alfworld", AgentOptions(constrained="on"))
    assert isinstance(agent, ReActAgent)
    with pytest.raises(ConfigError, match="no log-probabilities among the admissible actions"):
        agent.model.complete([REQUEST], Sampling(temperature=1, max_tokens=40, logprobs=True))
    with pytest.raises(ConfigError, match="no log-probabilities among the admissible actions"):
        agent.model.complete([REQUEST], Sampling(temperature=1, max_tokens=40, top_logprobs=4))


def test_a_student_that_was_trained_so_is_served_so(folder: Path, tmp_path: Path) -> None:
    model, tokenizer, record = load_student(folder)
    told = {**record, "acting": {**record["acting"], "constrained": True}}
    with serving(save_student(tmp_path / "constrained", model, tokenizer, told)) as stub:
        agent = resolve(f"vllm:{stub.url}", "alfworld", AgentOptions())
        assert isinstance(agent, ReActAgent)
        assert agent.provenance["decoding"] == "constrained"
        free = resolve(f"vllm:{stub.url}", "alfworld", AgentOptions(constrained="off"))
        assert isinstance(free, ReActAgent)
        assert "decoding" not in free.provenance


def test_a_student_with_an_action_head_is_not_served(folder: Path, tmp_path: Path) -> None:
    model, tokenizer, record = load_student(folder)
    told = {**record, "acting": {**record["acting"], "action_head": "linear"}}
    head = LinearHead(model.config.hidden_size, ["look"])
    with (
        serving(save_student(tmp_path / "headed", model, tokenizer, told, head)) as stub,
        pytest.raises(ConfigError, match="acts by its action head, which no server has"),
    ):
        resolve(f"vllm:{stub.url}", "alfworld", AgentOptions())


# --- by text ----------------------------------------------------------------------------------------------------------


def answers(thought: str, action: str) -> Any:
    """A server that writes a thought with a foreign action, and an action where it is constrained."""

    def answer(path: str, body: dict[str, Any]) -> Answer:
        held = {"structured_outputs", "guided_regex", "grammar"} & body.keys()
        text = action if held else f"Reasoning: {thought}\nAction: fly\n"
        said = {"text": text} if path == "completions" else {"message": {"role": "assistant", "content": text}}
        choice = {"index": 0, "finish_reason": "stop", **said}
        return 200, {"choices": [choice], "usage": {"completion_tokens": 5}}

    return answer


def listed(owner: str) -> Answer:
    return 200, {"object": "list", "data": [{"id": "m", "owned_by": owner, "max_model_len": 900}]}


@pytest.mark.parametrize(("owner", "field"), [("vllm", "structured_outputs"), ("llamacpp", "grammar")])
@pytest.mark.parametrize("api", ["completions", "chat"])
def test_by_text_the_action_line_is_asked_for_behind_the_thought(owner: str, field: str, api: Any) -> None:
    with serving_answers(ModelServer(answers("I see.", " look\n"), models=listed(owner))) as server:
        model = OpenAIModel(server.url, api=api, constrained=True, patience=HASTE)
        (found,) = model.complete([REQUEST], Sampling(temperature=1.0, max_tokens=40))
        assert found.text == "Reasoning: I see.\nAction: look\n"
        assert found.generated == 10
        first, second = server.bodies
        assert field not in first
        told = second[field]["regex"] if owner == "vllm" else second[field]
        assert told == (expression(ACTIONS) if owner == "vllm" else grammar(ACTIONS))
        before = second["prompt"] if api == "completions" else second["messages"][-1]["content"]
        assert before.endswith("Reasoning: I see.\nAction:")
        goes_on = [(one.get("continue_final_message"), one.get("add_generation_prompt")) for one in server.bodies]
        assert goes_on == [(None, None), (True, False) if (owner, api) == ("vllm", "chat") else (None, None)]
        (free,) = model.complete([Request("1.0", HEAD, (), "7")], Sampling(max_tokens=40))
        assert free.text == "Reasoning: I see.\nAction: fly\n"  # the world lists nothing


@pytest.mark.parametrize(("owner", "sent"), [("vllm", "Reasoning: I look.\n"), ("somebody", "Reasoning: I look.")])
def test_a_first_thought_is_gone_on_with_where_the_server_has_to_be_told_so(owner: str, sent: str) -> None:
    def answer(path: str, body: dict[str, Any]) -> Answer:
        goes_on = owner != "vllm" or (body.get("continue_final_message") and body.get("add_generation_prompt") is False)
        return says("Action: look\n" if goes_on else "How can I help you?")

    with serving_answers(ModelServer(answer, models=listed(owner))) as server:
        model = OpenAIModel(server.url, api="chat", patience=HASTE)
        (found,) = model.complete([replace(REQUEST, forced="Reasoning: I look.\n")], Sampling(max_tokens=40))
        assert found.text == "Reasoning: I look.\nAction: look\n"
        assert server.bodies[0]["messages"][-1] == {"role": "assistant", "content": sent}


def test_older_releases_are_asked_in_their_words() -> None:
    server = ModelServer(answers("I see.", " look\n"), models=listed("vllm"), version="0.10.2")
    with serving_answers(server):
        model = OpenAIModel(server.url, api="completions", constrained=True, patience=HASTE)
        model.complete([REQUEST], Sampling(temperature=1.0, max_tokens=40))
        assert server.bodies[1]["guided_regex"] == expression(ACTIONS)


def test_a_server_that_passes_over_the_constraint_owes_the_episode() -> None:
    with serving_answers(ModelServer(answers("I see.", " swim\n"), models=listed("vllm"))) as server:
        model = OpenAIModel(server.url, api="completions", constrained=True, patience=HASTE)
        (found,) = model.complete([REQUEST], Sampling(max_tokens=40))
        assert found.stop is Status.INFRA_ERROR
        assert "does not keep to the actions that it is given" in found.error


def test_what_cannot_be_constrained_is_refused() -> None:
    with serving_answers(ModelServer(answers("", ""), models=listed("somebody"))) as server:
        with pytest.raises(ConfigError, match=r"says neither that it is vLLM nor that it is llama\.cpp"):
            OpenAIModel(server.url, constrained=True, patience=HASTE)
        with pytest.raises(ConfigError, match="actions that end with their line, not the form 'think'"):
            OpenAIModel(server.url, constrained=True, patience=HASTE, form=form_of("think"))


def test_an_expression_matches_the_actions_as_they_are_spelled_and_nothing_else() -> None:
    pattern = re.compile(expression((*ACTIONS, "search[<query>]")))
    for action in (*ACTIONS, "search[a red ring]"):
        assert pattern.fullmatch(f" {action}\n")
    for text in (" go to shelf\n", " go to shelf 1", " take a pen\n", " search[a\nring]\n", "look\n", ""):
        assert not pattern.fullmatch(text)


# --- vLLM itself ------------------------------------------------------------------------------------------------------


@pytest.mark.vllm
def test_no_action_of_20_episodes_on_vllm_leaves_the_admissible_ones(folder: Path) -> None:
    tokenizer = load_student(folder).tokenizer
    with real_vllm(folder) as url:
        print(f"free: {strayed(episodes(f'vllm:{url}', 5, 5))}")
        for spec, count, enough in ((f"vllm:{url}", 20, 60), (f"openai:{url}", 5, 10)):
            played = episodes(spec, count, 5, constrained="on", shots=0)
            kept, acted = strayed(played)
            print(f"{spec}: {kept} of {acted} actions strayed")
            assert (kept, acted > enough) == (0, True)
            assert not any(one.status.owed for one in played)
            if spec.startswith("vllm:"):
                check_exact(played, folder)
                assert not off_trie(played, tokenizer)


@pytest.mark.vllm
def test_a_chat_on_vllm_goes_on_with_a_text_that_was_begun(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []

    def reading(answer: Any, **options: Any) -> Completion:
        read.append(answer.json()["prompt_token_ids"])
        return completion_of(answer, **options)

    monkeypatch.setattr(openai_model, "completion_of", reading)
    model, tokenizer, record = load_student(folder)
    tokenizer.chat_template = (Path(__file__).parent / "chat_templates/qwen2_5.jinja").read_text()
    with real_vllm(save_student(tmp_path / "chatting", model, tokenizer, record)) as url:
        for begun in ("Reasoning: I look.\n", "Reasoning: I look.\nAction:"):
            served = OpenAIModel(
                url, api="chat", constrained="Action" in begun, further=["return_token_ids=true"], patience=HASTE
            )
            (found,) = served.complete([replace(REQUEST, forced=begun)], Sampling(temperature=1.0, max_tokens=40))
            assert not found.error
            assert found.text.startswith(begun)
            messages = [{"role": piece.role, "content": piece.text.strip()} for piece in HEAD]
            apply: Any = tokenizer.apply_chat_template
            text = apply(messages, tokenize=False, add_generation_prompt=True) + begun
            assert read == [tokenizer(text, add_special_tokens=False)["input_ids"]] * (1 + served.constrained)
            read.clear()
    assert kept_to(form_of("lines").parse(found.text).action, ACTIONS)


def off_trie(played: list[Trajectory], tokenizer: Any) -> list[str]:
    """Actions whose ids, as the server chose them, leave the tokenizer's own spelling of the admissible ones."""
    found = []
    for step in (step for one in played for step in one.steps if step.action):
        acted = [id_ for id_, label in zip(step.token_ids, step.token_labels, strict=True) if label == "A"]
        # The header is free text, which may be sampled in other ids than the tokenizer's own.
        header = next(end for end in range(len(acted) + 1) if tokenizer.decode(acted[:end]).endswith("Action:"))
        if [] in Trie.of(tokenizer, step.admissible or ()).walk(acted[header:]):
            found.append(str([tokenizer.decode([one]) for one in step.token_ids]) + step.token_labels)
    return found

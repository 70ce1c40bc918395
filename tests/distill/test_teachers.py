"""Teachers over the wire and from disk say what the model in this process says."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from sad_agents.checkpoints import save_student
from sad_agents.loading import file_identity
from sad_agents.policies import ExpertAgent
from sad_agents.rollout.rollout import Job, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.windowing import Windowing
from sad_distill.config import Optimisation, TrainConfig
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.batch import Batch, collate
from sad_distill.data.rows import Row, rows_from
from sad_distill.losses.objective import Objective
from sad_distill.losses.targets import SparseTarget
from sad_distill.models.language import Language
from sad_distill.models.token_ids import TokenIds
from sad_distill.models.tokenizer import texts_of, train_tokenizer
from sad_distill.teachers.base import WritingPrompt
from sad_distill.teachers.cache import CachedTeacher
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.openai import OpenAITeacher
from sad_distill.teachers.relabel import expert_completions, relabelled_rows, teacher_completions
from sad_distill.teachers.remote import RemoteTeacher
from sad_distill.teachers.server import TeacherServer
from sad_distill.teachers.wire import encode_request
from sad_distill.training.learner import Learner
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError, DataError, InfrastructureError
from sad_env.http import Patience
from sad_env.records import Trajectory
from sad_env.settings import replaced

Tiny = Callable[..., Any]
QUICK = Patience(seconds=0, attempts=3, pause=0.01, connect=1, answer=0.5)


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:6], toy_tokenizer, Windowing(200, 40))


@pytest.fixture
def batch(rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast) -> Batch:
    return collate(rows, supports=ActionSupport(toy_tokenizer))


@pytest.fixture
def server(toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny) -> Iterator[TeacherServer]:
    with TeacherServer(Language(tiny_llama(seed=1), toy_tokenizer), "tiny-1", ("127.0.0.1", 0)) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def test_our_server_answers_as_the_model_here(server: TeacherServer, batch: Batch, tiny_llama: Tiny) -> None:
    remote = RemoteTeacher(server.url, top=8)
    here = LocalTeacher(tiny_llama(seed=1), "tiny-1", top=8).score(batch)
    there = remote.score(batch)
    assert isinstance(here, SparseTarget)
    assert isinstance(there, SparseTarget)
    assert torch.equal(here.ids_NK, there.ids_NK)
    torch.testing.assert_close(here.log_p_NK, there.log_p_NK, rtol=0, atol=1e-6)
    torch.testing.assert_close(here.log_rest_N, there.log_rest_N, rtol=0, atol=1e-5)
    assert remote.name == "tiny-1"
    first, again = (remote.generate([WritingPrompt("Observation: hm\n", 3)])[0] for _ in range(2))
    assert first == again
    assert first.endswith("\n")


def test_our_server_refuses_nonsense_in_one_line(server: TeacherServer, batch: Batch) -> None:
    import requests

    for path, data in (
        ("/score?top=8", b"not tensors"),
        ("/score?top=0", b""),
        ("/generate", b'{"prompts": 3}'),
        ("/elsewhere", b"{}"),
    ):
        kind = "application/json" if path == "/generate" else "application/octet-stream"
        response = requests.post(server.url + path, data=data, timeout=5, headers={"Content-Type": kind})
        assert 400 <= response.status_code < 500
        assert len(response.text.splitlines()) == 1
    wrong = Batch(batch.ids_BT + 10_000, *(value for name, value in vars(batch).items() if name != "ids_BT"))
    with pytest.raises(DataError, match=r"hold token 1\d{4}, which student and teacher 'tiny-1' do not share"):
        RemoteTeacher(server.url, top=8).score(wrong)
    for request in (encode_request(wrong), encode_request(batch, TokenIds(371)), encode_request(batch, TokenIds(0))):
        kind = {"Content-Type": "application/octet-stream"}
        response = requests.post(server.url + "/score", data=request, timeout=5, headers=kind)
        assert response.status_code == 400
        assert re.search("out of range|asks for outcomes up to", response.text)


def raw_answer(server: TeacherServer, request: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    with socket.create_connection(server.server_address[:2], timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return answer


SCORE = b"POST /score?top=8 HTTP/1.1\r\nHost: localhost\r\n"
WRITE = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /about HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET /about HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET /about HTTP/1.1\r\nHost: [::1\r\n\r\n", 403),
        (b"GET /about HTTP/1.1\r\n\r\n", 403),
        (b"GET /about HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", 403),
        (b"GET /about HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n", 403),
        (b"GET /elsewhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (SCORE + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415),
        (SCORE + b"Content-Length: 2\r\n\r\n{}", 415),
        (WRITE + b"\r\n", 411),
        (WRITE + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411),
        (WRITE + b"Content-Length: -1\r\n\r\n", 411),
        (WRITE + b"Content-Length: \xc2\xb2\r\n\r\n", 411),
        (WRITE + b"Content-Length: 999999999999\r\n\r\n", 413),
        (WRITE + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n", 413),
        (WRITE + b"Content-Length: 9\r\n\r\n[[[[[[[[[GET /about HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (WRITE + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000, 400),
        (WRITE + b'Content-Length: 42\r\n\r\n{"prompts": [{"text": "x", "seed": {"a":1}]', 400),
        (b"BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
        (b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"\x16\x03\x01\x02\x00\x01\xfc\r\n\r\n", 400),
    ],
)
def test_what_our_server_refuses_closes_the_connection(
    server: TeacherServer, request_: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = raw_answer(server, request_)
    assert b"Traceback" not in answer
    assert answer.count(b"HTTP/1.1 ") <= 1, "what follows a refused request is no request"
    assert f" {status} ".encode() in answer[:40] or b"Error code: " + str(status).encode() in answer
    assert capfd.readouterr().err == ""
    assert RemoteTeacher(server.url, patience=QUICK).name == "tiny-1"


def test_a_client_that_stalls_is_let_go(server: TeacherServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sad_env.local_server.RefusingHandler.timeout", 0.2)
    assert raw_answer(server, WRITE + b"Content-Length: 100\r\n\r\n{") == b""
    assert raw_answer(server, b"GET /ab") == b""
    assert RemoteTeacher(server.url, patience=QUICK).name == "tiny-1"


def test_bodies_wait_for_one_another(server: TeacherServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sad_env.local_server.RefusingHandler.timeout", 0.1)
    for _ in range(4):
        server.bodies.acquire()
    assert b" 503 " in raw_answer(server, WRITE + b"Content-Length: 2\r\n\r\n{}")[:20]
    server.bodies.release(4)


def distillation(files: Path, out: Path, teacher: str, **changes: Any) -> TrainConfig:
    base = replaced(
        TrainConfig(out=str(out)),
        student=str(files / "start.pt"),
        teacher=teacher,
        trajectories=(str(files / "expert.jsonl"),),
        env="toy",
        steps=1,
        batch=2,
        context=200,
        max_new_tokens=40,
        mode="offline",
    )
    return replaced(base, **changes)


def test_our_server_teaches_a_student_with_its_tokenizer_on_ids_and_any_other_on_text(
    server: TeacherServer, files: Path, tmp_path: Path, toy_episodes: list[Trajectory], tiny_llama: Tiny
) -> None:
    """Another tokenizer of the same size used to train in silence, on the scores of other tokens."""
    Run(distillation(files, tmp_path / "same", server.url)).train()
    other = train_tokenizer(texts_of(toy_episodes[::-3]), 400)
    save_student(tmp_path / "other.pt", tiny_llama(seed=2), other, {})
    for student in (str(tmp_path / "other.pt"), "nano-0.7m"):
        run = Run(distillation(files, tmp_path / student[-5:], server.url, student=student, vocabulary=330))
        assert run.teacher is not None
        assert "has another tokenizer: compared by its text" in run.teacher.comparison
    # Text is the same in any tokenizer.
    Run(distillation(files, tmp_path / "text", server.url, student=str(tmp_path / "other.pt"), method="seqkd"))


@pytest.mark.parametrize(
    "told",
    [
        b'{"status": "ok"}',
        b"<html>",
        b"[3]",
        b'{"name": null, "vocabulary": 9, "tokens": "a"}',
        b'{"name": "t", "vocabulary": -1, "tokens": "a"}',
        b'{"name": "t", "vocabulary": 9, "tokens": "a", "context": null}',
        b'{"name": "t", "vocabulary": 9, "tokens": "a", "reading": 3}',
        b'{"name": "t", "vocabulary": 9, "tokens": "a", "reading": {"template": "", "chat": false, "ours": true}}',
    ],
)
def test_another_server_is_not_taken_for_a_teacher(told: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *args: Any) -> None:
            pass

    with serving(Other) as url, pytest.raises(ConfigError, match="not as a teacher of this release"):
        RemoteTeacher(url, patience=QUICK)


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), handler) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{one.server_address[1]}"
        one.shutdown()
        thread.join()


class Unreliable(BaseHTTPRequestHandler):
    """Fails, stalls and lies before it answers as vLLM does."""

    plan: ClassVar[list[str]] = []
    calls = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = type(self).plan.pop(0) if type(self).plan else "answer"
        type(self).calls += 1
        if kind == "stall":
            threading.Event().wait(0.8)
            return
        if kind == "close":
            return
        if kind.isdigit():
            self.send_response(int(kind))
            self.end_headers()
            return
        ids = [] if kind == "mute" else body["prompt"]
        told: list[dict[str, Any] | None] = [] if kind == "mute" else [None]
        for token in ids[1:] if isinstance(ids, list) else []:
            told.append({str(token): {"logprob": -0.5}, str((token + 1) % 300): {"logprob": -1.5}})
        choice: dict[str, Any] = {"text": "Reasoning: so.\nAction: look\nObservation: made up", "prompt_logprobs": told}
        text = "}{" if kind == "garbage" else json.dumps({"choices": [choice]})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def unreliable() -> Iterator[str]:
    Unreliable.calls = 0
    with serving(Unreliable) as url:
        yield url


def test_a_server_that_fails_stalls_and_lies_is_asked_again(unreliable: str, batch: Batch) -> None:
    patience = Patience(attempts=6, pause=0.01, connect=1, answer=0.5)
    teacher = OpenAITeacher(unreliable, "m", top=2, patience=patience, concurrency=1)
    Unreliable.plan = ["503", "429", "close", "garbage", "stall"]
    target = teacher.score(batch)
    assert isinstance(target, SparseTarget)
    assert Unreliable.calls == 5 + len(batch.rows)
    told = target.log_p_NK.exp().sum(-1) + target.log_rest_N.exp()
    torch.testing.assert_close(told, torch.ones_like(told))
    assert teacher.generate([WritingPrompt("x")]) == ["Reasoning: so.\nAction: look\n"]


def test_a_server_that_gives_no_prompt_logprobs_is_refused_at_once(unreliable: str, batch: Batch) -> None:
    Unreliable.plan = ["mute"]
    with pytest.raises(ConfigError, match="cannot score: use vLLM, or --mode dagger"):
        OpenAITeacher(unreliable, "m", patience=QUICK, concurrency=1).score(batch)
    assert Unreliable.calls == 1


def test_an_answer_with_none_of_the_students_ids_is_refused(unreliable: str, batch: Batch) -> None:
    teacher = OpenAITeacher(unreliable, "m", top=2, patience=QUICK)
    teacher.score(batch)
    teacher._ids = TokenIds(370, frozenset(range(1, 369)))
    with pytest.raises(ConfigError, match=r"tells of token \d+ and the student has 370"):
        teacher._known({5: -0.5})


def test_a_server_that_stays_down_is_an_infrastructure_error(unreliable: str, batch: Batch) -> None:
    teacher = OpenAITeacher(unreliable, "m", patience=QUICK, concurrency=1)
    Unreliable.plan = ["500"] * 3
    with pytest.raises(InfrastructureError, match="in 3 attempts"):
        teacher.score(batch)
    Unreliable.plan = ["404"]
    with pytest.raises(ConfigError, match="HTTP 404"):
        teacher.score(batch)
    with pytest.raises(ConfigError, match="HOST:PORT#MODEL"):
        OpenAITeacher.of("openai:localhost")


def test_training_on_cached_answers_is_training_on_the_live_teacher(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    live = LocalTeacher(tiny_llama(seed=1), "tiny-1", top=16)
    cached = CachedTeacher(live, tmp_path)
    results = []
    for teacher in (live, cached, cached):
        learner = Learner(
            tiny_llama(seed=2),
            Objective(),
            Optimisation(steps=2, learning_rate=1e-2),
            teacher=teacher,
            supports=ActionSupport(toy_tokenizer),
            micro_batch=4,
        )
        for step in range(2):
            learner.update(rows, step)
        results.append([p.detach().clone() for p in learner.parameters])
    for one in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], one, strict=True))
    assert (cached.hits, cached.misses) == (3 * len(rows), len(rows))
    assert cached.hit_rate == 0.75
    other = CachedTeacher(LocalTeacher(tiny_llama(seed=1), "tiny-2", top=16), tmp_path)
    other.score(collate(rows))
    assert other.hits == 0


def test_an_answer_is_kept_for_its_question_alone(batch: Batch, tiny_llama: Tiny, tmp_path: Path) -> None:
    """Answers of --top 2 used to be served where 64 were asked, and those of float32 to a run in bfloat16."""
    model = tiny_llama(seed=1)
    for top in (2, 64):
        live = LocalTeacher(model, "tiny", top)
        cached = CachedTeacher(live, tmp_path)
        for precision in ("fp32", "bf16", "fp32"):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                here, kept = live.score(batch), cached.score(batch)
            assert isinstance(here, SparseTarget)
            assert isinstance(kept, SparseTarget)
            assert torch.equal(here.log_rest_N.float(), kept.log_rest_N)
        assert (cached.hits, cached.misses) == (len(batch.rows), 2 * len(batch.rows))


def test_a_model_folder_is_known_by_its_content(
    tiny_llama: Tiny, toy_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """A folder was known by its path, so that one trained anew was answered for from the cache of the old one."""
    folder, names = tmp_path / "model", []
    for seed in (1, 2, 1):
        save_student(folder, tiny_llama(seed=seed), toy_tokenizer, {})
        (folder / "notes.txt").write_text(str(seed + len(names)))
        names.append(file_identity(folder))
    assert names[0] == names[2] != names[1]
    assert names[0].startswith("model-")


def test_a_cache_refuses_whole_distributions(batch: Batch, tiny_llama: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--top 64"):
        CachedTeacher(LocalTeacher(tiny_llama(seed=1), "tiny"), tmp_path).score(batch)


class LengthTeacher:
    """Writes how long its prompt is."""

    name = "length"

    def generate(self, prompts: Sequence[WritingPrompt]) -> list[str]:
        return [f"Action: {len(prompt.text)}\n" for prompt in prompts]


@pytest.mark.parametrize(
    ("world", "expert", "options"),
    [
        ("webshop", "expert", {}),
        ("webshop", "expert-plain", {}),
        ("alfworld", "expert", {}),
        ("alfworld", "expert", {"dialect": "react"}),
    ],
)
def test_an_expert_reads_in_records_what_it_saw_in_the_world(world: str, expert: str, options: dict[str, Any]) -> None:
    """It would write its own episodes once more: records tell it as much as the world did."""
    recipe = WorldRecipe(world, {"split": "train", **options})
    tasks = recipe.panel().task_ids
    for task in tasks[:: len(tasks) // 8]:
        (played,) = rollout(ExpertAgent(world, expert), [Job(task)], recipe)
        written = expert_completions(played.trajectory, expert)
        assert [text.rpartition("Action: ")[2].strip() for text in written] == [
            step.action for step in played.trajectory.steps
        ]


def test_an_expert_takes_over_wherever_the_student_is(
    toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    episode = next(one for one in toy_episodes if any(step.action == "look" for step in one.steps))
    completions = expert_completions(episode)
    slips = [index for index, step in enumerate(episode.steps) if step.action == "look"]
    assert all("Action: look" not in completions[index] for index in slips)
    (row,) = relabelled_rows(episode, completions, toy_tokenizer, Windowing(500, 40))
    assert set(row.labels) == {"N"}
    assert [toy_tokenizer.decode(branch.ids) for branch in row.branches] == completions
    assert all(set(branch.labels) == {"R", "A"} for branch in row.branches)
    assert row.branches[0].after == len(row.ids[: row.branches[0].after + 1]) - 1
    (said,) = teacher_completions([episode], LengthTeacher())
    assert len(said) == len(episode.steps)
    assert said[0] == f"Action: {len('Observation: ' + episode.observation) + 1}\n"

"""What is secret in a server's address reaches no file and no line: run folder, reports, entry, logs, student."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sad_agents.collect_command import main as collect
from sad_distill.commands.main import main as distill
from sad_eval.commands.evaluate import main as evaluate
from sad_leaderboard.command import main as leaderboard

from sad_env.hotpotqa.live import LiveSource
from sad_env.http import Patience

SECRETS = ("hush-user", "hush-word", "hush-key")


class _Handler(BaseHTTPRequestHandler):
    server: Any
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, {"data": [{"id": "m", "root": "org/m"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        if self.server.broken:
            # Some servers repeat the request in their error.
            self.answer(400, {"error": {"message": f"bad request: {self.server.address}"}})
        else:
            choice = {"text": "Reasoning: I look.\nAction: look\n"}
            self.answer(200, {"choices": [choice], "usage": {"completion_tokens": 9}})

    def answer(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as one:
        made: Any = one
        made.asked, made.broken = [], False
        made.address = f"http://hush-user:hush-word@127.0.0.1:{one.server_port}/v1?key=hush-key"
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield one
        one.shutdown()


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sad_agents.loading.PATIENCE", Patience(seconds=0, attempts=1, pause=0.01))


def check(folder: Path, *texts: str) -> None:
    """No secret in any file of a folder, nor in the texts."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for secret in SECRETS:
        assert not [path for path in files if secret.encode() in path.read_bytes() or secret in str(path)]
        assert not [text for text in texts if secret in text]


def test_an_evaluation_its_reports_and_its_entry(
    server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--env", "toy", "--agent", f"openai:{server.address}#m", "--episodes", "2", "--workers", "0"]
    server.broken = True
    assert evaluate([*words, "--out", "run"]) == 3
    server.broken = False
    assert evaluate([*words, "--out", "run"]) == 0
    assert server.asked[-1] == ("/v1/completions?key=hush-key", "Basic aHVzaC11c2VyOmh1c2gtd29yZA==")
    assert "127.0.0.1" in (tmp_path / "run" / "manifest.json").read_text()
    assert evaluate(["report", "run", "--html", "run.html", "--csv", "run.csv", "--json", "run.json"]) == 0
    assert leaderboard(["add", "run", "--title", "t", "--submitter", "s", "--root", "entries"]) == 0
    assert evaluate([*words, "--dry-run"]) == 0
    streams = capsys.readouterr()
    check(tmp_path, streams.out, streams.err)
    assert (tmp_path / "entries").is_dir()


def test_a_collection(server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "toy", "--agent", f"openai:{server.address}#m", "--episodes", "2", "--workers", "0"]
    assert collect([*words, "--out", "x.jsonl"]) == 0
    assert collect([*words, "--out", "x.jsonl", "--seed", "1"]) == 2
    streams = capsys.readouterr()
    check(tmp_path, streams.out, streams.err)


def test_a_student_and_its_run(server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert collect(["--env", "toy", "--episodes", "4", "--workers", "0", "--quiet", "--out", "expert.jsonl"]) == 0
    words = ["--env", "toy", "--method", "sft", "--mode", "dagger", "--teacher", f"openai:{server.address}#m"]
    words += ["--student", "nano-0.7m", "--episodes", "expert.jsonl", "--steps", "1", "--rollouts", "1"]
    words += ["--vocabulary", "300", "--context", "200", "--max-new-tokens", "20", "--device", "cpu"]
    assert distill([*words, "--out", "run"]) == 0
    assert distill([*words, "--out", "run", "--seed", "1"]) == 2
    assert b"127.0.0.1" in (tmp_path / "run" / "config.json").read_bytes()
    server.broken = True
    assert distill([*words, "--out", "other"]) == 2
    streams = capsys.readouterr()
    check(tmp_path, streams.out, streams.err)


@pytest.mark.parametrize("address", ["http://hush-user:hush-word@127.0.0.1:9/v1?key=hush-key", "hush-user:hush-word@h"])
def test_lines_of_error(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(["--env", "toy", "--agent", f"openai:{address}#m", "--out", "run"]) in (2, 3)
    distill(["--env", "toy", "--teacher", f"openai:{address}", "--out", "run", "--student", "nano-0.7m"])
    with pytest.raises(Exception, match=r".") as caught:
        LiveSource(address, cache=tmp_path / "cache", patience=Patience(attempts=1)).find("x")
    streams = capsys.readouterr()
    for secret in SECRETS:
        assert secret not in streams.out + streams.err + str(caught.value)

"""Exports: folders that others load, cards, adapters, and the hub."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from sad_agents.checkpoints import load_student, save_student
from sad_agents.loading import load_language_model
from sad_distill.commands.main import main
from sad_distill.config import TrainConfig
from sad_distill.models.model_card import model_card, read_results
from sad_distill.training.run import Run
from transformers import AutoModelForCausalLM, AutoTokenizer

from sad_env.errors import DataError
from sad_env.settings import replaced

AUTO_MODEL: Any = AutoModelForCausalLM
AUTO_TOKENIZER: Any = AutoTokenizer


def trained(files: Path, out: Path, **changes: Any) -> Path:
    config = replaced(
        TrainConfig(out=str(out)),
        student=str(files / "start.pt"),
        trajectories=(str(files / "expert.jsonl"),),
        env="toy",
        method="sft",
        mode="offline",
        steps=1,
        batch=2,
        context=200,
        max_new_tokens=40,
    )
    Run(replaced(config, **changes)).train()
    return out


@pytest.fixture
def evaluated(tmp_path: Path) -> Path:
    """A folder with the results of an evaluation."""
    figure = {"value": 0.85, "low": 0.64, "high": 0.95, "n": 20, "interval": "Wilson", "unit": "share"}
    folder = tmp_path / "evaluation"
    folder.mkdir()
    results = {
        "status": "complete",
        "world": "toy",
        "data": "generated",
        "panel": "test-20",
        "panel_sha256": "0123456789abcdef",
        "metrics": {"success_rate": figure},
    }
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_training_leaves_a_folder_that_transformers_loads(files: Path, tmp_path: Path) -> None:
    out = trained(files, tmp_path / "run")
    folder = out / "student"
    model, tokenizer = AUTO_MODEL.from_pretrained(folder), AUTO_TOKENIZER.from_pretrained(folder)
    student = load_student(out / "student.pt")
    assert all((a == b).all() for a, b in zip(model.parameters(), student.model.parameters(), strict=True))
    assert tokenizer("Action: look\n")["input_ids"] == student.tokenizer("Action: look\n")["input_ids"]
    assert load_student(folder).record == student.record
    card = (folder / "README.md").read_text()
    assert "| method | sft |" in card
    assert str(files) not in card


def test_an_export_carries_results_with_their_intervals(files: Path, evaluated: Path, tmp_path: Path) -> None:
    out = trained(files, tmp_path / "run")
    target = tmp_path / "mine"
    assert main(["export", str(out / "student.pt"), "--out", str(target), "--results", str(evaluated)]) == 0
    assert main(["export", str(out / "student.pt"), "--out", str(target), "--results", str(evaluated)]) == 0  # again
    card = ModelCard((target / "README.md").read_text())
    assert card.data.library_name == "transformers"
    (result,) = card.data.eval_results
    assert (result.metric_value, result.dataset_name) == (0.85, "toy test-20 (generated data)")
    assert "| success rate | 0.85 | 0.64 to 0.95 (Wilson) | 20 |" in card.text
    assert load_language_model(str(target)).record["updates"] == 1


def test_a_shipped_student_is_exported_in_its_own_precision(tmp_path: Path) -> None:
    assert main(["export", "nano:alfworld", "--out", str(tmp_path / "nano")]) == 0
    assert str(load_student(tmp_path / "nano").model.dtype) == "torch.bfloat16"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_leave_as_adapters_or_merged(files: Path, tmp_path: Path) -> None:
    base = save_student(tmp_path / "base", *load_student(files / "start.pt"))
    out = trained(files, tmp_path / "run", student=str(base), adapters=2, learning_rate=1e-2)
    merged = load_student(out / "student.pt")
    assert main(["export", str(out / "adapter"), "--out", str(tmp_path / "kept"), "--as-adapter"]) == 0
    assert main(["export", str(out / "adapter"), "--out", str(tmp_path / "merged")]) == 0
    assert (tmp_path / "kept" / "adapter_config.json").is_file()
    assert not (tmp_path / "kept" / "model.safetensors").exists()
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    for folder in ("kept", "merged"):
        loaded = load_language_model(str(tmp_path / folder))
        assert loaded.record == merged.record
        assert loaded.start_ids == ()
        pairs = zip(loaded.model.parameters(), merged.model.parameters(), strict=True)
        assert all((a - b).abs().max() < 1e-6 for a, b in pairs)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--push-to-hub", "mine"], "give OWNER/NAME"),
        (["--private"], "needs --push-to-hub"),
        (["--as-adapter"], "is no folder with an adapter_config.json"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    words: list[str], said: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(files / "start.pt"), "--out", str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_things_is_not_replaced(files: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("dear")
    assert main(["export", str(files / "start.pt"), "--out", str(tmp_path / "letters")]) == 2
    assert (tmp_path / "letters" / "letter.txt").read_text() == "dear"


def test_an_evaluation_that_owes_episodes_is_no_result(evaluated: Path) -> None:
    path = evaluated / "results.json"
    path.write_text(path.read_text().replace("complete", "INCOMPLETE"))
    with pytest.raises(DataError, match="let it play the rest"):
        read_results(evaluated)


@pytest.mark.parametrize("metrics", [[], "x", {"success_rate": {"value": []}}])
def test_results_of_another_shape_are_told(evaluated: Path, metrics: object) -> None:
    path = evaluated / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metrics": metrics}))
    with pytest.raises(DataError, match="holds no results of sad-eval"):
        read_results(evaluated)


def test_a_record_cannot_write_a_card() -> None:
    """Text of a record is text of the card: no heading, no link, no cell, no markup of it."""
    evil = "x | y\n# heading\n---\n[a](http://b) <script>alert(1)</script> `code`"
    card = model_card("name", {"settings": {"student": f"hf:{evil}", "method": evil, "env": evil}}, {"size": evil})
    front, body = card.split("---\n", 2)[1:]
    assert len([line for line in body.splitlines() if line.startswith("# ")]) == 1
    assert "<script>" not in body
    assert "[a](http" not in body
    assert ModelCard(card).data.library_name == "transformers"
    assert front.count("\n") == 4


# --- the hub ----------------------------------------------------------------------------------------------------------


class Hub(ThreadingHTTPServer):
    """The few endpoints of the hub that an upload takes: repositories, LFS, commits."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.made: list[dict[str, Any]] = []
        self.large: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.token = "Bearer hf_secret"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self) -> None:
        self.reply(200, {"sha": "0" * 40, "id": "me/mine", "siblings": []})

    def do_PUT(self) -> None:
        data = self.body()
        self.server.large[hashlib.sha256(data).hexdigest()] = data
        self.reply(200, {})

    def do_POST(self) -> None:
        hub, data = self.server, self.body()
        if self.headers.get("Authorization") != hub.token:
            self.reply(401, {"error": "Invalid credentials"})
        elif self.path == "/api/repos/create":
            hub.made.append(json.loads(data))
            self.reply(200, {"url": f"{hub.url}/me/mine", "id": "me/mine"})
        elif "/preupload/" in self.path:
            wanted = json.loads(data)["files"]
            told = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for one in wanted
            ]
            self.reply(200, {"files": told})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{hub.url}/store/{one['oid']}"}}}
                for one in json.loads(data)["objects"]
            ]
            self.reply(200, {"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            for line in data.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    hub.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                elif entry["key"] == "lfsFile":
                    hub.files[entry["value"]["path"]] = hub.large[entry["value"]["oid"]]
            self.reply(200, {"commitUrl": f"{hub.url}/me/mine/commit/1", "commitOid": "1" * 40, "success": True})
        else:
            self.reply(200, {})

    def reply(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as one:
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield one
        one.shutdown()


def push(hub: Hub, folder: Path, token: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from sad_env import cli; from sad_agents.hub import push;"
        "sys.exit(cli.run('sad-distill', lambda: print(push(Path(sys.argv[1]), 'me/mine', private=True))))"
    )
    return beside(hub, token, folder.parent, "-c", code, str(folder))


def beside(hub: Hub, token: str, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own: huggingface_hub reads its settings when it is imported."""
    return subprocess.run(
        [sys.executable, *words],
        env={
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(home / "hf"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_export_goes_to_the_hub(hub: Hub, files: Path, tmp_path: Path) -> None:
    folder = save_student(tmp_path / "mine", *load_student(files / "start.pt"))
    done = push(hub, folder, "hf_secret")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("me/mine")
    assert hub.made[0]["name"] == "mine"
    assert hub.made[0].get("private") is True or hub.made[0].get("visibility") == "private"
    here = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: data for name, data in hub.files.items() if name in here} == here


def test_a_data_set_goes_to_the_hub(hub: Hub, files: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    words = (
        "-m",
        "sad_agents",
        "export",
        str(files / "expert.jsonl"),
        "--to",
        "parquet",
        "--out",
        str(tmp_path / "set"),
    )
    done = beside(hub, "hf_secret", tmp_path, *words, "--push-to-hub", "me/mine", "--private")
    assert done.returncode == 0, done.stderr
    assert (hub.made[0]["name"], hub.made[0]["type"]) == ("mine", "dataset")
    here = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    assert {name: data for name, data in hub.files.items() if name in here} == here
    assert set(here) == {"README.md", "train.parquet"}


def test_a_refused_token_is_one_line(hub: Hub, files: Path, tmp_path: Path) -> None:
    done = push(hub, save_student(tmp_path / "mine", *load_student(files / "start.pt")), "hf_other")
    assert done.returncode == 2
    assert "HTTP 401" in done.stderr
    assert "HF_TOKEN" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "hf_other" not in done.stderr

"""Commands that are killed at any moment: the same command goes on, and ends as one that nobody disturbed."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.checkpoints import load_student, save_student
from sad_distill.models.tokenizer import texts_of, train_tokenizer
from sad_eval.runs.run_folder import RunFolder
from transformers import LlamaConfig, LlamaForCausalLM

from sad_env.files import exclusive
from sad_env.records import read_trajectories

pytestmark = pytest.mark.slow

KILL, INTERRUPT, END = signal.SIGKILL, signal.SIGINT, signal.SIGTERM
ENDED_BY = {KILL: {-KILL}, INTERRUPT: {130}, END: {-END, 130, 143}}
TIMES = {"seconds", "agent_seconds", "world_seconds"}


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code, negative for a signal.
        seconds: that it took.
        changes: that it made to files; 0 where it was killed.
        said: its output.
    """

    code: int
    seconds: float
    changes: int
    said: str


class Commands:
    """Runs commands in forks of a process that has imported everything."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("fork_server.py")
        self._server = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"

    def run(
        self,
        folder: Path,
        *words: str,
        number: signal.Signals = KILL,
        at: int = 0,
        seconds: float = 0.0,
        appears: str = "",
        before: str = "",
    ) -> Ended:
        """Run a command in a folder, with a signal at its change `at` to files, or after some time, or upon a file."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        log = folder.with_name(f"{folder.name}.log")
        log.write_text("")
        Path(f"{log}.changes").unlink(missing_ok=True)
        moment = {"at": at, "seconds": seconds, "appears": appears, "signal": number, "before": before}
        request = {"command": words[0], "words": words[1:], "cwd": str(folder), "log": str(log), **moment}
        print(json.dumps(request), file=self._server.stdin, flush=True)
        answer = json.loads(self._server.stdout.readline())
        said, changes = log.read_text(), Path(f"{log}.changes")
        assert "Traceback" not in said, said
        assert not answer["left"], "a process of the command stayed behind"
        return Ended(answer["code"], answer["seconds"], int(changes.read_text()) if changes.exists() else 0, said)

    def close(self) -> None:
        self._server.communicate(timeout=60)


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    server = Commands()
    yield server
    server.close()


# --- what must be equal ---------------------------------------------------------------------------------------------


def episodes(folder: Path) -> Any:
    """Of an evaluation: every episode and figure but times."""
    run = RunFolder.open(folder / "run")
    results = run.results()
    metrics = {name: value for name, value in results.metrics.items() if name not in TIMES}
    return results.status, results.counts, metrics, sorted((line.id, line.chain) for line in run.episodes())


def weights(path: Path) -> dict[str, Any]:
    """Of a student, by the name of the tensor."""
    return {name: tensor.tolist() for name, tensor in load_student(path).model.named_parameters()}


def trajectories(folder: Path) -> Any:
    """Of a collection: every trajectory, and every one that was left out."""
    left_out = sorted((folder / "kept.jsonl.left-out").read_text().splitlines())
    settings = (folder / "kept.jsonl.settings.json").read_text()
    played = [re.sub(r'seconds": ?[^,}]+', "", one.to_json()) for one in read_trajectories(folder / "kept.jsonl")]
    return sorted(played), left_out, settings


def student(folder: Path) -> Any:
    """Of a training: every weight, and the updates that are in its metrics."""
    lines = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    return weights(folder / "run/student.pt"), [line["step"] for line in lines]


def study(folder: Path) -> Any:
    """Of a study: which stages are done, and the weights and episodes that they made."""
    trained = [(str(path.relative_to(folder)), weights(path)) for path in sorted(folder.rglob("student.pt"))]
    runs = [RunFolder.open(path.parent) for path in sorted(folder.rglob("results.json"))]
    chains = [(run.path.name, sorted((line.id, line.chain) for line in run.episodes())) for run in runs]
    return sorted(path.name for path in folder.rglob("done/*.json")), trained, chains


def files(folder: Path) -> Any:
    """Every file's bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- commands -------------------------------------------------------------------------------------------------------

TOY = ("--env", "toy", "--workers", "0", "--quiet")
DISTILL = ("sad-distill", "--student", "start.pt", "--teacher", "teacher.pt", "--trajectories", "expert.jsonl")
DISTILL += (
    "--env",
    "toy",
    "--context",
    "200",
    "--max-new-tokens",
    "40",
    "--save-every",
    "1",
    "--out",
    "run",
)
STUDY = """
out = "study"
worlds = ["toy"]
teacher = "nano-0.7m"
students = ["nano-0.7m"]
arms = ["sad-online"]
ablations = []
ablation_students = []
seeds = 1
shared_start = true
expert_episodes = 12
slip = 0.0
teacher_steps = 2
dagger_steps = 0
teacher_episodes = 4
start_steps = 2
steps = 2
rollouts = 2
episodes = 2
max_steps = 2
context = 256
precision = "fp32"
"""
ADD = ("sad-leaderboard", "add", "run", "--title", "It", "--submitter", "me", "--submitted", "2026-01-01")


@dataclass(frozen=True)
class Killed:
    """A command and what is done to it.

    Attributes:
        words: the command line.
        equal: what of its folder must be equal in the end.
        kills: how often it is killed at changes to files, spread over its life.
        needs: files and folders that it starts from.
        appears: files upon which it is killed as well.
        in_a_row: all kills are in one folder, one after another.
    """

    words: tuple[str, ...]
    equal: Callable[[Path], Any]
    kills: int
    needs: tuple[str, ...] = ()
    appears: tuple[str, ...] = ()
    in_a_row: bool = False


COMMANDS = {
    "eval": Killed(("sad-eval", *TOY, "--agent", "expert", "--episodes", "20", "--out", "run"), episodes, 10),
    "eval with a worker": Killed(
        (
            "sad-eval",
            "--env",
            "toy",
            "--workers",
            "1",
            "--quiet",
            "--agent",
            "random",
            "--episodes",
            "20",
            "--out",
            "run",
        ),
        episodes,
        4,
        appears=("run/manifest.json", "run/episodes.jsonl"),
    ),
    "collect": Killed(
        ("sad-collect", *TOY, "--agent", "random", "--episodes", "60", "--only-success", "--out", "kept.jsonl"),
        trajectories,
        10,
    ),
    "distill offline": Killed(
        (*DISTILL, "--mode", "offline", "--batch", "4", "--steps", "4"),
        student,
        5,
        needs=("start.pt", "teacher.pt", "expert.jsonl"),
    ),
    "distill online": Killed(
        (*DISTILL, "--mode", "online", "--steps", "4", "--rollouts", "2", "--horizon-start", "2"),
        student,
        6,
        needs=("start.pt", "teacher.pt", "expert.jsonl"),
        appears=("run/rollouts/*.jsonl",),
    ),
    "generate alfworld": Killed(
        ("sad-data", "generate", "alfworld", "--count", "3", "--out", "made", "--quiet"), files, 5
    ),
    "generate webshop": Killed(
        ("sad-data", "generate", "webshop", "--count", "40", "--out", "made", "--quiet"), files, 4
    ),
    "generate hotpotqa": Killed(
        ("sad-data", "generate", "hotpotqa", "--count", "8", "--out", "made", "--quiet"), files, 3
    ),
    "build webshop": Killed(
        ("sad-data", "build", "webshop", "--source", "shop", "--out", "store", "--quiet"), files, 8, needs=("shop",)
    ),
    "build searchqa": Killed(
        ("sad-data", "build", "searchqa", "--source", "passages", "--out", "store", "--quiet"),
        files,
        5,
        needs=("passages",),
    ),
    "add": Killed((*ADD, "--root", "entries", "--name", "it"), files, 8, needs=("run",)),
    "study": Killed(
        ("sad-study", "study.toml"),
        study,
        0,
        needs=("study.toml",),
        appears=(
            "study/toy/study.json",
            "study/toy/teacher/state.safetensors",
            "study/toy/eval/teacher/episodes.jsonl",
            "study/toy/nano-0.7m-start-0/student.pt",
            "study/toy/nano-0.7m-sad-online-0/rollouts/*",
            "study/results.csv",
        ),
        in_a_row=True,
    ),
    "build a board": Killed(
        ("sad-leaderboard", "build", "--root", "entries", "--out", "board"), files, 6, needs=("entries",)
    ),
}


@pytest.fixture(scope="module")
def needed(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands start from: expert episodes, tiny models, a shop, a run, an entry."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("needed")
    for words in (
        ("sad-collect", *TOY, "--agent", "expert", "--out", "expert.jsonl"),
        ("sad-data", "generate", "webshop", "--count", "40", "--out", "shop", "--quiet"),
        ("sad-data", "generate", "searchqa", "--count", "40", "--out", "passages", "--quiet"),
        ("sad-eval", *TOY, "--agent", "expert", "--episodes", "0", "--out", "run"),
        (*ADD, "--root", "entries", "--name", "it"),
    ):
        ended = commands.run(folder, *words)
        assert ended.code == 0, ended.said
    (folder / "study.toml").write_text(STUDY)
    tokenizer = train_tokenizer(texts_of(read_trajectories(folder / "expert.jsonl")), 400)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=1024, pad_token_id=0, eos_token_id=0, **sizes
    )
    window = {"acting": {"prompt": "", "window": {"budget": 200, "room": 40, "keep": 0.75}}}
    for seed, name in enumerate(("teacher.pt", "start.pt")):
        torch.manual_seed(seed)
        save_student(folder / name, LlamaForCausalLM(config), tokenizer, window)
    return folder


def place(folder: Path, needed: Path, names: tuple[str, ...]) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        copy = shutil.copytree if (needed / name).is_dir() else shutil.copy
        copy(needed / name, folder / name)
    return folder


def half_written(folder: Path) -> list[str]:
    """Temporary files, torn lines and locks that somebody holds."""
    found = [path.name for path in folder.rglob("*.part")]
    for path in folder.rglob("*.jsonl"):
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            found.append(f"a torn line in {path.name}")
    for path in [*folder.rglob(".lock"), *folder.rglob("*.lock")]:
        with exclusive(path, str(path)):
            pass
    return found


def moments_of(command: Killed, undisturbed: Ended, draw: random.Random) -> Iterator[dict[str, Any]]:
    """When to kill: upon files, at changes to files spread over the command's life, and at times between."""
    for pattern in command.appears:
        yield {"appears": pattern}
    for part in range(command.kills):
        share = (part + draw.random()) / command.kills
        if undisturbed.changes:
            yield {"at": 1 + int(share * undisturbed.changes)}
        if part % 3 == 0 or not undisturbed.changes:
            yield {"seconds": share * undisturbed.seconds}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_goes_on_and_ends_as_an_undisturbed_one(
    name: str, commands: Commands, needed: Path, tmp_path: Path
) -> None:
    command = COMMANDS[name]
    calm = place(tmp_path / "calm", needed, command.needs)
    undisturbed = commands.run(calm, *command.words)
    # A student of two updates wins nothing: the study's collection of won episodes fails, disturbed or not.
    assert undisturbed.code == (3 if name == "study" else 0), undisturbed.said
    wanted, faults = command.equal(calm), []
    numbers = itertools.cycle((KILL, KILL, INTERRUPT, KILL, END))
    moments = list(moments_of(command, undisturbed, random.Random(name)))
    folder = place(tmp_path / "killed", needed, command.needs)
    for moment in moments:
        number = next(numbers)
        ended = commands.run(folder, *command.words, number=number, **moment)
        told = [moment, number.name, ended]
        if ended.code not in ENDED_BY[number] | {undisturbed.code}:
            faults.append(told)
        if command.in_a_row and moment is not moments[-1]:
            continue
        again = commands.run(folder, *command.words)
        left = half_written(folder)
        # An entry that was whole before the kill is not replaced.
        whole = name == "add" and again.code == 2 and "the entry 'it' exists" in again.said
        if not (again.code == undisturbed.code or whole) or left or command.equal(folder) != wanted:
            faults.append([*told, again, left])
        shutil.rmtree(folder)
        place(folder, needed, command.needs)
    assert not faults, "\n".join(map(str, faults))


class _Slow(BaseHTTPRequestHandler):
    """Serves 400,000 bytes of a shop in a quarter of a second, from any byte on."""

    content = b"[" + b" " * 399_998 + b"]"

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.send_header("ETag", '"it"')
        self.end_headers()
        for place in range(start, len(self.content), 20_000):
            self.wfile.write(self.content[place : place + 20_000])
            time.sleep(0.0125)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _SlowServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that are killed are part of the test."""


def test_a_killed_download_goes_on_and_ends_whole(commands: Commands, tmp_path: Path) -> None:
    with _SlowServer(("127.0.0.1", 0), _Slow) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        before = "from sad_env.data import DataPack, RemoteFile; from sad_env.webshop.data import WebShopData\n"
        file = f"RemoteFile('shop.json', ('http://127.0.0.1:{server.server_port}/shop.json',))"
        before += f"WebShopData.packs = [DataPack('pack', 'a shop', 'none', ({file},))]\n"
        before += f"import os; os.environ['SAD_ENV_DATA'] = {str(tmp_path / 'data')!r}"
        words = ("sad-data", "fetch", "webshop", "--quiet")
        undisturbed = commands.run(tmp_path, *words, before=before)
        assert undisturbed.code == 0, undisturbed.said
        wanted = files(tmp_path / "data")
        draw = random.Random(0)
        for number in (KILL, INTERRUPT, END, KILL, KILL):
            shutil.rmtree(tmp_path / "data")
            # Twice on the way, each time anywhere; then to the end.
            for _ in range(2):
                seconds = draw.random() * undisturbed.seconds
                ended = commands.run(tmp_path, *words, before=before, number=number, seconds=seconds)
                assert ended.code in ENDED_BY[number] | {0}
            commands.run(tmp_path, *words, before=before, number=number, at=1 + draw.randrange(undisturbed.changes))
            assert commands.run(tmp_path, *words, before=before).code == 0
            assert files(tmp_path / "data") == wanted
        server.shutdown()

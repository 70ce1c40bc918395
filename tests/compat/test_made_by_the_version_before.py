"""What the version before wrote is read, continued and verified by this one (see README.md for how it was made)."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents import collect_command
from sad_agents.checkpoints import load_student
from sad_distill.commands import main as distill
from sad_eval.commands import evaluate
from sad_leaderboard import command as leaderboard

ARCHIVE = Path(__file__).with_name("made-by-7e3ffd8.tar.xz")
TRAIN = "--method sad --teacher teacher.pt --student start.pt --world toy --budget 200 --room 40"
OFFLINE = f"{TRAIN} --mode offline --episodes expert.jsonl --steps 4 --save-every 2 --batch 2 --top 16 --cache cache"
ONLINE = f"{TRAIN} --mode online --steps 2 --rollouts 2 --save-every 1 --horizon-start 3 --horizon-every 100"
EXPERT = "--env toy --agent expert --split train --episodes 8 --slip 0.1 --out expert.jsonl --workers 0"
WON = "--env toy --agent teacher.pt --split train --episodes 4 --only-success --max-steps 4 --out won.jsonl --workers 0"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.set_num_threads(1)
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(settings: str, out: str) -> int:
    return distill.main([*settings.split(), "--out", out])


def weights(path: str) -> dict[str, torch.Tensor]:
    return dict(load_student(path).model.state_dict())


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        # Another processor may add in another order than the one that trained the recorded student.
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=1e-6)


def metrics(out: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in Path(out, "metrics.jsonl").read_text().splitlines()]


def lines_of(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def untimed(value: Any) -> Any:
    """A record without the seconds that its making took."""
    if isinstance(value, dict):
        return {key: untimed(inner) for key, inner in value.items() if not key.endswith("seconds")}
    return [untimed(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["teacher.pt", "start.pt", "folder", "offline/student.pt", "online/student.pt"])
def test_a_checkpoint_loads(made: Path, name: str) -> None:
    student = load_student(name)
    assert student.record["acting"]["window"] == {"budget": 200, "room": 40, "keep": 0.75}
    assert all(torch.isfinite(tensor).all() for tensor in student.model.state_dict().values())


def test_a_student_plays_the_recorded_episodes(made: Path) -> None:
    arguments = "--agent offline/student.pt --env toy --episodes 4 --max-steps 4 --reference runs/expert --quiet"
    assert evaluate.main([*arguments.split(), "--out", "runs/again"]) == 0
    recorded, again = (lines_of(f"runs/{name}/episodes.jsonl") for name in ("student", "again"))
    assert len(recorded) == 4
    by_key = {json.dumps(line["key"]): line["trajectory"] for line in again}
    for line in recorded:
        assert untimed(by_key[json.dumps(line["key"])]) == untimed(line["trajectory"])


@pytest.mark.parametrize(("settings", "out"), [(OFFLINE, "offline"), (ONLINE, "online")])
def test_a_complete_training_run_has_nothing_left_to_do(made: Path, settings: str, out: str) -> None:
    before, numbers = weights(f"{out}/student.pt"), metrics(out)
    assert train(settings, out) == 0
    after = weights(f"{out}/student.pt")
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert metrics(out) == numbers


def test_a_training_run_goes_on_from_its_state(made: Path) -> None:
    assert not Path("halfway/student.pt").exists()
    assert train(OFFLINE, "halfway") == 0
    same_weights(weights("halfway/student.pt"), weights("offline/student.pt"))
    assert [line["step"] for line in metrics("halfway")] == [0, 1, 2, 3]


def test_a_teachers_cached_answers_are_found(made: Path) -> None:
    files = sorted(path for path in Path("cache").rglob("*.safetensors"))
    assert train(OFFLINE, "again") == 0
    assert [line["cache_hits"] for line in metrics("again")] == [1.0] * 4
    assert sorted(path for path in Path("cache").rglob("*.safetensors")) == files
    same_weights(weights("again/student.pt"), weights("offline/student.pt"))


def test_collected_files_are_complete_and_can_be_continued(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Path("expert.jsonl").read_bytes()
    for arguments in (EXPERT, WON):
        assert collect_command.main(arguments.split()) == 0
        assert "nothing to do" in capsys.readouterr().out
    assert Path("expert.jsonl").read_bytes() == whole
    episodes = lines_of("expert.jsonl")
    Path("expert.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:5]))
    assert collect_command.main(EXPERT.split()) == 0

    def by_task(recorded: list[Any]) -> list[Any]:
        return sorted((untimed(episode) for episode in recorded), key=lambda episode: str(episode["task_id"]))

    assert by_task(lines_of("expert.jsonl")) == by_task(episodes)


@pytest.mark.parametrize("name", ["expert", "student", "nano"])
def test_a_run_folder_opens_and_scores_as_it_did(made: Path, name: str) -> None:
    before = json.loads(Path("runs", name, "results.json").read_text())
    assert evaluate.main(["report", f"runs/{name}"]) == 0
    assert evaluate.main(["rescore", f"runs/{name}"]) == 0
    after = json.loads(Path("runs", name, "results.json").read_text())
    # Metrics that this version has besides are no difference.
    after["metrics"] = {name: one for name, one in after["metrics"].items() if name in before["metrics"]}
    assert {key: value for key, value in after.items() if key in before} == before


def test_leaderboard_entries_hold_by_replay(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leaderboard.main(["verify", "--root", "entries", "--level", "replayed"]) == 0
    assert capsys.readouterr().out.count("ok  replayed") == 2

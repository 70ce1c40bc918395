"""Stages in forked processes: order, failures, interruptions, resumption; and the whole toy study."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.study.config import StudyConfig
from sad_eval.study.report import write_report
from sad_eval.study.results import read_study
from sad_eval.study.runner import run_study

from sad_env.errors import DataError

WORK = """
import sys, time
from pathlib import Path
product, seconds, *needs = sys.argv[1:]
with open(product + ".starts", "a") as file:
    file.write("x")
if not all(Path(path).exists() for path in needs):
    sys.exit("needed first: " + " ".join(needs))
time.sleep(float(seconds))
if product.endswith("broken"):
    sys.exit("this one breaks")
Path(product).write_text(str("torch" in sys.modules))
"""
"""A command that takes a while and leaves a product."""

STUDY = """
import sys
from pathlib import Path
from sad_eval.study.config import StudyConfig
from sad_eval.study.plan import StudyStage, keys
from sad_eval.study.runner import Runner
from sad_env import cli

out = Path(sys.argv[1])
PLAN = {"broken": (0, []), "first": (0.3, []), "second": (0.3, ["first"]), "after": (0, ["broken"]), "slow": (%s, [])}
plan = [
    StudyStage("toy", f"toy: {name}", name, ("work", str(out / name), str(seconds), *(str(out / one) for one in needs)),
          out / name, tuple(out / one for one in needs))
    for name, (seconds, needs) in PLAN.items()
]

def main():
    runner = Runner(plan, keys(plan, {}), StudyConfig(out=str(out)))
    runner.run()
    runner.complain()

sys.exit(cli.run("study", main))
"""


CHILD = """
import os, subprocess, sys
print("read", repr(sys.stdin.read()), flush=True)
busy = "import time\\nwhile time.process_time() < 0.5: pass\\nprint('from the child', flush=True)"
subprocess.run([sys.executable, "-c", busy], check=True)
print("own session", os.getsid(0) == os.getpid())
sys.exit(7)
"""
"""A command that does its work in a child."""

ONE_STAGE = """
import sys, time
from pathlib import Path
from sad_eval.study.processes import StageProcess, prepare

if __name__ == "__main__":
    prepare(1)
    process = StageProcess(("child_work",), Path(sys.argv[1]), 1)
    while not process.poll():
        time.sleep(0.05)
    print(*process.ended)
"""


def launch(folder: Path, slow: float = 0.0) -> subprocess.Popen[str]:
    (folder / "work.py").write_text(WORK)
    path = os.pathsep.join([str(folder), *(entry for entry in sys.path if entry)])
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", STUDY % slow, str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def wait_for(done: Callable[[], bool], seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def starts(folder: Path) -> dict[str, int]:
    return {path.stem: len(path.read_text()) for path in folder.glob("*.starts")}


@pytest.mark.slow
def test_a_failed_stage_stops_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    process = launch(tmp_path)
    told = process.communicate()[1]
    assert process.returncode == 3
    assert "failed: toy: broken: this one breaks" in told
    assert str(tmp_path / "toy/logs/broken.log") in told
    assert "1 stages failed and 1 wait for them" in told
    # A stage finds what the study has imported.
    assert (tmp_path / "second").read_text() == "True"
    assert starts(tmp_path) == {"broken": 1, "first": 1, "second": 1, "slow": 1}
    launch(tmp_path).communicate()
    assert starts(tmp_path) == {"broken": 2, "first": 1, "second": 1, "slow": 1}


@pytest.mark.slow
def test_a_stage_has_no_terminal_and_the_time_of_its_children_is_its_own(tmp_path: Path) -> None:
    """Half a second of processor time in a child; the command itself reads its input to the end."""
    (tmp_path / "child_work.py").write_text(CHILD)
    script = tmp_path / "one_stage.py"
    script.write_text(ONE_STAGE)
    path = os.pathsep.join([str(tmp_path), *(entry for entry in sys.path if entry)])
    reader, writer = os.pipe()  # an input that never ends
    process = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "stage.log")],
        stdin=reader,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=300,
        check=True,
    )
    os.close(reader)
    os.close(writer)
    code, seconds, cpu_seconds = map(float, process.stdout.split())
    assert (tmp_path / "stage.log").read_text().splitlines() == ["read ''", "from the child", "own session True"]
    assert code == 7
    assert cpu_seconds >= 0.5
    assert seconds >= 0.5


@pytest.mark.slow
def test_what_is_no_longer_needed_may_be_deleted(tmp_path: Path) -> None:
    launch(tmp_path).communicate()
    (tmp_path / "first").unlink()
    launch(tmp_path).communicate()
    assert starts(tmp_path)["first"] == 1
    (tmp_path / "second").unlink()
    launch(tmp_path).communicate()
    assert starts(tmp_path) == {"broken": 3, "first": 2, "second": 2, "slow": 1}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stages_end_with_a_study_that_is_interrupted_or_killed(tmp_path: Path, number: signal.Signals) -> None:
    process = launch(tmp_path, slow=60)
    wait_for(lambda: "slow" in starts(tmp_path) and len(list(tmp_path.glob("toy/done/*.json"))) == 2)
    began = time.monotonic()
    process.send_signal(number)
    told = process.communicate()[1]
    assert process.returncode == (130 if number is signal.SIGINT else -signal.SIGKILL), told
    wait_for(lambda: not alive(tmp_path))
    assert time.monotonic() - began < 20
    assert not (tmp_path / "slow").exists()
    launch(tmp_path).communicate()
    assert starts(tmp_path)["slow"] == 2
    assert starts(tmp_path)["second"] == 1
    assert (tmp_path / "slow").exists()


def alive(folder: Path) -> bool:
    """True while any process has the folder in its environment, as the study and all that it starts have."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if int(path.parent.name) != os.getpid() and str(folder).encode() in path.read_bytes():
                return True
        except OSError:
            continue
    return False


@pytest.mark.slow
def test_the_toy_study_runs_to_its_end_and_its_report_is_whole(tmp_path: Path) -> None:
    """Measured on a quiet core: about five minutes."""
    out = tmp_path / "toy"
    command = [sys.executable, "-m", "sad_eval.study", "study-toy", "--out", str(out)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    (world,) = read_study(out)
    assert world.done == world.planned
    # The report pools what the evaluation has written into its results.
    for name, evaluation in world.evaluations.items():
        metrics = json.loads((out / "toy/eval" / name / "results.json").read_text())["metrics"]
        theirs = {
            "success": "success_rate",
            "steps": "environment_steps_at_limit",
            "reasoning": "reasoning_per_step",
            "cot_f1": "cot_f1",
            "cot_recall": "cot_match",
        }
        for mine, name_there in theirs.items():
            value = evaluation.value(mine)
            if name == "teacher" and mine.startswith("cot"):
                # The reference is the teacher's own reasoning; the evaluation that makes it has none to be held to.
                assert value == 1
                assert name_there not in metrics
                continue
            assert (value is None) == (name_there not in metrics)
            assert value is None or value == pytest.approx(metrics[name_there]["value"])
    report = (out / "README.md").read_text()
    assert "Not measured, since their methods were not run" in report
    assert "success" in outcome.stdout
    assert re.search(r"SAD, offline, is ahead of SeqKD in success: \*\*(held|did not hold|undecided)", report)
    assert "**Not finished.**" not in report
    for link in re.findall(r"\]\(([^)]+)\)", report):
        assert (out / link).stat().st_size > 0
    (out / "findings.md").write_text("## Findings\n\nSeen by hand.\n")
    write_report(out)
    assert "Seen by hand." in (out / "README.md").read_text()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert "[0/" not in again.stderr
    assert "nothing run: all " in again.stderr
    # What is published is enough: without run folders and models the report is the same, the teacher's record included.
    report = (out / "README.md").read_text()
    assert "its training record: student nano-0.7m" in report
    published = {"study.json", "teacher.json", "done", "episodes"}
    for path in (out / "toy").iterdir():
        if path.name not in published:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_report(out)
    assert (out / "README.md").read_text() == report


def test_a_folder_without_a_study_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run sad-study first"):
        write_report(tmp_path)


def test_a_study_whose_teacher_is_missing_leaves_nothing(tmp_path: Path) -> None:
    config = StudyConfig(out=str(tmp_path / "study"), worlds=("toy",), teachers={"toy": str(tmp_path / "missing.pt")})
    with pytest.raises(DataError, match=r"no teacher '.*missing\.pt' for toy: train it"):
        run_study(config)
    assert list(tmp_path.iterdir()) == []

"""A run that goes on later: the limit of its wall time, and what its manifest says of the calls that played it."""

from __future__ import annotations

import gc
import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.records import Manifest
from sad_eval.runs import provenance
from sad_eval.runs.plan import identity_changes
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.score import score
from sad_eval.runs.signals import Interrupts, TimeUp

HERE = Path(__file__).parent
Evaluate = Callable[..., int]
Figures = Callable[[Path], dict[str, object]]
TOY = ("--env", "toy", "--agent", "expert", "--episodes", "12", "--workers", "0", "--out", "run")
SLOW = ("--env", "toy", "--agent", "slow_agent:SlowExpert", "--episodes", "12", "--workers", "0", "--concurrency", "2")


@pytest.fixture
def slow_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("SLOW_AGENT_SECONDS", "0.05")


def test_a_run_whose_time_is_up_owes_the_rest_and_goes_on_with_the_same_command(
    evaluate: Evaluate, slow_agent: None, figures_of: Figures, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*SLOW, "--out", "calm") == 0
    codes, scored, seconds = [], [0], 0.5
    while not codes or codes[-1]:
        codes.append(evaluate(*SLOW, "--out", "run", "--run-seconds", str(seconds)))
        error = capsys.readouterr().err
        results = RunFolder.open("run").results()
        scored.append(results.scored)
        assert scored[-1] >= scored[-2]
        if codes[-1]:
            assert f"the run's {seconds:g} s are up" in error
            assert f"{results.scored} done, {results.owed} owed; run the same command to go on" in error
            assert results.status == "incomplete"
        seconds *= 1.5  # a busy machine may score nothing in little time
    assert codes[0] == 3
    assert figures_of(Path("run")) == figures_of(Path("calm"))
    assert [one.scored for one in RunFolder.open("run").manifest.resumptions] == [one for one in scored[1:-1] if one]


def test_time_that_is_up_during_a_write_ends_the_run_after_it() -> None:
    written = []

    def write() -> None:
        with Interrupts() as interrupts, interrupts.limit(0.02):
            for number in range(3):
                with interrupts.shield():
                    time.sleep(0.1)
                    written.append(number)

    with pytest.raises(TimeUp):
        write()
    assert written == [0]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_time_that_is_up_while_the_garbage_collector_calls_back_ends_the_run_after_the_call() -> None:
    """Python drops an exception that is raised in such a call, with a warning; hypothesis and others have one."""
    calls = []

    def call(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            time.sleep(0.1)
            calls.append(phase)

    def collect() -> None:
        with Interrupts() as interrupts, interrupts.limit(0.02):
            gc.collect()
            time.sleep(5)

    gc.collect()  # no destructor of another test's garbage shall run in the collection below
    gc.callbacks.append(call)
    began = time.monotonic()
    try:
        with pytest.raises(TimeUp):
            collect()
    finally:
        gc.callbacks.remove(call)
    assert calls
    assert time.monotonic() - began < 4


def test_no_limit_and_no_main_thread_set_no_timer() -> None:
    before = signal.getsignal(signal.SIGALRM)

    def limited() -> None:
        with Interrupts() as interrupts, interrupts.limit(0.01):
            time.sleep(0.05)

    thread = threading.Thread(target=limited)
    thread.start()
    thread.join()
    with Interrupts() as interrupts, interrupts.limit(0.0):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def cut(run: Path, lines: int) -> None:
    """Leave a run as if it had been killed after so many episodes."""
    kept = (run / "episodes.jsonl").read_bytes().splitlines(keepends=True)[:lines]
    (run / "episodes.jsonl").write_bytes(b"".join(kept))


def test_a_run_that_goes_on_under_other_versions_says_so(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert evaluate(*TOY) == 0
    first = RunFolder.open("run").manifest
    assert first.resumptions == ()
    assert evaluate(*TOY) == 0  # nothing is owed: nothing was played
    assert RunFolder.open("run").manifest == first
    cut(tmp_path / "run", 5)
    monkeypatch.setattr(provenance, "versions", lambda: {**first.versions, "numpy": "9.9"})
    monkeypatch.setattr(provenance, "checkout", lambda: ("f" * 40, True))
    assert evaluate(*TOY) == 0
    run = RunFolder.open("run")
    (later,) = run.manifest.resumptions
    assert (later.scored, later.versions["numpy"], later.commit, later.dirty) == (5, "9.9", "f" * 40, True)
    assert run.manifest.model_copy(update={"resumptions": ()}) == first
    (remark,) = (one for one in run.results().remarks if "different versions" in one)
    assert f"numpy {first.versions['numpy']}, 9.9" in remark
    assert f"commit {first.commit[:10] or 'none'}{'+' if first.dirty else ''}, ffffffffff+" in remark
    assert "python" not in remark


def test_a_manifest_of_very_many_calls_and_packages_is_read_in_one_pass(evaluate: Evaluate) -> None:
    """Names times calls would be 10^10 steps, and a remark of megabytes."""
    assert evaluate(*TOY, "--episodes", "1") == 0
    run = RunFolder.open("run")
    once = run.manifest.resumption(scored=1)
    hostile = {f"package{number}": "\x1b[2J" for number in range(100_000)}
    grown = run.manifest.model_copy(update={"versions": hostile, "resumptions": (once,) * 100_000})
    assert len(grown.changes()) == 100_000 + len(once.versions)
    Path("run/manifest.json").write_text(grown.model_copy(update={"resumptions": (once,)}).model_dump_json())
    (remark,) = (one for one in score(RunFolder.open("run")).remarks if "different versions" in one)
    assert len(remark) < 500
    assert "\x1b" not in remark


def test_parts_that_were_played_by_different_versions_are_told_apart_after_the_merge(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluate(*TOY, "--shard", "1/2") == 0
    versions = provenance.versions()
    monkeypatch.setattr(provenance, "versions", lambda: {**versions, "gymnasium": "9.9"})
    assert evaluate(*TOY, "--shard", "2/2") == 0
    assert evaluate("merge", "run") == 0
    assert any(f"gymnasium {versions['gymnasium']}, 9.9" in one for one in RunFolder.open("run").results().remarks)


def test_a_part_that_was_played_anew_is_joined_without_the_former_one(evaluate: Evaluate) -> None:
    for words in ("--shard", "1/2"), ("--shard", "2/2"), ("--shard", "1/2", "--new"):
        assert evaluate(*TOY, *words) == 0
    assert len(list(Path("run").glob("part-*"))) == 3
    assert evaluate("merge", "run") == 0
    assert RunFolder.open("run").results().scored == 12


def test_a_run_of_the_version_before_goes_on_with_its_settings_file(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its file names settings as they were called, all of them, and its identity has what no expert looks at."""
    words = ["--env", "toy", "--agent", "expert", "--episodes", "6", "--workers", "0", "--out", "run", "--quiet"]
    assert evaluate(*words, "--max-episode-tokens", "500", "--run-seconds", "0.0001") == 3
    path = Path("run/settings.toml")
    text = path.read_text().replace("max_episode_tokens", "max_tokens").replace('precision = "auto"', 'dtype = "auto"')
    path.write_text('model = ""\n' + text.replace("run_seconds = 0.0001", "run_seconds = 0.0"))
    manifest = json.loads(Path("run/manifest.json").read_text())
    assert manifest["identity"]["dtype"] == "auto"
    assert manifest["identity"]["max_tokens"] == 500
    Path("run/manifest.json").write_text(
        json.dumps({**manifest, "identity": {**manifest["identity"], "temperature": 0.5}})
    )
    capsys.readouterr()
    assert evaluate("--config", "run/settings.toml") == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "max_tokens is now max_episode_tokens (elsewhere that bounded a completion" in error
    assert RunFolder.open("run").results().scored == 6


def test_runs_from_before_begin_ids_were_recorded_go_on(toy_run: Callable[..., RunFolder]) -> None:
    first = toy_run(episodes=2).manifest

    def recorded(ids: str, form: str = "") -> Manifest:
        facts = {"agent begin_ids": ids, "agent form": form}
        return first.model_copy(update={"identity": {**first.identity, **{k: v for k, v in facts.items() if v}}})

    assert identity_changes(first, recorded("0")) == []
    assert identity_changes(recorded("0"), first) == []
    assert identity_changes(recorded("0"), recorded("1")) == [("agent begin_ids", "0", "1")]
    assert identity_changes(first, recorded("", "tags")) == [("agent form", None, "tags")]

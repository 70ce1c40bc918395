"""The level "rerun": the agent is the named one, with the same facts, and writes and does the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_eval.records import identity_sha256
from sad_eval.runs.plan import make_plan
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.add import add
from sad_leaderboard.command import main
from sad_leaderboard.entries import read_submission
from sad_leaderboard.rerun import rerun_settings, rerunner
from sad_leaderboard.schema import Level
from sad_leaderboard.verify import Verification, verify
from sad_leaderboard.worlds import split_of

SAID = {"title": "x", "submitter": "tests", "submitted": "2026-01-01"}
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def rerun(toy_run: Callable[..., RunFolder], tmp_path: Path) -> Callable[..., Verification]:
    """Adds an edited run of the expert and reruns it."""

    def check(agent: str = "expert", *, manifest: Edit | None = None, step: Edit | None = None) -> Verification:
        run = toy_run(episodes=3)
        if manifest is not None:
            document = json.loads((run.path / "manifest.json").read_text())
            manifest(document)
            document["identity_sha256"] = identity_sha256(document["identity"])
            (run.path / "manifest.json").write_text(json.dumps(document))
        lines = [json.loads(line) for line in (run.path / "episodes.jsonl").read_text().splitlines()]
        for line in lines:
            line["trajectory"]["agent"] = json.loads((run.path / "manifest.json").read_text())["agent"]
        if step is not None:
            step(lines[0]["trajectory"]["steps"][0])
        (run.path / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        results = json.loads((run.path / "results.json").read_text())
        results["agent"] = lines[0]["trajectory"]["agent"]
        (run.path / "results.json").write_text(json.dumps(results))
        folder = add(RunFolder.open(run.path), tmp_path, "entry", **SAID)
        return verify(folder, Level.RERUN, rerun=rerunner(agent, workers=0))

    return check


def named(name: str) -> Edit:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["agent"] = manifest["identity"]["agent"] = name

    return edit


def identified(**facts: object) -> Edit:
    return lambda manifest: manifest["identity"].update(facts)


def test_the_honest_entry_reaches_rerun(rerun: Callable[..., Verification]) -> None:
    assert rerun().level is Level.RERUN


def test_another_name_of_the_same_agent_is_caught(rerun: Callable[..., Verification]) -> None:
    found = rerun(manifest=named("my-student"))
    assert found.level is Level.REPLAYED
    assert found.findings == ("the entry was run with agent 'my-student', the rerun with 'expert'",)


def test_a_checkpoint_is_asked_for_where_the_entry_names_one(rerun: Callable[..., Verification]) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["agent_sha256"] = manifest["identity"]["agent checkpoint_sha256"] = "ab" * 32

    found = rerun(manifest=edit)
    assert found.level is Level.REPLAYED
    assert found.findings == ("expert is not the entry's checkpoint, whose sha256 begins abababababab",)


@pytest.mark.parametrize(
    ("fact", "value"), [("temperature", 0.7), ("dtype", "bfloat16"), ("agent shots", "4"), ("agent model", "gpt")]
)
def test_other_facts_of_the_run_are_caught(rerun: Callable[..., Verification], fact: str, value: object) -> None:
    found = rerun(manifest=identified(**{fact: value}))
    assert found.level is Level.REPLAYED
    assert f"the entry was run with {fact} {str(value)!r}, the rerun with" in found.findings[0]


def test_sampled_tokens_that_the_agent_does_not_sample_are_caught(rerun: Callable[..., Verification]) -> None:
    found = rerun(step=lambda step: step.update(generated_tokens=3))
    assert found.level is Level.REPLAYED
    assert "1 of 3 episodes differ" in found.findings[0]


def test_times_may_differ(rerun: Callable[..., Verification]) -> None:
    assert rerun(step=lambda step: step.update(agent_seconds=9.0, world_seconds=9.0)).level is Level.RERUN


def test_a_perturbed_run_is_rerun_with_its_perturbation(toy_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    folder = add(toy_run("expert", "--perturb", "distractor", episodes=2), tmp_path, "entry", **SAID)
    assert verify(folder, Level.RERUN, rerun=rerunner("expert", workers=0)).level is Level.RERUN


FORMER = {"model": "", "dtype": "bfloat16", "max_tokens": 1000}
"""Settings under the names and values that they had in earlier versions."""


def with_settings(**settings: object) -> Edit:
    """The settings of a run with a precision and a limit of tokens, in place of those under the present names."""

    def edit(manifest: dict[str, Any]) -> None:
        for name in ("agent", "precision", "max_episode_tokens"):
            del manifest["settings"][name]
        manifest["settings"].update(settings)
        manifest["limits"]["max_tokens"] = manifest["identity"]["max_tokens"] = 1000
        manifest["identity"]["dtype"] = "bfloat16"

    return edit


@pytest.mark.parametrize("settings", [FORMER, {"agent": "expert", "precision": "bf16", "max_episode_tokens": 1000}])
def test_precision_and_the_limit_of_tokens_are_the_entrys(
    rerun: Callable[..., Verification], settings: dict[str, object]
) -> None:
    found = rerun(manifest=with_settings(**settings))
    assert (found.level, found.findings) == (Level.RERUN, ())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"precision": "fp64"}, "the entry's precision is none of auto, fp32, bf16, fp16"),
        ({"precision": ["bf16"]}, "the entry's precision is none of"),
        ({"dtype": {"a": 1}}, "the entry's precision is none of"),
        ({"max_tokens": "9"}, "the entry's max_episode_tokens is not a number"),
        ({"max_episode_tokens": True}, "the entry's max_episode_tokens is not a number"),
        ({"shots": "/etc/passwd"}, "the entry's shots is not a number"),
    ],
)
def test_settings_that_are_none_are_refused(
    rerun: Callable[..., Verification], settings: dict[str, object], reason: str
) -> None:
    found = rerun(manifest=with_settings(**settings))
    assert (found.level, found.refuted) == (Level.REPLAYED, False)
    assert reason in found.findings[0]


OWN = Path(__file__).parents[2] / "leaderboard" / "entries"


@pytest.mark.parametrize("entry", sorted(path.name for path in OWN.iterdir()))
def test_the_boards_own_entries_can_be_rerun_as_they_were_run(entry: str, tmp_path: Path) -> None:
    manifest = read_submission(OWN / entry).manifest
    settings = rerun_settings(manifest, manifest.agent, "", tmp_path / "run", workers=0)
    again = make_plan(settings, split_of(manifest)[0], command="").manifest
    ours, theirs = (
        {name: fact for name, fact in one.identity.items() if not name.startswith("agent ")}  # those of the checkpoint
        for one in (again, manifest)
    )
    assert (ours, again.limits) == (theirs, manifest.limits)


def test_log_probabilities_are_recorded_again(tmp_path: Path) -> None:
    from sad_eval.commands.evaluate import main as evaluate

    words = ["--env", "hotpotqa", "--agent", "nano", "--episodes", "1", "--workers", "0", "--quiet"]
    assert evaluate([*words, "--record-logprobs", "--out", str(tmp_path / "run")]) == 0
    entry = add(RunFolder.open(tmp_path / "run"), tmp_path, "entry", **SAID)
    found = verify(entry, Level.RERUN, rerun=rerunner("nano", workers=0))
    assert (found.level, found.findings) == (Level.RERUN, ())


def test_the_command_reruns(
    toy_run: Callable[..., RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = add(toy_run(episodes=2), tmp_path, "entry", **SAID)
    assert main(["verify", str(entry), "--level", "rerun", "--agent", "expert"]) == 0
    assert "ok  rerun" in capsys.readouterr().out

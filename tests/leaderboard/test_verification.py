"""A submission that is not what it says is caught, at the level that can see it."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_eval.records import EpisodeLine
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.score import score
from sad_leaderboard.add import add
from sad_leaderboard.entries import EntryError
from sad_leaderboard.rerun import rerunner
from sad_leaderboard.schema import EPISODES, Level
from sad_leaderboard.verify import Verification, duplicates, verify

from sad_env.errors import ConfigError, IncompleteError
from sad_env.records import observation_chain
from sad_env.transcript import compose

Document = dict[str, Any]


@pytest.fixture(scope="module")
def honest(toy_run: Callable[..., RunFolder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = tmp_path_factory.mktemp("board")
    return add(toy_run("random", repeats=2), board, "honest", title="Chance", submitter="tests", submitted="2026-01-01")


@pytest.fixture
def forge(honest: Path, tmp_path: Path) -> Callable[..., Verification]:
    """Changes a copy of the honest entry, makes its hashes right again, and verifies it by replay."""

    def change(
        *,
        episodes: Callable[[list[Document]], list[Document]] | None = None,
        chains: bool = True,
        **documents: Callable[[Document], None],
    ) -> Verification:
        folder = tmp_path / "forged"
        shutil.copytree(honest, folder)
        for name, edit in documents.items():
            value = json.loads((folder / f"{name}.json").read_text())
            edit(value)
            (folder / f"{name}.json").write_text(json.dumps(value))
        if episodes:
            with gzip.open(folder / EPISODES) as packed:
                lines = episodes([json.loads(line) for line in packed])
            for line in lines if chains else []:
                trajectory = EpisodeLine.model_validate(line).trajectory
                line["chain"] = observation_chain(trajectory)
            with gzip.open(folder / EPISODES, "wt") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
        entry = json.loads((folder / "entry.json").read_text())
        for name in entry["files"]:
            entry["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "entry.json").write_text(json.dumps(entry))
        return verify(folder, Level.REPLAYED)

    return change


def failed(lines: list[Document]) -> Document:
    return next(line for line in lines if not line["trajectory"]["success"])


def long(lines: list[Document]) -> Document:
    return next(line for line in lines if len(line["trajectory"]["steps"]) > 2)


def test_an_honest_entry_replays(honest: Path) -> None:
    found = verify(honest, Level.REPLAYED)
    assert found.level is Level.REPLAYED
    assert found.findings == ()


def test_one_invented_observation_is_caught_by_replay(forge: Callable[..., Verification]) -> None:
    def edit(lines: list[Document]) -> list[Document]:
        long(lines)["trajectory"]["steps"][1]["observation"] += " You see: a hint."
        return lines

    found = forge(episodes=edit)
    assert found.level is Level.RECOMPUTED
    assert "step 2: observation: the world says" in found.findings[0]


def test_one_changed_action_is_caught_by_replay(forge: Callable[..., Verification]) -> None:
    def edit(lines: list[Document]) -> list[Document]:
        step = long(lines)["trajectory"]["steps"][0]
        new = "go to attic" if step["action"] != "go to attic" else "go to cellar"
        old = step["action"]
        step["action"] = new
        step["completion"] = step["completion"].replace(old, new)
        shift = len(new) - len(old)
        step["spans"][-1]["end"] += shift
        return lines

    found = forge(episodes=edit)
    assert found.level is Level.RECOMPUTED
    assert "the world says" in found.findings[0]


def test_an_action_that_the_completion_does_not_hold_is_caught(forge: Callable[..., Verification]) -> None:
    def edit(lines: list[Document]) -> list[Document]:
        # The world is told what it was told; only the text that is said to have told it is another.
        step = long(lines)["trajectory"]["steps"][0]
        step["completion"] = "Action: think\n"
        step["spans"] = [{"kind": "A", "start": 0, "end": 14, "body": 8}]
        return lines

    assert "is not what the completion says" in forge(episodes=edit).findings[0]


def test_a_changed_episode_with_its_old_chain_is_caught_without_a_replay(forge: Callable[..., Verification]) -> None:
    def edit(lines: list[Document]) -> list[Document]:
        long(lines)["trajectory"]["steps"][0]["observation"] = "You win."
        return lines

    found = forge(episodes=edit, chains=False)
    assert found.level is Level.CLAIMED
    assert "its hash chain does not hold" in found.findings[0]


def test_a_verdict_turned_round_is_caught_by_replay(forge: Callable[..., Verification]) -> None:
    def edit(lines: list[Document]) -> list[Document]:
        line = failed(lines)
        line["trajectory"].update(success=True, status="success", score=1.0)
        line["attempts"][-1]["status"] = "success"
        return lines

    def claim(results: Document) -> None:
        results["counts"]["success"] += 1

    found = forge(episodes=edit, results=claim)
    # The figures no longer follow from the episodes.
    assert found.level is Level.CLAIMED


def test_a_verdict_turned_round_with_fitting_figures_is_caught_by_replay(
    forge: Callable[..., Verification], honest: Path, tmp_path: Path
) -> None:
    from sad_leaderboard.entries import read_submission
    from sad_leaderboard.recompute import recompute

    def edit(lines: list[Document]) -> list[Document]:
        line = failed(lines)
        line["trajectory"].update(success=True, status="success", score=1.0)
        line["attempts"][-1]["status"] = "success"
        return lines

    forge(episodes=edit)
    fitting = recompute(read_submission(tmp_path / "forged")).results
    assert fitting is not None
    shutil.rmtree(tmp_path / "forged")

    def claim(results: Document) -> None:
        results.update(fitting.model_dump(mode="json"))

    found = forge(episodes=edit, results=claim)
    assert found.level is Level.RECOMPUTED
    assert "verdict: the world says 'False', the entry 'True'" in found.findings[0]


@pytest.mark.parametrize("repeat", [0, 1])
def test_a_dropped_seed_is_caught(forge: Callable[..., Verification], repeat: int) -> None:
    found = forge(episodes=lambda lines: [line for line in lines if line["key"]["repeat"] != repeat])
    assert found.level is Level.CLAIMED
    assert any("12 of 24 episodes are missing" in finding for finding in found.findings)


def test_a_dropped_failure_is_caught(forge: Callable[..., Verification]) -> None:
    found = forge(episodes=lambda lines: [line for line in lines if line is not failed(lines)])
    assert any("1 of 24 episodes are missing" in finding for finding in found.findings)


def test_an_episode_that_stands_twice_is_caught(forge: Callable[..., Verification]) -> None:
    found = forge(episodes=lambda lines: [*lines, lines[0]])
    assert any("comes twice" in finding for finding in found.findings)


def test_a_claimed_score_is_caught(forge: Callable[..., Verification]) -> None:
    def claim(results: Document) -> None:
        results["metrics"]["success_rate"].update(value=0.99, high=1.0)

    found = forge(results=claim)
    assert found.level is Level.CLAIMED
    assert "results.json claims success_rate 0.99 of 24; the episodes give" in found.findings[0]


def test_chosen_tasks_under_a_registered_name_are_caught(forge: Callable[..., Verification]) -> None:
    def choose(manifest: Document) -> None:
        tasks = manifest["panel"]["task_ids"][:6]
        manifest["panel"].update(task_ids=tasks, sha256=hashlib.sha256("\n".join(["toy", *tasks]).encode()).hexdigest())

    def drop(lines: list[Document]) -> list[Document]:
        tasks = sorted({line["key"]["task_id"] for line in lines})[:6]
        return [line for line in lines if line["key"]["task_id"] in tasks]

    found = forge(manifest=choose, episodes=drop)
    assert any("not the tasks of the registered panel 'test-12'" in finding for finding in found.findings)


def test_a_changed_number_of_repeats_is_caught(forge: Callable[..., Verification]) -> None:
    """Dropping a whole repeat and saying that it was never planned leaves the identity behind."""
    found = forge(
        manifest=lambda manifest: manifest.update(repeats=1),
        episodes=lambda lines: [line for line in lines if line["key"]["repeat"] == 0],
    )
    assert any("says repeats '1', its identity '2'" in finding for finding in found.findings)


def test_the_same_agent_run_again_does_the_same(toy_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    folder = add(toy_run(), tmp_path, "expert", title="Expert", submitter="tests", submitted="2026-01-01")
    assert verify(folder, Level.RERUN, rerun=rerunner("expert", workers=0)).level is Level.RERUN
    other = verify(folder, Level.RERUN, rerun=rerunner("random", workers=0))
    assert other.level is Level.REPLAYED
    assert "episodes differ" in other.findings[0]


def test_reasoning_that_was_rewritten_is_caught_by_a_rerun(toy_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    run = toy_run()
    lines = [json.loads(line) for line in (run.path / "episodes.jsonl").read_text().splitlines()]
    for step in (step for line in lines for step in line["trajectory"]["steps"]):
        text = compose("ok", step["action"])
        spans = [span.model_dump(mode="json") for span in text.spans]
        step.update(completion=text.text, spans=spans, reasoning="ok")
    (run.path / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run.write_results(score(run))
    folder = add(run, tmp_path, "terse", title="Terse", submitter="tests", submitted="2026-01-01")
    found = verify(folder, Level.RERUN, rerun=rerunner("expert", workers=0))
    assert found.level is Level.REPLAYED
    assert "12 of 12 episodes differ" in found.findings[0]


def test_an_agent_that_is_told_the_answers_is_not_ranked_with_those_that_are_not(
    toy_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    said = {"title": "Oracle", "submitter": "tests", "submitted": "2026-01-01"}
    run = toy_run("oracle")
    with pytest.raises(EntryError, match="--track privileged"):
        add(run, tmp_path, "oracle", **said)
    assert verify(add(run, tmp_path, "oracle", track="privileged", **said), Level.REPLAYED).findings == ()


def test_a_part_of_a_run_is_refused(forge: Callable[..., Verification]) -> None:
    found = forge(manifest=lambda manifest: manifest.update(shard=[1, 2]))
    assert any("sad-eval merge" in finding for finding in found.findings)


def test_episodes_that_no_evaluation_plays_are_refused(forge: Callable[..., Verification], tmp_path: Path) -> None:
    def guided(lines: list[Document]) -> list[Document]:
        long(lines)["trajectory"]["steps"][1]["author"] = "teacher"
        return lines

    def imported(lines: list[Document]) -> list[Document]:
        failed(lines)["trajectory"]["unknown"] = ["success", "status"]
        return lines

    for edit, reason in ((guided, "not the agent's but of teacher"), (imported, "does not tell its success, status")):
        found = forge(episodes=edit)
        shutil.rmtree(tmp_path / "forged")
        assert (found.level, len(found.findings)) == (Level.CLAIMED, 1)
        assert reason in found.findings[0]


def test_an_owed_ending_is_refused(forge: Callable[..., Verification]) -> None:
    def edit(lines: list[Document]) -> list[Document]:
        failed(lines)["attempts"][-1]["status"] = "env_error"
        lines[lines.index(failed(lines))]["trajectory"]["status"] = "env_error"
        return lines

    assert any("no scored ending" in finding for finding in forge(episodes=edit).findings)


def test_a_file_that_was_swapped_is_refused(honest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "swapped"
    shutil.copytree(honest, folder)
    (folder / "results.json").write_text((folder / "results.json").read_text() + " ")
    assert "not the file that entry.json names" in verify(folder, Level.REPLAYED).findings[0]


def test_entries_that_share_episodes_are_reported(honest: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copied"
    shutil.copytree(honest, copy)
    submissions = [verify(path, Level.CLAIMED).submission for path in (honest, copy)]
    assert duplicates([one for one in submissions if one]) == [
        "honest and copied share 24 episodes word for word, of 24 and 24"
    ]


def test_an_incomplete_run_is_not_added(toy_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    run = toy_run()
    lines = (run.path / "episodes.jsonl").read_text().splitlines(keepends=True)
    (run.path / "episodes.jsonl").write_text("".join(lines[:-1]))
    run.write_results(run.results().model_copy(update={"status": "incomplete", "owed": 1}))
    with pytest.raises(IncompleteError, match="1 episodes are owed"):
        add(run, tmp_path, "x", title="x", submitter="x", submitted="2026-01-01")
    assert list(tmp_path.iterdir()) == []


def test_entries_are_never_replaced(honest: Path, toy_run: Callable[..., RunFolder]) -> None:
    with pytest.raises(ConfigError, match="entries are never replaced"):
        add(toy_run(), honest.parent, honest.name, title="x", submitter="x", submitted="2026-01-01")

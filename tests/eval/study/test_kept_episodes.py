"""Episodes kept beside a report: every figure is made again from them when the run folders are gone."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_eval.runs.run_folder import RunFolder
from sad_eval.study.kept_episodes import keep_episodes, kept_file, read_run
from sad_eval.study.report import write_report

from sad_env.errors import DataError


def keep_all(study: Path) -> list[Path]:
    folders = sorted(study.glob("*/eval/*"))
    paths = [kept_file(folder.parent.parent, folder.name) for folder in folders]
    for folder, path in zip(folders, paths, strict=True):
        keep_episodes(folder, path)
    return paths


def test_the_report_is_the_same_without_the_run_folders(
    golden_study: Path,
    published: dict[str, str],
    as_before: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # its figures have tests of their own, and take a while
    kept = keep_all(golden_study)
    assert len(kept) == len(list(golden_study.glob("*/eval/*"))) > 80
    write_report(golden_study)
    before = (golden_study / "README.md").read_text(encoding="utf-8")
    for folder in golden_study.glob("*/eval"):
        shutil.rmtree(folder)
    write_report(golden_study)
    assert (golden_study / "README.md").read_text(encoding="utf-8") == before
    for name in ("results.csv", "tests.csv"):
        assert as_before(name, (golden_study / name).read_text(encoding="utf-8")) == published[name]
    # The kept files were what it was made from.
    kept[0].unlink()
    write_report(golden_study)
    assert (golden_study / "README.md").read_text(encoding="utf-8") != before


def test_equal_episodes_are_equal_files_and_hold_no_times(golden_study: Path, tmp_path: Path) -> None:
    folder = golden_study / "toy/eval/layers-3-sad-online-0"
    slower = tmp_path / "slower"
    shutil.copytree(folder, slower)
    lines = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    for line in lines:
        line["trajectory"]["seconds"] = line["attempts"][0]["seconds"] = 9.0
        for step in line["trajectory"]["steps"]:
            step["agent_seconds"] = 9.0
    (slower / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in reversed(lines)))
    paths = [tmp_path / "one.gz", tmp_path / "other.gz"]
    for source, path in zip((folder, slower), paths, strict=True):
        keep_episodes(source, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size < (folder / "episodes.jsonl").stat().st_size / 5


def test_a_kept_episode_holds_what_was_said_and_done(golden_study: Path) -> None:
    world, name = golden_study / "hotpotqa", "layers-3-seqkd-1"
    original = {line.id: line for line in RunFolder.open(world / "eval" / name).episodes()}
    keep_episodes(world / "eval" / name, kept_file(world, name))
    shutil.rmtree(world / "eval")
    kept = read_run(world, name)
    assert kept is not None
    assert {line.id for line in kept.episodes} == original.keys()
    for line in kept.episodes:
        assert line.chain_holds()
        assert line.chain == original[line.id].chain
        for step, before in zip(line.trajectory.steps, original[line.id].trajectory.steps, strict=True):
            assert (step.completion, step.token_ids, step.token_labels) == (
                before.completion,
                before.token_ids,
                before.token_labels,
            )


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-40],
        lambda data: data[:300] + bytes(40) + data[340:],
        lambda data: b"no gzip",
        lambda data: gzip.compress(b"{}\n{}\n"),
        lambda data: gzip.compress(b""),
    ],
)
def test_a_damaged_file_is_named(golden_study: Path, damage: Callable[[bytes], bytes]) -> None:
    world, name = golden_study / "toy", "teacher"
    path = kept_file(world, name)
    keep_episodes(world / "eval" / name, path)
    shutil.rmtree(world / "eval")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"teacher\.jsonl\.gz: "):
        read_run(world, name)

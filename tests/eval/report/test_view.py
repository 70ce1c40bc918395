"""`sad-eval runs` and `sad-eval view`: what a folder holds, and what of it is in the page."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_eval.analysis.compare import compare
from sad_eval.commands.evaluate import main
from sad_eval.metrics.statistics import holm
from sad_eval.records import EpisodeLine
from sad_eval.report.known_tasks import known_texts
from sad_eval.report.packing import Packer, packed, unpacked
from sad_eval.report.run_index import find_runs
from sad_eval.report.view import render_view
from sad_eval.runs.run_folder import RunFolder

from sad_env.errors import DataError
from sad_env.records import Trajectory

HOSTILE = "</script><script>alert(1)</script>\x1b[2J\u202e"


@pytest.fixture(scope="module")
def folder(toy_run: Callable[..., RunFolder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, one of them in a folder of its own, and the metrics of a training run."""
    root = tmp_path_factory.mktemp("all")
    for name, run in (("a", toy_run()), ("b", toy_run("random")), ("deep/c", toy_run("random", "--seed", "1"))):
        shutil.copytree(run.path, root / name)
    (root / "train").mkdir()
    lines = [json.dumps({"step": step, "loss": 1 / (1 + step)}) for step in range(20)]
    (root / "train" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return root


def parts(page: str) -> tuple[list[Any], dict[str, Any]]:
    """Blocks and index of a page, unpacked."""
    blocks = re.findall(r'<script type="text/plain" id="block-\d+">([^<]*)</script>', page)
    (index,) = re.findall(r'<script type="text/plain" id="index">([^<]*)</script>', page)
    return [unpacked(block) for block in blocks], unpacked(index)


def test_runs_are_found_below_a_folder_and_the_newest_is_first(folder: Path) -> None:
    found = find_runs(folder)
    created = [one.run.manifest.created for one in found.runs]
    assert sorted(one.name for one in found.runs) == ["a", "b", "deep/c"]
    assert created == sorted(created, reverse=True)
    assert found.trainings == (Path("train"),)


def test_a_folder_without_runs_and_a_run_that_cannot_be_read_are_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        find_runs(tmp_path / "none")
    with pytest.raises(DataError, match="holds no run"):
        find_runs(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    shutil.copytree(folder / "a", tmp_path / "a")
    found = find_runs(tmp_path)
    assert [one.name for one in found.runs] == ["a"]
    assert "broken" in found.remarks[0]


def test_the_table_has_a_line_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(folder)]) == 0
    text = capsys.readouterr().out
    assert [text.count(name) for name in ("\na ", "\nb ", "\ndeep/c ")] == [1, 1, 1]
    assert "training runs (curves in training.html): train" in text
    assert main(["runs", str(folder), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["results"]["metrics"]["success_rate"]["value"] for one in listed}["a"] == 1.0


def test_the_page_has_every_episode_as_it_was_recorded(folder: Path) -> None:
    found = find_runs(folder)
    blocks, index = parts("".join(render_view(found, folder)))
    for run, listed in zip(index["runs"], found.runs, strict=True):
        lines = list(listed.run.episodes())
        assert len(run["rows"]) == len(lines)
        for row, line in zip(run["rows"], lines, strict=True):
            trajectory = line.trajectory
            assert index["tasks"][row[0]] == trajectory.task_id
            assert row[4:7] == [int(trajectory.success), trajectory.score, len(trajectory.steps)]
            texts, episodes = blocks[row[10]]
            prompt, first, error, steps = episodes[row[11]]
            assert (texts[prompt], texts[first], error) == (trajectory.prompt, trajectory.observation, trajectory.error)
            for packed_step, step in zip(steps, trajectory.steps, strict=True):
                assert "".join(head + body for _, head, body in packed_step[0]) == step.completion
                assert [kind for kind, *_ in packed_step[0]] == [span.kind.value for span in step.spans]
                assert texts[packed_step[1]] == step.observation
                assert [texts[action] for action in packed_step[3]] == list(step.admissible or ())


def test_the_page_compares_all_pairs_of_a_panel_as_the_command_does(folder: Path) -> None:
    found = find_runs(folder)
    _, index = parts("".join(render_view(found, folder)))
    (group,) = index["comparisons"]
    assert group["runs"] == [0, 1, 2]
    wanted = compare([listed.run for listed in found.runs])
    assert [pair["p"] for *_, pair in group["pairs"]] == [f"{pair.p_value:.3g}" for pair in wanted.pairs]
    adjusted = holm([pair.p_value for pair in wanted.pairs])
    assert [pair["adjusted"] for *_, pair in group["pairs"]] == [f"{value:.3g}" for value in adjusted]
    assert [row[0] for row in group["pairs"][0][2]["rows"]] == [
        name.replace("_", " ") for name in wanted.pairs[0].differences
    ]


def test_what_the_world_knows_of_a_task_is_in_the_page(folder: Path) -> None:
    found = find_runs(folder)
    _, index = parts("".join(render_view(found, folder)))
    run = index["runs"][0]
    known = index["known"][run["group"]]
    assert set(known) == {str(row[0]) for row in run["rows"]}
    assert all(text.startswith("These actions solve it: ") for text in known.values())


def test_a_manifest_of_somebody_else_opens_no_files_and_passes_no_words_to_a_world(
    folder: Path, tmp_path: Path
) -> None:
    manifest = find_runs(folder).runs[0].run.manifest
    assert known_texts(manifest)
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    for changes in (
        {"data": "given"},
        {"world": f"{tmp_path / 'evil.py'}:World"},
        {"world": "no-such-world"},
        {"identity": {**manifest.identity, "world backend": "http://example.org"}},
    ):
        assert known_texts(manifest.model_copy(update=changes)) == {}
    assert not (tmp_path / "ran").exists()


def test_hostile_text_cannot_leave_its_place(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "a", tmp_path / "a")
    for name in ("manifest.json", "results.json", "episodes.jsonl"):
        path = tmp_path / "a" / name
        text = path.read_text(encoding="utf-8").replace('"expert"', json.dumps(HOSTILE))
        path.write_text(text, encoding="utf-8")
    page = "".join(render_view(find_runs(tmp_path), tmp_path))
    assert "alert(1)</script>" not in page
    assert "\x1b" not in page
    blocks, index = parts(page)
    assert len(blocks) == 1
    assert index["runs"][0]["agent"].startswith("</script><script>alert(1)")
    assert "\x1b" not in index["runs"][0]["agent"]


def test_packing_keeps_within_its_bytes_and_gives_every_run_its_share(toy_run: Callable[..., RunFolder]) -> None:
    lines = list(toy_run("random").episodes())
    draw = random.Random(0)
    prompts = ["".join(chr(0x4E00 + draw.randrange(20_000)) for _ in range(100_000)) for _ in lines]
    bulky = [
        EpisodeLine.of(one.trajectory.model_copy(update={"prompt": prompt}))
        for one, prompt in zip(lines, prompts, strict=True)
    ]
    packer, seen = Packer(6_000_000, runs=2), []
    for run in (bulky, lines):
        places: dict[int, tuple[int, int]] = {}
        blocks = list(packer.run(iter(run), places))
        seen.append((len(places), sum(map(len, blocks))))
    assert 0 < seen[0][0] < len(lines)
    assert seen[1][0] == len(lines)
    assert packer.spent == seen[0][1] + seen[1][1] <= 6_000_000


def test_packed_json_needs_no_escape_in_html() -> None:
    value = {"text": "<&'\"\u2028é", "numbers": [1, 2.5, None]}
    assert re.fullmatch("[A-Za-z0-9+/=]+", packed(value))
    assert unpacked(packed(value)) == value


def test_an_episode_is_read_back_by_its_block_and_place(toy_run: Callable[..., RunFolder]) -> None:
    trajectories: list[Trajectory] = [line.trajectory for line in toy_run().episodes()]
    packer, places = Packer(10**6, runs=1), {}
    blocks = [unpacked(block) for block in packer.run(map(EpisodeLine.of, trajectories), places)]
    for number, trajectory in enumerate(trajectories):
        block, place = places[number]
        texts, episodes = blocks[block]
        assert texts[episodes[place][1]] == trajectory.observation

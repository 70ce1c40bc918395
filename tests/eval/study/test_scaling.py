"""Figures 3 and 10, the ablation tables' columns, and faithfulness as a stage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sad_eval.study.config import StudyConfig
from sad_eval.study.faithfulness_tables import faithfulness_section
from sad_eval.study.plan import faithfulness_file, stages
from sad_eval.study.results import COLUMNS, Evaluation, WorldResults
from sad_eval.study.scaling import PANELS, scaling_figure, scaling_lines, write_scaling
from sad_eval.study.tables import ablation_tables


def evaluation(success: float, **values: float) -> Evaluation:
    tasks = tuple(f"task {number}" for number in range(20))
    parts = {name: np.full(20, values.get(name, 1.0)) for name in COLUMNS}
    parts["success"] = (np.arange(20) < 20 * success).astype(float)
    return Evaluation(tasks, parts, {name: np.ones(20) for name in COLUMNS}, complete=True)


def world(*sizes: str) -> WorldResults:
    evaluations = {
        f"{size}-{method}-0": evaluation(0.2 * place + 0.3 * (method == "sad-offline"), arl=9.0 - place, latency=7.5)
        for place, size in enumerate(reversed(sizes))
        for method in ("start", "sad-offline", "token-offline")
    }
    evaluations["teacher"] = evaluation(0.9, arl=6.0)
    settings = {
        "students": list(sizes),
        "seeds": 1,
        "shared_start": False,
        "arms": ["token-offline", "sad-offline"],
        "ablations": [],
        "ablation_students": [sizes[-1]],
    }
    return WorldResults("toy", settings, evaluations, {}, 0, 0)


def test_scaling_has_the_papers_four_panels_with_the_smallest_size_first() -> None:
    pytest.importorskip("matplotlib")
    found = world("large", "small")
    lines = scaling_lines(found)
    assert [line.title for line in lines] == ["SFT start", "token KL, offline", "SAD, offline"]
    assert lines[2].values["success"]["large"].value == pytest.approx(0.5)
    assert lines[2].values["arl"]["small"].value == pytest.approx(9.0)
    figure = scaling_figure("toy", ("small", "large"), lines, {"success": 0.9})
    assert [axes.get_title() for axes in figure.axes] == [COLUMNS[column].title for column in PANELS]
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["small", "large"]
    success = figure.axes[0]
    assert [tuple(bars[0].get_ydata()) for bars in success.containers][2] == pytest.approx((30.0, 50.0))
    labels = success.get_legend_handles_labels()[1]
    assert labels == ["teacher", *(line.title for line in lines)]


def test_scaling_is_written_where_there_are_two_sizes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert write_scaling(tmp_path, world("only")) == []
    assert write_scaling(tmp_path, world("large", "small")) == ["toy-scaling"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pdf", ".png", ".svg"]


def test_ablation_tables_have_success_cot_match_and_latency() -> None:
    text = ablation_tables([world("large", "small")])
    header = next(line for line in text.splitlines() if line.startswith("| method"))
    assert header == ("| method | toy: success, % | toy: CoT match recall, % | toy: latency, reasonings and actions |")
    row = next(line for line in text.splitlines() if line.startswith("| SAD, offline"))
    assert [cell.split()[0] for cell in row.split(" | ")[1:]] == ["30.0", "100.0", "7.5"]


def test_faithfulness_is_a_stage_of_every_student_and_a_section_of_the_report(tmp_path: Path) -> None:
    config = StudyConfig(out="study", worlds=("toy",), seeds=1)
    plain = {stage.name for stage in stages(config)}
    probed = {stage.name: stage for stage in stages(replace(config, faithfulness=40))}
    added = probed.keys() - plain
    assert {name.replace("faithfulness", "evaluate") for name in added} == {
        name for name in plain if "evaluate nano-" in name
    }
    stage = probed["toy: faithfulness nano-2m-sad-offline-0"]
    assert stage.command[:3] == ("sad_eval", "faithfulness", "study/toy/eval/nano-2m-sad-offline-0")
    found = world("small")
    assert faithfulness_section(tmp_path, [found]) == ""
    path = faithfulness_file(tmp_path / "toy", "small-sad-offline-0")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"figures": {"faithfulness": {"value": 0.25}}}))
    assert "| small | SAD, offline | 0.250 | — | — | — | 1 |" in faithfulness_section(tmp_path, [found])

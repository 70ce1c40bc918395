"""Studies whose methods have equal processor seconds: the plan, the curves, the tests, and a small one that is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sad_eval.metrics.statistics import holm
from sad_eval.study.config import StudyConfig
from sad_eval.study.costs import Cost
from sad_eval.study.curves import compared_at_cost, curves_section
from sad_eval.study.methods import FIELD_CLAIMS, configuration, method_of
from sad_eval.study.plan import StudyStage, keys, run_name, stages
from sad_eval.study.report import _learning, write_report
from sad_eval.study.results import COLUMNS, Evaluation, WorldResults, read_study
from sad_eval.study.runner import run_study
from sad_eval.study.tables import teacher_table, title_of

from sad_env import cli
from sad_env.config_files import shipped_configs
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.settings import flat

FIELD = cli.parse(StudyConfig, ["--config", "field"], prog="sad-study", configs="sad_eval.study")
PRESETS = [name for name in shipped_configs("sad_distill") if name.startswith("field/")]


def named(config: StudyConfig) -> dict[str, StudyStage]:
    return {stage.name: stage for stage in stages(config)}


def test_the_field_study_has_every_preset_of_the_field_and_the_reference() -> None:
    ours = {"field/sad-offline": "sad-offline", "field/sad-online": "sad-online"}
    assert {ours.get(name, name) for name in PRESETS} == {*FIELD.arms}
    assert FIELD.seeds == 3
    assert len(FIELD.worlds) == 3


@pytest.mark.parametrize("arm", FIELD.arms)
def test_each_method_of_the_field_study_is_a_command_that_takes_its_settings(arm: str) -> None:
    from sad_distill.commands.main import train_config
    from sad_distill.config_checks import check

    plan = named(FIELD)
    for world in FIELD.worlds:
        stage = plan[f"{world}: train {run_name('nano-0.7m', arm, 1)}"]
        config = train_config(stage.command[1:])
        check(config)
        assert config.optimisation.processor_seconds == 400
        assert config.output.keep_at == (0.25, 0.5)
        assert config.model.student == str(Path(f"studies/field/{world}/nano-0.7m-begin-0/student.pt"))
        if method_of(arm).preset:
            found, own = flat(config), method_of(arm).preset
            assert all(
                found[name] == (tuple(value) if isinstance(value, list) else value) for name, value in own.items()
            )


def test_a_preset_that_says_something_else_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(FIELD, worlds=("webshop",), seeds=1, arms=("sad-offline", "field/opd", "field/sad-then-reward"))
    teacher = {Path("studies/field/webshop/teacher-given/student.pt"): "hash"}
    before = keys(stages(config), teacher)
    presets = shipped_configs("sad_distill")
    (tmp_path / "changed.toml").write_text(presets["field/gigpo"].read_text().replace("3e-5", "2e-5"))
    changed = {**presets, "field/gigpo": tmp_path / "changed.toml"}
    monkeypatch.setattr("sad_env.config_files.shipped_configs", lambda package: changed)
    after = keys(stages(config), teacher)
    anew = {name for name in before if before[name] != after[name]}
    assert anew
    assert all("field-sad-then-reward-0" in name for name in anew)
    assert configuration("paper/table12/2-1")["method"] == configuration("paper")["method"]
    with pytest.raises(ConfigError):
        configuration("field/nothing")


def test_a_file_of_ones_own_is_known_by_what_it_says(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    flags = {"sad-offline": f"--config constrained --config {own}"}
    config = replace(FIELD, worlds=("webshop",), seeds=1, arms=("sad-offline", "sad-online"), method_flags=flags)
    teacher = {Path("studies/field/webshop/teacher-given/student.pt"): "hash"}
    found = []
    for clamp in (5, 6):
        own.write_text(f"clamp = {clamp}\n")
        found.append(keys(stages(config), teacher))
    anew = {name for name in found[0] if found[0][name] != found[1][name]}
    assert anew
    assert all("sad-offline-0" in name for name in anew)


def test_all_methods_begin_where_sad_offline_ended_and_are_evaluated_on_their_way() -> None:
    plan = named(replace(FIELD, worlds=("webshop",)))
    begin = plan["webshop: train nano-0.7m-begin-0"]
    assert "--student studies/field/webshop/nano-0.7m-start-0/student.pt" in begin.line
    assert "--processor-seconds" not in begin.line
    assert "--steps 200" in begin.line
    run = plan["webshop: train nano-0.7m-field-grpo-2"]
    assert begin.product in run.needs
    for share in (25, 50):
        stage = plan[f"webshop: evaluate nano-0.7m-field-grpo-2-at-{share}"]
        assert f"--agent studies/field/webshop/nano-0.7m-field-grpo-2/at-{share}.pt" in stage.line
        assert run.product in stage.needs
    assert "--seed 2" in run.line


def test_a_preset_keeps_its_own_settings_but_for_what_is_said_of_it() -> None:
    config = replace(
        FIELD, rates={"field/opd": 3e-5}, method_flags={"field/grpo": "--rollouts 32 --group 4"}, worlds=("alfworld",)
    )
    plan = named(config)
    opd, grpo = (plan[f"alfworld: train nano-0.7m-field-{name}-0"].line for name in ("opd", "grpo"))
    assert "--learning-rate 3e-05" in opd
    assert "--learning-rate" not in grpo
    assert "--rollouts 32 --group 4" in grpo
    assert "--optimiser" not in grpo
    # A student that teaches itself has no other teacher; all episodes end where those of the evaluation do.
    assert "--teacher " not in plan["alfworld: train nano-0.7m-field-opsd-0"].line
    assert "--max-steps 20" in grpo
    assert "--max-steps 20" in plan["alfworld: train nano-0.7m-field-tcod-f2b-0"].line
    assert not any("--horizon-start" in stage.line for name, stage in plan.items() if "field-" in name)
    shops = named(replace(FIELD, worlds=("webshop",)))
    assert "--max-steps" not in shops["webshop: train nano-0.7m-field-tcod-f2b-0"].line  # its own limit is 15


@pytest.mark.parametrize("asked", [{"begin_method": "field/sad-recorded"}, {"ablations": ("field/sad-recorded",)}])
def test_recorded_scores_are_recorded_and_learned_wherever_a_study_names_them(asked: dict[str, Any]) -> None:
    plan = named(replace(FIELD, worlds=("webshop",), arms=("sad-offline",), ablation_students=("nano-0.7m",), **asked))
    assert "--record-top-logprobs 16" in plan["webshop: collect teacher"].line
    name = "begin" if "begin_method" in asked else "field-sad-recorded"
    assert "--teacher " not in plan[f"webshop: train nano-0.7m-{name}-0"].line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method_flags": {"field/nothing": "--seed 1"}}, "method_flags has field/nothing"),
        ({"begin_steps": 0}, "begin_method and begin_steps go together"),
        ({"keep_at": (0.5, 1.0)}, "keep_at has shares"),
        ({"plan": True}, "processor_seconds gives 400 s to each of 153 students"),
    ],
)
def test_settings_of_a_budget_that_contradict_one_another_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(FIELD, **changes).check()


def test_an_unknown_preset_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match="field/ogd"):
        method_of("field/ogd")
    with pytest.raises(UnknownNameError):
        method_of("paper")


# --- the report --------------------------------------------------------------------------------------------------


def evaluation(won: np.ndarray) -> Evaluation:
    tasks = tuple(f"task-{number:03d}" for number in range(len(won)))
    parts = {column: won.astype(float) for column in COLUMNS}
    return Evaluation(tasks, parts, {column: np.ones(len(won)) for column in COLUMNS}, complete=True)


def world_with(shares: dict[str, float], name: str = "toy") -> WorldResults:
    """Students of two seeds, each winning about such a share of 200 tasks, less a quarter and half through."""
    settings = {"students": ["nano-0.7m"], "seeds": 2, "arms": list(shares), "ablations": [], "shared_start": True}
    settings["ablation_students"] = []
    settings |= {"processor_seconds": 8.0, "keep_at": [0.25, 0.5], "begin_method": "sad-offline"}
    draw = np.random.default_rng(1).random(200)
    found, costs = {run_name("nano-0.7m", "begin", 0): evaluation(draw < 0.3)}, {}
    for method, share in shares.items():
        for seed in range(2):
            run = run_name("nano-0.7m", method, seed)
            costs[run] = Cost(20.0, 1, 1, 1, used=7.0 + seed)
            for part, suffix in ((0.25, "-at-25"), (0.5, "-at-50"), (1.0, "")):
                found[run + suffix] = evaluation(draw < 0.3 + part * (share - 0.3))
    return WorldResults(name, settings, found, costs, 1, 1)


def test_the_section_has_a_curve_of_each_method_and_its_tests_are_corrected_together(tmp_path: Path) -> None:
    worlds = [world_with({"sad-offline": 0.5, "field/opd": 0.7, "field/grpo": 0.5, "field/rft": 0.34})]
    text = curves_section(tmp_path, worlds)
    line = next(line for line in text.split("\n") if line.startswith("| field/opd | "))
    cells = [cell.partition(" ")[0] for cell in line.strip("| ").split(" | ")]
    expected = [100 * worlds[0].runs("nano-0.7m", "field/opd", share)[0].value("success") for share in (0.25, 0.5, 1)]  # type: ignore[operator]
    assert [float(cell) for cell in cells[2:5]] == pytest.approx(expected, abs=0.06)
    assert cells[5] == "8"  # the mean of 7 and 8, rounded to even
    found = compared_at_cost(worlds)
    others = ["field/opd", "field/grpo", "field/rft"]
    assert {other: [one.comparison.first for one in each] for other, each in found.items()} == {
        "sad-offline": others,
        "field/opd": others[1:],
    }
    for each in found.values():
        assert [one.p for one in each] == pytest.approx(holm([one.overall.p for one in each]))
    assert found["sad-offline"][0].overall.value == pytest.approx(0.2, abs=0.06)
    tests = text[text.index("### Each method against") :].split("\n")
    rows = [line.split(" | ") for line in tests if line.startswith("| field/")]
    words = ["ahead", "undecided", "behind"]
    # Over all worlds, then world by world; without a spread of seeds the same comes of drawing them, too.
    assert [row[5] for row in rows if row[1] == "2"] == [*words, "behind", "behind"]
    assert [row[6] for row in rows if row[1] == "toy"] == [*words, "behind", "behind"]
    assert {row[-2] == row[2] for row in rows if row[1] == "2"} == {True}


def test_a_method_that_has_not_all_of_its_students_is_told_with_how_many(tmp_path: Path) -> None:
    worlds = [world_with({"sad-offline": 0.5, "field/opd": 0.7}, name) for name in ("one", "two")]
    del worlds[1].evaluations[run_name("nano-0.7m", "field/opd", 1)]
    text = curves_section(tmp_path, worlds)
    assert "| field/opd | 3 of 4 | +" in text
    [alone] = [line for line in text.split("\n") if line.startswith("| field/opd | two | 1 | +")]
    assert alone.endswith("| — | — |")


def test_the_setting_of_a_study_with_a_budget_says_what_presets_leave_open() -> None:
    given = {"processor_seconds": 200.0, "batch": 8, "rollouts": 16, "sampling_temperature": 0.3, "updates": 1}
    told = _learning({**given, "arms": ["sad-offline", "field/opd"]})
    assert told == (
        "200 processor seconds of each method (updates of the methods that are no presets: offline 8 rows each;"
        " presets, field/..., have settings of their own)"
    )
    assert "online 16 episodes, drawn at temperature 0.3" in _learning({**given, "arms": ["sad-online"]})
    assert "methods that" not in _learning({**given, "arms": ["field/opd"]})


def test_what_papers_of_the_field_say_is_tested_at_this_cost(tmp_path: Path) -> None:
    shares = {"field/opd": 0.4, "field/grpo": 0.6, "field/gigpo": 0.6, "field/atod": 0.8}
    text = curves_section(tmp_path, [world_with(shares)])
    section = text[text.index("### What the methods' papers say") :]
    rows = [line.split(" | ") for line in section.split("\n") if line.startswith("| field/")]
    assert [(row[0].removeprefix("| "), row[1], row[-1].removesuffix(" |")) for row in rows] == [
        ("field/gigpo", "field/grpo", "undecided"),
        ("field/opd", "field/grpo", "the opposite held"),
        ("field/atod", "field/opd", "held"),
        ("field/atod", "field/grpo", "held"),
    ]
    assert {name for names in FIELD_CLAIMS for name in names} <= set(PRESETS)
    assert "papers say" not in curves_section(tmp_path, [world_with({"sad-offline": 0.5, "field/opd": 0.5})])


def test_sad_online_is_a_reference_too_and_no_pair_is_tested_twice() -> None:
    worlds = [world_with({"sad-offline": 0.5, "sad-online": 0.4, "field/opd": 0.7, "field/rft": 0.34})]
    found = {other: [one.comparison.first for one in each] for other, each in compared_at_cost(worlds).items()}
    assert found == {
        "sad-offline": ["sad-online", "field/opd", "field/rft"],
        "sad-online": ["field/opd", "field/rft"],
        "field/opd": ["field/rft"],
    }


def test_without_a_reference_there_is_no_table_of_tests(tmp_path: Path) -> None:
    assert "Each method against" not in curves_section(tmp_path, [world_with({"field/rft": 0.5})])


def test_students_are_compared_with_their_teacher_on_the_same_tasks() -> None:
    world = world_with({"sad-offline": 0.5, "field/opd": 0.9})
    tasks = np.arange(200)
    for seed in range(2):
        # Ahead by 30 tasks and 20 behind; 60 tasks behind.
        world.evaluations[run_name("nano-0.7m", "sad-offline", seed)] = evaluation((tasks >= 20) & (tasks < 150))
        world.evaluations[run_name("nano-0.7m", "field/opd", seed)] = evaluation(tasks < 60)
    assert teacher_table([world]) == ""
    world.evaluations["teacher"] = evaluation(tasks < 120)
    rows = [line.strip("| ").split(" | ") for line in teacher_table([world]).split("\n") if line.startswith("| toy")]
    assert [row[1:3] for row in rows] == [["nano-0.7m", title_of(name)] for name in ("sad-offline", "field/opd")]
    assert [row[3].partition(" ")[0] for row in rows] == ["+5.0", "-30.0"]
    assert [row[6] for row in rows] == ["undecided", "behind"]
    assert rows[0][7] == "<br>".join(f"toy nano-0.7m {seed}: 30/20 (p 0.20)" for seed in range(2))
    assert [float(row[5]) for row in rows] == pytest.approx(holm([float(row[4]) for row in rows]), abs=1e-4)


def test_a_study_without_a_budget_has_no_such_section(tmp_path: Path) -> None:
    world = world_with({"sad-offline": 0.5})
    world.settings["processor_seconds"] = 0.0
    assert curves_section(tmp_path, [world]) == ""


@pytest.mark.slow
def test_a_small_field_study_runs_resumes_and_reports(tmp_path: Path) -> None:
    config = StudyConfig(
        out=str(tmp_path / "study"),
        worlds=("toy",),
        teacher="nano-0.7m",
        students=("nano-0.7m",),
        arms=("sad-offline", "field/opd", "field/tcod-b2f", "field/sdar"),
        ablations=(),
        ablation_students=(),
        method_flags={"field/sdar": "--rollouts 16 --group 4"},
        seeds=1,
        shared_start=True,
        begin_method="sad-offline",
        begin_steps=5,
        processor_seconds=3.0,
        keep_at=(0.5,),
        expert_episodes=500,
        slip=0.0,
        teacher_steps=150,
        dagger_steps=0,
        teacher_episodes=60,
        failures=True,
        start_steps=40,
        batch=8,
        learning_rate=3e-3,
        precision="fp32",
        episodes=10,
        max_steps=12,
        context=256,
        jobs=1,
    )

    assert run_study(config) == 0
    [world] = read_study(Path(config.out))
    assert world.done == world.planned
    for arm in config.arms:
        assert set(world.runs("nano-0.7m", arm, 0.5)) == set(world.runs("nano-0.7m", arm)) == {0}
        # An iteration is not broken off: half of one more or less.
        assert 0.5 < world.costs[run_name("nano-0.7m", arm, 0)].used < 9
    text = (Path(config.out) / "README.md").read_text()
    assert "## Success against processor seconds" in text
    assert "### Each method against SAD, offline, at the whole budget" in text
    assert "corrected over this table's 3 tests" in text
    assert "World by world, corrected over these 3 tests" in text
    assert "corrected over this table's 2 tests" in text
    assert (
        "## Students against their teacher, success\n\nAll seeds of a row together; p values are corrected over these 4"
        in text
    )
    assert run_study(config) == 0
    assert write_report(Path(config.out))[0].done == world.planned

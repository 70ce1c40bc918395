"""The plan of a study: which commands, in which order, and what a change of settings makes anew."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sad_agents.model_words import shipped_student
from sad_eval.runs.run_folder import RunFolder
from sad_eval.study.config import StudyConfig
from sad_eval.study.methods import METHODS
from sad_eval.study.plan import StudyStage, keys, marker, stages, teacher_of
from sad_eval.study.processes import Ended
from sad_eval.study.report import write_report
from sad_eval.study.runner import begin

from sad_env import cli, config_files
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.files import write_text
from sad_env.json_lines import parse_json

CONFIGS = config_files.shipped_configs("sad_eval.study")
SMALL = StudyConfig(out="study", worlds=("toy",), seeds=2)


def named(plan: list[StudyStage]) -> dict[str, StudyStage]:
    return {stage.name: stage for stage in plan}


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_the_shipped_studies_have_a_plan_in_which_everything_is_made_before_it_is_needed(name: str) -> None:
    config = cli.parse(StudyConfig, ["--config", name], prog="sad-study", configs="sad_eval.study")
    plan = stages(config)
    assert all(word == "nano" and shipped_student(world).is_file() for world, word in config.teachers.items())
    made = {teacher_of(config, world) for world in config.teachers}
    for stage in plan:
        assert made.issuperset(stage.needs), stage.name
        assert stage.product not in made
        made.add(stage.product)
    assert len(named(plan)) == len(plan)


def test_each_way_of_each_size_and_seed_is_trained_and_evaluated() -> None:
    plan = named(stages(SMALL))
    for way in (*SMALL.arms, "start"):
        for size in SMALL.students:
            for seed in range(2):
                assert f"toy: train {size}-{way}-{seed}" in plan
                assert f"toy: evaluate {size}-{way}-{seed}" in plan
    assert {"toy: evaluate teacher", "toy: evaluate expert", "toy: evaluate random"} <= plan.keys()


def test_ways_read_the_teachers_episodes_where_they_learn_from_them() -> None:
    plan = named(stages(SMALL))
    reading = {
        way for way in SMALL.arms if Path("study/toy/teacher.jsonl") in plan[f"toy: train nano-2m-{way}-0"].needs
    }
    assert reading == {"seqkd", "word-kd", "token-offline", "minillm", "sad-offline"}
    assert all(
        ("--trajectories" in plan[f"toy: train nano-2m-{way}-0"].command) == (way in reading) for way in SMALL.arms
    )


def test_only_the_expert_is_told_more() -> None:
    plan = stages(replace(SMALL, expert_option="reveal=true"))
    told = {stage.name for stage in plan if stage.command[-2:] == ("--options", "reveal=true")}
    assert told == {"toy: collect expert", "toy: evaluate expert"}


def test_only_the_experts_episodes_are_renamed_and_all_ways_move_alike() -> None:
    plan = stages(replace(SMALL, renamed=0.5, distill_optimiser="muon", dagger_steps=3))
    renamed = [stage for stage in plan if "--renamed" in stage.command]
    assert [stage.name for stage in renamed] == ["toy: collect expert"]
    moved = [stage for stage in plan if any(f"-{arm}-" in stage.name for arm in METHODS) and "train" in stage.name]
    assert moved
    assert all("--optimiser muon" in stage.line for stage in moved)


def test_a_temperature_is_of_online_ways_and_a_factor_for_embeddings_of_what_begins_from_nothing() -> None:
    settings = replace(SMALL, embedding_factor=10.0, sampling_temperature=0.3)
    plan = named(stages(settings))
    for arm in settings.arms:
        way, line = METHODS[arm], plan[f"toy: train nano-2m-{arm}-0"].line
        assert ("--sampling-temperature 0.3" in line) == way.online
        assert "--embedding-factor" not in line
    assert "--embedding-factor 10" in plan["toy: train nano-2m-start-0"].line


def test_ablations_run_on_their_sizes_only() -> None:
    plan = named(stages(replace(SMALL, ablation_students=("nano-0.7m",))))
    assert "toy: train nano-0.7m-sad-1-2-0" in plan
    assert "toy: train nano-2m-sad-1-2-0" not in plan


def test_a_shared_start_is_trained_once_and_begins_every_seed() -> None:
    plan = named(stages(replace(SMALL, shared_start=True)))
    assert sum("train nano-2m-start" in name for name in plan) == 1
    for seed in range(2):
        stage = plan[f"toy: train nano-2m-seqkd-{seed}"]
        assert Path("study/toy/nano-2m-start-0/student.pt") in stage.needs
        assert stage.command[stage.command.index("--seed") + 1] == str(seed)


def test_a_given_teacher_is_not_trained() -> None:
    config = replace(SMALL, teachers={"toy": "some.pt"})
    plan = named(stages(config))
    assert "toy: train teacher" not in plan
    assert teacher_of(config, "toy") in plan["toy: evaluate teacher"].needs


def test_settings_of_a_world_are_its_own() -> None:
    config = replace(SMALL, worlds=("toy", "alfworld"), per_world={"toy": {"steps": 7, "max_steps": 5}})
    plan = named(stages(config))
    toy, other = (plan[f"{world}: train nano-2m-sad-online-0"].line for world in ("toy", "alfworld"))
    assert "--steps 7 " in toy
    assert "--horizon-start 5 " in toy
    assert f"--steps {config.steps} " in other
    assert "--horizon-start" not in other
    assert "--max-steps 5 " in plan["toy: evaluate teacher"].line


def test_a_changed_setting_changes_what_follows_from_it_and_nothing_else() -> None:
    before, after = (keys(stages(config), {}) for config in (SMALL, replace(SMALL, steps=SMALL.steps + 1)))
    changed = {name for name in before if before[name] != after[name]}
    arms = {f"{size}-{arm}-{seed}" for size in SMALL.students for arm in METHODS for seed in range(2)}
    assert changed == {name for name in before if name.rpartition(" ")[2] in arms}
    more = keys(stages(replace(SMALL, arms=SMALL.arms[:3])), {})
    assert all(before[name] == key for name, key in more.items())


def test_stages_that_an_earlier_release_began_keep_their_keys(golden_study: Path, tmp_path: Path) -> None:
    """Flags of the commands have other names now; a study that was begun under the former ones goes on."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    (tmp_path / "golden.toml").write_text(text.partition("```toml")[2].partition("```")[0])
    config = cli.parse(StudyConfig, ["--config", str(tmp_path / "golden.toml")], prog="sad-study")
    # Of the student that shipped then, which was its teacher.
    teacher = "0dc5c532834e785d65ca9380ec9f9697d23c52f191d642eea406c0dc60ca3e9b"
    found = keys(stages(config), {teacher_of(config, "hotpotqa"): teacher})
    began = [dict(parse_json((golden_study / world / "study.json").read_bytes())["stages"]) for world in config.worlds]
    assert found == began[0] | began[1]
    assert len(found) == 179


def test_another_given_teacher_makes_all_that_stands_on_it_anew() -> None:
    config = replace(SMALL, teachers={"toy": "some.pt"})
    plan = stages(config)
    before, after = (keys(plan, {teacher_of(config, "toy"): content}) for content in ("one", "other"))
    assert {name for name in before if before[name] == after[name]} == {"toy: collect expert"}


def act(config: StudyConfig) -> tuple[int, set[str]]:
    """Begin a study, with all that it would run done at once.

    Returns:
        How many stages were done before, and names of those that found something in their place.
    """
    plan = stages(config)
    runner = begin(config, plan)
    before, resumed = len(runner._done), set()
    for stage in plan:
        if stage.name in runner._done:
            continue
        if stage.product.exists():
            resumed.add(stage.name)
        key = runner.keys[stage.name]
        write_text(stage.product, key)
        write_text(marker(Path(config.out), stage.world, key), json.dumps({"name": stage.name}))
    assert all(stage.product.read_text() == runner.keys[stage.name] for stage in plan)
    return before, resumed


def test_what_was_made_under_another_setting_is_set_aside_and_never_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stage used to run again in its old folder, where a finished training had nothing more to do."""
    one = replace(SMALL, out=str(tmp_path), seeds=1, students=("nano-0.7m",))
    other, smaller = replace(one, expert_episodes=9), replace(one, arms=("seqkd",))
    assert act(one) == (0, set())
    (tmp_path / "toy/expert.jsonl.settings.json").touch()
    assert act(one) == (len(stages(one)), set())
    assert "earlier" not in capsys.readouterr().err
    first = (tmp_path / "toy/nano-0.7m-seqkd-0/student.pt").read_text()
    assert act(other) == (0, set())
    assert "start again; their earlier files are in" in capsys.readouterr().err
    aside = tmp_path / "toy/earlier/1"
    assert (aside / "nano-0.7m-seqkd-0/student.pt").read_text() == first
    assert {path.name for path in aside.glob("expert*")} == {"expert.jsonl", "expert.jsonl.settings.json"}
    # A setting that comes back finds nothing of its own, and neither does a stage that was left out in between.
    assert act(one) == (0, set())
    assert act(smaller) == (len(stages(smaller)), set())
    assert act(other) == (0, set())


@pytest.mark.parametrize("told", [True, False])
def test_a_study_that_was_moved_or_is_called_otherwise_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """Also one that an earlier release began, which did not say where it lay."""
    monkeypatch.chdir(tmp_path)
    config = replace(SMALL, out="runs/study", seeds=1)
    act(config)
    if not told:
        path = Path("runs/study/toy/study.json")
        record = json.loads(path.read_text())
        del record["folder"]
        path.write_text(json.dumps(record))
    everything = len(stages(config))
    assert act(replace(config, out=str(tmp_path / "runs/study"))) == (everything, set())
    Path("runs/study").rename("moved")
    assert act(replace(config, out="moved")) == (everything, set())
    assert not Path("moved/toy/earlier").exists()


def finished(config: StudyConfig, evaluation: Path) -> Path:
    """A study in which every stage has ended well, though nothing was run; returns its world's folder.

    Args:
        config: of the study.
        evaluation: the run folder that every evaluation is a copy of.
    """
    runner = begin(config, stages(config))
    for stage in runner.plan:
        if stage.kept is not None:
            shutil.copytree(evaluation, stage.product.parent)
        else:
            write_text(stage.product, "x")
        if stage.product.name == "student.pt":
            lines = [{"step": n, "tokens": 7.0, "rollout_seconds": 1.5, "rollout_tokens": 5.0} for n in range(2)]
            write_text(stage.product.parent / "metrics.jsonl", "".join(json.dumps(one) + "\n" for one in lines))
        runner._keep(stage, Ended(0, 3.0, 2.0))
    return Path(config.out) / config.worlds[0]


def test_a_student_that_was_evaluated_may_be_deleted_and_the_report_still_knows_its_cost(
    tmp_path: Path, toy_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    config = replace(SMALL, out=str(tmp_path), seeds=1, students=("nano-0.7m",), arms=("seqkd",), ablations=())
    world = finished(config, toy_run("expert", episodes=2).path)
    (world / "teacher-dagger/student.pt").unlink()  # the report would read it, and it is none
    shutil.rmtree(world / "nano-0.7m-seqkd-0")
    write_report(tmp_path)
    assert ",2,2,14,5\n" in (tmp_path / "results.csv").read_text()
    # Markers of earlier releases know the seconds alone: what was deleted has no cost any more, what is there has.
    for path in world.glob("done/*.json"):
        record = json.loads(path.read_text())
        for name in ("updates", "tokens", "sampled"):
            record.pop(name, None)
        write_text(path, json.dumps(record))
    write_report(tmp_path)
    rows = {tuple(line.split(",")[1:4]): line for line in (tmp_path / "results.csv").read_text().splitlines()}
    assert rows["nano-0.7m", "seqkd", "0"].endswith(",,,,")
    assert rows["nano-0.7m", "start", "0"].endswith(",2,2,14,5")
    assert "| nano-0.7m | SFT start | 2 | 2 | 14 | 5 |" in (tmp_path / "README.md").read_text()


def test_an_evaluation_whose_episodes_are_kept_is_not_run_again_unless_another_needs_it(
    tmp_path: Path, toy_run: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(SMALL, out=str(tmp_path), seeds=1, students=("nano-0.7m",), arms=("seqkd",), ablations=())
    world = finished(config, toy_run("expert", episodes=2).path)
    plan = stages(config)
    assert sorted(path.name for path in world.glob("episodes/*")) == sorted(
        f"{stage.product.parent.name}.jsonl.gz" for stage in plan if stage.kept is not None
    )
    kept = {path: path.read_bytes() for path in world.glob("episodes/*")}
    shutil.rmtree(world / "episodes")
    begin(config, plan).run()  # a study of an earlier release, in which nothing is left to do
    assert f"nothing run: all {len(plan)} stages are of 2" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in world.glob("episodes/*")} == kept
    shutil.rmtree(world / "eval")
    assert begin(config, plan)._done == {stage.name for stage in plan}
    (world / "episodes/nano-0.7m-seqkd-0.jsonl.gz").unlink()
    # The evaluation of the student is to be made, and compares with the run folder of the teacher's.
    missing = {stage.name for stage in plan} - begin(config, plan)._done
    assert missing == {"toy: evaluate nano-0.7m-seqkd-0", "toy: evaluate teacher"}


def test_the_former_name_of_the_command_still_works(capsys: pytest.CaptureFixture[str]) -> None:
    from sad_distill.commands.main import main as distill
    from sad_eval.study.command import main

    words = ["--out", "study", "--worlds", "toy", "--dry-run"]
    assert main(words) == 0
    lines = capsys.readouterr().out
    assert "python -m sad_eval " in lines
    assert distill(["study", *words]) == 0
    told = capsys.readouterr()
    assert told.out == lines
    assert "now called sad-study" in told.err


def test_flags_of_a_plan_are_flags_that_the_commands_know() -> None:
    from sad_agents.collect_command import CollectSettings
    from sad_distill.commands.main import train_config
    from sad_distill.config_checks import check

    for stage in stages(replace(SMALL, seeds=1, max_steps=9, sampling_temperature=0.5)):
        module, *words = shlex.split(stage.line)[2:]
        if module == "sad_distill":
            check(train_config(words))
        elif module == "sad_agents":
            cli.parse(CollectSettings, words, prog="sad-collect")


def test_settings_that_contradict_one_another_are_refused() -> None:
    for changes, reason in (
        ({"seeds": 0}, "at least 1"),
        ({"ablations": ("seqkd",)}, "name it once"),
        ({"ablation_students": ("nano-8m",)}, "not among students"),
        ({"per_world": {"toy": {"steps": "many"}}}, "is a int, not 'many'"),
    ):
        with pytest.raises(ConfigError, match=reason):
            stages(replace(SMALL, **changes))  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean 'seqkd'"):
        stages(replace(SMALL, arms=("seqk",)))
    with pytest.raises(UnknownNameError, match=r"no setting in per_world\.toy 'seeds'"):
        stages(replace(SMALL, per_world={"toy": {"seeds": 1}}))

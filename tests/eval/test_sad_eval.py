"""`sad-eval` as a user meets it: flags, run folders, resuming, refusing, exit codes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sad_eval.commands.evaluate import COMMANDS, main
from sad_eval.records import identity_sha256
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.settings import EvalSettings, shard_of, to_toml

from sad_env import cli
from sad_env.errors import ConfigError

Evaluate = Callable[..., int]
TOY = ("--env", "toy", "--agent", "expert", "--episodes", "6", "--workers", "0")


def run_of(folder: Path) -> RunFolder:
    """The only run below runs/."""
    (path,) = (folder / "runs").iterdir()
    return RunFolder.open(path)


def test_the_same_command_twice_plays_nothing_again(evaluate: Evaluate, tmp_path: Path) -> None:
    assert evaluate(*TOY) == 0
    run = run_of(tmp_path)
    before = (run.path / "episodes.jsonl").read_bytes()
    assert evaluate(*TOY) == 0
    assert (run.path / "episodes.jsonl").read_bytes() == before
    assert run.manifest.identity_sha256 == identity_sha256(run.manifest.identity)
    assert run.manifest.command == "sad-eval --env toy --agent expert --episodes 6 --workers 0 --quiet"
    assert run.results().panel == "test-6"


def test_another_setting_is_another_run_and_refused_in_the_same_folder(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert evaluate(*TOY, "--out", "run") == 0
    assert evaluate(*TOY, "--out", "run", "--seed", "1") == 2
    assert capsys.readouterr().err == (
        "sad-eval: 'run' was run with seed '0', not '1': take another --out, or begin anew with --new\n"
    )
    assert evaluate(*TOY, "--out", "run", "--seed", "1", "--new") == 0
    assert RunFolder.open("run.old-1").manifest.seed == 0
    assert RunFolder.open("run").manifest.seed == 1


def test_a_run_that_is_being_played_is_not_moved_aside(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert evaluate(*TOY, "--out", "run") == 0
    with RunFolder("run").lock():
        assert evaluate(*TOY, "--out", "run", "--seed", "1", "--new") == 2
    assert capsys.readouterr().err == (
        "sad-eval: another process is at work on the run 'run': wait for it or stop it\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("perturb", ["none", "typos"])
def test_another_script_under_the_same_name_is_another_run(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str], perturb: str
) -> None:
    """What a script or a checkpoint holds decides, not what it is called; also where its task is reworded."""
    words = ("--env", "toy", "--agent", "scripted:script.json", "--episodes", "3", "--workers", "0", "--out", "run")
    Path("script.json").write_text(json.dumps("Action: look\n") + "\n")
    assert evaluate(*words, "--perturb", perturb) == 0
    Path("script.json").write_text(json.dumps("Action: go to attic\n") + "\n")
    assert evaluate(*words, "--perturb", perturb) == 2
    assert "'run' was run with agent script_sha256 " in capsys.readouterr().err


def test_how_the_run_is_made_is_not_what_it_is(evaluate: Evaluate, tmp_path: Path) -> None:
    """Workers and concurrency may change when a run goes on."""
    assert evaluate(*TOY, "--out", "run") == 0
    assert evaluate(*TOY[:-1], "1", "--out", "run", "--concurrency", "3") == 0


def test_a_settings_file_makes_the_same_run_and_a_flag_beats_it(evaluate: Evaluate, tmp_path: Path) -> None:
    assert evaluate(*TOY, "--out", "run", "--repeats", "2") == 0
    settings = cli.parse(EvalSettings, ["--config", "run/settings.toml"], prog="sad-eval")
    assert (settings.env, settings.episodes, settings.repeats, settings.quiet) == ("toy", 6, 2, True)
    assert evaluate("--config", "run/settings.toml", "--out", "again", "--seed", "5") == 0
    again = RunFolder.open("again").manifest
    assert (again.seed, again.repeats) == (5, 2)


def test_repeats_give_pass_hat_k(evaluate: Evaluate, tmp_path: Path) -> None:
    assert main(["--env", "toy", "--agent", "random", "--repeats", "3", "--workers", "0", "--quiet", "--out", "r"]) == 0
    metrics = RunFolder.open("r").results().metrics
    assert metrics["success_rate"].n == 300
    assert metrics["success_rate"].interval == "bootstrap over tasks"
    assert metrics["pass_hat_1"].value == pytest.approx(metrics["success_rate"].value)
    assert metrics["pass_hat_3"].value < metrics["pass_hat_2"].value < metrics["pass_hat_1"].value
    assert metrics["pass_hat_1"].n == 100


def test_parts_join_to_what_one_run_gives(
    evaluate: Evaluate, figures_of: Callable[[Path], dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--env", "toy", "--agent", "random", "--workers", "0", "--repeats", "2")
    assert evaluate(*words, "--out", "whole") == 0
    for part in (1, 3):
        assert evaluate(*words, "--out", "cut", "--shard", f"{part}/3") == 0
    assert evaluate("merge", "cut") == 3
    assert "parts 2 of 3 are missing" in capsys.readouterr().err
    assert evaluate(*words, "--out", "cut", "--shard", "2/3") == 0
    assert evaluate("merge", "cut") == 0
    assert figures_of(Path("cut")) == figures_of(Path("whole"))
    assert evaluate("merge", "cut") == 0
    assert evaluate("merge", "whole") == 5
    assert sum(len(RunFolder.open(path).manifest.planned()) for path in Path("cut").glob("part-*")) == 200


def test_merging_again_keeps_what_was_played_in_the_joined_run(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("1/2", "2/2"):
        assert evaluate(*TOY, "--out", "run", "--shard", part) == 0
    _, *kept = Path("run/part-0001-of-0002/episodes.jsonl").read_text().splitlines(keepends=True)
    Path("run/part-0001-of-0002/episodes.jsonl").write_text("".join(kept))
    assert evaluate("merge", "run") == 3
    assert evaluate(*TOY, "--out", "run") == 0
    manifest = RunFolder.open("run").manifest
    assert evaluate("merge", "run") == 0
    assert {line.id for line in RunFolder.open("run").episodes()} == set(manifest.planned())
    assert RunFolder.open("run").manifest.resumptions == manifest.resumptions
    with RunFolder("run").lock():
        assert evaluate("merge", "run") == 2
    for part in ("1/2", "2/2"):
        assert evaluate(*TOY, "--out", "run", "--shard", part, "--seed", "1", "--new") == 0
        shutil.rmtree(f"run/part-000{part[0]}-of-0002.old-1")
    capsys.readouterr()
    assert evaluate("merge", "run") == 2
    assert "a run that was joined from other parts lies in 'run'" in capsys.readouterr().err


def test_merging_does_not_overwrite_a_run_of_its_own(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*TOY, "--out", "run") == 0
    assert evaluate(*TOY, "--out", "run", "--shard", "1/1") == 0
    assert evaluate(*TOY, "--out", "run", "--shard", "1/2") == 0
    assert evaluate(*TOY, "--out", "run", "--shard", "2/2") == 0
    assert evaluate("merge", "run") == 2
    assert "a run that was not joined from parts lies in 'run'" in capsys.readouterr().err


def test_several_panels_stand_side_by_side(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "toy", "--agent", "expert", "--panel", "train,test", "--episodes", "5", "--workers", "0"]
    assert main([*words, "--out", "both"]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    table = rows[rows.index(["train", "test"]) + 1 :]
    assert table[0] == ["success", "rate", "100.0", "%", "100.0", "%"]
    assert table[1] == ["[56.6", "–", "100.0", "%]", "[56.6", "–", "100.0", "%]"]
    assert {path.name for path in Path("both").iterdir()} == {"train-5", "test-5"}


def test_a_reference_run_gives_cot_match(evaluate: Evaluate) -> None:
    assert evaluate(*TOY, "--out", "teacher") == 0
    assert evaluate(*TOY, "--out", "student", "--reference", "teacher") == 0
    results = RunFolder.open("student").results()
    assert results.reference == "teacher"
    for name in ("cot_match", "cot_precision", "cot_f1", "cot_match_sets", "cot_length"):
        assert results.metrics[name].value == pytest.approx(1.0)
    assert "cot_match" not in RunFolder.open("teacher").results().metrics


def test_every_try_of_every_reference_run_is_a_reference(evaluate: Evaluate) -> None:
    assert evaluate(*TOY, "--out", "teacher", "--seed", "1", "--repeats", "2") == 0
    assert evaluate(*TOY, "--out", "other", "--agent", "random") == 0  # silent: no reference
    assert evaluate(*TOY, "--out", "student", "--reference", "other,teacher") == 0
    metrics = RunFolder.open("student").results().metrics
    assert metrics["cot_match_best_f1"].value >= metrics["cot_f1"].value
    assert metrics["cot_match_best_f1"].value >= metrics["cot_match_mean_f1"].value
    assert metrics["cot_match_mean"].n == metrics["cot_match"].n == 6


def test_rescoring_matches_with_a_reference_named_afterwards(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*TOY, "--out", "teacher", "--seed", "1", "--repeats", "2") == 0
    assert evaluate(*TOY, "--out", "student") == 0
    plain = RunFolder.open("student").results()
    assert main(["rescore", "student", "--reference", "teacher", "--tokenizer", "words"]) == 0
    out = capsys.readouterr().out
    for words in (
        "CoT match (with teacher)",
        "sets ",
        "tokens (paper)",
        "by step",
        "ROUGE-L",
        "best reference",
        "mean reference",
    ):
        assert words in out
    assert max(map(len, out.splitlines())) <= 80
    again = RunFolder.open("student").results()
    assert again.reference == "teacher"
    assert {name: again.metrics[name] for name in plain.metrics} == plain.metrics
    assert main(["rescore", "student"]) == 0
    assert RunFolder.open("student").results() == plain
    assert main(["rescore", "student", "--reference", "teacher,teacher"]) == 2
    assert "a reference is named twice" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(evaluate: Evaluate, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert evaluate(*TOY, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "would run 6 episodes of expert in toy" in out
    assert "nothing was written" in out
    assert not list(tmp_path.iterdir())


def test_json_is_the_results_file(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--out", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(Path("run/results.json").read_text())


def test_json_of_several_panels_is_one_list(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--out", "run", "--panel", "train,test", "--json"]) == 0
    panels = [results["panel"] for results in json.loads(capsys.readouterr().out)]
    assert panels == ["train-6", "test-6"]


@pytest.mark.parametrize("flags", [("--tokenizer", "no.json"), ("--reference", "nowhere")])
def test_what_cannot_be_counted_with_is_told_before_anything_is_played(
    flags: tuple[str, str], evaluate: Evaluate, tmp_path: Path
) -> None:
    assert evaluate(*TOY, "--out", "run", *flags) == 5
    assert list(tmp_path.iterdir()) == []


def test_the_report_fits_eighty_columns(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*TOY, "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    for words in (
        "success",
        "100.0 %",
        "61.0 – 100.0 %",
        "reasoning length (words)",
        "ended by",
        "With 6 tasks",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--env", "tyo", "--agent", "expert"], 2, "no world 'tyo': did you mean 'toy'?"),
        (["--env", "toy", "--agent", "exprt"], 2, "no agent 'exprt': did you mean 'expert'?"),
        (["--env", "toy"], 2, "sad-eval needs --agent: see sad-eval --help"),
        (["--agent", "expert"], 2, "sad-eval needs --env: see sad-eval --help"),
        (["--env", "toy", "--agent", "expert", "--temperature", "0"], 2, "--temperature 0.0 has no effect: agent"),
        (["--env", "toy", "--agent", "null", "--precision", "bf16"], 2, "--precision bf16 has no effect: agent 'null'"),
        (["--env", "toy", "--agent", "expert", "--panel", "tset"], 2, "no split of toy 'tset': did you mean 'test'?"),
        (["--env", "toy", "--agent", "expert", "--panel", "test,test"], 2, "a panel is named twice"),
        (["--env", "alfworld", "--agent", "expert", "--data", "nowhere"], 5, "nowhere"),
        pytest.param(["--env", "toy", "--agent", "none.pt"], 4, "none.pt", marks=pytest.mark.slow),
        (["--env", "toy", "--agent", "expert", "--episodes", "1000"], 2, "1000 tasks asked of 'test', which has 100"),
        (["--env", "toy", "--agent", "expert", "--episodes", "-1"], 2, "--episodes is 0 or more, not -1"),
        (["--env", "toy", "--agent", "expert", "--run-seconds", "-1"], 2, "--run-seconds is 0 or more, not -1"),
        (["--env", "toy", "--agent", "expert", "--run-seconds", "inf"], 2, "--run-seconds is 0 or more, not inf"),
        (["--env", "toy", "--agent", "expert", "--seed", "-1"], 2, "--seed is 0 to 2^63 - 1, not -1"),
        (["--env", "toy", "--agent", "expert", "--out", "/dev/null/run"], 2, "cannot write the run '/dev/null/run'"),
        (["--env", "toy", "--agent", "expert", "--shard", "4/3"], 2, "--shard is i/n with i from 1 to n"),
        (["--env", "toy", "--agent", "expert", "--backend", "slurm"], 2, "--backend is local, ray or ray:ADDRESS"),
        (["--env", "toy", "--agent", "expert", "--options", "wind"], 2, "--options takes NAME=VALUE"),
        (["--env", "toy", "--agent", "expert", "--options", "wind=1"], 2, "toy cannot be made with these --options"),
        (["--env", "toy", "--agent", "expert", "--perturb", "noise"], 2, "no perturbation 'noise'"),
        (["--env", "toy", "--agent", "expert", "--reference", "nothing"], 5, "'nothing' is no run folder"),
        (["--env", "toy", "--agent", "expert", "--tokenizer", "no.json"], 5, "'no.json' is no tokenizer.json"),
        pytest.param(
            ["--env", "toy", "--agent", "openai:http://127.0.0.1:9"], 3, "127.0.0.1:9", marks=pytest.mark.slow
        ),
        (["--env", "toy", "--agent", "expert", "--semantic"], 2, "name its run with --reference"),
        (["--env", "toy", "--agent", "scripted:none", "--first-thoughts", "none.jsonl"], 5, "no file 'none.jsonl'"),
        (["evalaute"], 2, "no command 'evalaute'; known: ls, doctor"),
        (["merge", "nothing"], 5, "'nothing' holds no part of a run"),
        (["compare", "nothing", "else", "--flips", "-1"], 2, "--flips is 0 or more, not -1"),
        (["compare", "nothing", "nothing"], 5, "'nothing' is no run folder"),
        (["faithfulness", "nothing"], 5, "'nothing' is no run folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    assert evaluate(*words) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"] if command else ["--help"])
    assert leaving.value.code == 0
    out = capsys.readouterr().out
    assert f"sad-eval {command}".strip() in out
    assert "runs/" in out or "$ sad-eval" in out


def test_the_flags_are_these() -> None:
    """A flag is a promise; one more or one less is a change to review."""
    names = (
        "env agent data options panel episodes repeats seed out reference tokenizer semantic perturb temperature top_p "
        "max_new_tokens shots votes prompt first_thoughts context device precision max_steps max_episode_tokens "
        "max_seconds run_seconds step_seconds workers concurrency patience omit request api form chat record_logprobs "
        "constrained backend shard new dry_run report_to quiet json"
    )
    assert {field.name for field in dataclasses.fields(EvalSettings)} == set(names.split())


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_settings_of_any_text_come_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("settings") / "settings.toml"
    settings = EvalSettings(env="toy", agent=text, options=(text, "a=1"), temperature=0.5)
    to_toml(settings, path)
    assert cli.parse(EvalSettings, ["--config", str(path)], prog="sad-eval") == settings


def test_a_settings_file_need_not_name_the_agent(evaluate: Evaluate, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text('env = "toy"\nepisodes = 3\nworkers = 0\nout = "run"\n')
    assert evaluate("--config", "sweep.toml", "--agent", "random") == 0
    assert RunFolder.open("run").results().scored == 3


def test_shards_are_numbers() -> None:
    for text in ("0/3", "4/3", "a/b", "1/", "1/0", "-1/3", "1/3/5"):
        with pytest.raises(ConfigError, match="--shard is i/n"):
            shard_of(text)


def test_importing_the_harness_loads_no_torch() -> None:
    code = "import sys, sad_eval.commands.evaluate; print(bool({'torch', 'transformers'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("command", ["ls", "doctor"])
def test_ls_and_doctor_name_every_world(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([command])
    out = capsys.readouterr().out
    for name in ("toy", "alfworld", "webshop", "hotpotqa", "searchqa"):
        assert name in out


def test_validate_proves_that_tasks_can_be_done(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["validate", "toy", "--workers", "0", "--quiet"]) == 0
    assert "the oracle wins 20 of 20 tasks" in capsys.readouterr().out
    won = "return 'x', {**super().reset(seed=seed, options=options)[1], 'success': True}"
    begun = "from sad_env.toy import ToyEnv\nclass Bad(ToyEnv):\n    world = 'bad'\n    def "
    for name, told in (
        ("oracle(self):\n        return []", "✗ the oracle wins 0 of 20 tasks"),
        (
            f"reset(self, *, seed=None, options=None):\n        {won}",
            "✗ does not keep the contract of a world: broken: no task is won at reset",
        ),
        ("_act(self, action):\n        return 1 / 0", "_act(.py:5)"),
    ):
        (tmp_path / f"{name[:5]}.py").write_text(begun + name + "\n")
        assert main(["validate", f"{tmp_path / name[:5]}.py:Bad", "--workers", "0", "--quiet"]) == 5
        assert told in capsys.readouterr().out

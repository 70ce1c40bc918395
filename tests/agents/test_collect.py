from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sad_agents.catalogue import provenance, resolve
from sad_agents.collect_command import CollectSettings, _check_same, main
from sad_agents.noisy_agent import NoisyAgent, garbled, slip
from sad_agents.policies import ExpertAgent
from sad_agents.rollout.rollout import Job, WorldRecipe, rollout

from sad_env.errors import ConfigError
from sad_env.http import Patience
from sad_env.records import SpanKind, Trajectory, read_trajectories
from sad_env.toy import toy_panel


def run(out: Path, *flags: str) -> int:
    return main(["--env", "toy", "--workers", "0", "--out", str(out), *flags])


def read(out: Path) -> list[Trajectory]:
    return list(read_trajectories(out))


def test_collects_goes_on_and_then_has_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "toy.jsonl"
    assert run(out, "--episodes", "7") == 0
    assert len(read(out)) == 7
    assert run(out, "--episodes", "12") == 0
    assert len({one.task_id for one in read(out)}) == len(read(out)) == 12
    before = out.read_bytes()
    assert run(out, "--episodes", "12") == 0
    assert out.read_bytes() == before
    said = capsys.readouterr()
    assert "nothing to do" in said.out
    assert re.fullmatch(r"(?s).*nothing played: episodes of 2[0-9T:+-]+; another --out plays again\n", said.err)
    assert run(out, "--episodes", "12", "--quiet") == 0
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1


def test_an_episode_whose_line_was_not_ended_is_played_again(tmp_path: Path) -> None:
    out = tmp_path / "toy.jsonl"
    assert run(out, "--episodes", "2") == 0
    before = read(out)
    out.write_bytes(out.read_bytes().removesuffix(b"\n"))
    assert run(out, "--episodes", "2") == 0
    assert [one.task_id for one in read(out)] == [one.task_id for one in before]


def test_episodes_of_another_agent_in_the_file_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for agent in ("expert", "random"):
        assert run(tmp_path / f"{agent}.jsonl", "--agent", agent, "--episodes", "3") == 0
    (tmp_path / "expert.jsonl").write_bytes((tmp_path / "random.jsonl").read_bytes())
    capsys.readouterr()
    assert run(tmp_path / "expert.jsonl", "--episodes", "4") == 5
    assert "holds an episode of random in toy, where expert in toy is expected" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--agent", "nobody"), ("--split", "nowhere"), ("--renamed", "0.5")])
def test_a_command_that_fails_before_it_plays_leaves_nothing(tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert run(tmp_path / "toy.jsonl", *flags) == 2
    assert list(tmp_path.iterdir()) == []


def test_more_episodes_than_tasks_repeat_them(tmp_path: Path) -> None:
    out = tmp_path / "toy.jsonl"
    assert run(out, "--split", "test", "--agent", "random", "--episodes", "130") == 0
    assert [sum(one.repeat == repeat for one in read(out)) for repeat in (0, 1)] == [100, 30]


def test_other_settings_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "toy.jsonl"
    run(out, "--episodes", "3")
    assert run(out, "--episodes", "3", "--seed", "1", "--slip", "0.2") == 2
    assert "was made with another seed, slip" in capsys.readouterr().err
    (tmp_path / "mine.jsonl").write_text("")
    assert run(tmp_path / "mine.jsonl") == 2


def test_only_success_leaves_the_rest_out_and_does_not_play_it_again(tmp_path: Path) -> None:
    out = tmp_path / "toy.jsonl"
    flags = ("--agent", "random", "--episodes", "40", "--only-success")
    assert run(out, *flags) == 0
    won = read(out)
    assert 0 < len(won) < 40
    assert all(one.success for one in won)
    left = [json.loads(line) for line in Path(f"{out}.left-out").read_text().splitlines()]
    assert len(left) + len(won) == 40
    assert run(out, *flags) == 0
    assert read(out) == won


@pytest.mark.slow
def test_options_of_the_world_are_part_of_what_a_file_holds(tmp_path: Path) -> None:
    out = tmp_path / "questions.jsonl"
    command = ["--env", "hotpotqa", "--agent", "expert-gold-titles", "--episodes", "3", "--out", str(out), "--quiet"]
    assert main([*command, "--options", "reveal=true"]) == 0
    assert [one.success for one in read(out)] == [True] * 3
    assert main([*command, "--options", "reveal=true"]) == 0
    assert main(command) == 2


def test_an_agent_that_does_not_fit_the_world_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "questions.jsonl"
    command = ["--env", "hotpotqa", "--agent", "expert-gold-titles", "--episodes", "3", "--out", str(out), "--quiet"]
    assert main(command) == 2
    assert "make the world with reveal=True" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--agent", "exprt"), 2, "did you mean 'expert'"),
        (("--agent", "student.pt"), 4, "no such file"),
        (("--data", "/nowhere"), 2, "generated data only"),
        (("--split", "tset"), 2, "did you mean 'test'"),
        (("--options", "split=test"), 2, "takes NAME=VALUE"),
        (("--options", "colour=red"), 2, "cannot be made with these --options"),
        (("--slip", "1.5"), 2, "--slip is a probability in [0, 1), not 1.5"),
        (("--episodes", "-1"), 2, "--episodes is 0 or more, not -1"),
        (("--max-steps", "-1"), 2, "--max-steps is 0 or more, not -1"),
        (("--workers", "-1"), 2, "--workers is 0 or more, not -1"),
        (("--max-new-tokens", "0"), 2, "--max-new-tokens is 1 or more, not 0"),
        (("--concurrency", "0"), 2, "--concurrency is 1 or more, not 0"),
        (("--temperature", "-3"), 2, "--temperature is 0 to 100, not -3"),
        (("--temperature", "nan"), 2, "--temperature is 0 to 100, not nan"),
        (("--agent", "random", "--temperature", "1"), 2, "--temperature 1.0 has no effect: agent 'random' is no model"),
        (("--shots", "0"), 2, "--shots 0 has no effect: agent 'expert' is no model"),
        (("--live", "3", "--concurrency", "4"), 2, "--live is the former name of --concurrency: give --concurrency"),
        (("--seed", "-1"), 2, "--seed is 0 to 2^63 - 1, not -1"),
        (("--renamed", "2"), 2, "--renamed is a share between 0 and 1, not 2"),
        (("--agent", "scripted:/nowhere"), 2, "cannot read the script"),
        (("--agent", "openai:http://127.0.0.1:9"), 3, "unreachable"),
        (("--agent", "no.module:Class"), 2, "No module named"),
    ],
)
def test_wrong_settings_are_one_line_and_a_code(
    flags: tuple[str, ...],
    code: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sad_agents.loading.PATIENCE", Patience(pause=0.01))
    assert run(tmp_path / "x.jsonl", *flags, "--quiet") == code  # loading may take a second, which is told
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_an_interrupted_collection_ends_with_the_same_file(tmp_path: Path) -> None:
    calm, rough = tmp_path / "calm.jsonl", tmp_path / "rough.jsonl"
    flags = ["--env", "toy", "--episodes", "400", "--slip", "0.3", "--quiet"]
    assert main([*flags, "--out", str(calm), "--workers", "0"]) == 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-m", "sad_agents", *flags, "--out", str(rough)])
        while process.poll() is None and (not rough.exists() or rough.stat().st_size < 50_000):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert main([*flags, "--out", str(rough), "--workers", "0"]) == 0

    def content(path: Path) -> dict[str, list[tuple[str, str]]]:
        episodes = read(path)
        assert len({one.task_id for one in episodes}) == len(episodes)
        return {one.task_id: [(step.completion, step.observation) for step in one.steps] for one in episodes}

    assert content(rough) == content(calm)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ctrl_c_ends_with_130_and_leaves_no_worker(tmp_path: Path) -> None:
    out = tmp_path / "toy.jsonl"
    flags = ["--env", "toy", "--episodes", "5000", "--workers", "2", "--out", str(out), "--quiet"]
    with subprocess.Popen([sys.executable, "-m", "sad_agents", *flags], stderr=subprocess.PIPE, text=True) as process:
        while not out.exists() or not out.stat().st_size:
            time.sleep(0.01)
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error == "sad-collect: interrupted\n"
    assert len(workers) == 2
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert 0 < len(read(out)) < 5000


# --- slips -----------------------------------------------------------------------------------------------------


def slipped(probability: float, count: int = 60) -> list[Trajectory]:
    agent = NoisyAgent(ExpertAgent("toy"), probability, "toy")
    jobs = [Job(task) for task in toy_panel("train").task_ids[:count]]
    return [one.trajectory for one in rollout(agent, jobs, WorldRecipe("toy", {"split": "train"}))]


def test_a_slip_has_no_reasoning_and_is_no_target_and_the_rest_is() -> None:
    steps = [step for one in slipped(0.3) for step in one.steps]
    slips = [step for step in steps if step.spans[0].kind is SpanKind.NONE]
    others = [step for step in steps if step.spans[0].kind is not SpanKind.NONE]
    assert 0.2 < len(slips) / len(steps) < 0.4
    for step in slips:
        assert {span.kind for span in step.spans} == {SpanKind.NONE}
        assert step.reasoning == ""
        assert step.completion == f"Action: {step.action}\n"
    assert all({span.kind for span in step.spans} == {SpanKind.REASON, SpanKind.ACT} for step in others)
    assert {step.valid for step in slips} == {True, False}


def test_without_slips_nothing_changes() -> None:
    assert [one.observation for one in slipped(0.0, 5)] == [
        one.trajectory.observation
        for one in rollout(
            ExpertAgent("toy"),
            [Job(task) for task in toy_panel("train").task_ids[:5]],
            WorldRecipe("toy", {"split": "train"}),
        )
    ]
    with pytest.raises(ConfigError):
        NoisyAgent(ExpertAgent("toy"), 1.0, "toy")


def test_final_actions_are_never_slips() -> None:
    agent = NoisyAgent(ExpertAgent("toy"), 0.99, "hotpotqa")
    agent._final = ("take ",)
    (one,) = rollout(agent, [Job("train-0001")], WorldRecipe("toy", {"split": "train"}))
    assert not any(
        step.action.startswith("take ") for step in one.trajectory.steps if step.spans[0].kind is SpanKind.NONE
    )


def test_garbled_actions_differ_and_a_slip_spells_its_action() -> None:
    for action in ("go to shelf 12", "search[a b c]", "look", "click[b0 12]", ""):
        assert action not in garbled(action)
    assert slip("look").completion == "Action: look\n"


def test_a_file_of_the_version_before_goes_on_under_former_and_present_flags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.jsonl"
    assert run(out, "--episodes", "3", "--workers", "0") == 0
    beside = Path(f"{out}.settings.json")
    written = json.loads(beside.read_text())
    keys = "env agent data split options seed slip only_success renamed max_steps temperature max_tokens shots"
    before = {key: written[key] for key in [*keys.split(), "first_thoughts", "panel_sha256"]}
    # It took a model's settings for every agent.
    beside.write_text(json.dumps({**before, "max_tokens": 50}))
    capsys.readouterr()
    assert run(out, "--episodes", "5", "--workers", "0", "--live", "2") == 0
    assert capsys.readouterr().err.splitlines() == [
        "sad-collect: --live is now --concurrency (it bounds the requests to a server, too); the former name goes with"
        " the next release"
    ]
    assert len(read(out)) == 5
    beside.write_text(json.dumps({**before, "slip": 0.5}))
    assert run(out, "--episodes", "6", "--workers", "0") == 2


def test_what_an_agent_is_asked_with_is_part_of_what_a_file_holds(tmp_path: Path) -> None:
    settings = CollectSettings(env="toy", out=tmp_path / "toy.jsonl", agent="openai:http://localhost:1#m")
    content = {"seed": 0, "request": "reasoning_effort=high"}
    claimed = tmp_path / "toy.jsonl.settings.json"
    claimed.write_text(json.dumps(content))
    _check_same(settings, content, claimed)
    with pytest.raises(ConfigError, match="was made with another request: name"):
        _check_same(settings, {"seed": 0}, claimed)


def test_slips_do_not_hide_which_agent_made_them() -> None:
    agent = resolve("nano", "webshop")
    assert provenance(agent)
    assert provenance(NoisyAgent(agent, 0.1, "webshop")) == provenance(agent)


def test_a_form_is_part_of_what_a_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, out = tmp_path / "said.jsonl", tmp_path / "toy.jsonl"
    script.write_text('"[REASON] hm [ACT] look"\n')
    flags = ("--agent", f"scripted:{script}", "--episodes", "2", "--max-steps", "3", "--slip", "0.3", "--quiet")
    assert run(out, *flags, "--form", "tags", "--chat", "on") == 0
    assert all((one.form, one.chat) == ("tags", True) for one in read(out))
    slips = [s for one in read(out) for s in one.steps if {span.kind for span in s.spans} == {SpanKind.NONE}]
    assert slips
    assert all(step.completion == f"[ACT] {step.action}\n" for step in slips)
    assert run(out, *flags, "--form", "tags", "--chat", "on") == 0
    capsys.readouterr()
    assert run(out, *flags) == 2
    assert "was made with another form, chat" in capsys.readouterr().err


def test_a_file_of_the_version_before_goes_on_in_the_house_form(tmp_path: Path) -> None:
    out = tmp_path / "toy.jsonl"
    script = tmp_path / "said.jsonl"
    script.write_text('"Action: look"\n')
    flags = ("--agent", f"scripted:{script}", "--max-steps", "3", "--quiet")
    assert run(out, *flags, "--episodes", "2") == 0
    beside = Path(f"{out}.settings.json")
    kept = json.loads(beside.read_text())
    assert (kept.pop("form"), kept.pop("chat")) == ("lines", "off")
    beside.write_text(json.dumps(kept))
    assert run(out, *flags, "--episodes", "4") == 0
    assert len(read(out)) == 4

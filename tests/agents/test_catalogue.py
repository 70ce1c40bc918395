from __future__ import annotations

import io
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from sad_agents import catalogue
from sad_agents.agent import EpisodeStart, Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.catalogue import known_agents, plugins, provenance, resolve
from sad_agents.checkpoints import save_student
from sad_agents.policies import ExpertAgent, HumanAgent, NullAgent, OracleAgent, RandomAgent
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, WorldRecipe, rollout

from sad_env import registry
from sad_env.errors import CheckpointError, ConfigError, InfrastructureError, UnknownNameError
from sad_env.files import sha256_file
from sad_env.records import Status
from sad_env.toy import toy_panel

sys.path.insert(0, str(Path(__file__).parent))
from tiny import tiny_model, tiny_tokenizer

TASKS = toy_panel("test").task_ids
TOKENIZER = tiny_tokenizer()


class Plugged(NullAgent):
    """An agent of somebody else."""

    def __init__(self, world: str, options: AgentOptions) -> None:
        self.name = f"plugged into {world}"


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("expert", ExpertAgent),
        ("random", RandomAgent),
        ("null", NullAgent),
        ("oracle", OracleAgent),
        ("human", HumanAgent),
    ],
)
def test_policies_by_name(spec: str, kind: type) -> None:
    agent = resolve(spec, "toy")
    assert isinstance(agent, kind)
    assert agent.name == spec
    assert provenance(agent) == {}


def test_every_expert_of_every_world_has_its_name() -> None:
    for spec in registry.known():
        assert set(spec.experts) < set(known_agents(spec.name))


def test_unknown_names_say_what_is_close() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'random'"):
        resolve("randm", "toy")
    with pytest.raises(UnknownNameError, match="no world"):
        resolve("expert", "tyo")
    with pytest.raises(ConfigError, match="No module named 'no'"):
        resolve("no.where:Agent", "toy")
    with pytest.raises(ConfigError, match="scripted"):
        resolve("scirpted:x", "toy")


def test_a_class_by_its_path_and_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "somebodys_agents", sys.modules[__name__])
    assert resolve("somebodys_agents:Plugged", "toy").name == "plugged into toy"
    points = [
        EntryPoint("sound", "somebodys_agents:Plugged", catalogue.ENTRY_POINT_GROUP),
        EntryPoint("broken", "somebodys_agents:Missing", catalogue.ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(catalogue, "entry_points", lambda group: points)
    assert resolve("sound", "toy").name == "plugged into toy"
    assert "sound" in known_agents("toy")
    listed = {plugin.name: plugin.error for plugin in plugins()}
    assert listed["sound"] == ""
    assert "Missing" in listed["broken"]


def misfit(world: str, options: AgentOptions) -> Plugged:
    raise InfrastructureError("my server sleeps")


class Nameless:
    """Has three of the four calls of an agent."""

    begin = act = observe = print

    def __init__(self, world: str, options: AgentOptions) -> None: ...


@pytest.mark.parametrize(
    ("code", "spec", "words"),
    [
        ("def", "own_agent:Mine", "'own_agent:Mine' cannot be imported: SyntaxError: "),
        ("1 / 0", "own_agent:Mine", "cannot be imported: ZeroDivisionError: division by zero"),
        ("import forgotten", "own_agent:Mine", "cannot be imported: ModuleNotFoundError: No module named 'forgotten'"),
        ("int('x')", "own_agent:Mine", "cannot be imported: ValueError: invalid literal"),
        ("import math; math.tau2", "own_agent:Mine", "cannot be imported: AttributeError: module 'math'"),
        ("", "nowhere.agents:Mine", "no agent 'nowhere.agents:Mine': No module named 'nowhere'"),
        ("", ":Mine", "no agent ':Mine'"),
        ("", "own_agent:Mine", "no agent 'own_agent:Mine': module 'own_agent' has no attribute 'Mine'"),
        (
            "class Mine: pass",
            "own_agent:Mine",
            "cannot be made: TypeError: Mine() takes no arguments; it is called with",
        ),
        ("Mine = 3", "own_agent:Mine", "cannot be made: TypeError: 'int' object is not callable"),
        ("def Mine(*_): raise KeyError('x')", "own_agent:Mine", "cannot be made: KeyError: 'x'"),
        ("def Mine(*_): pass", "own_agent:Mine", "made a NoneType without begin, act, observe, end"),
        ("", "json:dumps", "'json:dumps' cannot be made: TypeError"),
        ("", "somebodys_agents:Nameless", "made a Nameless without end: an Agent has a name"),
    ],
)
def test_own_agents_that_are_none_are_told_in_one_line(
    code: str, spec: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "somebodys_agents", sys.modules[__name__])
    (tmp_path / "own_agent.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_agent", raising=False)
    with pytest.raises(ConfigError) as caught:
        resolve(spec, "toy")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_own_agent_keeps_its_own_errors_of_ours_and_needs_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "somebodys_agents", sys.modules[__name__])
    with pytest.raises(InfrastructureError, match="my server sleeps"):
        resolve("somebodys_agents:misfit", "toy")
    monkeypatch.setattr(Nameless, "end", print, raising=False)
    with pytest.raises(ConfigError, match="made a Nameless without a name"):
        resolve("somebodys_agents:Nameless", "toy")


def test_scripts_are_read_and_played(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text('"Reasoning: one\\nAction: look"\n"Action: dance"\n')
    agent = resolve(f"scripted:{script}", "toy")
    (one,) = rollout(agent, [Job(TASKS[0])], WorldRecipe("toy"))
    assert [step.action for step in one.trajectory.steps[:3]] == ["look", "dance", "dance"]
    assert provenance(agent)["script_sha256"] == sha256_file(script)


@pytest.mark.parametrize("name", ["student.pt", "student"])
def test_a_student_plays_as_its_record_says(name: str, tmp_path: Path) -> None:
    record = {"acting": {"prompt": "Play.", "window": {"budget": 200, "room": 30, "keep": 0.75}}}
    path = save_student(tmp_path / name, tiny_model("gpt2", len(TOKENIZER)), TOKENIZER, record)
    agent = resolve(str(path), "toy", AgentOptions(sampling=Sampling(max_tokens=20), device="cpu"))
    assert isinstance(agent, ReActAgent)
    assert agent.name == "student"
    assert agent.model.windowing is not None
    assert agent.model.windowing.budget == 200
    (one,) = rollout(agent, [Job(TASKS[0])], WorldRecipe("toy"))
    assert one.trajectory.prompt == "Play.\n\n"
    assert one.trajectory.status in (Status.MAX_STEPS, Status.INVALID_ACTIONS)
    facts = provenance(agent)
    assert facts["checkpoint"] == name
    assert len(facts["checkpoint_sha256"]) == 64
    assert len(facts["prompt_sha256"]) == 64


@pytest.mark.parametrize(
    "acting", [[], "x", {"prompt": 3}, {"window": 5}, {"window": {"size": 5}}, {"window": {"budget": "9"}}]
)
def test_a_record_of_another_form_is_refused(acting: object, tmp_path: Path) -> None:
    path = save_student(tmp_path / "s.pt", tiny_model("gpt2", len(TOKENIZER)), TOKENIZER, {"acting": acting})
    with pytest.raises(CheckpointError, match="'acting' holds"):
        resolve(str(path), "toy")


def test_completions_are_no_longer_than_the_students_window_keeps_free(tmp_path: Path) -> None:
    record = {"acting": {"window": {"budget": 200, "room": 30}}}
    path = save_student(tmp_path / "s.pt", tiny_model("gpt2", len(TOKENIZER)), TOKENIZER, record)
    agent = resolve(str(path), "toy", AgentOptions(sampling=Sampling(max_tokens=96)))
    (one,) = rollout(agent, [Job(TASKS[0])], WorldRecipe("toy"), limits=Limits(max_steps=3))
    assert max(step.generated_tokens for step in one.trajectory.steps) <= 30


def test_context_bounds_a_local_model_whose_record_names_no_window(tmp_path: Path) -> None:
    path = save_student(tmp_path / "s.pt", tiny_model("gpt2", len(TOKENIZER)), TOKENIZER, {})
    for context, budget in ((100, 100), (4096, 256)):
        agent = resolve(str(path), "toy", AgentOptions(context=context))
        assert isinstance(agent, ReActAgent)
        assert agent.model.windowing is not None
        assert agent.model.windowing.budget == budget


def test_missing_students_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file or folder"):
        resolve(str(tmp_path / "no.pt"), "toy")
    with pytest.raises(CheckpointError, match="ships no student for 'toy'"):
        resolve("nano", "toy")


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InfrastructureError, match="could not be loaded from the hub") as caught:
        resolve("hf:nobody/no-such-model", "toy")
    assert "\n" not in str(caught.value)


def test_wrong_device_and_dtype(tmp_path: Path) -> None:
    path = save_student(tmp_path / "s.pt", tiny_model("gpt2", len(TOKENIZER)), TOKENIZER, {})
    with pytest.raises(ConfigError, match="cannot be used"):
        resolve(str(path), "toy", AgentOptions(device="warp:3"))
    with pytest.raises(UnknownNameError, match="float16"):
        resolve(str(path), "toy", AgentOptions(dtype="float17"))


def test_first_thoughts_of_a_teacher_open_the_first_step(tmp_path: Path) -> None:
    teacher = [one.trajectory for one in rollout(ExpertAgent("toy"), [Job(TASKS[0])], WorldRecipe("toy"))]
    thoughts = tmp_path / "teacher.jsonl"
    thoughts.write_text("".join(one.to_json() + "\n" for one in teacher))
    script = tmp_path / "script.jsonl"
    script.write_text('"Action: look"\n')
    agent = resolve(f"scripted:{script}", "toy", AgentOptions(first_thoughts=thoughts))
    known, unknown = rollout(agent, [Job(TASKS[0]), Job(TASKS[1])], WorldRecipe("toy"), live=1)
    assert known.trajectory.steps[0].reasoning == teacher[0].steps[0].reasoning
    assert known.trajectory.steps[1].reasoning == ""
    assert unknown.trajectory.steps[0].reasoning == ""


def test_a_person_plays_by_number_or_words_and_may_leave() -> None:
    outbox = io.StringIO()
    agent = HumanAgent(io.StringIO("1\nlook\n"), outbox)
    (one,) = rollout(agent, [Job(TASKS[0])], WorldRecipe("toy"))
    assert [step.action for step in one.trajectory.steps] == ["go to attic", "look"]
    assert one.trajectory.status is Status.CANCELLED
    assert "Doors lead to" in outbox.getvalue()


def test_a_stray_enter_a_prefix_and_a_question_are_understood() -> None:
    outbox = io.StringIO()
    agent = HumanAgent(io.StringIO("\ngo\n?\n99\nlo\nquit\nnot read\n"), outbox)
    (one,) = rollout(agent, [Job(TASKS[0])], WorldRecipe("toy"))
    assert [step.action for step in one.trajectory.steps] == ["look"]
    assert one.trajectory.status is Status.CANCELLED
    screen = outbox.getvalue()
    assert "Type an action, its number or its first letters" in screen
    assert "which one: go to attic; go to" in screen
    assert "no action 99: they are 1 to" in screen
    assert screen.count("  1  go to attic") == 3


def test_actions_are_listed_in_columns() -> None:
    outbox = io.StringIO()
    agent = HumanAgent(io.StringIO(""), outbox)
    agent.begin(1, EpisodeStart("toy", "t", "Here.", {"admissible_actions": [f"go to {n}" for n in range(30)]}))
    agent.act([1])
    lines = [line for line in outbox.getvalue().splitlines() if "go to" in line]
    assert len(lines) < 15
    assert all(len(line) <= 80 for line in lines)


def test_a_persons_terminal_is_safe() -> None:
    outbox = io.StringIO()
    agent = HumanAgent(io.StringIO(""), outbox)
    agent.begin(1, EpisodeStart("toy", "t", "\x1b[2J search[red shoes] [/REASON]", {}))
    agent.act([1])
    assert "\x1b" not in outbox.getvalue()
    assert "search[red shoes] [/REASON]" in outbox.getvalue()


def test_random_plays_admissible_actions_and_patterns_where_none_are_listed() -> None:
    finished = rollout(RandomAgent("toy"), [Job(task) for task in TASKS[:5]], WorldRecipe("toy"))
    assert all(step.action in (step.admissible or ()) for one in finished for step in one.trajectory.steps)
    agent = RandomAgent("hotpotqa")
    agent.begin(1, EpisodeStart("hotpotqa", "q", "Who wrote Dune?", {}))
    (decision,) = agent.act([1])
    assert decision.action.startswith(("search[", "lookup[", "finish["))


def test_heavy_libraries_stay_out_until_a_model_is_wanted() -> None:
    code = (
        "import sys, sad_agents.catalogue, sad_agents.collect_command, sad_agents.rollout.rollout;"
        "import sad_agents.noisy_agent;"
        "sad_agents.catalogue.resolve('expert', 'toy');"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent import Decision, EpisodeStart
from sad_agents.model import ScriptedModel
from sad_agents.policies import ExpertAgent, NullAgent, OracleAgent, RandomAgent
from sad_agents.prompts import load_prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Finished, Job, Limits, WorldRecipe, rollout

from sad_env.errors import CheckpointError, ConfigError, DataError, InfrastructureError
from sad_env.records import Status, Trajectory
from sad_env.toy import toy_panel

TASKS = toy_panel("test").task_ids
TOY = WorldRecipe("toy")


def timeless(trajectory: Trajectory) -> dict[str, Any]:
    """A trajectory without its clock."""
    values = trajectory.model_dump()
    values["seconds"] = 0
    for step in values["steps"]:
        step["agent_seconds"] = step["world_seconds"] = 0
    return values


def by_task(finished: list[Finished]) -> dict[str, dict[str, Any]]:
    return {one.job.task_id: timeless(one.trajectory) for one in finished}


def scripted(*completions: str, **options: Any) -> ReActAgent:
    return ReActAgent(ScriptedModel(completions), load_prompt("toy"), **options)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_job_ends_once(workers: int) -> None:
    jobs = [Job(task, repeat=repeat) for task in TASKS[:20] for repeat in range(3)]
    finished = list(rollout(ExpertAgent("toy"), jobs, TOY, live=7, workers=workers))
    assert sorted((one.job.task_id, one.job.repeat) for one in finished) == [(j.task_id, j.repeat) for j in jobs]
    assert {one.trajectory.status for one in finished} == {Status.SUCCESS}
    assert all(not one.attempts for one in finished)


def test_a_world_with_more_turns_is_played_to_its_own_end() -> None:
    world = WorldRecipe("hotpotqa", {"turns": 12})
    agent = ReActAgent(ScriptedModel(["Reasoning: Hm.\nAction: search[Nobody]\n"] * 20), load_prompt("hotpotqa"))
    [finished] = rollout(agent, [Job(world.panel().task_ids[0])], world)
    assert (len(finished.trajectory.steps), finished.trajectory.status) == (12, Status.FORCED_FINISH)


def test_an_expert_may_be_called_anything() -> None:
    agent = ExpertAgent("toy")
    agent.name = "guest"
    [finished] = rollout(agent, [Job(TASKS[0])], TOY)
    assert (finished.trajectory.status, finished.trajectory.agent) == (Status.SUCCESS, "guest")


def test_workers_and_batch_size_do_not_change_an_episode() -> None:
    jobs = [Job(task, seed=3) for task in TASKS[:12]]
    for agent in (ExpertAgent("toy"), RandomAgent("toy")):
        alone = by_task(list(rollout(agent, jobs, TOY, live=1)))
        assert by_task(list(rollout(agent, jobs, TOY, live=5))) == alone
        assert by_task(list(rollout(agent, jobs[::-1], TOY, live=6, workers=2))) == alone


def test_no_jobs_no_episodes() -> None:
    assert list(rollout(NullAgent(), [], TOY)) == []


def test_oracle_wins_and_null_does_not() -> None:
    jobs = [Job(task) for task in TASKS[:10]]
    won = list(rollout(OracleAgent("toy", {}), jobs, TOY))
    assert all(one.trajectory.success and len(one.trajectory.steps) == 2 for one in won)
    lost = list(rollout(NullAgent(), jobs, TOY))
    assert {one.trajectory.status for one in lost} == {Status.MAX_STEPS}


def test_wrong_thing_is_a_failure_and_success_is_the_worlds_word() -> None:
    class Grabber(NullAgent):
        """Takes the first thing that is not wanted."""

        def begin(self, episode: int, start: EpisodeStart) -> str:
            self.wanted = start.observation.rsplit(" ", 1)[1].rstrip(".")
            self.next = ["go to attic", "go to cellar", "go to kitchen"]
            return ""

        def act(self, episodes: Sequence[int]) -> list[Decision]:
            return [Decision.of("", self.next.pop(0))]

        def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
            assert "success" not in info
            assert "score" not in info
            things = [a for a in info["admissible_actions"] if a.startswith("take") and self.wanted not in a]
            self.next = things[:1] + self.next

    finished = [one for task in TASKS[:10] for one in rollout(Grabber(), [Job(task)], TOY, live=1)]
    assert {one.trajectory.status for one in finished} == {Status.FAILURE}
    assert not any(one.trajectory.success for one in finished)


def test_step_holds_what_was_admissible_before_it() -> None:
    (one,) = rollout(ExpertAgent("toy"), [Job(TASKS[0])], TOY)
    steps = one.trajectory.steps
    assert all(step.action in (step.admissible or ()) for step in steps)
    assert one.trajectory.data == "generated"
    assert one.trajectory.split == "test"
    assert one.trajectory.task_type == "fetch"
    assert one.trajectory.score == 1.0


def test_completion_without_action_costs_a_step_and_comes_back() -> None:
    (one,) = rollout(scripted("I am confused", "Action: look"), [Job(TASKS[0])], TOY, limits=Limits(max_steps=3))
    first, second, _ = one.trajectory.steps
    assert (first.parsed, first.valid, first.action) == (False, False, "")
    assert "Action:" in first.observation
    assert (second.parsed, second.valid, second.action) == (True, True, "look")
    assert one.trajectory.status is Status.MAX_STEPS


def test_too_many_invalid_actions_in_a_row_end_the_episode() -> None:
    agent = scripted("Action: look", "Action: fly")
    (one,) = rollout(agent, [Job(TASKS[0])], TOY, limits=Limits(invalid_actions=4))
    assert one.trajectory.status is Status.INVALID_ACTIONS
    assert len(one.trajectory.steps) == 5


def test_the_same_action_with_the_same_answer_too_often_ends_the_episode() -> None:
    agent = scripted("Action: look", "Action: fly", "Action: look")
    (one,) = rollout(agent, [Job(TASKS[0])], TOY, limits=Limits(repeats=2))
    assert one.trajectory.status is Status.MAX_STEPS
    assert [step.action for step in one.trajectory.steps] == ["look", "fly", "look", "look"]
    (whole,) = rollout(scripted("Action: look"), [Job(TASKS[0])], TOY, limits=Limits(max_steps=9))
    assert len(whole.trajectory.steps) == 9


def test_tokens_and_seconds_end_as_budget() -> None:
    (one,) = rollout(scripted("Action: look"), [Job(TASKS[0])], TOY, limits=Limits(max_tokens=7))
    assert one.trajectory.status is Status.BUDGET
    assert sum(step.generated_tokens for step in one.trajectory.steps) == 8
    (one,) = rollout(scripted("Action: look"), [Job(TASKS[0])], TOY, limits=Limits(seconds=0.0))
    assert one.trajectory.status is Status.BUDGET
    assert len(one.trajectory.steps) == 1


def test_nonsense_numbers_are_refused() -> None:
    for options in ({"live": 0}, {"workers": -1}):
        with pytest.raises(ConfigError, match="at least 1 live episode"):
            list(rollout(NullAgent(), [Job(TASKS[0])], TOY, **options))


def test_unknown_task_and_wrong_option_raise() -> None:
    with pytest.raises(ConfigError, match="no task 'nowhere'"):
        list(rollout(NullAgent(), [Job("nowhere")], TOY))
    for workers in (0, 1):
        with pytest.raises(ConfigError, match="generated data only"):
            list(rollout(NullAgent(), [Job(TASKS[0])], WorldRecipe("toy", {"data": "moon"}), workers=workers))
        with pytest.raises(ConfigError, match="cannot make"):
            list(rollout(NullAgent(), [Job(TASKS[0])], WorldRecipe("toy", {"colour": 1}), workers=workers))


# --- agents that fail ------------------------------------------------------------------------------------------


class Trouble(NullAgent):
    """Raises for one task; plays null otherwise."""

    def __init__(self, error: Exception, task: str) -> None:
        self.error, self.task, self.bad = error, task, -1

    def begin(self, episode: int, start: EpisodeStart) -> str:
        if start.task_id == self.task:
            self.bad = episode
        return ""

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        if self.bad in episodes:
            raise self.error
        return super().act(episodes)


def test_an_agents_exception_is_its_episodes_alone() -> None:
    agent = Trouble(ValueError("\x1b[2J oops"), TASKS[3])
    finished = list(rollout(agent, [Job(task) for task in TASKS[:6]], TOY, limits=Limits(max_steps=2)))
    status = {one.job.task_id: one.trajectory.status for one in finished}
    assert status.pop(TASKS[3]) is Status.AGENT_ERROR
    assert set(status.values()) == {Status.MAX_STEPS}
    (bad,) = [one.trajectory.error for one in finished if one.trajectory.error]
    assert bad == "ValueError: ␛[2J oops"


GOOD = Decision.of("", "look")


class Sloppy(NullAgent):
    """Gives for one task what is no decision, or no prompt."""

    def __init__(self, task: str, gives: object, prompt: object = "") -> None:
        self.task, self.gives, self.prompt, self.bad = task, gives, prompt, -1

    def begin(self, episode: int, start: EpisodeStart) -> str:
        if start.task_id != self.task:
            return ""
        self.bad = episode
        return self.prompt  # type: ignore[return-value]

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        return [self.gives if episode == self.bad else GOOD for episode in episodes]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("gives", "reason"),
    [
        (None, "act gave a NoneType where a Decision is expected"),
        ("Action: look", "act gave a str where a Decision is expected"),
        (replace(GOOD, spans=()), "spans end at 0, the text at 13"),
        (replace(GOOD, spans=None), "spans: Input should be a valid tuple"),
        (replace(GOOD, action=None), "action: Input should be a valid string"),
        (replace(GOOD, token_ids=(1, 2), token_labels="A"), "2 token ids but 1 labels"),
        (replace(GOOD, generated_tokens="many"), "generated_tokens: Input should be a valid integer"),
        (replace(GOOD, seconds=float("nan")), "agent_seconds: Input should be a finite number"),
        (replace(GOOD, stop="budget"), "stop is a Status or None"),
        (replace(GOOD, stop=Status.BUDGET, error=None), "its error a str"),
    ],
)
def test_what_is_no_decision_ends_its_own_episode(gives: object, reason: str) -> None:
    jobs = [Job(task) for task in TASKS[:4]]
    finished = list(rollout(Sloppy(TASKS[1], gives), jobs, TOY, limits=Limits(max_steps=2)))
    ended = {one.job.task_id: one.trajectory for one in finished}
    bad = ended.pop(TASKS[1])
    assert bad.status is Status.AGENT_ERROR
    assert reason in bad.error
    assert {one.status for one in ended.values()} == {Status.MAX_STEPS}


def test_what_is_no_prompt_ends_its_own_episode() -> None:
    agent = Sloppy(TASKS[1], GOOD, prompt=None)
    finished = list(rollout(agent, [Job(task) for task in TASKS[:4]], TOY, limits=Limits(max_steps=2)))
    (bad,) = [one.trajectory for one in finished if one.trajectory.status is Status.AGENT_ERROR]
    assert bad.task_id == TASKS[1]
    assert "begin gave a NoneType where the prompt, a str, is expected" in bad.error


@pytest.mark.parametrize(("gives", "reason"), [(None, "a NoneType"), ([GOOD], "1 decisions")])
def test_what_is_no_list_of_decisions_ends_all_that_were_asked(gives: object, reason: str) -> None:
    agent = NullAgent()
    agent.act = lambda episodes: gives  # type: ignore[assignment,method-assign,return-value]
    finished = list(rollout(agent, [Job(task) for task in TASKS[:4]], TOY, live=4))
    assert {one.trajectory.error for one in finished} == {f"act gave {reason} where a list of 4 is expected"}


class Misfit(NullAgent):
    """Finds at one call that it was set up wrongly, once another episode has ended in the same round."""

    def __init__(self, error: Exception, call: str) -> None:
        self.error, self.call, self.bad = error, call, -1

    def meet(self, call: str, episode: int) -> None:
        if call == self.call and episode == self.bad:
            raise self.error

    def begin(self, episode: int, start: EpisodeStart) -> str:
        if start.task_id == TASKS[2]:
            self.bad = episode
        self.meet("begin", episode)
        return ""

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        for episode in episodes:
            self.meet("act", episode)
        return super().act(episodes)

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        self.meet("observe", episode)


@pytest.mark.parametrize("call", ["begin", "act", "observe"])
@pytest.mark.parametrize("kind", [ConfigError, DataError, CheckpointError])
def test_a_wrong_set_up_is_no_fault_of_the_agent_and_takes_no_ended_episode_with_it(call: str, kind: type) -> None:
    agent = Misfit(kind("take another world"), call)
    finished: list[Finished] = []
    with pytest.raises(kind, match="take another world"):
        finished.extend(rollout(agent, [Job(task) for task in TASKS[:6]], TOY, live=2, limits=Limits(max_steps=1)))
    assert {one.job.task_id for one in finished} == set(TASKS[:2])
    assert {one.trajectory.status for one in finished} == {Status.MAX_STEPS}


def test_a_model_that_stays_away_ends_the_rollout_with_everything_accounted_for() -> None:
    agent = Trouble(InfrastructureError("the server is unreachable"), TASKS[0])
    finished: list[Finished] = []
    with pytest.raises(InfrastructureError, match="the server is unreachable"):
        finished.extend(rollout(agent, [Job(task) for task in TASKS[:3]], TOY, live=1))
    assert [one.job.task_id for one in finished] == [TASKS[0]]
    assert finished[0].trajectory.status is Status.INFRA_ERROR
    assert [attempt.status for attempt in finished[0].attempts] == [Status.INFRA_ERROR] * 2


# --- worlds that fail ------------------------------------------------------------------------------------------


def failing(world: str, folder: Path, how: str, **options: Any) -> WorldRecipe:
    folder.mkdir(exist_ok=True)
    return WorldRecipe(world, {"how": how, "bad_task": TASKS[4], "counter": str(folder), **options})


@pytest.mark.parametrize("how", ["raise", "kill", "exit", "hang", "stop"])
def test_a_worker_may_fail_and_the_result_is_that_of_an_undisturbed_run(
    how: str, failing_world: str, tmp_path: Path
) -> None:
    jobs = [Job(task, seed=1) for task in TASKS[:8]]
    calm = by_task(list(rollout(ExpertAgent("toy"), jobs, TOY)))
    recipe = failing(failing_world, tmp_path / how, how)
    limits = Limits(step_seconds=1.0)
    finished = list(rollout(ExpertAgent("failing"), jobs, recipe, live=4, workers=2, limits=limits))
    assert [one.job.task_id for one in finished if one.attempts] == [TASKS[4]]
    (bad,) = [one for one in finished if one.attempts]
    assert [attempt.status for attempt in bad.attempts] == [Status.ENV_ERROR]
    assert bad.attempts[0].error
    for values in calm.values():
        values["world"] = "failing"
    assert by_task(finished) == calm


def test_what_a_worker_said_last_is_the_reason(failing_world: str, tmp_path: Path) -> None:
    recipe = failing(failing_world, tmp_path / "exit", "exit", times=9)
    (one,) = rollout(ExpertAgent("toy"), [Job(TASKS[4])], recipe, workers=1)
    assert one.trajectory.status is Status.ENV_ERROR
    assert len(one.attempts) == 2
    assert one.trajectory.error == "the worker ended (exit code 7): last words"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_world_that_raises_for_ever_is_an_env_error(workers: int, failing_world: str, tmp_path: Path) -> None:
    recipe = failing(failing_world, tmp_path / "raise", "raise", times=9)
    finished = list(rollout(ExpertAgent("toy"), [Job(TASKS[4]), Job(TASKS[5])], recipe, workers=workers))
    status = {one.job.task_id: one.trajectory.status for one in finished}
    assert status == {TASKS[4]: Status.ENV_ERROR, TASKS[5]: Status.SUCCESS}


@pytest.mark.parametrize(
    ("how", "workers", "reason"),
    [
        ("no text", 0, "the observation is a str, not None"),
        ("reward", 0, "the reward is a finite number, not nan"),
        ("score", 0, "info['score'] is a finite number, not inf"),
        ("words for a score", 0, "info['score'] is a finite number, not 'high'"),
        ("progress", 0, "info['progress'] is a finite number, not 'half'"),
        ("loss", 0, "info['loss'] is a finite number, not nan"),
        ("loss", 1, "info['loss'] is a finite number, not nan"),
        ("deep", 0, "info['losses'] is not plain JSON: Out of range float values are not JSON compliant"),
        ("thing", 0, "info['thing'] is not plain JSON: Object of type PosixPath is not JSON serializable"),
        ("key", 0, "the keys of info are str, not 7"),
        ("actions", 0, "info['admissible_actions'] is a list of str, not of 7"),
    ],
)
def test_an_answer_that_no_record_holds_is_an_env_error_of_its_own_episode(
    how: str, workers: int, reason: str, failing_world: str, tmp_path: Path
) -> None:
    jobs, recipe = [Job(TASKS[4]), Job(TASKS[5])], failing(failing_world, tmp_path / "says", how, times=0)
    finished = list(rollout(ExpertAgent("toy"), jobs, recipe, workers=workers, limits=Limits(attempts=1)))
    status = {one.job.task_id: one.trajectory.status for one in finished}
    assert status == {TASKS[4]: Status.ENV_ERROR, TASKS[5]: Status.SUCCESS}
    (bad,) = [one.trajectory for one in finished if one.trajectory.error]
    assert bad.error.partition(": ")[2].startswith(reason)


def test_a_page_source_that_does_not_answer_is_an_infra_error(failing_world: str, tmp_path: Path) -> None:
    recipe = failing(failing_world, tmp_path / "infra", "infrastructure", times=9)
    (one,) = rollout(ExpertAgent("toy"), [Job(TASKS[4])], recipe)
    assert one.trajectory.status is Status.INFRA_ERROR
    assert one.trajectory.error == "the page source does not answer"


def test_corrupt_data_raises(failing_world: str, tmp_path: Path) -> None:
    recipe = failing(failing_world, tmp_path / "data", "data")
    with pytest.raises(DataError, match="is corrupt"):
        list(rollout(ExpertAgent("toy"), [Job(TASKS[4])], recipe, workers=1))


def test_what_a_world_prints_does_not_reach_the_protocol(failing_world: str, tmp_path: Path) -> None:
    recipe = failing(failing_world, tmp_path / "print", "print", times=0)
    finished = list(rollout(ExpertAgent("toy"), [Job(task) for task in TASKS[:4]], recipe, workers=1))
    assert {one.trajectory.status for one in finished} == {Status.SUCCESS}


# --- endings ---------------------------------------------------------------------------------------------------


def children() -> set[int]:
    return {
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _parent(entry) == os.getpid()
    }


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return -1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_closing_the_iterator_leaves_no_process() -> None:
    before = children()
    episodes = rollout(ExpertAgent("toy"), [Job(task) for task in TASKS], TOY, live=4, workers=2)
    next(episodes)
    assert len(children() - before) == 2
    episodes.close()
    assert children() == before


ORPHAN = """
import sys, time
from sad_agents.policies import ExpertAgent
from sad_agents.rollout.rollout import Job, WorldRecipe, rollout
from sad_env.toy import toy_panel
episodes = rollout(ExpertAgent("toy"), [Job(t) for t in toy_panel("test").task_ids], WorldRecipe("toy"), workers=1)
next(episodes)
import sad_agents.rollout.world_pool, subprocess
print(subprocess.run(["ps", "--ppid", str(__import__("os").getpid()), "-o", "pid="], capture_output=True, text=True)
      .stdout.split()[0], flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()

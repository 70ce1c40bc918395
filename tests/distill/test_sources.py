"""Sources of rows: groups, replayed beginnings, guides, relabelled turns, self-teachers; each resumes to the bit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.agent import Decision
from sad_agents.checkpoints import load_student
from sad_agents.rollout.rollout import Job, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.windowing import Windowing
from sad_distill.commands.main import train_config
from sad_distill.config import TrainConfig
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.batch import ACT, collate
from sad_distill.data.rows import rows_from
from sad_distill.models.language import load_language, validated
from sad_distill.signals.facts import RowFacts
from sad_distill.signals.policy import PolicyTerm
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.relabel import infos_of
from sad_distill.teachers.relabel_agent import agent_turns, branches_as_rows, decision_of, turn_rows
from sad_distill.teachers.self_teacher import SelfTeacher
from sad_distill.teachers.won_episodes import WonEpisodes
from sad_distill.training import live, live_rows
from sad_distill.training.acting_model import ActingModel
from sad_distill.training.live_rows import steps_by, without_replayed
from sad_distill.training.playing import player_on
from sad_distill.training.replay import REPLAY, Prefixes
from sad_distill.training.run import Run
from sad_distill.training.tasks import TaskStream, held_out
from transformers import PreTrainedTokenizerFast

from sad_env import config_files
from sad_env.errors import ConfigError, DataError
from sad_env.records import Trajectory, read_trajectories
from sad_env.settings import replaced

FIELD = [name for name in config_files.shipped_configs("sad_distill") if name.startswith("field/")]


def settings(files: Path, out: Path, base: TrainConfig | None = None, **changes: Any) -> TrainConfig:
    base = base or replaced(TrainConfig(out=str(out)), rollouts=4, mode="online", teacher=str(files / "teacher.pt"))
    small = replaced(
        base,
        student=str(files / "start.pt"),
        trajectories=(str(files / "expert.jsonl"),),
        env="toy",
        steps=2,
        micro_batch=4,
        context=200,
        max_new_tokens=12,
        horizon_start=2,
        save_every=2,
    )
    return replaced(small, **changes)


def weights(out: Path) -> list[torch.Tensor]:
    return list(load_student(out / "student.pt").model.state_dict().values())


def metrics(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    # The rate of action supports is of a call, not of the run.
    return [{key: value for key, value in line.items() if key != "off_trie_rate"} for line in lines]


def same(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


class CutOffError(Exception):
    pass


@pytest.mark.parametrize(("terms", "whole"), [((), False), (("opd=1",), False), (("rft=1",), True)])
def test_an_episode_in_circles_is_played_on_only_for_its_outcome(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terms: tuple[str, ...], whole: bool
) -> None:
    played: list[Trajectory] = []

    def playing(*given: Any) -> Any:
        play = player_on(*given)

        def circling(jobs: Any) -> Any:
            for one in play(jobs):
                played.append(one.trajectory)
                yield one

        return circling

    monkeypatch.setattr(live, "player_on", playing)
    changes = {"method": "policy", "terms": terms} if terms else {}
    Run(settings(files, tmp_path, steps=1, horizon_start=0, rollouts=8, **changes)).train()
    counts = [max(Counter((step.action, step.observation) for step in one.steps).values()) for one in played]
    assert len(counts) == 8
    assert max(counts) > 4 if whole else max(counts) == 4


POLICY: dict[str, Any] = {"method": "policy", "learning_rate": 1e-2}
SOURCES: dict[str, dict[str, Any]] = {
    "own": {**POLICY, "terms": ("opd=linear:1:0.5", "k3_start=0.1"), "updates": 2, "passes": 2},
    "groups": {**POLICY, "terms": ("grpo=1", "opd=0.1"), "group": 2, "redraws": 1, "invalid_penalty": 0.1},
    "guided": {**POLICY, "mode": "guided", "terms": ("opd=1", "guide=1"), "guidance_fall": "cosine"},
    "replayed": {**POLICY, "terms": ("tdur=1",), "replay_every": 1, "horizon_start": 0},
    "relabelled": {"method": "sad", "mode": "dagger", "learning_rate": 1e-2},
    "average": {**POLICY, "teacher": "self:0.5", "terms": ("gate=1", "k3_teacher=1")},
    "annealed": {
        "method": "sad",
        "mode": "mixed",
        "online_share_end": 1.0,
        "group": 2,
        "terms": ("rloo=linear:0:1",),
        "method_weight": "linear:1:0.1",
        "learning_rate": 1e-2,
        "gradients_every": 2,
        "validate_every": 1,
        "validate_episodes": 2,
        "keep": "best",
    },
}


@pytest.mark.parametrize("name", [*(pytest.param(one, marks=pytest.mark.slow) for one in SOURCES), "annealed"])
def test_a_run_that_was_cut_off_ends_as_if_undisturbed(files: Path, tmp_path: Path, name: str) -> None:
    changes = {"steps": 6, "rollouts": 2, **SOURCES[name]}
    if changes.get("group"):
        changes["rollouts"] = 4
    whole = Run(settings(files, tmp_path / "whole", **changes))
    whole.train()

    def report(step: int, steps: int, numbers: dict[str, float]) -> None:
        if step == 5:
            raise CutOffError

    with pytest.raises(CutOffError):
        Run(settings(files, tmp_path / "cut", **changes), report).train()
    again = Run(settings(files, tmp_path / "cut", **changes))
    again.train()
    assert 0 < again.trained < 6
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    # A state does not hold the gradient of the update before, which gradient_variance compares with.
    untimed = [
        [
            {key: value for key, value in line.items() if "seconds" not in key and key != "gradient_variance"}
            for line in metrics(tmp_path / out)
        ]
        for out in ("whole", "cut")
    ]
    assert untimed[0] == untimed[1]
    assert (again.validation.best, again.validation.at) == (whole.validation.best, whole.validation.at)
    if whole.kept is None:
        assert not same(weights(tmp_path / "whole"), list(load_student(files / "start.pt").model.state_dict().values()))


@pytest.mark.slow
# That of recorded scores needs episodes that have them: test_recorded_scores.py.
@pytest.mark.parametrize("name", sorted(set(FIELD) - {"field/sad-recorded"}))
def test_each_method_of_the_field_trains(files: Path, tmp_path: Path, name: str) -> None:
    base = train_config(["--config", name, "--out", str(tmp_path)])
    changes: dict[str, Any] = {
        "rollouts": 2 * base.online.group,
        "batch": 4,
        "validate_episodes": 2,
        "validate_every": 0,
    }
    changes["keep"] = "last"
    if not base.model.teacher:
        changes["teacher"] = str(files / "teacher.pt")
    if base.online.replay_every:
        changes["horizon_start"] = 0
    Run(settings(files, tmp_path, base, **changes)).train()
    lines = metrics(tmp_path)
    assert len(lines) == 2
    if base.method == "policy":
        assert {"entropy", "clipped", "rollout_length", "extra"} <= set(lines[-1]) or "rft" in name
        assert ("kl_start" in lines[-1]) == ("k3_start" in base.terms.weights)
        assert ("flat_groups" in lines[-1]) == (base.online.group > 1)


def test_methods_of_the_field_are_there_and_move_small_students_gently() -> None:
    names = "opd tcod-f2b tcod-b2f guided-opd sdar opsd skill-sd atod grpo gigpo rloo rft dagger sad-online sad-offline"
    assert sorted(FIELD) == sorted(f"field/{name}" for name in (*names.split(), "sad-then-reward", "sad-recorded"))
    for name in (f"field/{name}" for name in names.split()):
        config = train_config(["--config", name, "--out", "x"])
        rewarded = {"grpo", "gigpo", "rloo"} & config.terms.weights.keys()
        assert config.optimisation.optimiser == "adamw"
        assert config.optimisation.learning_rate <= (3e-5 if rewarded else 3e-4)
        if rewarded:
            assert config.online.group == 8
            assert config.online.rollouts == 128
            anchors = {"k3_start", "k3_teacher", "tdur"}
            assert anchors & config.terms.weights.keys()


# --- groups --------------------------------------------------------------------------------------------------------


def test_groups_are_on_one_task_and_every_task_comes_once(files: Path, tmp_path: Path) -> None:
    tasks = TaskStream.of(settings(files, tmp_path, group=2, tasks=5))
    jobs = [job for iteration in range(5) for job in tasks.jobs(iteration, 4, seed=0)]
    assert all(one.task_id == other.task_id for one, other in zip(jobs[::2], jobs[1::2], strict=True))
    assert len(set(jobs)) == 20
    assert {job.task_id for job in jobs[:10]} == set(tasks.tasks) == {job.task_id for job in jobs[10:]}
    again = tasks.redrawn(3, 1, 2, seed=0)
    assert again == tasks.redrawn(3, 1, 2, seed=0) != tasks.redrawn(3, 2, 2, seed=0)
    assert not set(again) & set(jobs)
    assert {job.repeat // 2 for job in again} == {again[0].repeat // 2}


def test_groups_that_ended_alike_are_replaced_and_counted(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play_toy: Callable[..., Trajectory]
) -> None:
    """The first draw is all lost; in the second one group is won by half, which takes the place of the first."""
    run = Run(settings(files, tmp_path, group=2, redraws=3, method="policy", terms=("grpo=1",)))
    played: list[list[Job]] = []

    def play(player: Any, jobs: list[Job], *_: Any) -> list[Trajectory]:
        played.append(jobs)
        won = [len(played) > 1 and place == 2 for place in range(len(jobs))]
        return [
            play_toy(job.task_id).model_copy(update={"repeat": job.repeat, "success": success})
            for job, success in zip(jobs, won, strict=True)
        ]

    monkeypatch.setattr("sad_distill.training.live.play", play)
    run.train()
    assert [len(jobs) for jobs in played[:4]] == [4, 4, 2, 2]
    assert metrics(tmp_path)[0]["flat_groups"] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"terms": ("grpo=1",)}, "the term grpo compares episodes of one task: give --group 8"),
        ({"terms": ("guide=1",)}, "give --mode guided"),
        ({"terms": ("opd=1",), "teacher": ""}, "the term opd compares with a teacher that scores"),
        ({"terms": ("opd=1",), "mode": "dagger", "method": "sad"}, "of which mode dagger has none"),
        ({"terms": ("opd=1",), "sampling_temperature": 0.0}, "give --sampling-temperature above 0"),
        ({"terms": ("opd=1",), "method": "minillm"}, "method minillm has a policy gradient of its own"),
        ({"terms": ()}, "method policy learns by terms alone"),
        ({"terms": ("opd=cubic:1",)}, "give each term once, as NAME=WEIGHT"),
        ({"terms": ("contrastive=linear:0:1", "opd=1")}, "the term contrastive has one weight for the whole run"),
        ({"terms": ("opd=1",), "group": 3}, "--group 3 does not divide --rollouts 4"),
        ({"terms": ("opd=1",), "replay_every": 1, "trajectories": ()}, "give --trajectories FILE.jsonl"),
        ({"terms": ("opd=1",), "replay_every": 1, "group": 2, "redraws": 1}, "leave one of them out"),
        ({"terms": ("opd=1",), "teacher": "self:2"}, "a decay between 0 and 1"),
        ({"terms": ("opd=1",), "teacher": "self", "cache": "x"}, "leave it out"),
        ({"terms": ("opd=1",), "validate_every": 1, "validate_episodes": 500}, "the split has 500 tasks"),
        ({"terms": ("opd=1",), "replay_every": 1, "max_steps": 2}, "episodes end after 2"),
        ({"terms": ("opd=1",), "replay_every": 1, "horizon_start": 9, "max_steps": 2}, "episodes end after 2"),
        ({"terms": ("opd=1",), "max_steps": 21}, "toy ends episodes after 20 itself"),
        ({"terms": ("opd=1",), "sampling_temperature": 0.5, "top": 8}, "knows temperature 1 alone"),
        ({"mode": "guided", "terms": ("guide=1",), "group": 2, "teacher_told": "group"}, "acts before they are over"),
    ],
    ids=str,
)
def test_signals_without_what_they_need_are_refused(
    files: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        Run(settings(files, tmp_path, **{"method": "policy", **changes})).train()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_was_just_sampled_is_learned_from_at_a_ratio_of_one(
    precision: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list[float]()
    real = PolicyTerm._clipped_gradient

    def seen(self: PolicyTerm, log_q: torch.Tensor, facts: RowFacts, told: Any) -> torch.Tensor:
        found.append(float((log_q.detach() - facts.log_q.to(log_q)).abs().max()))
        return real(self, log_q, facts, told)

    monkeypatch.setattr(PolicyTerm, "_clipped_gradient", seen)
    changes = {"method": "policy", "terms": ("opd=1",), "mode": "online", "steps": 1, "precision": precision}
    Run(settings(files, tmp_path, **changes)).train()
    assert len(found) > 3
    assert max(found) < 1e-5
    assert metrics(tmp_path)[0]["rollout_score_seconds"] > 0


def test_episodes_and_validation_end_at_the_limit_of_the_settings(files: Path, tmp_path: Path) -> None:
    changes = {"method": "sad", "mode": "online", "steps": 1, "max_steps": 2, "horizon_start": 0, "validate_every": 1}
    Run(settings(files, tmp_path, validate_episodes=2, **changes)).train()
    [line] = metrics(tmp_path)
    assert (line["rollout_steps"], line["validation_steps"]) == (2.0, 2.0)


# --- replayed beginnings -------------------------------------------------------------------------------------------


def test_a_recorded_beginning_is_replayed_to_the_exact_state(
    files: Path, tmp_path: Path, toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    language = load_language(str(files / "start.pt"))
    student = ActingModel(language, Windowing(200, 40), settings(files, tmp_path)).agent
    won = [one for one in toy_episodes if one.success]
    prefixes = Prefixes.of(toy_episodes, every=2, tasks=[one.task_id for one in toy_episodes])
    longest = max(won, key=lambda one: len(one.steps))
    length = len(longest.steps)
    assert [prefixes.turns(longest, iteration) for iteration in (0, 1, 2, 4, 1000)] == [
        length - 1, length - 1, length - 2, length - 3, 0,
    ]  # fmt: skip
    recorded = {one.task_id: one for one in won}
    world = WorldRecipe("toy", {"split": "train"})
    played = [one.trajectory for one in rollout(prefixes.agent(student, 2), prefixes.jobs(0, 8, 0), world)]
    assert len({one.task_id for one in played}) == 8
    for one in played:
        before, count = recorded[one.task_id], prefixes.turns(recorded[one.task_id], 2)
        assert [step.author for step in one.steps[:count]] == [REPLAY] * count
        assert not any(step.author for step in one.steps[count:])
        for now, then in zip(one.steps[:count], before.steps, strict=False):
            assert (now.completion, now.action, now.observation) == (then.completion, then.action, then.observation)
            assert now.admissible == then.admissible
        assert one.steps[count].admissible == before.steps[count].admissible
        assert Trajectory.from_json(one.to_json()) == one
    rows = without_replayed(rows_from(played, toy_tokenizer, Windowing(200, 40)), played)
    steps = steps_by(played, REPLAY)
    assert sum(map(len, steps.values())) > 0
    for row in rows:
        assert not steps[row.episode] & {unit.step for unit in row.units}
        labelled = {place for place, label in enumerate(row.labels) if label in "RA"}
        assert labelled
        assert labelled <= {place for unit in row.units for place in range(unit.start, unit.end)}


def test_a_world_that_answers_otherwise_than_it_was_recorded_is_refused(
    files: Path, tmp_path: Path, toy_episodes: list[Trajectory]
) -> None:
    long = next(one for one in toy_episodes if one.success and len(one.steps) > 2)
    steps = (long.steps[0].model_copy(update={"observation": "Otherwise."}), *long.steps[1:])
    changed = long.model_copy(update={"steps": steps})
    (tmp_path / "changed.jsonl").write_text(changed.to_json() + "\n")
    changes: dict[str, Any] = {"trajectories": (str(tmp_path / "changed.jsonl"),), "horizon_start": 0}
    changes |= {"method": "policy", "terms": ("opd=1",), "replay_every": 1}
    with pytest.raises(DataError, match=r"does not answer as it was recorded \(turn 1\)"):
        Run(settings(files, tmp_path / "run", **changes)).train()
    lost = long.model_copy(update={"success": False})
    (tmp_path / "changed.jsonl").write_text(lost.to_json() + "\n")
    with pytest.raises(ConfigError, match="--replay-every begins in recorded won episodes"):
        Run(settings(files, tmp_path / "other", **changes)).train()


# --- guides, relabelled turns ----------------------------------------------------------------------------------------


def test_who_acted_stands_in_the_record(files: Path, tmp_path: Path) -> None:
    Run(settings(files, tmp_path, **SOURCES["guided"], guidance=1.0, steps=2)).train()
    first, second = (
        [step.author for one in read_trajectories(path) for step in one.steps]
        for path in sorted((tmp_path / "rollouts").glob("*.jsonl"))
    )
    assert set(first) == {"teacher"}
    assert set(second) <= {"", "teacher"}


def test_a_local_teacher_writes_its_own_turn_at_each_of_the_students_states(
    files: Path, tmp_path: Path, toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    """A turn depends on what happened until then alone, and as a branch it is scored as in a row of its own."""
    windowing = Windowing(200, 40)
    config = settings(files, tmp_path, sampling_temperature=0.0)
    teacher = load_language(str(files / "teacher.pt"))
    episodes = toy_episodes[:3]
    turns = agent_turns(ActingModel(teacher, windowing, config).agent, episodes)
    assert [len(one) for one in turns] == [len(one.steps) for one in episodes]
    # What comes later, and what else is asked, changes nothing.
    alone = episodes[0].model_copy(update={"steps": episodes[0].steps[:2]})
    [again] = agent_turns(ActingModel(teacher, windowing, config).agent, [alone])
    assert [turn.token_ids for turn in again] == [turn.token_ids for turn in turns[0][:2]]
    decision = decision_of(episodes[0].steps[0])
    assert (decision.completion, decision.action) == (episodes[0].steps[0].completion, episodes[0].steps[0].action)

    expert = [[decision_of(step) for step in one.steps] for one in episodes]
    supports = ActionSupport(toy_tokenizer, "trie")
    scored = LocalTeacher(teacher.model, "t")
    for one, written in zip(episodes, expert, strict=True):
        rows = turn_rows(one, written, toy_tokenizer, windowing, sampled=False)
        plain = [flat for row in rows for flat in branches_as_rows(row)]
        branched, flat = collate(rows, supports=supports), collate(plain, supports=supports)
        assert branched.kind_N.tolist() == flat.kind_N.tolist()
        assert branched.target_N.tolist() == flat.target_N.tolist()
        assert branched.support_NK.tolist() == flat.support_NK.tolist()
        assert branched.supported_N[branched.kind_N == ACT].any()
        index = torch.arange(len(flat.kind_N))
        log_p = [scored.score(batch).outcomes(index, None, 1.0, "bucket").log_p for batch in (branched, flat)]
        torch.testing.assert_close(log_p[0], log_p[1], rtol=0, atol=1e-4)


def test_relabelled_turns_teach_a_student_its_teacher(files: Path, tmp_path: Path) -> None:
    changes = {**SOURCES["relabelled"], "steps": 8, "rollouts": 8}
    Run(settings(files, tmp_path, **changes)).train()
    lines = metrics(tmp_path)
    assert lines[-1]["loss"] < lines[0]["loss"]


@pytest.mark.parametrize("term", ["atomic", "pointer"])
def test_terms_of_whole_actions_see_the_turns_of_mode_dagger(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    def wait(agent: Any, episodes: list[Trajectory], seed: int) -> list[list[Decision]]:
        return [[Decision.of("I wait.", "look") for _ in one.steps] for one in episodes]

    monkeypatch.setattr(live_rows, "agent_turns", wait)
    changes = {**SOURCES["relabelled"], "steps": 1, "rollouts": 2, "max_new_tokens": 40, "terms": (f"{term}=1",)}
    Run(settings(files, tmp_path, **changes)).train()
    assert metrics(tmp_path)[0]["extra"] > 0


# --- validation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("won", "kept"), [((1, 3), 5), ((3, 1), 4)])
def test_the_end_of_a_run_is_validated_wherever_it_falls(
    won: tuple[float, ...], kept: int, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five updates, validated after four of them: the state of the end is kept where it is the better one."""
    left = iter(won)
    monkeypatch.setattr("sad_distill.training.validation.Validation._play", lambda self: (next(left), 8.0))
    changes = {"method": "sad", "mode": "offline", "batch": 4, "horizon_start": 0, "validate_every": 4}
    Run(settings(files, tmp_path, keep="best", steps=5, validate_episodes=4, **changes)).train()
    assert load_student(tmp_path / "student.pt").record["kept"] == kept
    assert [line.get("validation_success") for line in metrics(tmp_path)[3:]] == [won[0] / 4, won[1] / 4]
    assert next(left, None) is None


def test_a_run_that_is_given_more_steps_goes_on_from_an_end_that_was_worse(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter((3, 1, 4))
    monkeypatch.setattr("sad_distill.training.validation.Validation._play", lambda self: (next(left), 8.0))
    changes = {"method": "sad", "mode": "offline", "batch": 4, "horizon_start": 0, "validate_every": 4}
    changes |= {"validate_episodes": 4, "validate_patience": 1, "keep": "best"}
    Run(settings(files, tmp_path, steps=5, **changes)).train()
    run = Run(settings(files, tmp_path, steps=8, **changes))
    run.train()
    assert (run.done, run.trained, run.kept) == (8, 3, 8)


def test_a_state_on_disk_knows_of_the_best_weights_beside_it(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second update is the best so far, and after the third the run is killed."""
    monkeypatch.setattr("sad_distill.training.validation.Validation._play", lambda self: (3.0, 8.0))
    changes = {"method": "sad", "mode": "offline", "batch": 4, "horizon_start": 0, "validate_every": 2, "steps": 4}
    config = settings(files, tmp_path, keep="best", save_every=100, validate_episodes=4, **changes)

    def stop(step: int, steps: int, numbers: dict[str, float]) -> None:
        if step == 3:
            raise CutOffError

    with pytest.raises(CutOffError):
        Run(config, stop).train()
    again = Run(config)
    again.train()
    assert (again.trained, again.kept) == (2, 2)


def test_validation_holds_out_tasks_keeps_the_best_and_ends_what_falls(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Success 1, 3, 2, 2 of 4: the second state is the best, and two worse ones end the run after its eighth update."""
    won = iter([1.0, 3.0, 2.0, 2.0])
    monkeypatch.setattr("sad_distill.training.validation.Validation._play", lambda self: (next(won), 8.0))
    changes = {
        "method": "sad",
        "mode": "offline",
        "batch": 4,
        "learning_rate": 1e-2,
        "horizon_start": 0,
        "save_every": 1,
    }
    changes |= {"validate_every": 2, "validate_episodes": 4, "validate_patience": 2, "steps": 20}
    config = settings(files, tmp_path / "best", keep="best", **changes)
    run = Run(config)
    run.train()
    assert (run.done, run.kept, run.validation.best) == (8, 4, 0.75)
    lines = metrics(tmp_path / "best")
    assert [line["validation_success"] for line in lines if "validation_success" in line] == [0.25, 0.75, 0.5, 0.5]
    record = load_student(tmp_path / "best" / "student.pt").record
    assert (record["updates"], record["kept"], record["validation_success"]) == (8, 4, 0.75)
    again = Run(config)
    again.train()
    assert not again.trained
    alone = settings(files, tmp_path / "four", **{**changes, "validate_every": 0, "steps": 20})

    def stop(step: int, steps: int, numbers: dict[str, float]) -> None:
        if step == 4:
            raise CutOffError

    held = held_out(config, TaskStream.of(alone).tasks)
    assert held == TaskStream.of(alone).tasks[-4:]
    assert not set(held) & set(TaskStream.of(config).tasks)
    assert not any(one.task_id in held for one in run.parts.episodes)
    run = Run(alone, stop)
    with pytest.raises(CutOffError):
        run.train()
    assert same(weights(tmp_path / "best"), list(run.student.model.state_dict().values()))


def test_noise_of_a_gradient_is_seen_without_changing_it(files: Path, tmp_path: Path) -> None:
    changes = {"method": "sad", "mode": "offline", "batch": 8, "horizon_start": 0, "learning_rate": 1e-2, "steps": 2}
    Run(settings(files, tmp_path / "seen", gradients_every=1, **changes)).train()
    Run(settings(files, tmp_path / "unseen", gradients_every=0, **changes)).train()
    for line in metrics(tmp_path / "seen"):
        assert -1 < line["gradient_agreement"] < 1
        assert line["gradient_noise"] is None or line["gradient_noise"] > 0
    assert "gradient_noise" not in metrics(tmp_path / "unseen")[0]
    for one, other in zip(weights(tmp_path / "seen"), weights(tmp_path / "unseen"), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_a_teacher_that_rewrites_turns_may_read_its_own_context(files: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"method": "sft", "mode": "dagger", "steps": 1, "context": 400}
    for context in ("own", "privileged"):
        config = settings(files, tmp_path / context, **changes, teacher_context=context, teacher_prompt="toy")
        Run(config).train()
        assert metrics(tmp_path / context)[0]["loss"] > 0


def test_what_the_world_told_a_player_is_told_to_who_rewrites_its_turns(toy_episodes: list[Trajectory]) -> None:
    episode = toy_episodes[0]
    infos = infos_of(episode)
    assert len(infos) == len(episode.steps) + 1
    assert {info["split"] for info in infos} == {"train"}
    assert [info["valid_action"] for info in infos] == [True, *(step.valid for step in episode.steps)]
    offered = [tuple(info["admissible_actions"]) for info in infos[:-1]]
    assert offered == [step.admissible for step in episode.steps]


# --- a student as its own teacher ------------------------------------------------------------------------------------


def test_a_privileged_self_teacher_reads_what_won_and_scores_the_students_tokens(
    files: Path, tmp_path: Path, toy_episodes: list[Trajectory]
) -> None:
    """Without something to read it says what the student says: the gap is 0 at first, and is not where it reads."""
    changes: dict[str, Any] = {**POLICY, "teacher": "self", "terms": ("opd=1",), "tasks": 2, "steps": 1}
    Run(settings(files, tmp_path / "plain", **changes)).train()
    assert metrics(tmp_path / "plain")[0]["kl_teacher"] == 0
    hints = tmp_path / "hints.toml"
    hints.write_text('fetch = "Look into every room."\n')
    for number, told in enumerate(("solution", "recorded", str(hints))):
        context = {"teacher_context": "privileged", "teacher_told": told}
        Run(settings(files, tmp_path / str(number), **changes, **context)).train()
        assert abs(metrics(tmp_path / str(number))[0]["kl_teacher"]) > 1e-4
    hints.write_text('fetch = "Look twice."\n')
    with pytest.raises(ConfigError, match="holds a run on other teacher_told"):
        Run(settings(files, tmp_path / "2", **changes, teacher_context="privileged", teacher_told=str(hints))).train()
    known = WonEpisodes()
    known.replace([one.model_copy(update={"success": False}) for one in toy_episodes[:3]] + toy_episodes[3:4])
    [lost, won] = toy_episodes[0], toy_episodes[3]
    assert known("toy", "train", lost.task_id, lost.seed) == ""
    assert known("toy", "train", won.task_id, 7).endswith("; ".join(step.action for step in won.steps))


def test_a_moving_average_follows_its_student(tiny_llama: Callable[..., Any]) -> None:
    student = tiny_llama(seed=1)
    average, frozen = SelfTeacher(student, "a", decay=0.75), SelfTeacher(student, "f")
    before = [one.clone() for one in student.parameters()]
    with torch.no_grad():
        for one in student.parameters():
            one.add_(1.0)
    for teacher in (average, frozen):
        teacher.follow(student)
    for then, one, other in zip(before, average.model.parameters(), frozen.model.parameters(), strict=True):
        torch.testing.assert_close(one, then + 0.25)
        assert torch.equal(other, then)
    assert not frozen.tensors
    again = SelfTeacher(student, "a", decay=0.75)
    again.load({name: one.clone() for name, one in average.tensors.items()})
    assert same(list(again.model.parameters()), list(average.model.parameters()))


def test_a_run_says_where_its_teacher_has_little_to_teach(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher that won 1 of 4 in its validation is weak; a student that then wins 2 of 4 is above it: a line each."""
    won = iter([1.0, 2.0, 4.0])
    monkeypatch.setattr("sad_distill.training.validation.Validation._play", lambda self: (next(won), 8.0))
    changes = {"method": "sft", "mode": "offline", "batch": 4, "horizon_start": 0, "validate_episodes": 4}
    taught = settings(files, tmp_path / "teacher", teacher="", validate_every=2, **changes)
    Run(taught).train()
    record = load_student(tmp_path / "teacher" / "student.pt").record
    assert record["validation_success"] == 0.25
    said: list[str] = []
    changes |= {"method": "sad", "teacher": str(tmp_path / "teacher" / "student.pt"), "validate_every": 1}
    Run(settings(files, tmp_path / "run", **changes), warn=said.append).train()
    assert [line.partition(":")[0] for line in said] == [
        "the teacher wins 25%",
        "the student wins 50% at update 1, its teacher 25%",
    ]
    assert load_student(tmp_path / "run" / "student.pt").record["validation_success"] == 1.0
    assert validated(record) == {"toy": 0.25}
    assert validated({"settings": {"env": "toy"}}) == validated({}) == {}

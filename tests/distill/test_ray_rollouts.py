"""Training whose student plays on a Ray cluster of two nodes: the same episodes, and with the weights of now."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.agent import EpisodeStart
from sad_agents.checkpoints import load_student
from sad_agents.sampling.action_head import LinearHead, PointerHead
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.action_head import LinearTerm, PointerTerm
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.models.language import Language
from sad_distill.models.students import with_adapters
from sad_distill.training.build import check_shared
from sad_distill.training.playing import StudentMaker
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError
from sad_env.records import Trajectory
from sad_env.settings import replaced

Tiny = Callable[..., Any]


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    base = replaced(
        TrainConfig(out=str(out)),
        student=str(files / "start.pt"),
        teacher=str(files / "teacher.pt"),
        env="toy",
        steps=3,
        micro_batch=4,
        rollouts=4,
        horizon_start=3,
        context=200,
        max_new_tokens=24,
        learning_rate=1e-2,
        mode="online",
        save_every=1,
    )
    return replaced(base, **changes)


def iterations(out: Path) -> list[list[tuple[Any, ...]]]:
    """Ids and labels of all steps of all episodes, by iteration."""
    return [
        sorted(
            (one.task_id, one.repeat, step.token_ids, step.token_labels, step.observation)
            for line in path.read_text().splitlines()
            for one in [Trajectory.from_json(line)]
            for step in one.steps
        )
        for path in sorted((out / "rollouts").glob("*.jsonl"))
    ]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(load_student(out / "student.pt")[0].state_dict())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "changes",
    [
        {"sampling_temperature": 0.0, "validate_every": 1, "validate_episodes": 4},
        {"sampling_temperature": 1.0, "adapters": 2},
    ],
    ids=["greedy", "sampled, with adapters"],
)
def test_a_student_plays_there_as_here(files: Path, tmp_path: Path, ray_backend: str, changes: dict[str, Any]) -> None:
    """Three updates: what is played after each one depends on the weights that it left."""
    Run(settings(files, tmp_path / "here", **changes)).train()
    Run(settings(files, tmp_path / "there", backend=ray_backend, **changes)).train()
    here, there = iterations(tmp_path / "here"), iterations(tmp_path / "there")
    assert len(here) == 3
    assert len({str(one) for one in here}) == 3
    assert there == here
    ours, theirs = weights(tmp_path / "here"), weights(tmp_path / "there")
    assert all(torch.equal(theirs[name], one) for name, one in ours.items())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_lost_costs_no_episode(
    files: Path, tmp_path: Path, ray_backend: str, deadly_marker: Path
) -> None:
    """Its jobs are played again in the same iteration."""
    world = {"env": "deadly_world:DeadlyEnv", "steps": 2}
    Run(settings(files, tmp_path / "there", backend=ray_backend, **world)).train()
    assert deadly_marker.exists()
    first = (tmp_path / "there" / "rollouts" / "000000.jsonl").read_text()
    assert "a worker of the cluster was lost" in first
    Run(settings(files, tmp_path / "here", **world)).train()
    assert iterations(tmp_path / "there") == iterations(tmp_path / "here")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("adapters", [0, 2])
def test_a_student_that_was_sent_is_the_one_of_the_moment(
    files: Path, tmp_path: Path, toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, adapters: int
) -> None:
    """What a worker unpacks writes the same, and later updates here do not reach it."""
    model = with_adapters(tiny_llama(seed=2), adapters) if adapters else tiny_llama(seed=2)
    config = settings(files, tmp_path, sampling_temperature=1.0)
    maker = StudentMaker(Language(model, toy_tokenizer), Windowing(200, 40), config)
    sent = pickle.dumps(maker)
    start = EpisodeStart("toy", "t", "You are in a hall.", {"split": "train", "admissible_actions": ["look"]}, seed=7)

    def first(make: StudentMaker) -> tuple[int, ...]:
        agent = make()
        agent.begin(1, start)
        return agent.act([1])[0].token_ids

    before = first(maker)
    assert before
    with torch.no_grad():
        for one in model.parameters():
            one.add_(torch.randn_like(one))
    assert first(pickle.loads(sent)) == before
    assert first(maker) != before
    assert first(pickle.loads(pickle.dumps(maker))) == first(maker)


def test_a_head_is_sent_without_the_teacher_that_it_learns_from(
    files: Path, tmp_path: Path, toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    """One that is asked over the network could not be sent at all."""
    student, asked = tiny_llama(seed=2), _Connected()
    heads = [PointerTerm(asked, toy_tokenizer, 16), LinearTerm(asked, toy_tokenizer, 16, ["look", "wait"])]
    for head in heads:
        with torch.no_grad():
            for one in head.parameters():
                one.copy_(torch.randn_like(one))
        maker = StudentMaker(Language(student, toy_tokenizer), Windowing(200, 40), settings(files, tmp_path), head)
        draws = torch.get_rng_state()
        sent = pickle.loads(pickle.dumps(maker)).head
        assert torch.equal(torch.get_rng_state(), draws)
        assert (sent.kind, sent.actions) == (head.kind, head.actions)
        assert type(sent) in (PointerHead, LinearHead)
        assert all(map(torch.equal, sent.parameters(), head.parameters()))


class _Connected(torch.nn.Module):
    def __reduce__(self) -> str:
        raise TypeError("cannot pickle a connection")


def test_what_a_cluster_cannot_play_is_said(files: Path, tmp_path: Path) -> None:
    config = settings(files, tmp_path, backend="ray:10.0.0.1:6379")
    check(config)
    for changes in ({"mode": "guided"}, {"sampler": "vllm:http://x"}, {"processor_seconds": 9.0}):
        with pytest.raises(ConfigError, match="sends the student alone to a cluster"):
            check(replaced(config, **changes))
    with pytest.raises(ConfigError, match="--backend is local, ray or ray:ADDRESS, not 'slurm'"):
        check(replaced(config, backend="slurm"))
    check_shared(config)
    with pytest.raises(ConfigError, match="--backend ray, which would begin a cluster for each, works within one"):
        check_shared(replaced(config, backend="ray"))

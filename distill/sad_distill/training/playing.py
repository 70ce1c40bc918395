"""A local model as an agent of the worlds, here or in the workers of a cluster, and the episodes that it plays."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sad_agents.agent import Agent, EpisodeStart
from sad_agents.rollout.backend import Play, player
from sad_agents.rollout.rollout import Job, Limits
from sad_agents.sampling.action_head import ActionHead, plain_head
from sad_agents.windowing import Windowing
from torch import nn

from sad_distill.config import TrainConfig
from sad_distill.data.labels import encode
from sad_distill.models.heads import unwrap
from sad_distill.models.language import Language
from sad_distill.teachers.registry import Teacher
from sad_distill.training.acting_model import ActingModel
from sad_distill.training.replay import Prefixes
from sad_distill.training.run_dir import read_whole
from sad_distill.training.tasks import TaskStream
from sad_env.errors import InfrastructureError
from sad_env.json_lines import JsonLinesWriter
from sad_env.records import Trajectory
from sad_env.safe_text import one_line

_ROUNDS = 3
"""How often the episodes of an iteration that are still owed are played, each with the retries of a rollout."""


def guide_of(teacher: Teacher, student: Language, config: TrainConfig) -> Agent:
    """A local teacher as an agent that writes as the student does, in the student's context or in its own."""
    assert teacher.language is not None
    language, windowing, view = teacher.language, config.model.windowing, teacher.view
    if view is None:
        shown = replace(language, start_ids=(), form=student.form, chat=student.chat)
        return ActingModel(shown, windowing, config).agent
    shown = replace(
        language, tokenizer=view.tokenizer, start_ids=view.start_ids, form=student.form, chat=view.glue is not None
    )
    # Its own observations may take more ids than the student's do.
    budget = min(teacher.context, 2 * windowing.budget + len(encode(view.tokenizer, view.prompt)))

    def told(start: EpisodeStart) -> str:
        return view.told(start.world, str(start.info["split"]), start.task_id, start.world_seed)

    return ActingModel(shown, replace(windowing, budget=budget), config, view.prompt, told).agent


@dataclass(frozen=True)
class StudentMaker:
    """Makes an agent of the student. Sent to another process, it takes along the weights of the moment.

    Attributes:
        language: the student and its tokenizer.
        windowing: what it sees.
        config: temperature and seed.
        head: chooses its actions.
        prefixes: recorded beginnings that are played again first, if any.
        iteration: decides how much of them.
    """

    language: Language
    windowing: Windowing
    config: TrainConfig
    head: ActionHead | None = None
    prefixes: Prefixes | None = None
    iteration: int = 0

    def __call__(self) -> Agent:
        """The agent, with a sampler of its own."""
        agent = ActingModel(self.language, self.windowing, self.config, head=self.head).agent
        return agent if self.prefixes is None else self.prefixes.agent(agent, self.iteration)

    def __getstate__(self) -> dict[str, Any]:
        """What is sent: model and head without what they are trained by, for a processor, as all workers have one."""
        language = replace(self.language, model=on_processor(unwrap(self.language.model)))
        return {**vars(self), "language": language, "head": None if self.head is None else plain_head(self.head)}


def on_processor(model: nn.Module) -> Any:
    """The model, or a copy of it where its weights are not in the processor's memory."""
    weights = [*model.parameters(), *model.buffers()]
    if all(one.device.type == "cpu" for one in weights):
        return model
    moved: dict[int, Any] = {}
    for one in weights:
        there = one.detach().cpu()
        moved[id(one)] = nn.Parameter(there, one.requires_grad) if isinstance(one, nn.Parameter) else there
    return copy.deepcopy(model, moved)


def player_on(tasks: TaskStream, config: TrainConfig, agent: Agent, make: StudentMaker, limits: Limits) -> Play:
    """What plays tasks with the student on the backend that the settings name.

    Raises:
        ConfigError: there is no such backend.
        InfrastructureError: the cluster does not answer.
    """
    return player(
        config.online.backend, agent, make, tasks.world, live=tasks.live, workers=tasks.workers, limits=limits
    )


def play(played: Play, jobs: Sequence[Job], path: Path) -> list[Trajectory]:
    """Play jobs and return their episodes in the order of the jobs.

    Each episode is written to `path` as it ends; jobs whose episodes are there already are not played again. An owed
    episode, whose world, agent or worker failed, is no experience: it is played again with the same seeds.

    Raises:
        InfrastructureError: episodes are still owed after `_ROUNDS` rounds; a later call plays them again.
    """
    have = {_job_of(one): one for one in read_whole(path) if not one.status.owed}
    why = ""
    for _ in range(_ROUNDS):
        missing = [job for job in jobs if (job.task_id, job.seed, job.repeat) not in have]
        if not missing:
            break
        with JsonLinesWriter(path) as writer:
            for finished in played(missing):
                trajectory = finished.trajectory
                writer.append(trajectory.to_json())
                if trajectory.status.owed:
                    why = trajectory.error
                else:
                    have[_job_of(trajectory)] = trajectory
    if owed := [job for job in jobs if (job.task_id, job.seed, job.repeat) not in have]:
        raise InfrastructureError(
            f"{len(owed)} of {len(jobs)} episodes of an iteration could not be played in {_ROUNDS} rounds"
            f" ({one_line(why, 120)}): nothing is lost, the same command plays them again"
        )
    return [have[job.task_id, job.seed, job.repeat] for job in jobs]


def _job_of(trajectory: Trajectory) -> tuple[str, int, int]:
    return trajectory.task_id, trajectory.seed, trajectory.repeat

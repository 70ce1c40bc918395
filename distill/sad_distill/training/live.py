"""Rows of live episodes: the student plays, and the teacher scores, guides or relabels what it did."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sad_agents.agent import Agent, EpisodeStart, Sampling
from sad_agents.prompts import Prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.local_model import LocalModel
from sad_agents.windowing import Windowing

from sad_distill.auxiliary.minillm import PolicyGradient
from sad_distill.config import TrainConfig
from sad_distill.data.curriculum import EpochOrder, horizon
from sad_distill.data.labels import encode
from sad_distill.data.rows import Row
from sad_distill.models.heads import unwrap
from sad_distill.models.language import Language
from sad_distill.models.mixture import MixtureModel
from sad_distill.teachers.registry import Teacher
from sad_distill.teachers.relabel import expert_completions, relabelled_rows, teacher_completions
from sad_distill.training.build import Parts
from sad_distill.training.guided_agent import GuidedAgent
from sad_distill.training.interrupts import TrainingInterrupts
from sad_distill.training.learner import Metrics
from sad_distill.training.recorded import UpdateRows
from sad_distill.training.run_dir import RunDir, read_whole
from sad_distill.training.served_student import ServedStudent, served_student
from sad_distill.training.task_order import TaskOrder
from sad_env import registry
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.json_lines import JsonLinesWriter
from sad_env.records import Trajectory
from sad_env.safe_text import one_line
from sad_env.transcript import form_of

_ROUNDS = 3
"""How often the episodes of an iteration that are still owed are played, each with the retries of a rollout."""


class Live:
    """A source of rows: episodes that are played now, in the modes online, mixed, guided and dagger.

    An iteration plays episodes with the student as it is and makes one or several updates of them. A resumed run
    begins with an iteration whose episodes it finds on disk as far as they were played.

    Args:
        parts: of the run.
        folder: keeps the episodes of an iteration until its updates are in a state.
        interrupts: let Ctrl-C end the playing.

    Raises:
        ConfigError: mode dagger without a teacher that writes.
    """

    def __init__(self, parts: Parts, folder: RunDir, interrupts: TrainingInterrupts) -> None:
        self.step = self.iteration = 0
        self._interrupts = interrupts
        self._parts, self._folder, config = parts, folder, parts.config
        teacher = parts.teacher
        if config.mode == "dagger" and (teacher is None or not (teacher.expert or teacher.writes)):
            raise ConfigError("mode dagger needs a teacher that writes: give --teacher expert, or a text server")
        terms = (term for term in parts.learner.extras if isinstance(term, PolicyGradient))
        self._policy = next(terms, None)
        with_recorded = self._policy is not None and parts.rows
        self._recorded = EpochOrder(len(parts.rows), config.data.batch, config.data.seed) if with_recorded else None
        self._tasks = TaskStream.of(config)
        ordered = config.curriculum.curriculum != "none"
        self._order = TaskOrder(parts, self._tasks.tasks) if ordered else None
        self._student = ActingModel(
            self._sampled(), parts.windowing, config, served=served_student(parts, folder.folder)
        )
        self._longest = registry.world(config.data.env).max_steps

    @property
    def position(self) -> dict[str, int]:
        """See `Recorded`."""
        return {"step": self.step, "iteration": self.iteration}

    def resume(self, position: Mapping[str, int]) -> None:
        """See `Recorded`."""
        self.step, self.iteration = int(position["step"]), int(position["iteration"])

    def updates(self, between: Callable[[bool], None]) -> Iterator[UpdateRows]:
        """See `Recorded`.

        Raises:
            InfrastructureError: an iteration without a row, or with episodes that could not be played.
        """
        config = self._parts.config
        while self.step < config.optimisation.steps:
            rows, metrics = self._iterate()
            if not rows:
                raise InfrastructureError(
                    f"iteration {self.iteration} brought nothing to learn from: look at its episodes"
                )
            for part in self._split(rows):
                yield UpdateRows(part, metrics, self._recorded_text())
                self.step += 1
            self.iteration += 1
            due = self.iteration % config.output.save_every == 0 or self.step >= config.optimisation.steps
            between(due)
            if due:
                self._folder.forget_rollouts(self.iteration - 1)

    def _iterate(self) -> tuple[list[Row], Metrics]:
        """Play the episodes of an iteration: their rows, those of recorded episodes in mode mixed, and numbers."""
        config = self._parts.config
        began = time.perf_counter()
        self._student.refresh()
        count, seed = config.online.rollouts, config.data.seed
        if self._order is not None:
            jobs = self._order.jobs(self.iteration, self.step, count, seed)
        else:
            jobs = self._tasks.jobs(self.iteration, count, seed)
        jobs = jobs[: self._own_count(len(jobs))]
        with self._interrupts.allowed():
            episodes = self._play(jobs)
            metrics = rollout_metrics(episodes, time.perf_counter() - began)
            rows = self._live_rows([without_loops(episode) for episode in episodes])
        return rows + self._recorded_rows(config.online.rollouts - len(jobs)), metrics

    def _play(self, jobs: Sequence[Job]) -> list[Trajectory]:
        """Each process plays its share; then all have all episodes."""
        config, ranks = self._parts.config, self._parts.ranks
        agent = self._agent()
        limit = horizon(self.iteration, config.online.horizon_start, config.online.horizon_every, self._longest)
        own = ranks.share(jobs)
        path = self._folder.rollouts(self.iteration, ranks.rank)
        played = play(agent, self._tasks, own, path, limit) if own else []
        if ranks.size == 1:
            return played
        lines = ranks.whole(ranks.gather([episode.to_json() for episode in played]))
        return [Trajectory.from_json(line) for line in lines]

    def _agent(self) -> Agent:
        """The student, with the teacher taking turns in mode guided."""
        config, teacher = self._parts.config, self._parts.teacher
        if config.mode != "guided":
            return self._student.agent
        assert teacher is not None
        assert teacher.language is not None
        guide = guide_of(teacher, self._parts.student, config)
        return GuidedAgent(
            self._student.agent,
            guide,
            config.online.guidance * (1 - self.step / config.optimisation.steps),
            config.data.seed,
            tokenizer=self._parts.student.tokenizer,
        )

    def _sampled(self) -> Language:
        """What episodes are sampled from: the student, or for MiniLLM its mixture with the teacher."""
        student, teacher, policy = self._parts.student, self._parts.teacher, self._policy
        if policy is None:
            return student
        assert teacher is not None
        assert teacher.language is not None
        mixture = MixtureModel(unwrap(student.model), teacher.language.model, policy.mixing, policy.temperature)
        return replace(student, model=mixture)

    def _own_count(self, count: int) -> int:
        """How many of an iteration's episodes the student plays; in mode mixed the others are recorded."""
        config = self._parts.config
        if config.mode != "mixed":
            return count
        draw = random.Random(f"mixed {config.data.seed} {self.iteration}")
        return sum(draw.random() < config.online.online_share for _ in range(count))

    def _live_rows(self, episodes: Sequence[Trajectory]) -> list[Row]:
        parts, config = self._parts, self._parts.config
        if config.mode != "dagger":
            return parts.rows_of(episodes)
        teacher = parts.teacher
        assert teacher is not None
        if teacher.expert:
            written = [expert_completions(episode, teacher.expert, config.data.seed) for episode in episodes]
        else:
            assert teacher.writes is not None
            written = teacher_completions(episodes, teacher.writes, config.data.seed, teacher.view)
        rows: list[Row] = []
        for episode, completions in zip(episodes, written, strict=True):
            rows += relabelled_rows(episode, completions, parts.student.tokenizer, parts.windowing)
        return rows

    def _recorded_rows(self, count: int) -> list[Row]:
        """Rows of recorded episodes in place of live ones (mode mixed)."""
        parts = self._parts
        if count <= 0 or not parts.episodes:
            return []
        draw = random.Random(f"recorded {parts.config.data.seed} {self.iteration}")
        return parts.rows_of([draw.choice(parts.episodes) for _ in range(count)])

    def _recorded_text(self) -> list[Row]:
        """Recorded rows that MiniLLM learns in the same update."""
        return [self._parts.rows[index] for index in self._recorded(self.step)] if self._recorded else []

    def _split(self, rows: list[Row]) -> list[list[Row]]:
        """The rows of each of the iteration's updates."""
        config, teacher = self._parts.config, self._parts.teacher
        if self._policy is not None:
            assert teacher is not None
            assert teacher.scores is not None
            rows = self._policy.remember(self._parts.student.model, teacher.scores, rows, self._parts.learner.device)
        updates = min(config.online.updates, config.optimisation.steps - self.step)
        each = max(1, updates // config.online.passes)
        passes = range(min(config.online.passes, updates))
        return [part for number in passes for part in shares(rows, each, self.iteration, number)]


@dataclass(frozen=True)
class TaskStream:
    """The tasks that are played, and how.

    Attributes:
        world: how to make it.
        tasks: task ids to draw from.
        live: episodes at once.
        workers: processes for the worlds.
    """

    world: WorldRecipe
    tasks: tuple[str, ...]
    live: int = 16
    workers: int = 0

    def jobs(self, iteration: int, count: int, seed: int) -> list[Job]:
        """The tasks of an iteration, by its number alone; every task comes once before any comes again."""
        jobs = []
        for place in range(iteration * count, (iteration + 1) * count):
            epoch, index = divmod(place, len(self.tasks))
            order = list(self.tasks)
            random.Random(f"tasks {seed} {epoch}").shuffle(order)
            jobs.append(Job(order[index], seed=seed, repeat=epoch))
        return jobs

    @classmethod
    def of(cls, config: TrainConfig) -> TaskStream:
        """As the settings name it."""
        recipe = WorldRecipe.of(config.data.env, config.data.data, config.data.split)
        panel = recipe.panel()
        if config.data.tasks:
            panel = panel.head(min(config.data.tasks, len(panel.task_ids)))
        return cls(recipe, panel.task_ids, config.online.rollouts, config.online.workers)


class ActingModel:
    """A local model as an agent of the worlds, as `sad-eval` will play it.

    Args:
        language: the model and its tokenizer.
        windowing: what it sees.
        config: temperature and seed.
        prompt: comes before an episode; a student has none.
        told: what it ends with, see `ReActAgent`.
        served: makes a model on a server in the place of a `LocalModel`.
    """

    def __init__(
        self,
        language: Language,
        windowing: Windowing,
        config: TrainConfig,
        prompt: str = "",
        told: Callable[[EpisodeStart], str] | None = None,
        served: Callable[..., ServedStudent] | None = None,
    ) -> None:
        limits = {"constrained": True} if config.data.constrained == "on" else {}
        self._model = (served or LocalModel)(
            unwrap(language.model),
            language.tokenizer,
            windowing=windowing,
            name="student",
            start_ids=language.start_ids,
            form=form_of(language.form),
            chat=language.chat,
            **limits,
        )
        sampling = Sampling(
            temperature=config.online.sampling_temperature,
            max_tokens=config.model.max_new_tokens,
            seed=config.data.seed,
        )
        self.agent = ReActAgent(self._model, Prompt(prompt), sampling=sampling, told=told)

    def refresh(self) -> None:
        """Forget all that was computed with the weights before an update; a server loads those of now."""
        self._model.clear()


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


def play(agent: Agent, tasks: TaskStream, jobs: Sequence[Job], path: Path, max_steps: int | None) -> list[Trajectory]:
    """Play jobs and return their episodes in the order of the jobs.

    Each episode is written to `path` as it ends; jobs whose episodes are there already are not played again. An owed
    episode, whose world or agent failed, is no experience: it is played again with the same seeds.

    Raises:
        InfrastructureError: episodes are still owed after `_ROUNDS` rounds; a later call plays them again.
    """
    have = {_job_of(one): one for one in read_whole(path) if not one.status.owed}
    why = ""
    for _ in range(_ROUNDS):
        missing = [job for job in jobs if (job.task_id, job.seed, job.repeat) not in have]
        if not missing:
            break
        limits = Limits(max_steps=max_steps)
        with JsonLinesWriter(path) as writer:
            for finished in rollout(agent, missing, tasks.world, live=tasks.live, workers=tasks.workers, limits=limits):
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


def without_loops(trajectory: Trajectory, repeats: int = 3) -> Trajectory:
    """The episode up to where the same action has brought the same answer `repeats` times.

    What follows is mostly more of the same, and would outweigh everything else in a batch.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for index, step in enumerate(trajectory.steps):
        seen[step.action, step.observation] += 1
        if seen[step.action, step.observation] > repeats:
            return trajectory.model_copy(update={"steps": trajectory.steps[:index]})
    return trajectory


def shares(rows: Sequence[Row], count: int, seed: int, number: int = 0) -> list[list[Row]]:
    """The rows in `count` random shares of like size, others in each pass; fewer when there are fewer rows."""
    order = list(rows)
    random.Random(f"shares {seed}" + (f" {number}" if number else "")).shuffle(order)
    dealt = [order[index::count] for index in range(count)]
    return [share for share in dealt if share]


def rollout_metrics(episodes: Sequence[Trajectory], seconds: float) -> Metrics:
    """Success, steps and the time of acting and of the world, of an iteration's episodes."""
    if not episodes:
        return {}
    steps = [step for one in episodes for step in one.steps]
    return {
        "rollout_success": sum(one.success for one in episodes) / len(episodes),
        "rollout_steps": len(steps) / len(episodes),
        "rollout_tokens": float(sum(step.generated_tokens for step in steps)),
        "rollout_valid": sum(step.valid for step in steps) / max(1, len(steps)),
        "act_seconds": sum(step.agent_seconds for step in steps),
        "world_seconds": sum(step.world_seconds for step in steps),
        "rollout_seconds": seconds,
    }

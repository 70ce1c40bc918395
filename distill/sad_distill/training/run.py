"""A whole training run: from settings to a student that `sad-eval` plays."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from sad_agents.agent import Agent, Sampling
from sad_agents.checkpoints import save_student
from sad_agents.prompts import Prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job
from sad_agents.rollout.world_pool import WorldRecipe
from sad_agents.sampling.local_model import LocalModel

from sad_distill.auxiliary.minillm import RECORDED, PolicyGradient
from sad_distill.auxiliary.terms import extras_of
from sad_distill.config import TrainConfig
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.curriculum import CurriculumOrder, Difficulty, EpochOrder, Order, complexities, horizon
from sad_distill.data.label_masks import remask
from sad_distill.data.rows import Row, rows_from
from sad_distill.models.heads import unwrap
from sad_distill.models.mixture import MixtureModel
from sad_distill.models.students import merged, parameter_count
from sad_distill.teachers.cache import CachedTeacher
from sad_distill.teachers.difficulty import difficulties_of
from sad_distill.teachers.relabel import expert_completions, relabelled_rows, teacher_completions
from sad_distill.training.build import (
    Language,
    Teacher,
    build_student,
    contents_of,
    load_teacher,
    objective_of,
    optimisation_of,
    windowing_of,
)
from sad_distill.training.learner import ExtraTerm, Learner, Metrics
from sad_distill.training.live import GuidedAgent, Stage, play, without_loops
from sad_distill.training.ranks import ALONE, Ranks
from sad_distill.training.run_dir import Journal
from sad_distill.training.state import learner_tensors, load_learner, load_state, save_state
from sad_env import registry
from sad_env.errors import ConfigError, DataError, InfrastructureError
from sad_env.files import exclusive
from sad_env.records import Trajectory, read_trajectories

MIXING = 0.2
"""Share of the teacher in MiniLLM's samples."""

Report = Callable[[int, int, Metrics], None]
"""Told after each update: the step, of how many, and its numbers."""


def silent(step: int, steps: int, metrics: Metrics) -> None:
    """A `Report` that shows nothing."""


class Run:
    """A training run, assembled.

    Args:
        config: its settings.
        report: told of every update.
        ranks: processes that train together; the first one writes and reports.
    """

    def __init__(self, config: TrainConfig, report: Report = silent, ranks: Ranks = ALONE) -> None:
        config.check()
        if ranks.size > 1:
            check_shared(config)
        self.config = config
        self.ranks = ranks
        self.folder = Path(config.out)
        self.report = report
        self.episodes = [without_prompt(one) for path in config.episodes for one in read_trajectories(path)]
        if config.episodes and not self.episodes:
            raise DataError(f"no episode in {', '.join(config.episodes)}: collect some with sad-collect")
        registry.world(config.world)  # an unknown name is told now
        # Adapters and heads draw their first weights below.
        torch.manual_seed(config.seed)
        self.teacher = load_teacher(config)
        if config.mode == "guided" and (self.teacher is None or self.teacher.language is None):
            raise ConfigError("mode guided needs a local teacher, which acts and scores: give --teacher student.pt")
        self.student = build_student(config, self.teacher, self.episodes)
        self.contents = contents_of(config, self.teacher, self.student)
        self.windowing = windowing_of(config)
        self.rows = self._rows(self.episodes)
        self.supports = ActionSupport(self.student.tokenizer, self._support_mode(), self.rows)
        self.policy, self.beside = None, None
        if config.method == "minillm":
            self.policy = PolicyGradient(mixing=MIXING, temperature=config.sampling_temperature)
            self.beside = EpochOrder(len(self.rows), config.batch, config.seed) if self.rows else None
        extras = self._extras()
        modules: dict[str, torch.nn.Module] = {
            f"extra{n}": one for n, one in enumerate(extras) if isinstance(one, torch.nn.Module)
        }
        self.learner = Learner(
            self.student.model,
            objective_of(config),
            optimisation_of(config),
            teacher=self.teacher.scores if self.teacher else None,
            supports=self.supports,
            micro_batch=config.micro_batch,
            precision=config.precision,
            extras=extras,
            extra_modules=modules,
            recorded=RECORDED if self.beside else None,
            ranks=ranks,
        )
        self.done = 0
        self.iteration = 0
        self.seconds = 0.0

    def _support_mode(self) -> Any:
        # The baselines know no action support.
        return self.config.action_support if self.config.method == "sad" else "full"

    def _extras(self) -> list[ExtraTerm]:
        extras = extras_of(self.config, self.student, self.teacher, self.rows)
        return [*extras, self.policy] if self.policy is not None else extras

    def _rows(self, episodes: Sequence[Trajectory]) -> list[Row]:
        rows = rows_from(episodes, self.student.tokenizer, self.windowing)
        return [remask(row, self.config.masks, self.config.seed) for row in rows]

    # --- life -----------------------------------------------------------------------------------------------

    def train(self) -> Path:
        """Train to the end, from wherever the folder stands, and write the student.

        Returns:
            The path of `student.pt`.
        """
        torch.manual_seed(self.config.seed)
        with contextlib.ExitStack() as held:
            if self.ranks.first:
                held.enter_context(exclusive(self.folder / ".lock", f"the run {self.folder}"))
            self.journal = Journal(
                self.folder,
                self.config,
                self.contents,
                writes=self.ranks.first,
                tensorboard=self.config.tensorboard,
            )
            held.callback(self.journal.close)
            self.ranks.wait()
            self._resume()
            self.journal.begin(self.done)
            if self.config.mode == "offline":
                self._offline()
            else:
                self._online()
            path = self.save() if self.ranks.first else self.folder / "student.pt"
            self.ranks.wait()
            return path

    def _resume(self) -> None:
        if self.journal.state.exists():
            tensors, record = load_state(self.journal.state)
            load_learner(self.learner.modules, self.learner.optimiser, tensors)
            self.done, self.iteration = int(record["step"]), int(record["iteration"])
            self.seconds = float(record["seconds"])

    def _save_state(self) -> None:
        if not self.ranks.first:
            return
        tensors = learner_tensors(self.learner.modules, self.learner.optimiser)
        record = {"step": self.done, "iteration": self.iteration, "seconds": self.seconds}
        save_state(self.journal.state, tensors, record)

    def _update(self, rows: Sequence[Row], extra: Metrics) -> None:
        began = time.perf_counter()
        beside = [self.rows[index] for index in self.beside(self.done)] if self.beside else []
        metrics = self.learner.update(rows, self.done, beside)
        self.seconds += time.perf_counter() - began
        if self.supports.counts.positions:
            metrics["off_trie_rate"] = self.supports.counts.off_trie_rate
        if self.teacher is not None and isinstance(self.teacher.scores, CachedTeacher):
            metrics["cache_hits"] = self.teacher.scores.hit_rate
        metrics = {**metrics, **extra, "seconds": self.seconds}
        self.journal.write(self.done, metrics)
        self.done += 1
        if self.ranks.first:
            self.report(self.done, self.config.steps, metrics)

    def save(self) -> Path:
        """Write the student as it is."""
        acting = {"prompt": "", "window": asdict(self.windowing)}
        record = {
            "acting": acting,
            "settings": self._settings(),
            "teacher": self.teacher.name if self.teacher else "",
            "updates": self.done,
            "seconds": round(self.seconds, 1),
            "parameters": parameter_count(self.student.model),
            "versions": {name: version(name) for name in ("sad-env", "torch", "transformers")},
        }
        return save_student(self.folder / "student.pt", self._plain(), self.student.tokenizer, record)

    def _settings(self) -> dict[str, str]:
        """The settings as others may read them: files by name and hash, not by where they lay on this machine."""
        hidden = {"out", "cache", "data"} if Path(self.config.data).exists() else {"out", "cache"}
        shown = {key: str(value) for key, value in asdict(self.config).items() if key not in hidden}
        return {**shown, **self.contents}

    def _plain(self) -> Any:
        plain = unwrap(merged(self.student.model))
        return copy.deepcopy(plain).to(torch.bfloat16) if self.config.stored == "bf16" else plain

    # --- offline --------------------------------------------------------------------------------------------

    def _offline(self) -> None:
        order = self.order()
        while self.done < self.config.steps:
            self._update([self.rows[index] for index in order(self.done)], {})
            if self.done % self.config.save_every == 0 or self.done == self.config.steps:
                self._save_state()

    def order(self) -> Order:
        """Which recorded rows each update learns from.

        Raises:
            ConfigError: a curriculum by entropy, and no teacher that scores.
        """
        config = self.config
        if config.curriculum == "none":
            return EpochOrder(len(self.rows), config.batch, config.seed)
        teacher = self.teacher.scores if self.teacher else None
        if teacher is None and config.curriculum_entropy:
            raise ConfigError(
                "the curriculum's entropy needs a teacher that scores: give one or --curriculum-entropy 0"
            )
        # From the first process: the order that all follow may not hang on one device's rounding.
        complexity = complexities(
            shared_difficulties(difficulties_of(self.rows, teacher, self.learner.device), self.ranks),
            config.curriculum_reason,
            config.curriculum_act,
            config.curriculum_entropy,
        )
        return CurriculumOrder(
            self.rows,
            complexity,
            config.curriculum,
            batch=config.batch,
            steps=config.steps,
            seed=config.seed,
            strength=config.curriculum_strength,
        )

    # --- online ---------------------------------------------------------------------------------------------

    def _online(self) -> None:
        config = self.config
        stage = self._stage()
        agent = Player(self._sampled(), self.windowing, config)
        longest = registry.world(config.world).max_steps
        while self.done < config.steps:
            iteration = self.iteration
            limit = horizon(iteration, config.horizon_start, config.horizon_every, longest)
            began = time.perf_counter()
            agent.refresh()
            acting = self._agent(agent.agent, self.done / config.steps)
            jobs = stage.jobs(iteration, config.rollouts, config.seed)
            jobs = jobs[: self._own_share(iteration, len(jobs))]
            episodes = self._play(acting, stage, jobs, iteration, limit)
            metrics = rollout_metrics(episodes, time.perf_counter() - began)
            rows = self._online_rows([without_loops(one) for one in episodes if not one.status.owed])
            rows += self._recorded_rows(iteration, config.rollouts - len(jobs))
            if not rows:
                raise InfrastructureError(f"iteration {iteration} brought nothing to learn from: look at its episodes")
            for share in self._shares(rows, iteration):
                self._update(share, metrics)
            self.iteration += 1
            if self.iteration % config.save_every == 0 or self.done >= config.steps:
                self._save_state()
                self.journal.forget_rollouts(iteration)

    def _play(self, acting: Agent, stage: Stage, jobs: Sequence[Job], iteration: int, limit: int) -> list[Trajectory]:
        """Each process plays its share; then all have all episodes."""
        mine = self.ranks.share(jobs)
        path = self.journal.rollouts(iteration, self.ranks.rank)
        played = play(acting, stage, mine, path, limit) if mine else []
        if self.ranks.size == 1:
            return played
        lines = self.ranks.whole(self.ranks.gather([one.to_json() for one in played]))
        return [Trajectory.from_json(line) for line in lines]

    def _sampled(self) -> Language:
        """What episodes are sampled from: the student, or for MiniLLM its mixture with the teacher."""
        if self.policy is None:
            return self.student
        if self.teacher is None or self.teacher.language is None:
            raise ConfigError("method minillm mixes a local teacher into its samples: give --teacher student.pt")
        mixture = MixtureModel(unwrap(self.student.model), self.teacher.language.model, MIXING, self.policy.temperature)
        return Language(mixture, self.student.tokenizer)

    def _shares(self, rows: Sequence[Row], iteration: int) -> list[list[Row]]:
        if self.policy is not None:
            assert self.teacher is not None
            assert self.teacher.scores is not None
            self.policy.remember(self.student.model, self.teacher.scores, rows, self.learner.device)
        updates = min(self.config.updates, self.config.steps - self.done)
        each = max(1, updates // self.config.passes)
        passes = range(min(self.config.passes, updates))
        return [share for number in passes for share in shares(rows, each, iteration, number)]

    def _stage(self) -> Stage:
        config = self.config
        recipe = WorldRecipe.of(config.world, config.data, config.split)
        panel = recipe.panel()
        if config.tasks:
            panel = panel.head(min(config.tasks, len(panel.task_ids)))
        return Stage(recipe, panel.task_ids, config.rollouts, config.workers)

    def _own_share(self, iteration: int, count: int) -> int:
        if self.config.mode != "mixed":
            return count
        draw = random.Random(f"mixed {self.config.seed} {iteration}")
        return sum(draw.random() < self.config.online_share for _ in range(count))

    def _agent(self, student: Agent, progress: float) -> Agent:
        if self.config.mode != "guided":
            return student
        assert self.teacher is not None
        assert self.teacher.language is not None
        guide = Player(self.teacher.language, self.windowing, self.config).agent
        return GuidedAgent(student, guide, self.config.guidance * (1 - progress), self.config.seed)

    def _online_rows(self, episodes: Sequence[Trajectory]) -> list[Row]:
        if self.config.mode != "dagger":
            return self._rows(episodes)
        teacher = self.teacher
        if teacher is None or not (teacher.expert or teacher.writes):
            raise ConfigError("mode dagger needs a teacher that writes: give --teacher expert, or a text server")
        rows: list[Row] = []
        for one in episodes:
            if teacher.expert:
                completions = expert_completions(one, teacher.expert, self.config.seed)
            else:
                assert teacher.writes is not None
                completions = teacher_completions(one, teacher.writes, self.config.seed)
            rows += relabelled_rows(one, completions, self.student.tokenizer, self.windowing)
        return rows

    def _recorded_rows(self, iteration: int, count: int) -> list[Row]:
        if count <= 0 or not self.episodes:
            return []
        draw = random.Random(f"recorded {self.config.seed} {iteration}")
        return self._rows([draw.choice(self.episodes) for _ in range(count)])


class Player:
    """A local model as an agent of the worlds, as `sad-eval` will play it.

    Args:
        language: the model and its tokenizer.
        windowing: what it sees.
        config: temperature and seed.
    """

    def __init__(self, language: Language, windowing: Any, config: TrainConfig) -> None:
        self._model = LocalModel(unwrap(language.model), language.tokenizer, windowing=windowing, name="student")
        sampling = Sampling(temperature=config.sampling_temperature, max_tokens=config.room, seed=config.seed)
        self.agent = ReActAgent(self._model, Prompt(""), sampling=sampling)

    def refresh(self) -> None:
        """The weights have changed: nothing that was computed with the old ones is used again."""
        self._model.clear()


def check_shared(config: TrainConfig) -> None:
    """Refuse settings that several processes cannot share.

    Raises:
        ConfigError: naming them.
    """
    for flag, used in (
        ("--project", config.project),
        ("--contrastive", config.contrastive > 0),
        (
            "--mode dagger with a teacher that writes",
            config.mode == "dagger" and not config.teacher.startswith("expert"),
        ),
    ):
        if used:
            raise ConfigError(f"{flag} works within one process: launch a single one, or leave it out")


def shared_difficulties(found: dict[str, Difficulty], ranks: Ranks) -> dict[str, Difficulty]:
    """The first process' difficulties."""
    lines = [json.dumps(astuple(one)) for one in found.values()]
    return {task: Difficulty(*json.loads(line)) for task, line in zip(found, ranks.gather(lines)[0], strict=True)}


def without_prompt(trajectory: Trajectory) -> Trajectory:
    """The episode without instructions and exemplars: a student is trained on the task and needs none."""
    return trajectory.model_copy(update={"prompt": ""}) if trajectory.prompt else trajectory


def shares(rows: Sequence[Row], count: int, seed: int, number: int = 0) -> list[list[Row]]:
    """The rows in `count` random shares of like size, others in each pass; fewer when there are fewer rows."""
    order = list(rows)
    random.Random(f"shares {seed}" + (f" {number}" if number else "")).shuffle(order)
    dealt = [order[index::count] for index in range(count)]
    return [share for share in dealt if share]


def rollout_metrics(episodes: Sequence[Trajectory], seconds: float) -> Metrics:
    """Success, steps and the time of acting and of the world, of an iteration's episodes."""
    scored = [one for one in episodes if not one.status.owed]
    if not scored:
        return {}
    steps = [step for one in scored for step in one.steps]
    return {
        "rollout_success": sum(one.success for one in scored) / len(scored),
        "rollout_steps": len(steps) / len(scored),
        "rollout_tokens": float(sum(step.generated_tokens for step in steps)),
        "rollout_valid": sum(step.valid for step in steps) / max(1, len(steps)),
        "act_seconds": sum(step.agent_seconds for step in steps),
        "world_seconds": sum(step.world_seconds for step in steps),
        "rollout_seconds": seconds,
    }


__all__ = ["Player", "Run", "Teacher"]

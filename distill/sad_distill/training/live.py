"""Rows of live episodes: the student plays, and the teacher scores, guides or relabels what it did."""

from __future__ import annotations

import copy
import functools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from sad_agents.agent import Agent
from sad_agents.rollout.actor_processes import ActorProcesses
from sad_agents.rollout.backend import LOCAL, Play
from sad_agents.rollout.parts import Part
from sad_agents.rollout.rollout import Job, Limits

from sad_distill.data.curriculum import EpochOrder, horizon
from sad_distill.data.rows import Row
from sad_distill.models.heads import unwrap
from sad_distill.models.language import Language
from sad_distill.models.mixture import MixtureModel
from sad_distill.signals.outcomes import Outcome, alike, outcomes_of
from sad_distill.signals.policy import PolicyTerm
from sad_distill.training.acting_model import ActingModel
from sad_distill.training.ahead import Ahead
from sad_distill.training.build import Parts, rewritten, tell
from sad_distill.training.guided_agent import GuidedAgent
from sad_distill.training.interrupts import TrainingInterrupts
from sad_distill.training.learner import Learner, Metrics
from sad_distill.training.live_rows import guided_steps, relabelled, without_replayed
from sad_distill.training.playing import StudentMaker, guide_of, play, player_on
from sad_distill.training.recorded import UpdateRows
from sad_distill.training.replay import Prefixes
from sad_distill.training.run_dir import RunDir
from sad_distill.training.served_student import served_student
from sad_distill.training.task_order import TaskOrder
from sad_distill.training.tasks import TaskStream
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import Trajectory

_REPEATS = 3
"""An episode in which the same action has brought the same answer so often is not learned from further on."""


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
        if config.mode == "dagger" and (teacher is None or not (teacher.expert or teacher.writes or teacher.language)):
            raise ConfigError("mode dagger needs a teacher that writes: give --teacher expert, a model, or a server")
        self._policy = policy_of(parts.learner)
        # Outcomes are those of whole episodes; elsewhere nothing is played that is not learned from.
        asked = self._policy is not None and "outcome" in self._policy.plan.needs
        self._whole = asked or config.online.group > 1 or config.model.teacher_told == "group"
        with_recorded = config.method == "minillm" and parts.rows
        self._recorded = EpochOrder(len(parts.rows), config.data.batch, config.data.seed) if with_recorded else None
        self._tasks = TaskStream.of(config)
        ordered = config.curriculum.curriculum != "none"
        self._order = TaskOrder(parts, self._tasks.tasks) if ordered else None
        self._prefixes: Prefixes | None = None
        if config.online.replay_every:
            recorded = [rewritten(one, parts.student) for one in parts.episodes]
            self._prefixes = Prefixes.of(recorded, config.online.replay_every, config.online.group, self._tasks.tasks)
        self._student = ActingModel(
            self._sampled(),
            parts.windowing,
            config,
            served=served_student(parts, folder.folder),
            head=parts.head,
        )
        if self._prefixes is not None:
            online = config.online
            self._prefixes.check(horizon(0, online.horizon_start, online.horizon_every, self._tasks.longest))
        actors = config.online.actors
        self._ahead = Ahead() if actors else None
        self._processes = ActorProcesses(actors) if actors and config.online.backend == LOCAL else None

    def close(self) -> None:
        """End the processes that play, if there are any."""
        if self._processes is not None:
            self._processes.close()

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
        config, pace = self._parts.config, self._parts.pace
        if config.optimisation.processor_seconds:
            # What was played after the last state is played again: its seconds are in no count, and schedules that go
            # by seconds lead to another student than the one that played it.
            self._folder.forget_rollouts_from(self.iteration)
        while not pace.over(self.step):
            rows, metrics = self._iterate()
            if not rows:
                raise InfrastructureError(
                    f"iteration {self.iteration} brought nothing to learn from: look at its episodes"
                )
            parts = self._split(rows)
            for number, part in enumerate(parts, start=1):
                if self._policy is not None:
                    self._policy.begin(part, pace.at(self.step))
                over = self.iteration + 1 if number == len(parts) else 0
                yield UpdateRows(part, metrics, self._recorded_text(), over)
                self.step += 1
            self.iteration += 1
            if self._ahead is not None:  # a state that is written below has the next iteration's episodes beside it
                self._ahead.wait()
            due = self.iteration % config.output.save_every == 0 or pace.over(self.step)
            between(due)
            if due:
                self._folder.forget_rollouts(self.iteration - 1)

    def _iterate(self) -> tuple[list[Row], Metrics]:
        """Play the episodes of an iteration: their rows, those of recorded episodes in mode mixed, and numbers."""
        config = self._parts.config
        began = time.perf_counter()
        self._student.refresh()
        jobs = self._jobs(self.iteration, self.step)
        with self._interrupts.allowed():
            played = self._play(jobs)
            self._begin_next()
            episodes, drawn = self._with_spread(played)
            metrics = rollout_metrics([*played, *drawn], time.perf_counter() - began)
            rows, numbers = self._live_rows(episodes)
            if config.online.group > 1:
                groups = self._groups(played)
                numbers["flat_groups"] = sum(map(self._flat, groups)) / max(1, len(groups))
        return rows + self._recorded_rows(config.online.rollouts - len(jobs)), {**metrics, **numbers}

    def _with_spread(self, episodes: list[Trajectory]) -> tuple[list[Trajectory], list[Trajectory]]:
        """The episodes with groups that ended alike replaced by such as did not; and what was played for that."""
        online = self._parts.config.online
        groups, drawn = self._groups(episodes), list[Trajectory]()
        for draw in range(online.redraws if online.group > 1 else 0):
            flat = [number for number, group in enumerate(groups) if self._flat(group)]
            if not flat:
                break
            known = {one.task_id for one in (*episodes, *drawn)}
            jobs = self._tasks.redrawn(self.iteration, draw, len(flat), self._parts.config.data.seed, known)
            played = self._play(jobs)
            drawn += played
            for number, group in zip(flat, (one for one in self._groups(played) if not self._flat(one)), strict=False):
                groups[number] = group
        return [episode for group in groups for episode in group], drawn

    def _groups(self, episodes: Sequence[Trajectory]) -> list[list[Trajectory]]:
        size = self._parts.config.online.group
        return [list(episodes[start : start + size]) for start in range(0, len(episodes), size)]

    def _flat(self, group: Sequence[Trajectory]) -> bool:
        return alike(list(self._outcomes(group).values()))

    def _outcomes(self, episodes: Sequence[Trajectory]) -> dict[str, Outcome]:
        config = self._parts.config
        return outcomes_of(episodes, config.online.group, config.policy.reward, config.policy.invalid_penalty)

    def _play(self, jobs: Sequence[Job]) -> list[Trajectory]:
        """Each process plays its share; then all have all episodes."""
        ranks = self._parts.ranks
        own = ranks.share(jobs)
        path = self._folder.rollouts(self.iteration, ranks.rank)
        played = play(self._player(self.iteration), own, path) if own else []
        if ranks.size == 1:
            return played
        lines = ranks.whole(ranks.gather([episode.to_json() for episode in played]))
        return [Trajectory.from_json(line) for line in lines]

    def _begin_next(self) -> None:
        """With actors: the student as it is now begins to play the next iteration."""
        pace, ranks, iteration = self._parts.pace, self._parts.ranks, self.iteration + 1
        step = self.step + min(self._parts.config.online.updates, pace.left(self.step))
        if self._ahead is None or pace.over(step):
            return
        if own := ranks.share(self._jobs(iteration, step)):
            player, path = self._player(iteration), self._folder.rollouts(iteration, ranks.rank)
            self._ahead.begin(lambda: play(player, own, path))

    def _jobs(self, iteration: int, step: int) -> list[Job]:
        """What the student plays in an iteration that begins at this update."""
        count, seed = self._parts.config.online.rollouts, self._parts.config.data.seed
        if self._order is not None:
            jobs = self._order.jobs(iteration, step, count, seed)
        else:
            jobs = (self._prefixes or self._tasks).jobs(iteration, count, seed)
        return jobs[: self._own_count(len(jobs), iteration, step)]

    def _player(self, iteration: int) -> Play:
        """Plays an iteration's jobs with the student as it is now."""
        config, tasks, online = self._parts.config, self._tasks, self._parts.config.online
        number = self._parts.pace.iteration(iteration)
        limit = horizon(number, online.horizon_start, online.horizon_every, tasks.longest)
        limits = Limits(max_steps=limit, repeats=None if self._whole else _REPEATS)
        student, head = self._parts.student, self._parts.head
        make = StudentMaker(student, self._parts.windowing, config, head, self._prefixes, number)
        if self._ahead is not None:  # the weights of now, whatever is learned meanwhile
            make = copy.deepcopy(make)
        if self._processes is None:
            return player_on(tasks, config, self._agent(), make, limits)
        how = Part(tasks.world, tasks.live, tasks.workers, limits)
        return functools.partial(self._processes.play, self._student.agent.name, make, how)

    def _agent(self) -> Agent:
        """The student, with the teacher taking turns in mode guided, or after a recorded beginning."""
        config = self._parts.config
        if self._prefixes is not None:
            return self._prefixes.agent(self._student.agent, self._parts.pace.iteration(self.iteration))
        guide = self._guide() if config.mode == "guided" else None
        if guide is None:
            return self._student.agent
        share = config.online.guidance_schedule.at(self._parts.pace.at(self.step), config.optimisation.steps)
        tokenizer = self._parts.student.tokenizer
        return GuidedAgent(self._student.agent, guide, share, config.data.seed, tokenizer=tokenizer)

    def _guide(self) -> Agent | None:
        """The teacher as an agent, where it is a model in this process."""
        teacher = self._parts.teacher
        if teacher is None or teacher.language is None:
            return None
        return guide_of(teacher, self._parts.student, self._parts.config)

    def _sampled(self) -> Language:
        """What episodes are sampled from: the student, or for MiniLLM its mixture with the teacher."""
        student, teacher, policy = self._parts.student, self._parts.teacher, self._policy
        if policy is None or not policy.plan.mixing:
            return student
        assert teacher is not None
        assert teacher.language is not None
        plan = policy.plan
        mixture = MixtureModel(unwrap(student.model), teacher.language.model, plan.mixing, plan.temperature)
        return replace(student, model=mixture)

    def _own_count(self, count: int, iteration: int, step: int) -> int:
        """How many of an iteration's episodes the student plays; in mode mixed the others are recorded."""
        config = self._parts.config
        if config.mode != "mixed":
            return count
        draw = random.Random(f"mixed {config.data.seed} {iteration}")
        share = config.online.own_share.at(self._parts.pace.at(step), config.optimisation.steps)
        return sum(draw.random() < share for _ in range(count // config.online.group)) * config.online.group

    def _live_rows(self, episodes: Sequence[Trajectory]) -> tuple[list[Row], Metrics]:
        """Rows of these episodes, and numbers; what signals need to know of the rows is kept."""
        parts, policy, teacher = self._parts, self._policy, self._parts.teacher
        kept = [without_loops(episode) for episode in episodes]
        if parts.config.model.teacher_told == "group":
            tell(teacher, episodes)
        if parts.config.mode == "dagger":
            assert teacher is not None
            return relabelled(parts, teacher, kept, self._guide()), {}
        rows = without_replayed(parts.rows_of(kept), kept)
        if policy is None:
            return rows, {}
        # Of whole episodes: what a loop was cut off still counts for what the world said.
        outcomes = self._outcomes(episodes)
        scores = teacher.scores if teacher else None
        model, device, guided = parts.student.model, parts.learner.device, guided_steps(kept)
        began = time.perf_counter()
        # In the learner's precision: the first update's ratios are 1.
        with parts.learner.autocast():
            rows, numbers = parts.learner.within(lambda: policy.remember(model, scores, rows, device, outcomes, guided))
        return rows, {**numbers, "rollout_score_seconds": time.perf_counter() - began}

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
        config = self._parts.config
        updates = min(config.online.updates, self._parts.pace.left(self.step))
        each = max(1, updates // config.online.passes)
        passes = range(min(config.online.passes, updates))
        return [part for number in passes for part in shares(rows, each, self.iteration, number)]


def policy_of(learner: Learner) -> PolicyTerm | None:
    """The learner's term of signals, which wants to know what was sampled."""
    return next((term for term in learner.extras if isinstance(term, PolicyTerm)), None)


def without_loops(trajectory: Trajectory, repeats: int = _REPEATS) -> Trajectory:
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
    return [share for index in range(count) if (share := order[index::count])]


def rollout_metrics(episodes: Sequence[Trajectory], seconds: float) -> Metrics:
    """Success, steps and the time of acting and of the world, of an iteration's episodes."""
    if not episodes:
        return {}
    steps = [step for one in episodes for step in one.steps]
    return {
        "rollout_success": sum(one.success for one in episodes) / len(episodes),
        "rollout_steps": len(steps) / len(episodes),
        "rollout_length": sum(len(step.token_ids) for step in steps) / max(1, len(steps)),
        "rollout_tokens": float(sum(step.generated_tokens for step in steps)),
        "rollout_valid": sum(step.valid for step in steps) / max(1, len(steps)),
        "act_seconds": sum(step.agent_seconds for step in steps),
        "world_seconds": sum(step.world_seconds for step in steps),
        "rollout_seconds": seconds,
    }

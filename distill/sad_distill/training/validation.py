"""A small panel of held-out tasks that the student plays from time to time: which state was best, and when to end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sad_agents.rollout.rollout import Job, Limits
from sad_agents.teacher_strength import doubt

from sad_distill.training.build import Parts
from sad_distill.training.learner import Metrics
from sad_distill.training.playing import StudentMaker, player_on
from sad_distill.training.state import load_state, save_state
from sad_distill.training.tasks import TaskStream, held_out
from sad_env.errors import InfrastructureError
from sad_env.safe_text import one_line
from sad_env.settings import replaced


class Validation:
    """Validation of a run.

    Args:
        parts: of the run.
        folder: of the run; the best state is kept there.

    Attributes:
        best: success at the best validation; below 0 before the first.
        at: updates before it.
        worse: validations since.
        last: success at the last validation; below 0 before the first.
        improved: whether the last iteration's was better than all before.
        doubt: after the first validation, whether the teacher has little to teach this student; "" where nothing is
            to be said.
    """

    def __init__(self, parts: Parts, folder: Path) -> None:
        self.best, self.at, self.worse, self.last = -1.0, 0, 0, -1.0
        self.improved, self.doubt = False, ""
        self._parts, self._path = parts, folder / "best.safetensors"
        self._config = parts.config.validation
        if self._config.validate_every:
            self._tasks = TaskStream.of(parts.config)
            names = held_out(parts.config, self._tasks.world.panel().task_ids)[-self._config.validate_episodes :]
            self._jobs = [Job(task, seed=parts.config.data.seed) for task in names]

    def after(self, iteration: int, updates: int, *, last: bool = False) -> Metrics:
        """Play the panel where that is due, and keep the best state.

        Ctrl-C waits for its end: before, the state on disk would not know that the update is done.

        Args:
            iteration: how many are over.
            updates: how many have been made.
            last: the run ends here, so that the panel is played in any case: the end may be the best.
        """
        self.improved = False
        if not self._config.validate_every or (iteration % self._config.validate_every and not last):
            return {}
        won, steps = self._play()
        success = won / len(self._jobs)
        if self.last < 0 and self._parts.teacher_success is not None:
            self.doubt = doubt(self._parts.teacher_success, success, f"at update {updates}")
        self.last = success
        # The end of a run that is given more steps is no validation on the way.
        self.worse += iteration % self._config.validate_every == 0
        if success > self.best:
            self.best, self.at, self.worse, self.improved = success, updates, 0, True
            if self._parts.ranks.first:
                tensors = {name: one.detach() for name, one in self._parts.acting_parameters()}
                save_state(self._path, tensors, {"updates": updates, "success": success})
        return {"validation_success": success, "validation_steps": steps / len(self._jobs)}

    def _play(self) -> tuple[float, float]:
        """How many tasks were won, and all steps; each process plays its share."""
        parts = self._parts
        greedy = replaced(parts.config, sampling_temperature=0.0)
        make = StudentMaker(parts.student, parts.windowing, greedy, parts.head)
        play = player_on(self._tasks, greedy, make(), make, Limits(max_steps=self._tasks.longest))
        own, numbers = parts.ranks.share(self._jobs), torch.zeros(2, dtype=torch.float64)
        for finished in play(own) if own else ():
            played = finished.trajectory
            if played.status.owed:
                raise InfrastructureError(f"validation could not be played ({one_line(played.error, 99)}): go on later")
            numbers += torch.tensor([float(played.success), float(len(played.steps))])
        won, steps = parts.ranks.add(numbers).tolist()
        return won, steps

    @property
    def over(self) -> bool:
        """Whether the run is to end, since no validation was better for so long."""
        return 0 < self._config.validate_patience <= self.worse

    @property
    def position(self) -> list[float]:
        """What a state on disk keeps."""
        return [self.best, self.at, self.worse, self.last]

    def resume(self, record: Mapping[str, Any]) -> None:
        """Go on from a state's record; states of earlier releases have none, or no last success."""
        best, at, worse, *last = record.get("validation", self.position)
        self.best, self.at, self.worse, self.last = float(best), int(at), int(worse), float(last[0] if last else best)

    def restore_best(self) -> int | None:
        """Give the student back the weights that were best, where the settings ask; returns the updates before them."""
        if self._config.keep != "best" or self.best < 0:
            return None
        tensors, record = load_state(self._path)
        with torch.no_grad():
            for name, parameter in self._parts.acting_parameters():
                parameter.copy_(tensors[name])
        return int(record["updates"])

"""A whole training run: from settings to a student that `sad-eval` plays."""

from __future__ import annotations

import contextlib
import copy
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from sad_agents.checkpoints import load_student, save_student
from sad_agents.rollout.backend import join
from sad_agents.teacher_strength import doubt
from sad_agents.tracking import tracker_names
from sad_agents.trained_world import of_another_world
from torch import nn

from sad_distill.config import TrainConfig
from sad_distill.config_words import in_its_world
from sad_distill.data.action_support import ActionSupport
from sad_distill.models.exported import adapter_base, export_folder, save_adapter
from sad_distill.models.heads import unwrap
from sad_distill.models.students import merged, parameter_count
from sad_distill.teachers.cache import CachedTeacher
from sad_distill.teachers.context import TeacherInContext
from sad_distill.teachers.registry import contents_of
from sad_distill.teachers.self_teacher import SelfTeacher
from sad_distill.training.build import build
from sad_distill.training.interrupts import StoppedError, TrainingInterrupts
from sad_distill.training.learner import Metrics
from sad_distill.training.live import Live, policy_of
from sad_distill.training.ranks import ALONE, Ranks
from sad_distill.training.recorded import Recorded, UpdateRows
from sad_distill.training.run_dir import RunDir
from sad_distill.training.sharding import gathered
from sad_distill.training.state import learner_tensors, load_learner, load_state, save_state
from sad_distill.training.validation import Validation
from sad_env.errors import DivergedError
from sad_env.files import exclusive, when_written
from sad_env.settings import flat

_DIVERGED = 3
"""So many updates in a row whose loss or gradients are not finite end a run."""


class _OverError(Exception):
    """Validation says that the run is over."""


Report = Callable[[int, int, Metrics], None]
"""Called after each update with the updates done, how many there will be, and the update's numbers; with a budget in
processor seconds, with the place in the schedules and their length."""


def silent(step: int, steps: int, metrics: Metrics) -> None:
    """A `Report` that shows nothing."""


def _processor_seconds() -> float:
    """Processor seconds of this process, and of its children that have ended."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


class Run:
    """A training run, assembled.

    Args:
        config: its settings.
        report: called after every update.
        ranks: processes that train together; the first one writes and reports.
        warn: called with a line where the teacher has little to teach the student, or is of another world.

    Raises:
        ConfigError: settings that contradict one another or what they name.
        DataError: the files of episodes hold none.
    """

    def __init__(
        self,
        config: TrainConfig,
        report: Report = silent,
        ranks: Ranks = ALONE,
        warn: Callable[[str], None] = warnings.warn,
    ) -> None:
        tracker_names(config.output.report_to)  # before models are loaded, as all that may not be there
        join(config.online.backend)
        self.config = config = in_its_world(config)
        self.report = report
        self.ranks = ranks
        self.warn = warn if ranks.first else lambda line: None
        self.folder = Path(config.out)
        self.parts = build(config, ranks)
        self.teacher, self.student = self.parts.teacher, self.parts.student
        taught = self.teacher.language.trained if self.teacher and self.teacher.language else ""
        if doubts := of_another_world(config.model.teacher, taught, config.data.env):
            self.warn(f"the teacher {doubts}")
        self.rows, self.learner, self.pace = self.parts.rows, self.parts.learner, self.parts.pace
        self.contents = contents_of(config, self.teacher, self.student)
        self.done = 0
        self.earlier_steps: list[int] = []
        self.trained = 0
        """Updates that this call made."""
        self.kept: int | None = None
        """Updates before the state that is saved, where that is the best of validation."""
        self.resumed = ""
        """When the state was written that this call went on with."""
        self.seconds = 0.0
        self.validation = Validation(self.parts, self.folder)

    def train(self) -> Path:
        """Train to the end, from wherever the folder is, and write the student.

        A folder whose run had fewer `steps` goes on from its state. Learning rate, curriculum and guidance depend on
        the share of the updates that is done: from there on they are those of a run of the new total, so that a rate
        that had fallen to 0 is raised again.

        Returns:
            The path of `student.pt`.

        Raises:
            ConfigError: the folder holds a run with other settings or contents, or with more steps.
            DivergedError: loss, gradients or weights are no longer finite; the folder keeps the state of before.
            InfrastructureError: a teacher or world does not answer; the same settings go on later.
            StoppedError: Ctrl-C; the state was saved.
        """
        torch.manual_seed(self.config.data.seed)
        with contextlib.ExitStack() as held:
            if self.ranks.first:
                held.enter_context(exclusive(self.folder / ".lock", f"the run {self.folder}"))
            directory = RunDir(
                self.folder,
                self.config,
                self.contents,
                writes=self.ranks.first,
                report_to=self.config.output.report_to,
            )
            held.callback(directory.close)
            self.ranks.wait()
            interrupts = held.enter_context(TrainingInterrupts())
            offline = self.config.mode == "offline"
            with interrupts.allowed():
                source: Recorded | Live = Recorded(self.parts)
                if not offline:
                    source = held.enter_context(contextlib.closing(Live(self.parts, directory, interrupts)))
            self._resume(directory, source)
            directory.begin(self.done)
            success = self.parts.teacher_success
            if not self.done and success is not None and (line := doubt(success)):
                self.warn(line)
            self.earlier_steps = directory.earlier_steps
            try:
                self._learn(source, directory, interrupts)
            except StoppedError:
                self._save_state(directory, source)
                raise
            self.learner.check_finite()
            for share in self.config.output.keep_at:
                if self.pace.share(self.done) < share:  # it ended before
                    self._keep_at(share)
            self.kept = self.validation.restore_best()
            path = self.folder / "student.pt" if self._is_handed_on() else self.save()
            self.ranks.wait()
            return path

    def _learn(self, source: Recorded | Live, directory: RunDir, interrupts: TrainingInterrupts) -> None:
        def between(due: bool) -> None:
            if self.ranks.any(interrupts.asked):
                raise StoppedError
            # The best weights lie in a file of their own: a state that does not know of them must not stay behind.
            if due or self.validation.over or self.validation.improved:
                self._save_state(directory, source)
            if self.validation.over:
                raise _OverError

        with contextlib.suppress(_OverError):
            if not self.validation.over:
                self._updates(source.updates(between), directory)

    def _updates(self, updates: Iterator[UpdateRows], directory: RunDir) -> None:
        # Of this process and its children: acting, scoring and updating.
        begun = _processor_seconds() - self.pace.used
        for rows in updates:
            before = self.pace.share(self.done)
            metrics = self._update(rows)
            self.pace.used = _processor_seconds() - begun
            if rows.iterations and (validated := self._validated(rows.iterations)):
                metrics |= validated
                self.pace.used = _processor_seconds() - begun
            metrics["processor_seconds"] = self.pace.used
            directory.write(self.done, metrics)
            if rows.iterations:
                self.pace.next_begins()
            self.done += 1
            self.trained += 1
            if self.ranks.first:
                self.report(round(self.pace.at(self.done)), self.config.optimisation.steps, metrics)
            for share in self.config.output.keep_at:
                if before < share <= self.pace.share(self.done):
                    self._keep_at(share)
            # A shorter run would end as if it had learned.
            if self.learner.skipped_in_row >= min(_DIVERGED, self.config.optimisation.steps):
                raise DivergedError(
                    f"loss or gradients were not finite in the {self.learner.skipped_in_row} updates before"
                    f" {self.done + 1}: look at metrics.jsonl, and train in another --out, e.g. with a smaller rate"
                )

    def _validated(self, iteration: int) -> Metrics:
        first = self.validation.last < 0
        metrics = self.validation.after(iteration, self.done + 1, last=self.pace.ends(self.done + 1))
        if first and self.validation.doubt:
            self.warn(self.validation.doubt)
        return metrics

    def _resume(self, directory: RunDir, source: Recorded | Live) -> None:
        if directory.state.exists():
            self.resumed = when_written(directory.state)
            tensors, record = load_state(directory.state)
            load_learner(self.learner.modules, self.learner.optimisers, tensors)
            source.resume(record)
            self.done, self.seconds = source.step, float(record["seconds"])
            # States of earlier releases do not count.
            self.learner.skipped, self.learner.skipped_in_row = record.get("skipped", (0, 0))
            self.pace.resume(record)
            self.validation.resume(record)
            if self.follower is not None:
                self.follower.load(tensors)

    def _save_state(self, directory: RunDir, source: Recorded | Live) -> None:
        self.learner.check_finite()
        tensors = gathered(learner_tensors(self.learner.modules, self.learner.optimisers), self.ranks)
        if self.ranks.first:
            record = {
                **source.position,
                "seconds": self.seconds,
                **self.pace.position,
                "skipped": (self.learner.skipped, self.learner.skipped_in_row),
                "validation": self.validation.position,
            }
            save_state(directory.state, {**tensors, **(self.follower.tensors if self.follower else {})}, record)

    def _update(self, rows: UpdateRows) -> Metrics:
        began = time.perf_counter()
        metrics = self.learner.update(rows.rows, self.done, rows.recorded, self.pace.at(self.done))
        self.seconds += time.perf_counter() - began
        if self.follower is not None:
            self.follower.follow(self.learner.student)
        if (policy := policy_of(self.learner)) is not None:
            metrics |= policy.numbers(self.ranks.add)
        supports = self.learner.supports
        if isinstance(supports, ActionSupport) and supports.counts.positions:
            metrics["off_trie_rate"] = supports.counts.off_trie_rate
        scores = self.teacher.scores if self.teacher is not None else None
        if isinstance(scores, TeacherInContext):
            scores = scores.teacher
        if isinstance(scores, CachedTeacher):
            metrics["cache_hits"] = scores.hit_rate
        return {**metrics, **rows.metrics, "seconds": self.seconds}

    @property
    def follower(self) -> SelfTeacher | None:
        """The teacher, where it is the student itself."""
        scores = self.teacher.scores if self.teacher else None
        if isinstance(scores, TeacherInContext):
            scores = scores.teacher
        return scores if isinstance(scores, SelfTeacher) else None

    def save(self) -> Path:
        """Write the student as it is: student.pt, the folder student/, and adapter/ where others can load its base."""
        whole, path = self.learner.whole(), self.folder / "student.pt"
        if whole is None or not self.ranks.first:
            return path
        record, plain, tokenizer = self._record(), self._plain(whole), self.student.tokenizer
        head = self.parts.head
        whose = self.folder.resolve()
        name = whose.parent.name if self._is_last_stage() else whose.name
        export_folder(self.folder / "student", plain, tokenizer, record, name=name, head=head)
        if self.config.model.adapters and (base := adapter_base(self.config.model.student)):
            save_adapter(self.folder / "adapter", whole, tokenizer, record, base, head)
        return save_student(path, plain, tokenizer, record, head)

    def _is_handed_on(self) -> bool:
        """Whether this is a stage that was over before, whose student another one may have begun with.

        Its file stays to the byte, since it goes by its hash: free settings and versions may be others by now.
        """
        path = self.folder / "student.pt"
        if self.trained or not self.config.stages or self._is_last_stage() or not path.exists():
            return False
        return load_student(path).record.get("updates") == self.done

    def _is_last_stage(self) -> bool:
        """Whether its student is that of a run in stages."""
        stages = self.config.stages
        return bool(stages) and self.folder.name.startswith(f"{len(stages)}-")

    @torch.no_grad()
    def _keep_at(self, share: float) -> None:
        """Write the student as it is, or the best that was validated so far where the run keeps that."""
        trained = {name: one.clone() for name, one in self.parts.acting_parameters()}
        self.kept = self.validation.restore_best()
        whole = self.learner.whole()
        if whole is not None and self.ranks.first:
            path = self.folder / f"at-{100 * share:g}.pt"
            save_student(path, self._plain(whole), self.student.tokenizer, self._record(), self.parts.head)
        for name, one in self.parts.acting_parameters():
            one.copy_(trained[name])

    def _record(self) -> dict[str, Any]:
        return {
            "acting": self._acting(),
            "settings": self._settings(),
            "teacher": self.teacher.name if self.teacher else "",
            **({"comparison": self.teacher.comparison} if self.teacher and self.teacher.comparison else {}),
            "updates": self.done,
            **({} if self.kept is None else {"kept": self.kept}),
            **({} if (success := self._success()) is None else {"validation_success": success}),
            **({"earlier_steps": self.earlier_steps} if self.earlier_steps else {}),
            "seconds": round(self.seconds, 1),
            "parameters": parameter_count(self.student.model),
            "versions": {name: version(name) for name in ("sad-env", "torch", "transformers")},
        }

    def _success(self) -> float | None:
        """Success at the validation of the state that is saved, or the last before it; None without validation."""
        success = self.validation.last if self.kept is None else self.validation.best
        return None if success < 0 else success

    def _acting(self) -> dict[str, Any]:
        """How the student acts; without what earlier releases do not know, where it says nothing new."""
        student = self.student
        return {
            "prompt": "",
            "window": asdict(self.parts.windowing),
            **({} if student.form == "lines" else {"form": student.form}),
            **({"chat": True} if student.chat else {}),
            **({"constrained": True} if self.config.data.constrained == "on" else {}),
            **({"action_head": self.parts.head.kind} if self.parts.head else {}),
        }

    def _settings(self) -> dict[str, str]:
        """The settings as others may read them: files by name and hash, without the paths of this machine."""
        hidden = {"out", "cache", "sampler", "backend", *(["data"] if Path(self.config.data.data).exists() else [])}
        shown = {key: str(value) for key, value in flat(self.config).items() if key not in hidden}
        return {**shown, **self.contents}

    def _plain(self, whole: nn.Module) -> Any:
        plain = unwrap(merged(whole))
        return copy.deepcopy(plain).to(torch.bfloat16) if self.config.output.stored == "bf16" else plain

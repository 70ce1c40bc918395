"""A teacher's own context: what it reads around the student's tokens, and where in that they are.

The teacher's row is what it would have read in the student's place: its begin ids, its prompt and exemplars, what it is
told of the task, and the episode in its own chat template or without one. The completions are the student's ids, so
the teacher's log-probabilities are of the student's tokens; only the positions are other ones.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from sad_agents.chat import ChatGlue, head_turns, system_text, user_text
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from sad_distill.data.batch import Batch
from sad_distill.data.labels import encode
from sad_distill.data.rows import Episode, Row, Unit
from sad_distill.losses.targets import Target
from sad_distill.teachers.base import ScoringTeacher, WritingPrompt, concurrency_of
from sad_env.errors import ConfigError
from sad_env.records import Trajectory
from sad_env.transcript import LINES, Form

Known = Callable[[str, str, str, int], str]
"""What a teacher is told of a task, in words, "" for nothing: of world, split, task id and seed."""

_TOLD = "What only you know of the task that follows: {}\n\n"


class TeacherRow(NamedTuple):
    """What a teacher reads for some steps of a student's row.

    Attributes:
        ids: from its begin ids to the last of the student's tokens.
        moves: stretches of the student's tokens: start in the student's row, start here, length.
    """

    ids: tuple[int, ...]
    moves: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class TeacherView:
    """How a teacher reads an episode.

    Attributes:
        tokenizer: the student's and the teacher's.
        prompt: instruction and exemplars, "" for none.
        form: of the student's completions; observations and exemplars are in it, too.
        glue: of the teacher's chat template; None where it reads one text.
        start_ids: before everything, where it reads one text.
        known: what it is told of the task.
        limit: tokens that it sees at once; 0 where that is not known.
    """

    tokenizer: PreTrainedTokenizerBase
    prompt: str = ""
    form: Form = LINES
    glue: ChatGlue | None = None
    start_ids: tuple[int, ...] = ()
    known: Known | None = None
    limit: int = 0
    _encoded: Callable[[str], tuple[int, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        cached = functools.lru_cache(4096)(lambda text: tuple(encode(self.tokenizer, text)))
        object.__setattr__(self, "_encoded", cached)

    @property
    def sha256(self) -> str:
        """Hash of what it reads besides the episode and what it is told of the task."""
        around = self.glue.sha256 if self.glue else str(self.start_ids)
        return hashlib.sha256(f"{self.prompt}\0{around}".encode()).hexdigest()

    def told(self, world: str, split: str, task_id: str, seed: int) -> str:
        """What the prompt ends with before an episode on this task."""
        told = self.known(world, split, task_id, seed) if self.known is not None else ""
        return _TOLD.format(told) if told else ""

    def prompt_of(self, trajectory: Trajectory) -> str:
        """What stands before the first observation of an episode."""
        return self.prompt + self._told_of(trajectory)

    def _told_of(self, trajectory: Trajectory) -> str:
        one = trajectory
        return self.told(one.world, one.split, one.task_id, one.seed)

    def header(self, trajectory: Trajectory) -> tuple[int, ...]:
        """Begin ids, prompt and first observation."""
        first = self.form.observation(trajectory.observation)
        if self.glue is None:
            return (*self.start_ids, *self._encoded(self.prompt_of(trajectory)), *self._encoded(first))
        return (
            *self.glue.head(self._encoded, self.prompt, self.form),
            *self.glue.user(self._encoded(self._told_of(trajectory) + user_text(first))),
        )

    def rows(self, row: Row) -> Iterator[TeacherRow]:
        """What the teacher reads in place of a student's row: one row, or several where it sees too few tokens.

        Raises:
            ConfigError: it does not see enough tokens for its prompt and one step.
            ValueError: the row does not say which episode it was cut from.
        """
        if row.source is None or row.source.record is None:
            raise ValueError("a teacher with a context of its own needs rows that know their episode")
        header = self.header(row.source.record)
        last = row.units[-1].step if row.units else -1
        steps = {step: self._step(row.source, step) for step in range(row.first, last + 1)}
        units = list(row.units)
        if not units:
            yield TeacherRow(header, ())
        while units:
            first, count = row.first, len(units)
            while count and not self._fits(header, steps, row, range(first, units[count - 1].step + 1), units[:count]):
                # The oldest context goes first, then the newest steps go into another row.
                if first < units[0].step:
                    first += 1
                else:
                    first, count = row.first, count - 1
            if not count:
                raise ConfigError(
                    f"the teacher sees {self.limit:,} tokens at once, too few for its prompt ({len(header):,} with the"
                    " first observation) and a step: give a shorter --teacher-prompt, or --teacher-context student"
                )
            yield self._row(header, steps, row, first, units[:count])
            units = units[count:]

    def _fits(
        self,
        header: Sequence[int],
        steps: dict[int, tuple[tuple[int, ...], tuple[int, ...]]],
        row: Row,
        shown: range,
        units: Sequence[Unit],
    ) -> bool:
        between = sum(len(steps[step][0]) + len(steps[step][1]) for step in shown[:-1])
        final = units[-1].offset + units[-1].end - units[-1].start
        return not self.limit or len(header) + between + final <= self.limit

    def _row(
        self,
        header: Sequence[int],
        steps: dict[int, tuple[tuple[int, ...], tuple[int, ...]]],
        row: Row,
        first: int,
        units: Sequence[Unit],
    ) -> TeacherRow:
        ids, moves = list(header), []
        by_step = {unit.step: unit for unit in units}
        for step in range(first, units[-1].step + 1):
            completion, observation = steps[step]
            if unit := by_step.get(step):
                moves.append((unit.start, len(ids) + unit.offset, unit.end - unit.start))
                completion = (*completion[: unit.offset], *row.ids[unit.start : unit.end])
            ids += completion
            if step < units[-1].step:
                ids += observation
        return TeacherRow(tuple(ids), tuple(moves))

    def _step(self, episode: Episode, step: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The student's completion, and what the teacher reads between it and the next one."""
        assert episode.record is not None
        ids = episode.completions[step].ids
        text = self.form.observation(episode.record.steps[step].observation)
        if self.glue is not None:
            return ids, (*self.glue.between, *self.glue.user(self._encoded(user_text(text))))
        # In a chat the end of a turn may stand for the newline.
        ends = str(self.tokenizer.decode(list(ids[-4:]))).endswith("\n")
        return ids, (*(() if ends else self._encoded("\n")), *self._encoded(text))

    def batch(self, batch: Batch) -> Batch:
        """The same positions, in the same order, in what the teacher reads.

        Raises:
            ConfigError: branches, or positions of other tokens than the student's own.
        """
        if batch.sees is not None:
            raise ConfigError("a teacher with a context of its own scores rows without branches: give no such term")
        read: list[TeacherRow] = []
        at = torch.full_like(batch.ids_BT, -1, device="cpu")
        where = torch.zeros_like(at)
        for number, row in enumerate(batch.rows):
            for one in self.rows(row):
                for start, there, length in one.moves:
                    at[number, start : start + length] = torch.arange(there, there + length)
                    where[number, start : start + length] = len(read)
                read.append(one)
        row_N, at_N = batch.row_N.cpu(), batch.at_N.cpu()
        row_N, at_N = where[row_N, at_N], at[row_N, at_N]
        if len(at_N) and int(at_N.min()) < 1:
            raise ConfigError(
                "a teacher with a context of its own reads other tokens around observations: give"
                " --observation-weight 0, or --teacher-context student"
            )
        ids, mask = _padded(read)
        moved = replace(batch, ids_BT=ids, mask_BT=mask, row_N=row_N, from_N=at_N - 1, at_N=at_N, rows=())
        return moved.to(batch.ids_BT.device)

    def writing_prompts(self, trajectory: Trajectory, seed: int) -> list[WritingPrompt]:
        """What the teacher is shown to write each step of an episode itself."""
        text = self.prompt_of(trajectory)
        turns, told = head_turns(self.prompt, self.form)
        messages = [(turn.role, turn.text.strip()) for turn in turns]
        if not turns and system_text(self.prompt):
            messages = [("system", system_text(self.prompt))]
        told += self._told_of(trajectory)
        observation, prompts = self.form.observation(trajectory.observation), []
        for index, step in enumerate(trajectory.steps):
            text += observation
            messages = [*messages, ("user", told + user_text(observation))]
            told = ""
            chat = tuple(messages) if self.glue is not None else ()
            prompts.append(WritingPrompt(text, seed + index, self.form.name, chat))
            text += step.completion
            messages = [*messages, ("assistant", step.completion.strip())]
            observation = self.form.observation(step.observation)
        return prompts


def _padded(rows: Sequence[TeacherRow]) -> tuple[Tensor, Tensor]:
    width = max((len(row.ids) for row in rows), default=0)
    ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        mask[number, : len(row.ids)] = 1
    return ids, mask


class TeacherInContext:
    """A teacher that scores the student's tokens in a context of its own.

    A cache belongs under it: the ids that a cached answer is kept for are then those of the teacher's row.

    Args:
        teacher: scores the rows that it reads.
        view: how it reads them.
    """

    def __init__(self, teacher: ScoringTeacher, view: TeacherView) -> None:
        self.teacher = teacher
        self.view = view
        self.name = teacher.name

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return self.teacher.setting

    @property
    def concurrency(self) -> int:
        """Batches that it may be asked for at once."""
        return concurrency_of(self.teacher)

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`."""
        return self.teacher.score(self.view.batch(batch))

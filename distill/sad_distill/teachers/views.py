"""Which context a teacher has, as the settings say: its prompt, its chat template, and what only it is told."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sad_agents.loading import begin_ids
from sad_agents.openai_model import made_for_chats
from sad_agents.prompts import load_prompt, read_prompt
from sad_agents.rollout.world_recipe import WorldRecipe
from transformers import PreTrainedTokenizerBase

from sad_distill.config import TrainConfig
from sad_distill.data.labels import glue_of
from sad_distill.models.language import Language
from sad_distill.teachers.context import Known, TeacherInContext, TeacherView
from sad_distill.teachers.registry import ReadingHabits, Teacher
from sad_distill.teachers.won_episodes import WonEpisodes
from sad_env import registry
from sad_env.core import TextEnv
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.tables import read_toml
from sad_env.transcript import Form, form_of


def in_context(config: TrainConfig, teacher: Teacher | None, student: Language) -> Teacher | None:
    """The teacher with the context that the settings give it; unchanged where it sees what the student sees.

    Raises:
        ConfigError: a prompt that is longer than what it sees, or a chat template that it does not have.
        UnknownNameError: a prompt that is neither a file nor a world's.
    """
    if teacher is None or config.model.teacher_context == "student":
        return teacher
    if teacher.expert:
        raise ConfigError(f"--teacher-context: {teacher.name} is no model and reads no context: leave it out")
    view = _view(config, teacher, student)
    scores = None if teacher.scores is None else TeacherInContext(teacher.scores, view)
    return replace(teacher, scores=scores, view=view)


def _view(config: TrainConfig, teacher: Teacher, student: Language) -> TeacherView:
    reading = teacher.reading or _by_name(config.model.teacher, student.tokenizer)
    tokenizer = teacher.language.tokenizer if teacher.language else student.tokenizer
    if reading.template and tokenizer.chat_template != reading.template:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.chat_template = reading.template
    chat = reading.chat if config.model.teacher_chat == "auto" else config.model.teacher_chat == "on"
    form = form_of(student.form)
    view = TeacherView(
        tokenizer,
        prompt=_prompt(config, reading, form),
        form=form,
        glue=glue_of(tokenizer) if chat else None,
        start_ids=() if chat else reading.start_ids,
        known=_known(config),
        limit=teacher.context,
    )
    length = len(view.tokenizer(view.prompt)["input_ids"])
    if 0 < teacher.context < length + config.model.max_new_tokens:
        raise ConfigError(
            f"the teacher sees {teacher.context:,} tokens at once, too few for its prompt of {length:,} and a"
            " completion: give a shorter --teacher-prompt, or --teacher-context student"
        )
    return view


def _known(config: TrainConfig) -> Known | None:
    if config.model.teacher_context != "privileged":
        return None
    told = config.model.teacher_told
    if told in ("recorded", "group"):
        return WonEpisodes()
    return PrivilegedText(config, None if told == "solution" else _hints(Path(told), config))


def _hints(path: Path, config: TrainConfig) -> dict[str, str]:
    """Hints of a file by type of task.

    Raises:
        ConfigError: there is no such file, or it holds something else than texts for the world's types.
    """
    hints, world = read_toml(path), config.data.env
    # Other data than generated may have types of their own.
    types = registry.world(world).task_types if config.data.data == "generated" else ()
    if not hints or not all(isinstance(hint, str) and hint.strip() for hint in hints.values()):
        raise ConfigError(f'{path} holds no hints: give lines like fetch = "Look into every room first."')
    if types and (unknown := sorted(set(hints) - set(types))):
        raise ConfigError(f"{path} has hints for {', '.join(unknown)}: tasks of {world} are {', '.join(types)}")
    return hints


def _by_name(teacher: str, tokenizer: PreTrainedTokenizerBase) -> ReadingHabits:
    """How a served model reads that does not say: as its tokenizer, which is the student's, and its name tell."""
    template = tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else ""
    return ReadingHabits(begin_ids(tokenizer), template, bool(template) and made_for_chats(teacher.partition("#")[2]))


def _prompt(config: TrainConfig, reading: ReadingHabits, form: Form) -> str:
    """Instruction and exemplars: of a file all, of a world's own prompt one; none for a student of this project."""
    name = config.model.teacher_prompt
    if not name:
        return "" if reading.ours else load_prompt(config.data.env).text(1, form)
    if (path := Path(name)).is_file():
        prompt = read_prompt(path)
        return prompt.text(len(prompt.exemplars), form)
    worlds = [world.name for world in registry.known()]
    if name not in worlds:
        raise UnknownNameError("file or world's prompt", name, worlds)
    return load_prompt(name).text(1, form)


@dataclass
class PrivilegedText:
    """What a world knows of its own tasks and tells no player (`TextEnv.privileged`), or a hint for their type.

    It may be asked by several threads at once: they share its worlds, one at a time.

    Args:
        config: names the world and its data.
        hints: told in place of that, by ``info["task_type"]``; nothing is told of other types.
    """

    config: TrainConfig
    hints: Mapping[str, str] | None = None
    _worlds: dict[tuple[str, str], TextEnv] = field(default_factory=dict, repr=False)
    _texts: dict[tuple[str, str, str, int], str] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, world: str, split: str, task_id: str, seed: int) -> str:
        """What is known of a task."""
        key = world, split, task_id, seed
        with self._lock:
            if key not in self._texts:
                if (world, split) not in self._worlds:
                    recipe = WorldRecipe.of(world, self.config.data.data, split)
                    self._worlds[world, split] = registry.make(recipe.name, **recipe.options)
                made = self._worlds[world, split]
                _, info = made.reset(seed=seed, options={"task_id": task_id})
                hints = self.hints
                text = made.privileged() if hints is None else hints.get(str(info.get("task_type", "")), "")
                self._texts[key] = " ".join(text.split())
            return self._texts[key]

"""Prompts as data: one TOML file a world, with an instruction and exemplars in the format of `sad_env.transcript`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from sad_env.errors import ConfigError, UnknownNameError
from sad_env.records import SpanKind
from sad_env.tables import read_toml
from sad_env.transcript import LINES, Form, parse, restated

_KEYS = frozenset({"instruction", "exemplars", "random_actions", "final_actions", "task_pattern"})
_TEXTS = frozenset({"instruction", "task_pattern"})
_DEFAULT = "default"


@dataclass(frozen=True)
class Prompt:
    """What comes before an episode, and what is known of a world's actions.

    Attributes:
        instruction: says what to do and in which form; ends without a newline.
        exemplars: whole episodes in the same format.
        random_actions: patterns for the random agent where the world lists no actions; "{words}" is filled in.
        final_actions: actions that start like this end an episode for good, so that nothing plays them at random.
        task_pattern: a regular expression for the task's instruction in the first observation: its group `intro` holds
            the words before the instruction, `body` the instruction itself. By default all is instruction.
    """

    instruction: str
    exemplars: tuple[str, ...] = ()
    random_actions: tuple[str, ...] = ("{words}",)
    final_actions: tuple[str, ...] = ()
    task_pattern: str = r"(?P<intro>)(?P<body>(?s:.+))"

    def text(self, shots: int = 0, form: Form = LINES) -> str:
        """The prompt with the first `shots` exemplars; ends with an empty line.

        The instruction asks for the default form, in the words of `LINES.request`, and exemplars are in it; another
        form takes its place in both. Where an instruction says it in other words, the other form's request is added.

        Raises:
            ConfigError: more exemplars than there are.
        """
        if not 0 <= shots <= len(self.exemplars):
            raise ConfigError(f"{shots} exemplars asked for; this prompt has {len(self.exemplars)}")
        parts = (self._instruction(form), *(restated(one, form) for one in self.exemplars[:shots]))
        return "".join(f"{part.strip()}\n\n" for part in parts if part.strip())

    def _instruction(self, form: Form) -> str:
        if form is LINES or not self.instruction.strip():
            return self.instruction
        text = self.instruction
        text = text.replace(LINES.request, form.request) if LINES.request in text else f"{text}\n{form.request}"
        header, other = (one.headers[SpanKind.OBS].strip() for one in (LINES, form))
        return text.replace(f'"{header}"', f'"{other}"')

    @cached_property
    def sha256(self) -> str:
        """Hash of all that a model may be shown."""
        return hashlib.sha256("\0".join((self.instruction, *self.exemplars)).encode()).hexdigest()


PAPER = "paper"
"""The set of prompts in the style of the paper's appendix E, by the name that `--prompt` takes."""


def prompt_of(word: str, world: str) -> Prompt:
    """The prompt that a setting names: a file, or "paper".

    Raises:
        ConfigError: no such file, or a prompt file that cannot be used.
        UnknownNameError: the world has no prompt in that style.
    """
    if word != PAPER or Path(word).is_file():
        return read_prompt(Path(word))
    folder = resources.files(__name__).joinpath(PAPER)
    there = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if world not in there:
        raise UnknownNameError("world with a prompt of the paper's style", world, there)
    with resources.as_file(folder.joinpath(f"{world}.toml")) as path:
        return read_prompt(path)


def load_prompt(world: str) -> Prompt:
    """The prompt that ships with a world, or a general one for worlds of others."""
    folder = resources.files(__name__)
    entry = folder / f"{world}.toml"
    if not entry.is_file():
        entry = folder / f"{_DEFAULT}.toml"
    with resources.as_file(entry) as path:
        return read_prompt(path)


def read_prompt(path: Path) -> Prompt:
    """A prompt file.

    Raises:
        ConfigError: no such file, not TOML, or an exemplar without an action.
        UnknownNameError: an unknown key.
    """
    values = read_toml(path)
    for key in values:
        if key not in _KEYS:
            raise UnknownNameError(f"setting in {path}", key, _KEYS)
    if not isinstance(values.get("instruction"), str):
        raise ConfigError(f"{path}: a prompt needs an instruction")
    for key in _KEYS - _TEXTS:
        texts = values.get(key, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"{path}: {key} is a list of texts")
    fields: dict[str, Any] = {key: str(values[key]) for key in _TEXTS if key in values}
    fields |= {key: tuple(values[key]) for key in _KEYS - _TEXTS if key in values}
    prompt = Prompt(**fields)
    if not _is_task_pattern(prompt.task_pattern):
        raise ConfigError(f"{path}: task_pattern is a regular expression with the groups intro and body")
    for number, exemplar in enumerate(prompt.exemplars, 1):
        if parse(exemplar).complaint:
            raise ConfigError(f"{path}: exemplar {number} has no line that starts with 'Action:'")
    return prompt


def _is_task_pattern(text: str) -> bool:
    try:
        return {"intro", "body"} <= set(re.compile(text).groupindex)
    except re.error:
        return False

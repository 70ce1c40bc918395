"""What a tokenizer's chat template writes around the turns of an episode, in ids: computed once, then put between.

An episode is a conversation: the instruction is the system's message, observations are the user's, and completions the
assistant's. What was sampled is kept as ids; nothing is decoded and encoded again.

    opening S system_end O turn C between O turn C between O turn ...

S is the system's text, O an observation and C a completion. A template without a system role gets S as the beginning
of the first user message. Exemplars are turns like those of the episode; there the instruction is not the system's but
begins the first user message of each exemplar and of the episode, so that their beginnings look alike (`head_turns`).
Thoughts of earlier turns stay, also where a template would take them out: a model sees what it saw before, and what it
wrote.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sad_agents.model import Piece, Role
from sad_env.errors import ConfigError
from sad_env.records import SpanKind
from sad_env.safe_text import one_line
from sad_env.transcript import Form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SYSTEM, _FIRST, _ANSWER, _SECOND = "qzsystemzq", "qzfirstzq", "qzanswerzq", "qzsecondzq"
"""Placeholders: one word each, so that no template strips or changes them."""
_OPENED_THOUGHTS = re.compile(r"<think>\s*\Z")
_ROLES: dict[SpanKind, Role] = {SpanKind.OBS: "user", SpanKind.REASON: "assistant", SpanKind.ACT: "assistant"}
_DATE = "26 Jul 2024"
"""For templates that name the day (Llama 3): another one each day would make each day's runs others."""


@dataclass(frozen=True)
class ChatGlue:
    """The ids that a template puts around texts.

    Attributes:
        opening: before the system's text.
        opening_alone: before the first observation where there is no system's text.
        system_end: between the system's text and the first observation.
        turn: between an observation and the completion, opened thoughts excluded.
        between: between a completion and the next observation.
        begun_ids: what the completion begins with, by the template: opened thoughts, or nothing.
        begun: the same as text, e.g. "<think>" and a newline.
        sha256: hash of all of it as text.
    """

    opening: tuple[int, ...]
    opening_alone: tuple[int, ...]
    system_end: tuple[int, ...]
    turn: tuple[int, ...]
    between: tuple[int, ...]
    begun_ids: tuple[int, ...]
    begun: str
    sha256: str

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> ChatGlue:
        """What the template of this tokenizer writes.

        Raises:
            ConfigError: there is none, it fails, or it writes messages in another order or more than once.
        """
        head, alone, folded = _opening(tokenizer)
        opening, system_end, turn = head
        if folded:
            opening, system_end = alone[0], "\n\n"
        first = f"{_SYSTEM}\n\n{_FIRST}" if folded else _FIRST
        messages = [] if folded else [_message("system", _SYSTEM)]
        messages += [_message("user", first), _message("assistant", _ANSWER), _message("user", _SECOND)]
        *_, between, last = _around(_rendered(tokenizer, messages), (_SYSTEM, _FIRST, _ANSWER, _SECOND))
        if not last == turn == alone[1]:
            raise ConfigError(f"the chat template writes turns of several kinds{_ADVICE}")
        begun = found.group() if (found := _OPENED_THOUGHTS.search(turn)) else ""
        texts = (opening, alone[0], system_end, turn.removesuffix(begun), between, begun)
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        encode = functools.partial(_ids, tokenizer)
        before_text = functools.partial(_encoded_before, encode, following=_FIRST)
        a, b, c, e = map(before_text, (opening, alone[0], system_end, between))
        # What the completion is sampled after is the end of what a server reads, too.
        return cls(a, b, c, encode(texts[3]), e, encode(begun), begun, digest)

    def system(self, text: Sequence[int]) -> tuple[int, ...]:
        """The ids of a system's text with what the template puts around it; of none, the opening alone."""
        return (*self.opening, *text, *self.system_end) if text else self.opening_alone

    def head(self, encode: Callable[[str], Sequence[int]], prompt: str, form: Form) -> tuple[int, ...]:
        """The ids of all before the text of an episode's first observation.

        Args:
            encode: ids of foreign text.
            prompt: instruction and exemplars.
            form: that the exemplars are in.
        """
        turns, begun = head_turns(prompt, form)
        if not turns:
            text = system_text(prompt)
            return self.system(encode(text) if text else ())
        ids = [*self.opening_alone]
        for turn in turns:
            ids += (self.user if turn.role == "user" else self.assistant)(encode(turn.text))
        return (*ids, *_encoded_before(encode, begun, form.headers[SpanKind.OBS].strip()))

    def user(self, text: Sequence[int]) -> tuple[int, ...]:
        """The ids of an observation with what follows."""
        return (*text, *self.turn)

    def assistant(self, completion: Sequence[int]) -> tuple[int, ...]:
        """The ids of a completion with what follows."""
        return (*completion, *self.between)


def _encoded_before(encode: Callable[[str], Sequence[int]], text: str, following: str) -> tuple[int, ...]:
    """Ids of a text as it is spelled where another one follows it.

    Tokenizers of GPT-2's kind make one token of two newlines at the end of a text and two of those before a word, as in
    the exemplars' beginnings.
    """
    whole, end = tuple(encode(text + following)), tuple(encode(following))
    return whole[: -len(end)] if end and whole[-len(end) :] == end else tuple(encode(text))


def system_text(prompt: str) -> str:
    """A prompt as the system's message."""
    return prompt.strip()


def user_text(observation: str) -> str:
    """An observation as the user's message: the end of the turn takes the place of its newline."""
    return observation.removesuffix("\n")


def message_text(piece: Piece) -> str:
    """The content of the message that a piece makes; completions stay as they are, since their ids are kept."""
    if piece.role == "system":
        return system_text(piece.text)
    return user_text(piece.text) if piece.role == "user" else piece.text


def prompt_turns(prompt: str, form: Form) -> list[Piece]:
    """A prompt as turns: all before its first observation is the system's, exemplars are the user's and assistant's.

    Args:
        prompt: as `Prompt.text` writes it.
        form: that its exemplars are in.
    """
    headers = {form.headers[kind].strip(): role for kind, role in _ROLES.items()}
    border = re.compile(rf"^(?:{'|'.join(map(re.escape, headers))})", re.MULTILINE)
    found = list(border.finditer(prompt))
    starts = [*(one.start() for one in found), len(prompt)]
    turns = [Piece(prompt[: starts[0]].strip(), role="system")] if prompt[: starts[0]].strip() else []
    for one, end in zip(found, starts[1:], strict=True):
        role, text = headers[one[0]], prompt[one.start() : end].strip() + "\n"
        if turns and turns[-1].role == role == "assistant":
            text = turns.pop().text + text
        turns.append(Piece(text, role=role))
    return turns


def head_turns(prompt: str, form: Form) -> tuple[list[Piece], str]:
    """A prompt's exemplars as turns of user and assistant, and what then begins the episode's first user message.

    Returns:
        No turns and an empty text where a prompt has no exemplars: it is the system's message.
    """
    turns = prompt_turns(prompt, form)
    instruction = turns.pop(0).text if turns and turns[0].role == "system" else ""
    if not turns or turns[0].role != "user":
        return [], ""
    opening = f"{instruction}\n\n" if instruction else ""
    whole: list[Piece] = []
    pending = ""
    for turn in turns:
        if turn.role == "assistant":
            whole += [Piece(pending, role="user"), Piece(turn.text.strip(), role="assistant")]
            pending = ""
            continue
        if pending or not whole:  # another exemplar begins
            pending += f"\n\n{opening}" if pending else opening
        pending += user_text(turn.text)
    return whole, (f"{pending}\n\n{opening}" if pending else opening)


_ADVICE = ": it cannot be used for episodes; give --chat off"


def _opening(tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[str, str, str], tuple[str, str], bool]:
    """The text around the system's and the first user's, around the latter alone, and whether it is folded."""
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError("this model's tokenizer has no chat template: give --chat off")
    before, after = _around(_rendered(tokenizer, [_message("user", _FIRST)]), (_FIRST,))
    try:
        text = _rendered(tokenizer, [_message("system", _SYSTEM), _message("user", _FIRST)])
        opening, middle, turn = _around(text, (_SYSTEM, _FIRST))
    except ConfigError:
        # Some templates refuse the system role, others pass over it.
        return ("", "", after), (before, after), True
    return (opening, middle, turn), (before, after), False


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> str:
    apply: Any = tokenizer.apply_chat_template
    try:
        return str(apply(messages, tokenize=False, add_generation_prompt=True, date_string=_DATE))
    except Exception as error:  # a template is somebody else's program
        raise ConfigError(f"the chat template fails: {one_line(str(error), 120)}{_ADVICE}") from None


def _around(text: str, words: Sequence[str]) -> list[str]:
    """The stretches before, between and after these words."""
    parts = []
    for word in words:
        before, found, text = text.partition(word)
        if not found or word in text:
            raise ConfigError(f"the chat template writes a message not once or not in order{_ADVICE}")
        parts.append(before)
    return [*parts, text]


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Ids of the template's own text, in which special tokens are meant."""
    return tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=False)["input_ids"]) if text else ()

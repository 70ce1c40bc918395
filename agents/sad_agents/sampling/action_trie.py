"""Admissible actions as token paths: what may come next in an action that the world would accept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

from sad_env.errors import ConfigError
from sad_env.records import SpanKind
from sad_env.transcript import Form

_SLOT = re.compile(r"(\w+\[)<[a-z][a-z _-]*>\]")
"""An admissible action whose argument is a slot, such as `search[<query>]`: the agent writes there what it likes."""


def spelled(action: str) -> str:
    """An action as it is written after the header: a blank, the action, the newline that ends it."""
    return f" {action}\n"


@dataclass
class TrieNode:
    """A prefix of admissible actions."""

    children: dict[int, TrieNode] = field(default_factory=dict)
    free: bool = False
    """From here on the agent writes what it likes."""


@dataclass(frozen=True)
class Trie:
    """Admissible actions of one state as token paths."""

    root: TrieNode

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, actions: Iterable[str]) -> Trie:
        """Build from admissible actions; each ends with its newline, so no action is the prefix of another."""
        root = TrieNode()
        for action in actions:
            before = before_slot(action)
            node = root
            for token in _encode(tokenizer, spelled(action) if before is None else f" {before}"):
                node = node.children.setdefault(token, TrieNode())
            node.free = node.free or before is not None
        return cls(root)

    @classmethod
    def of_paths(cls, paths: Iterable[Iterable[int]]) -> Trie:
        """Build from token paths."""
        root = TrieNode()
        for path in paths:
            node = root
            for token in path:
                node = node.children.setdefault(token, TrieNode())
        return cls(root)

    def walk(self, ids: Iterable[int]) -> Iterator[list[int] | None]:
        """For each id of an action, what might have stood there: None inside a slot, [] off the trie."""
        node: TrieNode | None = self.root
        for token in ids:
            if node is not None and node.free:
                # Nothing after it is on the trie, so all that follows counts as written into the slot.
                yield None
            elif node is None or not node.children:
                yield []
                node = None
            else:
                yield sorted(node.children)
                node = node.children.get(token)


def before_slot(action: str) -> str | None:
    """What an admissible action says before its slot; None where it has none.

    >>> before_slot("search[<query>]")
    'search['
    >>> before_slot("click[< Prev]")
    """
    match = _SLOT.fullmatch(action)
    return match[1] if match else None


def check_form(form: Form) -> None:
    """Refuse forms whose actions cannot be kept among the admissible ones.

    Raises:
        ConfigError: actions that end with more than their line.
    """
    if form.closing != "\n":
        raise ConfigError(f"constrained decoding knows actions that end with their line, not the form {form.name!r}")


def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


AllowedNext = Callable[[Sequence[int]], "Sequence[int] | None"]
"""Gives, for the ids of a completion so far, those that may come next; None for all."""


class ActionLimits:
    """Keeps the actions of completions among the admissible ones, as a student decodes that learned by Eq. 8.

    Reasoning is free. Behind the header of an action only the token paths of the admissible actions are left, in the
    tokenizer's own spelling; in a slot (`search[<query>]`) the agent writes what it likes up to a closing bracket.

    Args:
        tokenizer: of the completions.
        form: in which they are written.

    Raises:
        ConfigError: a form whose actions end with more than a newline.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, form: Form) -> None:
        check_form(form)
        self._tokenizer = tokenizer
        self._header = form.headers[SpanKind.ACT].rstrip()
        self._texts = {id_: self._text([id_]) for id_ in range(len(tokenizer))}
        self._header_end = [id_ for id_, text in self._texts.items() if text == self._header[-1]]
        self._line_end = [id_ for id_, text in self._texts.items() if text == "\n"]
        self._tries: dict[tuple[str, ...], Trie] = {}

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def among(self, admissible: Sequence[str]) -> AllowedNext:
        """What may come next in completions whose action is one of these."""
        key = tuple(admissible)
        if key not in self._tries:
            if len(self._tries) >= 10_000:
                self._tries.clear()
            self._tries[key] = Trie.of(self._tokenizer, key)
        trie = self._tries[key]
        begun: list[int] = []  # ids up to an action's header, once one was seen

        def allowed(ids: Sequence[int]) -> Sequence[int] | None:
            nonlocal begun
            if not begun or list(ids[: len(begun)]) != begun:
                text = self._text(ids)
                if text.rpartition("\n")[2] == self._header[:-1]:
                    return self._header_end  # a token that reaches into the action would leave the paths
                begun = self._up_to_header(ids) if self._header in text else []
                if not begun:
                    return None
            return self._after(trie, ids[len(begun) :])

        return allowed

    def turning_ids(self) -> frozenset[int]:
        """Ids after which other ids may be allowed than before them: in a header, behind it, and at a slot's end."""
        lines = (f"\n{self._header[:-1]}", f"\n{self._header}")
        return frozenset(
            id_
            for id_, text in self._texts.items()
            if text and (text.endswith("]") or any(line.endswith(text) or text.endswith(line) for line in lines))
        )

    def _up_to_header(self, ids: Sequence[int]) -> list[int]:
        """The ids up to the first line that is an action's header and nothing else; none where there is no such."""
        counts = range(1, len(ids) + 1)
        ended = (count for count in counts if self._text(ids[:count]).rpartition("\n")[2] == self._header)
        return list(ids[: next(ended, 0)])

    def _after(self, trie: Trie, ids: Sequence[int]) -> Sequence[int] | None:
        node: TrieNode | None = trie.root
        for token in ids:
            if node is None or node.free:
                break
            node = node.children.get(token)
        if node is None:
            return None
        if node.free:
            return self._line_end if self._text(ids).endswith("]") else None
        return sorted(node.children) or None

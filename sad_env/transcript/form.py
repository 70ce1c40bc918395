"""What every form of a transcript has: render, parse and spans; thoughts between tags hold no action in any of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from sad_env.records import FormName, Span, SpanKind

THINK, UNTHINK = "<think>", "</think>"
"""Models that think before they answer put their thoughts between these; chat templates may write the first."""

_THOUGHTS = re.compile(
    rf"\A(?:(?!{THINK}).)*?{UNTHINK}"  # the closing tag alone: the opening tag came before the completion
    rf"|{THINK}.*?(?:{UNTHINK}|\Z)",
    re.DOTALL,
)
_OPENED = re.compile(f"{THINK} ?")
_MARKS = re.compile(r"\[(REASON|ACT|OBS)\]|<(/?(?:think|action))>")


@dataclass(frozen=True)
class Rendering:
    """Text and the spans that tile it."""

    text: str
    spans: tuple[Span, ...]


class Parsed(NamedTuple):
    """What a completion says. `complaint` is empty when it holds an action."""

    reasoning: str
    action: str
    spans: tuple[Span, ...]
    complaint: str


class Builder:
    """Joins pieces; spans are the running lengths, so they tile the text by construction."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.spans: list[Span] = []
        self.length = 0

    def add(self, kind: SpanKind, header: str, body: str) -> None:
        """One span: its header and what follows; nothing where both are empty."""
        text = header + body
        if text:
            start, self.length = self.length, self.length + len(text)
            self.pieces.append(text)
            self.spans.append(Span(kind=kind, start=start, end=self.length, body=start + len(header)))

    def add_all(self, text: str, spans: tuple[Span, ...]) -> None:
        """A text with its own spans."""
        at = self.length
        self.spans += [Span(kind=s.kind, start=at + s.start, end=at + s.end, body=at + s.body) for s in spans]
        self.pieces.append(text)
        self.length += len(text)

    def rendering(self) -> Rendering:
        """All of it."""
        return Rendering("".join(self.pieces), tuple(self.spans))


class Form(ABC):
    """A way to write down what an agent thinks and does and what the world answers.

    Attributes:
        name: in settings and records.
        headers: what a reasoning, an action and an observation open with.
        closing: what ends an action.
        request: asks a model to write in this form, in one sentence.
        missing: the complaint where a completion holds no action.
        last_characters: a completion can only become complete with one of these.
        stop: strings at which a server may end a completion. They may occur in thoughts, too, so a completion that
            ends in its thoughts has to be asked for again without them.
    """

    name: FormName
    headers: ClassVar[Mapping[SpanKind, str]]
    closing = "\n"
    request: str
    missing: str
    last_characters = "\n"
    stop: tuple[str, ...]

    def render(self, reasoning: str, action: str) -> Rendering:
        """The completion that states `reasoning` and `action`: what experts and scripted models write.

        Newlines inside either become blanks, and marks such as [ACT] or </think> get round brackets, so that `parse`
        gives the two back.
        """
        builder = Builder()
        if reasoning:
            builder.add(SpanKind.REASON, self.headers[SpanKind.REASON], self.thought(reasoning, header=False))
        builder.add(SpanKind.ACT, self.headers[SpanKind.ACT], plain(" ".join(action.splitlines()).strip()) + self._end)
        return builder.rendering()

    def thought(self, reasoning: str, *, header: bool = True) -> str:
        """A whole stretch of reasoning, which an action may follow."""
        return self.begun_thought(reasoning, header=header)

    def begun_thought(self, reasoning: str, *, header: bool = True) -> str:
        """The beginning of a stretch of reasoning, which a model may continue."""
        text = plain(" ".join(reasoning.split())) + "\n"
        return self.headers[SpanKind.REASON] + text if header else text

    def observation(self, observation: str) -> str:
        """An observation as the agent reads it, header and newline included."""
        return f"{self.headers[SpanKind.OBS]}{observation}\n"

    def spans(self, completion: str) -> tuple[Span, ...]:
        """Spans that tile a completion, whatever it holds.

        Thoughts up to `</think>` are reasoning, with the closing tag alone, too. Text before the first header is
        reasoning: the agent was asked to think first. Other text without a header continues the span before it.
        """
        spans: list[Span] = []
        position = 0
        for start, end in _thoughts(completion):
            self._add_spans(spans, completion, position, start)
            header = _OPENED.match(completion, start)
            spans.append(Span(kind=SpanKind.REASON, start=start, end=end, body=header.end() if header else start))
            position = end
        self._add_spans(spans, completion, position, len(completion))
        return tuple(spans)

    def parse(self, completion: str) -> Parsed:
        """Reasoning and action of a completion; never raises.

        The first action span decides; its first line that is not blank is the action.
        """
        spans = self.spans(completion)
        reasoning = " ".join(reasoning_text(completion, span) for span in spans if span.kind is SpanKind.REASON).strip()
        for span in spans:
            if span.kind is SpanKind.ACT:
                lines = self._action_text(completion[span.body : span.end]).strip().splitlines()
                if lines:
                    return Parsed(reasoning, lines[0].strip(), spans, "")
                return Parsed(reasoning, "", spans, "the action was empty")
        unfinished = in_thoughts(completion)
        return Parsed(reasoning, "", spans, f"the thoughts had no end, {UNTHINK!r}" if unfinished else self.missing)

    def action_end(self, completion: str) -> int | None:
        """Where the first whole action ends, its newline included; None while there is none."""
        position = 0
        for start, end in _thoughts(completion):
            if (found := self._whole_action(completion[position:start], final=True)) is not None:
                return position + found
            position = end
        found = self._whole_action(completion[position:], final=False)
        return None if found is None else position + found

    def is_complete(self, completion: str) -> bool:
        """True once the completion holds a whole action: the moment to stop sampling."""
        return self.action_end(completion) is not None

    def cut(self, completion: str) -> str:
        """`completion` up to the end of its first whole action, with a final newline."""
        text = completion[: self.action_end(completion)]
        return text if text.endswith("\n") else text + "\n"

    @property
    def _end(self) -> str:
        return self.closing if self.closing.endswith("\n") else self.closing + "\n"

    def _action_text(self, body: str) -> str:
        """What of an action span's body is the action."""
        return body

    @abstractmethod
    def _add_spans(self, spans: list[Span], text: str, start: int, end: int) -> None:
        """Append spans for `text[start:end]`, in which there are no thoughts between tags."""

    @abstractmethod
    def _whole_action(self, text: str, *, final: bool) -> int | None:
        """Where the first whole action in a text without tagged thoughts ends; `final`: with its end, too."""


def add_or_continue(spans: list[Span], start: int, end: int) -> None:
    """Text without a header: more of the span before it, or reasoning where there is none."""
    if start == end:
        return
    if spans:
        last = spans.pop()
        spans.append(Span(kind=last.kind, start=last.start, end=end, body=last.body))
    else:
        spans.append(Span(kind=SpanKind.REASON, start=start, end=end, body=start))


def add_marked(
    spans: list[Span], marks: Sequence[re.Match[str]], kinds: Callable[[re.Match[str]], SpanKind], start: int, end: int
) -> None:
    """Spans of `start` to `end` of a text in which each of these marks opens one."""
    borders = [*(mark.start() for mark in marks), end]
    add_or_continue(spans, start, borders[0])
    for mark, after in zip(marks, borders[1:], strict=True):
        spans.append(Span(kind=kinds(mark), start=mark.start(), end=after, body=mark.end()))


def reasoning_text(text: str, span: Span) -> str:
    """The body of a reasoning span without the tag that closes thoughts."""
    return text[span.body : span.end].replace(UNTHINK, "").strip()


def in_thoughts(completion: str) -> bool:
    """Whether a completion ends in thoughts that have been opened and not closed."""
    *_, last = ((0, 0), *_thoughts(completion))
    return last[1] == len(completion) > 0 and not completion.endswith(UNTHINK)


def plain(text: str) -> str:
    """`text` with round brackets for those of marks, so that no form reads a mark in it.

    >>> plain("[ACT] <action> </think> search[ACT]")
    '(ACT) (action) (/think) search(ACT)'
    """
    return _MARKS.sub(lambda mark: f"({mark[1] or mark[2]})", text)


def _thoughts(completion: str) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch of tagged thoughts, tags included; the last one may lack its end."""
    if "think>" in completion:
        for match in _THOUGHTS.finditer(completion):
            yield match.span()

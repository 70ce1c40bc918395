"""The form of verl-agent: reasoning between <think> tags, the action between <action> tags."""

from __future__ import annotations

import re
from typing import ClassVar

from sad_env.records import Span, SpanKind
from sad_env.transcript.form import UNTHINK, Form, add_marked

_OPEN, _CLOSE = "<action>", "</action>"
_ACTION = re.compile(rf"{_OPEN} ?")


class ThinkForm(Form):
    r"""`<think> ... </think>`, `<action> ... </action>`; observations as in the default form.

    >>> THINK_FORM.render("I see it.", "take it").text
    '<think> I see it. </think>\n<action> take it </action>\n'
    """

    name = "think"
    headers: ClassVar = {SpanKind.REASON: "<think> ", SpanKind.ACT: f"{_OPEN} ", SpanKind.OBS: "Observation: "}
    closing = f" {_CLOSE}"
    request = (
        f"Each turn, first write what you know and want next between <think> and {UNTHINK}, then one action between"
        f" {_OPEN} and {_CLOSE}."
    )
    missing = f"there was no {_OPEN!r}"
    last_characters = ">"
    stop = ("\nObservation:",)

    def thought(self, reasoning: str, *, header: bool = True) -> str:
        """A whole stretch of reasoning, closing tag included."""
        return f"{self.begun_thought(reasoning, header=header).rstrip()} {UNTHINK}\n"

    def _action_text(self, body: str) -> str:
        return body.partition(_CLOSE)[0]

    def _add_spans(self, spans: list[Span], text: str, start: int, end: int) -> None:
        add_marked(spans, list(_ACTION.finditer(text, start, end)), lambda _: SpanKind.ACT, start, end)

    def _whole_action(self, text: str, *, final: bool) -> int | None:
        for tag in _ACTION.finditer(text):
            close = text.find(_CLOSE, tag.end())
            if not text[tag.end() : close if close >= 0 else len(text)].strip():
                continue
            if close >= 0:
                end = close + len(_CLOSE)
                return end + text.startswith("\n", end)
            return len(text) if final else None
        return None


THINK_FORM = ThinkForm()
